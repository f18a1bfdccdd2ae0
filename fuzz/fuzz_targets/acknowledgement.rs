//! The clearing house's answer to an upload: what parses, and is written again, parses to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use transit::sync::{Acknowledgement, signed_bytes};

fuzz_target!(|bytes: &[u8]| {
    let Ok(acknowledgement) = serde_json::from_slice::<Acknowledgement>(bytes) else { return };
    let text = serde_json::to_string(&acknowledgement).expect("plain data");
    assert_eq!(serde_json::from_str::<Acknowledgement>(&text).expect("our own text"), acknowledgement);
    let _ = signed_bytes(&text);
});
