//! An upload to the clearing house, as it comes and as taps whose hashes are right: it is taken or refused, the books
//! open on, and every account adds up.
#![no_main]

use std::cell::RefCell;

use clearing_house::{ClearingHouse, Config};
use libfuzzer_sys::fuzz_target;
use ring::digest::{SHA256, digest};
use tempfile::TempDir;
use transit::tap::TAP_LEN;
use transit::time::Moment;

/// After so many uploads the books are new ones, so that a finding can be told from its last few inputs.
const UPLOADS_PER_BOOKS: u32 = 256;

thread_local! {
    static HOUSE: RefCell<Option<(TempDir, ClearingHouse, u32)>> = const { RefCell::new(None) };
}

fuzz_target!(|bytes: &[u8]| {
    HOUSE.with_borrow_mut(|slot| {
        if slot.as_ref().is_some_and(|(_, _, uploads)| *uploads >= UPLOADS_PER_BOOKS) {
            *slot = None;
        }
        let (_, house, uploads) = slot.get_or_insert_with(open);
        *uploads += 1;
        let Some((first, rest)) = bytes.split_first() else { return };
        let body = if first & 1 == 0 { rest.to_vec() } else { with_right_hashes(rest) };
        let at = Moment(1_795_395_600 + u32::from(*first));
        let answer = house.receive(&body, at);
        assert_eq!(answer.is_ok(), body.len() <= 500 * TAP_LEN);
        assert!(house.is_readable());
    });
});

fn open() -> (TempDir, ClearingHouse, u32) {
    let folder = tempfile::tempdir_in("/dev/shm").expect("memory");
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures");
    let config = format!(
        "listen = \"127.0.0.1:0\"\ndatabase = \"books.sqlite\"\ntariff = \"{fixtures}/hanoi/tariff.toml\"\n\
         keys = \"{fixtures}/keys/test-clearing-house-keys.toml\"\nkeys_class = \"test\"\n\
         transaction_mac_policy = \"warn\"\n[[operator]]\nnumber = 1\nname = \"one\"\n\
         [[device]]\nnumber = 101\noperator = 1\n"
    );
    let path = folder.path().join("clearing-house.toml");
    std::fs::write(&path, config).expect("a file");
    let config = Config::read(&path, None).expect("our own configuration");
    (folder, ClearingHouse::open(config).expect("new books"), 0)
}

/// Whole taps of these bytes, each ending with its own hash and continuing the one before.
fn with_right_hashes(bytes: &[u8]) -> Vec<u8> {
    let mut previous = [0; 32];
    let mut body = Vec::with_capacity(bytes.len());
    for tap in bytes.chunks_exact(TAP_LEN) {
        let mut tap = tap.to_vec();
        tap[TAP_LEN - 64..TAP_LEN - 32].copy_from_slice(&previous);
        previous.copy_from_slice(digest(&SHA256, &tap[..TAP_LEN - 32]).as_ref());
        tap[TAP_LEN - 32..].copy_from_slice(&previous);
        body.extend(tap);
    }
    body
}
