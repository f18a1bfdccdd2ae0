//! What a desk and the clearing house ask and answer each other: the text, as it comes and as it would be signed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use transit::desk::{DeskAnswer, DeskRequest};

fuzz_target!(|text: &str| {
    if let Ok(request) = serde_json::from_str::<DeskRequest>(text) {
        let again = serde_json::to_string(&request).expect("plain data");
        assert_eq!(serde_json::from_str::<DeskRequest>(&again).expect("our own text"), request);
    }
    if let Ok(answer) = serde_json::from_str::<DeskAnswer>(text) {
        let again = serde_json::to_string(&answer).expect("plain data");
        assert_eq!(serde_json::from_str::<DeskAnswer>(&again).expect("our own text"), answer);
    }
    // Nobody signed this.
    assert!(DeskRequest::open(text, &[0x5A; 64], |_| Some([7; 32])).is_err());
    assert!(DeskAnswer::open(text, &[0x5A; 64], &[7; 32], text).is_err());
});
