//! A sealed tap, as it comes and with its hash put right: what opens seals to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ring::digest::{SHA256, digest};
use transit::tap::{SealedTap, TAP_LEN};

fuzz_target!(|bytes: &[u8]| {
    look(bytes);
    let mut sealed = [0; TAP_LEN];
    let length = bytes.len().min(TAP_LEN);
    sealed[..length].copy_from_slice(&bytes[..length]);
    let hash = digest(&SHA256, &sealed[..TAP_LEN - 32]);
    sealed[TAP_LEN - 32..].copy_from_slice(hash.as_ref());
    look(&sealed);
});

fn look(bytes: &[u8]) {
    let Ok(sealed) = SealedTap::from_bytes(bytes) else { return };
    let _ = sealed.claimed_id();
    if let Ok(tap) = sealed.open() {
        let again = tap.seal(&sealed.previous_hash()).expect("what was opened can be sealed");
        assert_eq!(again.as_bytes(), sealed.as_bytes());
    }
}
