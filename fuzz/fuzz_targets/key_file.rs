//! A key file, sealed or plain: no bytes are production keys in the clear, and what is sealed is the same after it was
//! written again.
#![no_main]

use std::path::Path;

use key_store::{KeyFile, Origin, SealedKeyFile};
use libfuzzer_sys::fuzz_target;
use transit::config::KeysClass;

fuzz_target!(|text: &str| {
    let path = Path::new("keys.toml");
    if let Ok(sealed) = SealedKeyFile::parse(path, text) {
        let again = sealed.to_text();
        assert_eq!(SealedKeyFile::parse(path, &again).expect("our own text").to_text(), again);
    }
    for class in [KeysClass::Test, KeysClass::Production] {
        if let Ok(file) = KeyFile::parse(path, text, Origin::Disk, class) {
            assert!(matches!(file, KeyFile::Sealed(_)) || class == KeysClass::Test);
            assert!(file.class() == class);
        }
    }
});
