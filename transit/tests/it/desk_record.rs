//! What a desk writes on a card, and what the fare rules make of it.

use std::path::Path;

use proptest::prelude::*;
use transit::card::{
    DeskRecordError, DeskWrite, Issuer, LayoutError, Product, ProductKind, Profile, Record, RecordKind,
    record_of_issue, record_of_load, record_of_refund, record_of_sale, record_of_surrender, record_of_transfer,
};
use transit::fare::{Boarding, CardView, Decision, Gate, Refusal, decide};
use transit::id::{DeviceId, LineNumber, StopNumber, TapId};
use transit::money::{Amount, Balance};
use transit::tariff::Tariff;
use transit::time::{Moment, ServiceDay};

const NOW: u32 = 1_795_489_200;

fn id(device: u32, sequence: u32) -> TapId {
    TapId { device: DeviceId::new(device).unwrap(), epoch: 1, sequence }
}

fn issuer() -> Issuer {
    Issuer { profile: Profile::Ordinary, profile_valid_until: ServiceDay(0), products: [Product::NONE; 5] }
}

fn with_pass() -> Issuer {
    let mut issuer = issuer();
    issuer.products[0] = Product { kind: ProductKind::AllRoutePass, ..Product::NONE };
    issuer
}

fn write(sequence: u32, at: u32, amount: u32) -> DeskWrite {
    DeskWrite { action: id(900, sequence), at: Moment(at), amount: Amount::from(amount) }
}

fn tariff() -> Tariff {
    Tariff::parse(Path::new("tariff.toml"), include_str!("../../../fixtures/hanoi/tariff.toml")).unwrap()
}

fn tap(record: Record, device: u32, stop: u16, at: u32) -> Decision {
    let view = CardView { record, issuer: None, denied: false };
    let boarding =
        Boarding { tap: id(device, 7), line: LineNumber(1), stop: StopNumber(stop), at: Moment(at), gate: Gate::ENTRY };
    decide(&view, &tariff(), &boarding)
}

fn accepted(decision: Decision) -> Record {
    let Decision::Accept(accept) = decision else { panic!("{decision:?}") };
    accept.record
}

#[test]
fn a_life_at_the_desk() {
    let issued = record_of_issue(&issuer(), write(1, NOW, 50_000)).unwrap();
    assert_eq!((issued.kind, issued.card_sequence, issued.tap), (RecordKind::Issued, 1, Some(id(900, 1))));
    assert_eq!((issued.balance_after, issued.carried.action.0), (Balance::from_minor(50_000), 0));

    let loaded = record_of_load(&issued, write(2, NOW + 60, 100_000)).unwrap();
    assert_eq!((loaded.kind, loaded.card_sequence), (RecordKind::Load, 2));
    assert_eq!((loaded.tap, loaded.previous), (Some(id(900, 2)), Some(id(900, 1))));
    assert_eq!((loaded.balance_after, loaded.carried.action.0), (Balance::from_minor(150_000), 1));

    let sold = record_of_sale(&loaded, &with_pass(), write(3, NOW + 120, 140_000)).unwrap();
    assert_eq!((sold.kind, sold.has_pass, sold.carried.action.0), (RecordKind::Sale, true, 1));
    assert_eq!(sold.balance_after, loaded.balance_after);

    let refunded = record_of_refund(&sold, write(4, NOW + 180, 150_000)).unwrap();
    assert_eq!(
        (refunded.kind, refunded.balance_after, refunded.carried.action.0),
        (RecordKind::Refund, Balance::ZERO, 2)
    );
    assert!(refunded.has_pass, "a refund leaves the pass");

    let empty = record_of_surrender(&refunded, &issuer(), write(5, NOW + 240, 0)).unwrap();
    assert_eq!((empty.has_pass, empty.card_sequence, empty.carried.action.0), (false, 5, 3));
    let other = record_of_transfer(&issued, &with_pass(), write(6, NOW, 0)).unwrap();
    assert_eq!((other.kind, other.has_pass, other.balance_after), (RecordKind::Load, true, issued.balance_after));
}

#[test]
fn the_action_sequence_begins_again_after_4095() {
    let mut record = record_of_issue(&issuer(), write(1, NOW, 0)).unwrap();
    record.carried.action = (4_095, -7);
    assert_eq!(record_of_load(&record, write(2, NOW, 1)).unwrap().carried.action, (0, -7));
}

#[test]
fn what_cannot_be_written_is_refused_by_name() {
    let card = record_of_issue(&issuer(), write(1, NOW, 50_000)).unwrap();
    let balance = card.balance_after;
    assert_eq!(record_of_load(&card, write(2, NOW, 0)), Err(DeskRecordError::NothingToDo));
    assert_eq!(record_of_refund(&card, write(2, NOW, 0)), Err(DeskRecordError::NothingToDo));
    assert_eq!(record_of_sale(&card, &with_pass(), write(2, NOW, 0)), Err(DeskRecordError::NothingToDo));
    let most = Amount::from(1_950_000);
    assert_eq!(record_of_load(&card, write(2, NOW, 1_950_001)), Err(DeskRecordError::TooMuch { balance, most }));
    assert!(record_of_load(&card, write(2, NOW, 1_950_000)).is_ok());
    assert_eq!(record_of_refund(&card, write(2, NOW, 50_001)), Err(DeskRecordError::NotEnough { balance }));
    assert_eq!(
        record_of_surrender(&card, &issuer(), write(2, NOW, 50_001)),
        Err(DeskRecordError::NotEnough { balance })
    );
    let used_up = Record { card_sequence: 0x00FF_FFFF, ..card };
    assert_eq!(record_of_load(&used_up, write(2, NOW, 1)), Err(DeskRecordError::CardUsedUp));
    let wide = LayoutError::Field("amount");
    assert_eq!(record_of_sale(&card, &with_pass(), write(2, NOW, 1 << 24)), Err(DeskRecordError::Layout(wide)));
    assert_eq!(
        record_of_load(&card, write(2, NOW, 1_950_001)).unwrap_err().to_string(),
        "the purse holds 50000 and takes at most 1950000 more minor units"
    );
}

