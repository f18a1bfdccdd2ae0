//! A sealed action of a desk, as it comes and with its hash put right: what opens seals to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ring::digest::{SHA256, digest};
use transit::action::{ACTION_LEN, SealedAction};

const SIGNATURE_AT: usize = ACTION_LEN - 64;
const HASH_AT: usize = SIGNATURE_AT - 32;

fuzz_target!(|bytes: &[u8]| {
    look(bytes);
    let mut sealed = [0; ACTION_LEN];
    let length = bytes.len().min(ACTION_LEN);
    sealed[..length].copy_from_slice(&bytes[..length]);
    let hash = digest(&SHA256, &sealed[..HASH_AT]);
    sealed[HASH_AT..SIGNATURE_AT].copy_from_slice(hash.as_ref());
    look(&sealed);
});

fn look(bytes: &[u8]) {
    let Ok(sealed) = SealedAction::from_bytes(bytes) else { return };
    let _ = sealed.claimed_id();
    if let Ok(action) = sealed.open() {
        let mut signature = [0; 64];
        signature.copy_from_slice(&bytes[SIGNATURE_AT..]);
        let again = action.seal(&sealed.previous_hash(), |_| signature).expect("what was opened can be sealed");
        assert_eq!(again.as_bytes(), sealed.as_bytes());
        let _ = (action.gives_up(), action.takes_of_allowance());
    }
}
