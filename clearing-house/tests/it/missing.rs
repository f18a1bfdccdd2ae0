//! Debits that a card shows and whose taps have not come: in suspense when a day is closed, until they come.

use clearing_house::ClearingHouse;
use clearing_house::ledger::{Account, EntryKind};
use transit::card::Record;
use transit::tap::{Outcome, SealedTap, Tap};

use crate::support::{Card, City, MORNING, Validator, later, monday, tuesday};

const SUSPENSE: &str = "suspense:missing";

/// A card that rode three times at a validator of operator 2 whose log is not here, between two proven rides.
struct Lost {
    card: Card,
    first: Validator,
    /// The proven rides, and the older records that were read after the second.
    seen: Vec<SealedTap>,
    lost: Vec<SealedTap>,
    records: Vec<Record>,
}

fn lost(rides: usize) -> Lost {
    let (mut card, mut first) = (Card::new(1, 100_000), Validator::new(1, 1));
    let mut seen = vec![first.done(&mut card, MORNING)];
    let mut other = Validator::new(3, 2);
    let (mut lost, mut records) = (Vec::new(), Vec::new());
    for ride in 0..rides {
        lost.push(other.done(&mut card, later(1_000 * (1 + u32::try_from(ride).unwrap()))));
        records.insert(0, card.record);
    }
    seen.push(first.done(&mut card, later(9_000)));
    Lost { card, first, seen, lost, records }
}

/// The records below the one that the last tap of `first` read.
fn older(first: &mut Validator, card: &Card, records: &[Record]) -> SealedTap {
    let bytes = |index: usize| records.get(index).map(|record| record.encode().unwrap());
    let blank = first.blank(card, later(9_001));
    let [record_read, record_written] = [bytes(1), bytes(2)];
    first.seal(&Tap { outcome: Outcome::Evidence, record_read, record_written, ..blank })
}

fn close(clearing_house: &mut ClearingHouse) -> String {
    clearing_house.settle(monday(), later(20_000)).unwrap().digest
}

fn waiting(city: &mut City) -> Vec<(String, i64, u16)> {
    let debits = city.clearing_house.gaps().unwrap().debits;
    debits.iter().map(|debit| (debit.tap.clone(), debit.amount_minor.minor(), debit.operator.0)).collect()
}

#[test]
fn two_lost_taps_are_named_by_proofs_alone() {
    let Lost { seen, .. } = lost(2);
    let mut city = City::new();
    city.upload(&seen);
    assert_eq!(city.balance(SUSPENSE), 0);
    let digest = close(&mut city.clearing_house);
    city.verify();
    assert_eq!(city.balance(SUSPENSE), 2 * 8_000);
    assert_eq!(city.balance("cards:float"), -4 * 8_000);
    assert_eq!(city.balance("operator:2:payable") + city.balance("operator:2:settled"), 0);
    assert_eq!(waiting(&mut city), [("3-1-1".to_owned(), 8_000, 2), ("3-1-2".to_owned(), 8_000, 2)]);
    let board = city.clearing_house.gaps().unwrap().to_string();
    assert!(board.contains("3-1-1 of operator 2, 2026-11-23"), "{board}");
    // Closed again, nothing is booked twice.
    assert_eq!(close(&mut city.clearing_house), digest);
    city.clearing_house.settle(tuesday(), later(100_000)).unwrap();
    assert_eq!(city.balance(SUSPENSE), 2 * 8_000);
    city.verify();
}

#[test]
fn older_records_name_the_ones_below() {
    for (rides, named_without, named_with) in [(1, 1, 1), (2, 2, 2), (3, 1, 3), (4, 1, 4), (5, 1, 3), (6, 1, 3)] {
        for reads_older in [false, true] {
            let Lost { card, mut first, mut seen, records, .. } = lost(rides);
            if reads_older && rides > 1 {
                seen.push(older(&mut first, &card, &records));
            }
            let mut city = City::new();
            city.upload(&seen);
            close(&mut city.clearing_house);
            city.verify();
            let named = if reads_older { named_with } else { named_without };
            assert_eq!(city.balance(SUSPENSE), named * 8_000, "{rides} rides, older records: {reads_older}");
        }
    }
}

