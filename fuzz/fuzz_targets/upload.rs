//! An upload to the clearing house, of taps or of actions, as it comes and with the hashes put right: it is taken or
//! refused, and the books stay readable.
#![no_main]

use std::cell::RefCell;

use clearing_house::{ClearingHouse, Config};
use libfuzzer_sys::fuzz_target;
use ring::digest::{SHA256, digest};
use tempfile::TempDir;
use transit::action::ACTION_LEN;
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
        let has_actions = first & 2 != 0;
        // An action ends with its desk's signature, which stays wrong.
        let (length, hash_at, most) =
            if has_actions { (ACTION_LEN, ACTION_LEN - 96, 300) } else { (TAP_LEN, TAP_LEN - 32, 500) };
        let body = if first & 1 == 0 { rest.to_vec() } else { with_right_hashes(rest, length, hash_at) };
        let at = Moment(1_795_395_600 + u32::from(*first));
        let answer = if has_actions { house.receive_actions(&body, at) } else { house.receive(&body, at) };
        assert_eq!(answer.is_ok(), body.len() <= most * length);
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

/// Whole records of these bytes, each with its own hash and continuing the one before.
fn with_right_hashes(bytes: &[u8], length: usize, hash_at: usize) -> Vec<u8> {
    let mut previous = [0; 32];
    let mut body = Vec::with_capacity(bytes.len());
    for record in bytes.chunks_exact(length) {
        let mut record = record.to_vec();
        record[hash_at - 32..hash_at].copy_from_slice(&previous);
        previous.copy_from_slice(digest(&SHA256, &record[..hash_at]).as_ref());
        record[hash_at..hash_at + 32].copy_from_slice(&previous);
        body.extend(record);
    }
    body
}
