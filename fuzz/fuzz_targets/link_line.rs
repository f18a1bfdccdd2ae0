//! A line on the link between the two processes of a validator, either way, and one of a validator to its screen.
#![no_main]

use libfuzzer_sys::fuzz_target;
use transit::screen::Screen;
use validator::link::{ToCore, ToSync, line};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = serde_json::from_slice::<ToCore>(bytes) {
        assert_eq!(serde_json::from_slice::<ToCore>(&line(&message)).expect("our own line"), message);
    }
    let _ = serde_json::from_slice::<ToSync>(bytes);
    if let Ok(screen) = serde_json::from_slice::<Screen>(bytes) {
        assert_eq!(serde_json::from_slice::<Screen>(&line(&screen)).expect("our own line"), screen);
    }
});