#[test]
fn a_tap_that_comes_late_is_booked_and_its_debit_waits_no_more() {
    let Lost { card, mut first, mut seen, lost, records } = lost(3);
    seen.push(older(&mut first, &card, &records));
    let mut in_order = City::new();
    in_order.upload(&seen[..1]);
    in_order.upload(&lost);
    in_order.upload(&seen[1..]);
    close(&mut in_order.clearing_house);
    assert_eq!(in_order.balance(SUSPENSE), 0);
    assert!(waiting(&mut in_order).is_empty());
    let mut late = City::new();
    late.upload(&seen);
    close(&mut late.clearing_house);
    for tap in &lost {
        late.upload_at(std::slice::from_ref(tap), later(21_000));
        late.verify();
    }
    late.clearing_house.settle(tuesday(), later(100_000)).unwrap();
    in_order.clearing_house.settle(tuesday(), later(100_000)).unwrap();
    for account in ["operator:1:settled", "operator:2:settled", "cards:float", SUSPENSE] {
        assert_eq!(late.balance(account), in_order.balance(account), "{account}");
    }
    late.verify();
    in_order.verify();
}

#[test]
fn a_torn_tap_that_comes_late_waits_as_one_and_is_paid() {
    let (mut card, mut first) = (Card::new(1, 100_000), Validator::new(1, 1));
    let anchor = first.done(&mut card, MORNING);
    let torn = Validator::new(3, 2).unknown(&mut card, later(1_000), true);
    let next = first.done(&mut card, later(2_000));
    let mut city = City::new();
    city.upload(&[anchor, next]);
    close(&mut city.clearing_house);
    assert_eq!(city.balance(SUSPENSE), 8_000);
    city.upload_at(&[torn], later(21_000));
    city.verify();
    assert_eq!((city.balance(SUSPENSE), city.balance("operator:2:payable")), (0, 8_000));
}

#[test]
fn a_debit_that_was_made_up_ends_when_the_card_proves_another() {
    let Lost { card, mut first, mut seen, lost, records } = lost(3);
    // The validator says that another tap of the other operator is below.
    let made_up = transit::id::TapId { sequence: 77, ..lost[0].open().unwrap().id };
    let below = Record { tap: Some(made_up), ..records[2] };
    let forged = [records[0], Record { previous: Some(made_up), ..records[1] }, below];
    seen.push(older(&mut first, &card, &forged));
    let mut city = City::new();
    city.upload(&seen);
    close(&mut city.clearing_house);
    city.verify();
    assert_eq!(
        waiting(&mut city).iter().map(|(tap, ..)| tap.as_str()).collect::<Vec<_>>(),
        ["3-1-2", "3-1-3", "3-1-77"]
    );
    city.upload_at(&lost, later(21_000));
    city.clearing_house.settle(tuesday(), later(100_000)).unwrap();
    city.verify();
    assert_eq!(city.balance(SUSPENSE), 0);
    assert_eq!(city.balance("cards:float"), -5 * 8_000);
}

#[test]
fn the_audit_finds_a_debit_that_no_card_shows() {
    let Lost { seen, .. } = lost(2);
    let mut city = City::new();
    city.upload(&seen);
    close(&mut city.clearing_house);
    for (change, expected) in [
        ("UPDATE missing_debit SET minor = 80000 WHERE tap = '3-1-1'", "no record of its card shows"),
        ("UPDATE missing_debit SET slot = 9 WHERE tap = '3-1-2'", "no record of its card shows"),
        ("UPDATE missing_debit SET at = at + 400000 WHERE tap = '3-1-1'", "is not what its card shows"),
        ("DELETE FROM missing_debit WHERE tap = '3-1-1'", "entries about missing taps"),
    ] {
        let sql = city.sql();
        let tampering = "DROP TRIGGER IF EXISTS missing_debit_update; DROP TRIGGER IF EXISTS missing_debit_delete;";
        sql.execute_batch(&format!("{tampering} CREATE TABLE kept AS SELECT * FROM missing_debit; {change}")).unwrap();
        let wrong = city.clearing_house.verify().wrong.unwrap_or_default();
        assert!(wrong.contains(expected), "{change}: {wrong}");
        sql.execute_batch("DELETE FROM missing_debit; INSERT INTO missing_debit SELECT * FROM kept; DROP TABLE kept")
            .unwrap();
        city.verify();
    }
}

#[test]
fn names_of_the_ledger_are_read_back() {
    assert_eq!(SUSPENSE.parse(), Ok(Account::SuspenseMissing));
    for kind in [EntryKind::Missing, EntryKind::MissingEnded] {
        assert_eq!(EntryKind::from_name(kind.name()), Some(kind));
    }
}
