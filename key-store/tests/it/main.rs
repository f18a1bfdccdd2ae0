//! Tests of master keys and of what keeps them.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

mod cards;
mod files;
mod keys;
mod memory;
mod sam;
mod shares;
mod source;

use key_store::{KeySet, Passphrase};
use transit::config::KeysClass;
use zeroize::Zeroizing;

/// Bytes that differ from call to call and are the same in every run.
fn counting() -> impl FnMut(&mut [u8]) {
    let mut next = 0x9E37_79B9_7F4A_7C15_u64;
    move |bytes: &mut [u8]| {
        for byte in bytes {
            next ^= next << 13;
            next ^= next >> 7;
            next ^= next << 17;
            *byte = next.to_be_bytes()[0];
        }
    }
}

fn test_set() -> KeySet {
    KeySet::generate(KeysClass::Test, &mut counting())
}

fn passphrase(text: &str) -> Passphrase {
    Passphrase::typed(Zeroizing::new(text.to_owned()))
}
