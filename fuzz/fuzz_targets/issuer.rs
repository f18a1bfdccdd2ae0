//! The issuer file of a card: what decodes is the same after it was encoded again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use transit::card::Issuer;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(issuer) = Issuer::decode(bytes) {
        assert_eq!(Issuer::decode(&issuer.encode()).expect("our own bytes"), issuer);
    }
});
