//! A share of the master keys as typed from its sheet: what is read is the same after it was printed again.
#![no_main]

use key_store::{Share, combine};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(share) = Share::from_paper(text) {
        let again = Share::from_paper(&share.to_paper()).expect("our own sheet");
        assert!(again.to_paper() == share.to_paper());
        let _ = combine(&[again, share]);
    }
});
