//! Cards that come back.

use transit::money::{Amount, Balance};
use transit::screen::{AttentionReason, State};
use transit::tap::{Outcome, Reason, Tap};
use transit::time::Moment;

use crate::world::{Bus, Cards, NOW};

fn later(seconds: u32) -> Moment {
    Moment(NOW.0 + seconds)
}

#[test]
fn the_same_validator_does_not_admit_twice() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    bus.tap(&mut cards, "adult", NOW);
    let again = bus.tap(&mut cards, "adult", later(20));
    assert_eq!(*again.state(), State::Attention { reason: AttentionReason::AlreadyPaid });
    assert_eq!((again.exchanges, cards.purse("adult")), (4, 42_000));
    let declined = Outcome::Declined(Reason::AlreadyPaid);
    assert!(bus.taps().iter().any(|tap| tap.outcome == declined));
}

#[test]
fn another_validator_at_the_same_place_sends_back() {
    let mut cards = Cards::new();
    Bus::new(101, 23).tap(&mut cards, "adult", NOW);
    let again = Bus::new(102, 23).tap(&mut cards, "adult", later(20));
    assert_eq!(*again.state(), State::Attention { reason: AttentionReason::UseSameGate });
    assert_eq!(cards.purse("adult"), 42_000);
}

#[test]
fn another_place_and_another_time_are_new_rides() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    bus.tap(&mut cards, "adult", NOW);
    Bus::new(102, 5).tap(&mut cards, "adult", later(20));
    assert_eq!(cards.purse("adult"), 34_000);
    let ride = bus.tap(&mut cards, "adult", later(3600));
    let State::Accepted { fare, balance, .. } = ride.state() else { panic!("{:?}", ride.state()) };
    assert_eq!((*fare, *balance), (Amount::from(8000), Balance::from_minor(26_000)));
}

/// After the green, the records below this tap's are read and kept.
#[test]
fn older_records_are_kept_as_evidence() {
    let mut cards = Cards::new();
    let mut other = Bus::new(102, 5);
    other.tap(&mut cards, "adult", NOW);
    other.tap(&mut cards, "adult", later(3600));
    let mut bus = Bus::new(101, 23);
    bus.tap(&mut cards, "adult", later(7200));
    let taps = bus.taps();
    let [ride, evidence] = taps.as_slice() else { panic!("{taps:?}") };
    assert_eq!((ride.outcome, evidence.outcome), (Outcome::Done, Outcome::Evidence));
    let record = transit::card::Record::decode(&evidence.record_read.unwrap()).unwrap();
    assert_eq!((record.card_sequence, record.tap.unwrap().to_string()), (2, "102-1-1".to_owned()));
    let issued = transit::card::Record::decode(&evidence.record_written.unwrap()).unwrap();
    assert_eq!((issued.card_sequence, issued.tap), (1, None));
    assert_eq!(ride.transaction_mac.unwrap().counter, 3);
}

/// Evidence is records and nothing else: it charges nothing, and what this tap read and proved stays with this tap.
#[test]
fn evidence_is_records_alone() {
    for card in ["adult", "student-pass"] {
        let mut cards = Cards::new();
        Bus::new(102, 5).tap(&mut cards, card, NOW);
        let mut bus = Bus::new(101, 23);
        bus.tap(&mut cards, card, later(3600));
        let taps = bus.taps();
        let [ride, evidence] = taps.as_slice() else { panic!("{taps:?}") };
        let expected = Tap {
            id: evidence.id,
            outcome: Outcome::Evidence,
            fare: Amount::ZERO,
            debited: None,
            transaction_mac: None,
            record_read: evidence.record_read,
            issuer_read: None,
            record_written: None,
            ..ride.clone()
        };
        assert_eq!(*evidence, expected, "{card}");
        assert_eq!((evidence.id.sequence, ride.issuer_read.is_some()), (2, card == "student-pass"));
    }
}