/// A rider taps, loads at the desk of the station and comes back: one ride is charged, and one rider let in.
#[test]
fn a_load_between_two_taps_does_not_hide_the_first() {
    let issued = record_of_issue(&issuer(), write(1, NOW - 9_000, 50_000)).unwrap();
    let rode = accepted(tap(issued, 101, 23, NOW));
    let loaded = record_of_load(&rode, write(2, NOW + 100, 20_000)).unwrap();
    assert_eq!((loaded.line, loaded.stop, loaded.carried.journey.1), (LineNumber(1), StopNumber(23), 1));
    assert_eq!(tap(loaded, 101, 23, NOW + 200), Decision::Refuse(Refusal::AlreadyPaid));
    assert_eq!(tap(loaded, 101, 5, NOW + 200), Decision::Refuse(Refusal::AlreadyPaid), "the same validator elsewhere");
    assert_eq!(tap(loaded, 102, 23, NOW + 200), Decision::Refuse(Refusal::UseSameGate));
    assert!(matches!(tap(loaded, 102, 5, NOW + 200), Decision::Accept(_)), "another place is another ride");
    assert!(matches!(tap(loaded, 101, 23, NOW + 300 + 60), Decision::Accept(_)), "the window has passed");

    // A second action hides the validator's name, not the place.
    let sold = record_of_sale(&loaded, &with_pass(), write(3, NOW + 150, 1)).unwrap();
    assert_eq!(tap(sold, 101, 23, NOW + 200), Decision::Refuse(Refusal::UseSameGate));
    let next = accepted(tap(sold, 101, 23, NOW + 500));
    assert_eq!((next.carried.journey, next.previous), ((0, 0, 0), Some(id(900, 3))));
}

#[test]
fn a_card_without_a_ride_may_be_loaded_and_used_at_once() {
    let issued = record_of_issue(&issuer(), write(1, NOW, 50_000)).unwrap();
    let loaded = record_of_load(&issued, write(2, NOW + 1, 20_000)).unwrap();
    assert!(matches!(tap(loaded, 101, 23, NOW + 2), Decision::Accept(_)));
    assert_eq!(loaded.last_tap(), Some(id(900, 1)));
}

#[test]
fn the_last_ride_is_remembered_for_at_most_4095_minutes() {
    let issued = record_of_issue(&issuer(), write(1, NOW - 9_000, 50_000)).unwrap();
    let mut record = accepted(tap(issued, 101, 23, NOW));
    record.carried.transfer = (4_000, 1, 8_000);
    for (sequence, expected) in [(2, 3_000), (3, 4_095), (4, 4_095)] {
        record = record_of_load(&record, write(sequence, NOW + (sequence - 1) * 180_000, 1)).unwrap();
        assert_eq!((record.carried.journey.1, record.carried.transfer.0), (expected, 4_095));
    }
}

proptest! {
    /// However taps and loads follow each other: a card is let in at one place at most once in a window, the window is
    /// never opened early by a load and lasts at most a minute longer for each.
    #[test]
    fn loads_never_open_the_window(steps in proptest::collection::vec((any::<bool>(), 0..400_u32), 1..40)) {
        let mut record = record_of_issue(&issuer(), write(1, NOW - 9_000, 1_000_000)).unwrap();
        let (mut now, mut last_ride, mut loads) = (NOW, None::<u32>, 0);
        for (index, (load, wait)) in steps.into_iter().enumerate() {
            now += wait;
            let sequence = u32::try_from(index).unwrap() + 2;
            if load {
                record = record_of_load(&record, write(sequence, now, 10_000)).unwrap();
                loads += 1;
                continue;
            }
            let since = last_ride.map_or(u32::MAX, |ride| now - ride);
            match tap(record, 101, 23, now) {
                Decision::Accept(accept) => {
                    prop_assert!(since >= 300, "let in again after {since} s");
                    record = accept.record;
                    (last_ride, loads) = (Some(now), 0);
                }
                Decision::Refuse(_) => prop_assert!(since < 300 + 60 * loads, "refused after {since} s"),
            }
        }
    }

    /// The mirror moves by the amount, and every record that comes out can be written.
    #[test]
    fn the_mirror_moves_by_the_amount(balance in 0..2_000_000_u32, amount in 0..3_000_000_u32) {
        let card = record_of_issue(&issuer(), write(1, NOW, balance)).unwrap();
        if let Ok(loaded) = record_of_load(&card, write(2, NOW, amount)) {
            prop_assert_eq!(loaded.balance_after.minor() - i64::from(balance), i64::from(amount));
            prop_assert!(loaded.balance_after.minor() <= 2_000_000 && loaded.encode().is_ok());
        }
        if let Ok(refunded) = record_of_refund(&card, write(2, NOW, amount)) {
            prop_assert_eq!(i64::from(balance) - refunded.balance_after.minor(), i64::from(amount));
            prop_assert!(refunded.balance_after.minor() >= 0 && refunded.encode().is_ok());
        }
    }
}
