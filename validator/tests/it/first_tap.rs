//! Every fixture's first tap on BRT 01.

use transit::card::Profile;
use transit::money::{Amount, Balance};
use transit::screen::{DeclineReason, PassShown, State};
use transit::tap::{Outcome, Reason};
use transit::time::ServiceDay;

use crate::world::{Bus, Cards, NOW, TODAY};

fn accepted(fare: u32, balance: i64) -> State {
    State::Accepted {
        fare: Amount::from(fare),
        balance: Balance::from_minor(balance),
        pass: None,
        concession: None,
        expired_pass: None,
        recovered: false,
        way: None,
    }
}

fn declined(reason: DeclineReason) -> State {
    State::Declined { reason, balance: None, fare: None }
}

#[test]
fn the_table() {
    let (fare_0, balance_20_000) = (Amount::ZERO, Balance::from_minor(20_000));
    let pass = State::Accepted {
        fare: fare_0,
        balance: balance_20_000,
        pass: Some(PassShown { valid_until: ServiceDay(TODAY.0 + 12), days_left: 12 }),
        concession: None,
        expired_pass: None,
        recovered: false,
        way: None,
    };
    let concession = State::Accepted {
        fare: fare_0,
        balance: Balance::ZERO,
        pass: None,
        concession: Some(Profile::SixtyPlus),
        expired_pass: None,
        recovered: false,
        way: None,
    };
    let expired = State::Accepted {
        fare: Amount::from(8000),
        balance: Balance::from_minor(12_000),
        pass: None,
        concession: None,
        expired_pass: Some(ServiceDay(TODAY.0 - 1)),
        recovered: false,
        way: None,
    };
    let empty = State::Declined {
        reason: DeclineReason::NotEnough,
        balance: Some(Balance::from_minor(3000)),
        fare: Some(Amount::from(8000)),
    };
    let done = Outcome::Done;
    // Card, screen, outcome, purse afterwards, exchanges up to the decision.
    let table = [
        ("adult", accepted(8000, 42_000), done, Some(42_000), 7),
        ("student-pass", pass, done, Some(20_000), 7),
        ("elderly", concession, done, Some(0), 7),
        ("empty", empty, Outcome::Declined(Reason::NotEnough), Some(3000), 4),
        ("expired", expired, done, Some(12_000), 8),
        ("other-line", accepted(8000, 1000), done, Some(1000), 8),
        ("open-journey", accepted(8000, 22_000), done, Some(22_000), 7),
        ("denied", declined(DeclineReason::Denied), Outcome::Declined(Reason::Denied), Some(50_000), 4),
        ("clone", declined(DeclineReason::NotGenuine), Outcome::Declined(Reason::NotGenuine), Some(99_000), 3),
        ("foreign", declined(DeclineReason::NotOurs), Outcome::Declined(Reason::NotOurs), None, 1),
    ];
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    for (name, screen, outcome, purse, exchanges) in table {
        let presented = bus.tap(&mut cards, name, NOW);
        assert_eq!(*presented.state(), screen, "{name}");
        assert_eq!(presented.exchanges, exchanges, "{name}");
        let tap = bus.taps().into_iter().rfind(|tap| tap.outcome != Outcome::Evidence).unwrap();
        assert_eq!(tap.outcome, outcome, "{name}");
        assert_eq!(tap.transaction_mac.is_some(), outcome == done, "{name}");
        let fare = match &screen {
            State::Accepted { fare, .. } => Some(*fare),
            State::Declined { fare, .. } => *fare,
            _ => None,
        };
        assert_eq!(tap.fare, fare.unwrap_or(Amount::ZERO), "{name}: what the rider is told is sealed");
        let charged = (outcome == done && tap.fare > Amount::ZERO).then_some(tap.fare);
        assert_eq!(tap.debited, charged, "{name}: nothing is debited for a free ride");
        if let Some(purse) = purse {
            assert_eq!(cards.purse(name), purse, "{name}");
        }
    }
}

#[test]
fn a_purse_tap_is_short() {
    let mut cards = Cards::new();
    let presented = Bus::new(101, 23).tap(&mut cards, "adult", NOW);
    assert_eq!(
        presented.instructions[..7],
        [
            "SelectApplication",
            "AuthenticateEV2First",
            "AdditionalFrame",
            "ReadRecords",
            "Debit",
            "WriteRecord",
            "CommitTransaction"
        ],
    );
    assert!(presented.bytes_on_air <= 400, "{} bytes on air", presented.bytes_on_air);
}

/// A sealed tap holds every input of the card's Transaction MAC, and neither the UID nor a key.
#[test]
fn a_sealed_tap_names_no_uid() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    bus.tap(&mut cards, "adult", NOW);
    let tap = &bus.taps()[0];
    assert_eq!(tap.record_written.unwrap().to_vec(), cards.newest_record("adult"));
    assert_eq!(tap.debited, Some(Amount::from(8000)));
    assert_eq!(tap.transaction_mac.unwrap().counter, cards.transaction_counter("adult"));
    let sealed = tap.seal(&[0; 32]).unwrap();
    let uid = [0x04, 0xA1, 0x00, 0x00, 0x00, 0xC1, 0x01];
    assert!(!sealed.as_bytes().windows(7).any(|window| window == uid));
}
