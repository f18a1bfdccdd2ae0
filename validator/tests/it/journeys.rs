//! Ways in and ways out, in the city of `fixtures/lagoon`.

use transit::card::{Record, RecordKind};
use transit::fare::{Gate, GateKind};
use transit::money::Amount;
use transit::screen::{DeclineReason, State, Way};
use transit::tap::{Outcome, Tap};
use transit::time::Moment;
use virtual_card::Fault;

use crate::world::{Bus, Cards, NOW};

const IN: Gate = Gate::ENTRY;
const OUT: Gate = Gate { kind: GateKind::Exit, incident: false };
const BOTH: Gate = Gate { kind: GateKind::Both, incident: false };

/// Ten in the morning there, and so many minutes.
fn at(minutes: u32) -> Moment {
    Moment(NOW.0 + 6 * 3600 + 60 * minutes)
}

/// What the card was charged, and which way it went.
fn passed(state: &State) -> (i64, Option<Way>) {
    match state {
        State::Accepted { fare, way, .. } => (fare.minor(), *way),
        other => panic!("{other:?}"),
    }
}

fn taps(bus: &Bus) -> Vec<Tap> {
    bus.taps().into_iter().filter(|tap| tap.outcome != Outcome::Evidence).collect()
}

/// In by the metro, out by distance: from Port to Arsenal, University and Airport, each with as many exchanges as a ride.
#[test]
fn in_and_out_by_distance() {
    for (stop, rest, exchanges) in [(2, 0, 6), (4, 50, 7), (6, 380, 7)] {
        let mut cards = Cards::new();
        let (mut port, mut exit) = (Bus::at_gate(101, (1, 1, IN)), Bus::at_gate(102, (1, stop, OUT)));
        let entered = port.tap(&mut cards, "adult", at(0));
        assert_eq!((passed(entered.state()), entered.exchanges), ((120, Some(Way::In)), 7));
        let left = exit.tap(&mut cards, "adult", at(20));
        assert_eq!((passed(left.state()), left.exchanges), ((rest, Some(Way::Out)), exchanges), "stop {stop}");
        let debits = left.instructions.iter().filter(|name| **name == "Debit").count();
        assert_eq!(debits, usize::from(rest > 0), "nothing to pay is no debit, and a record all the same");
        assert_eq!(i64::from(cards.purse("adult")), 50_000 - 120 - rest);

        let [tap] = taps(&exit).try_into().unwrap();
        assert_eq!((tap.outcome, tap.gate, tap.fare.minor()), (Outcome::Done, OUT, rest));
        assert_eq!(tap.debited, (rest > 0).then_some(tap.fare));
        assert!(tap.transaction_mac.is_some(), "the card proves that it left");
        let record = Record::decode(&cards.newest_record("adult")).unwrap();
        assert_eq!((record.kind, record.carried.journey, record.tap), (RecordKind::TapOut, (0, 0, 0), Some(tap.id)));
    }
}

/// A denied card, an empty one and one that was torn too often get no way in, and always a way out.
#[test]
fn an_exit_never_traps() {
    let mut cards = Cards::new();
    let (mut entry, mut exit) = (Bus::at_gate(101, (5, 1, IN)), Bus::at_gate(102, (5, 2, OUT)));
    let denied = entry.tap(&mut cards, "denied", at(0));
    assert!(matches!(denied.state(), State::Declined { reason: DeclineReason::Denied, .. }));
    assert_eq!(passed(exit.tap(&mut cards, "denied", at(1)).state()), (800, Some(Way::Out)));

    assert_eq!(passed(exit.tap(&mut cards, "empty", at(2)).state()), (800, Some(Way::Out)));
    for minutes in [5, 8, 11] {
        exit.tap(&mut cards, "empty", at(minutes));
    }
    // The cap of a day has been reached since.
    assert_eq!(passed(exit.tap(&mut cards, "empty", at(14)).state()), (0, Some(Way::Out)));

    for minutes in [20, 25] {
        let torn = exit.torn_tap(&mut cards, "torn", at(minutes), Fault::LoseBefore(7));
        assert_eq!(*torn.state(), State::PresentAgain);
    }
    assert_eq!(passed(exit.tap(&mut cards, "torn", at(26)).state()), (800, Some(Way::Out)));
}

/// The answer to a tap-in is lost, and the rider rides all the same: the tap at the way out finds it, and lets out.
#[test]
fn who_leaves_is_not_let_in_again() {
    let mut cards = Cards::new();
    let mut bus = Bus::at_gate(101, (2, 1, BOTH));
    let torn = bus.torn_tap(&mut cards, "adult", at(0), Fault::LoseAfter(7));
    assert_eq!(*torn.state(), State::PresentAgain);
    assert_eq!(cards.purse("adult"), 49_900);
    assert_eq!(passed(bus.tap(&mut cards, "adult", at(10)).state()), (0, Some(Way::Out)));
    let outcomes: Vec<_> = taps(&bus).into_iter().map(|tap| tap.outcome).collect();
    let [Outcome::Unknown, Outcome::Confirmed { admitted: false, .. }, Outcome::Done] = outcomes[..] else {
        panic!("{outcomes:?}")
    };
    assert_eq!(cards.purse("adult"), 49_900, "a bus that has not moved");

    // Presented again at once it is let in once, as ever.
    let mut cards = Cards::new();
    let mut bus = Bus::at_gate(101, (2, 1, BOTH));
    bus.torn_tap(&mut cards, "adult", at(0), Fault::LoseAfter(7));
    let again = bus.tap(&mut cards, "adult", Moment(at(0).0 + 3));
    assert!(
        matches!(again.state(), State::Accepted { recovered: true, way: Some(Way::In), .. }),
        "{:?}",
        again.state()
    );
}

/// Torn anywhere on the way out and presented again: let out once, charged once.
#[test]
fn a_torn_way_out_is_charged_once() {
    for exchange in 1..=7 {
        for fault in [Fault::LoseBefore(exchange), Fault::LoseAfter(exchange)] {
            let mut cards = Cards::new();
            let (mut port, mut exit) = (Bus::at_gate(101, (1, 1, IN)), Bus::at_gate(102, (1, 4, OUT)));
            port.tap(&mut cards, "adult", at(0));
            let torn = exit.torn_tap(&mut cards, "adult", at(20), fault);
            assert_eq!(*torn.state(), State::PresentAgain, "{fault:?}");
            let again = exit.tap(&mut cards, "adult", Moment(at(20).0 + 3));
            assert_eq!(passed(again.state()), (50, Some(Way::Out)), "{fault:?}");
            assert_eq!(cards.purse("adult"), 49_830, "{fault:?}");
            let admitted: Vec<_> = taps(&exit)
                .into_iter()
                .filter(|tap| matches!(tap.outcome, Outcome::Done | Outcome::Confirmed { admitted: true, .. }))
                .collect();
            assert_eq!((admitted.len(), admitted[0].fare), (1, Amount::from(50)), "{fault:?}");
        }
    }
}
