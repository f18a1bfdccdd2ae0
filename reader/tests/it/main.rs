//! Tests of the reader behind a real pcscd with virtual readers.
//!
//! One test, since a process finds the service's socket once, in its environment: the test runs its steps in a child.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use std::env;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use card_crypto::{Lost, Transport};
use reader::{Desk, NoCard, SamSlot, list};
use virtual_card::pcscd::{PrivatePcscd, SOCKET_VARIABLE};
use virtual_card::sam::Sam;
use virtual_card::sam_reader::SamInReader;
use virtual_card::vpcd::Holder;
use virtual_card::{CardInField, Fixture, Moment, TestKeys};

const ADDRESS: &str = "CHAM_READER_TEST_ADDRESS";
const SAM_ADDRESS: &str = "CHAM_READER_TEST_SAM_ADDRESS";
/// The service looks at a virtual reader every 400 ms.
const TWO_LOOKS: Duration = Duration::from_millis(900);
const PATIENCE: Duration = Duration::from_secs(30);

fn card() -> CardInField {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let keys = TestKeys::load(&fixtures.join("keys/test-card-keys.toml")).unwrap();
    let moment = Moment { now: 1_795_489_200, today: 9824 };
    let fixture = Fixture::load(&fixtures.join("cards/adult.toml"), &keys, moment).unwrap();
    CardInField::new(fixture.card(Box::new(|| [0x5A; 16])))
}

#[test]
fn a_desk_waits_for_a_card_and_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let service = PrivatePcscd::start(folder.path(), None).unwrap();
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "in_a_child_with_a_service", "--nocapture"])
        .env(SOCKET_VARIABLE, service.socket())
        .env(ADDRESS, service.address(0).to_string())
        .env(SAM_ADDRESS, service.address(1).to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && said.contains("the card answered"),
        "{said}{}",
        String::from_utf8_lossy(&child.stderr)
    );
}

/// The steps of the test above; without its service there is nothing to see.
#[test]
fn in_a_child_with_a_service() {
    let Ok(address) = env::var(ADDRESS) else { return };
    let readers = list().unwrap();
    assert_eq!(readers.len(), 2, "{readers:?}");

    let unknown = Desk::open("No such reader", PATIENCE).unwrap().next_card(PATIENCE).unwrap_err();
    let NoCard::Reader { why } = &unknown else { panic!("{unknown}") };
    assert!(why.contains("No such reader") && why.contains(&readers[0]), "{why}");
    assert!(matches!(Desk::open("zero\0byte", PATIENCE), Err(NoCard::Reader { .. })));

    let desk = Desk::open(&readers[0], PATIENCE).unwrap();
    let none = desk.next_card(Duration::from_millis(1)).unwrap_err();
    assert_eq!(none, NoCard::None { waited_s: 0 });

    let holder = Holder::present(TcpStream::connect(address).unwrap(), card(), |_| {}).unwrap();
    let mut presented = desk.next_card(PATIENCE).unwrap();
    assert_eq!(presented.uid.len(), 7);
    let answer = presented.field.exchange(&[0x90, 0x5A, 0, 0, 3, 0x01, 0x4E, 0x48, 0]).unwrap();
    assert_eq!(answer, [0x91, 0x00]);
    drop(presented);
    let _ = holder.remove();

    a_sam_comes_goes_and_comes_back(&readers[1]);
    println!("the card answered");
}

fn a_sam_comes_goes_and_comes_back(reader: &str) {
    const GET_VERSION: [u8; 5] = [0x80, 0x60, 0x00, 0x00, 0x00];
    assert!(matches!(SamSlot::new("zero\0byte", PATIENCE), Err(NoCard::Reader { .. })));
    let mut slot = SamSlot::new(reader, PATIENCE).unwrap();
    assert_eq!(slot.exchange(&GET_VERSION), Err(Lost::Reader), "there is none yet");

    let address = env::var(SAM_ADDRESS).unwrap();
    for _ in 0..2 {
        let sam = Sam::new(Box::new(|| [0x5A; 16]));
        let inserted = SamInReader::insert(TcpStream::connect(&address).unwrap(), sam).unwrap();
        let answer = (0..50).find_map(|_| {
            std::thread::park_timeout(Duration::from_millis(100));
            slot.exchange(&GET_VERSION).ok()
        });
        assert_eq!(answer.unwrap().len(), 33);
        assert_eq!(slot.exchange(&GET_VERSION).unwrap().len(), 33, "on the same connection");
        let _ = inserted.remove();
        assert_eq!(slot.exchange(&GET_VERSION), Err(Lost::Reader));
        std::thread::park_timeout(TWO_LOOKS);
    }
}
