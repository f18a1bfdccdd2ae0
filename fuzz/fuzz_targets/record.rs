//! The record of a card: what decodes is the same after it was encoded again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use transit::card::Record;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = Record::decode(bytes) {
        let again = record.encode().expect("what was decoded fits");
        assert_eq!(Record::decode(&again).expect("our own bytes"), record);
    }
});
