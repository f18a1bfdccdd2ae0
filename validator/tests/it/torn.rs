//! The field is lost at each exchange, before or after the card acts. One test for each row of the crash table that a
//! card can cause.

use transit::money::{Amount, Balance};
use transit::screen::State;
use transit::tap::Outcome;
use transit::time::Moment;
use virtual_card::Fault;

use crate::world::{Bus, Cards, NOW, fixtures};

const COMMIT: u32 = 7;

fn later(seconds: u32) -> Moment {
    Moment(NOW.0 + seconds)
}

fn recovered(balance: i64) -> State {
    State::Accepted {
        fare: Amount::from(8000),
        balance: Balance::from_minor(balance),
        pass: None,
        concession: None,
        expired_pass: None,
        recovered: true,
        way: None,
    }
}

/// Outcomes of the log without evidence.
fn outcomes(bus: &Bus) -> Vec<Outcome> {
    bus.taps().into_iter().map(|tap| tap.outcome).filter(|outcome| *outcome != Outcome::Evidence).collect()
}

#[test]
fn torn_anywhere_and_presented_again_is_one_ride_and_one_debit() {
    for exchange in 1..=COMMIT {
        for fault in [Fault::LoseBefore(exchange), Fault::LoseAfter(exchange)] {
            let mut cards = Cards::new();
            let mut bus = Bus::new(101, 23);
            let torn = bus.torn_tap(&mut cards, "torn", NOW, fault);
            assert_eq!(*torn.state(), State::PresentAgain, "{fault:?}");
            let committed = fault == Fault::LoseAfter(COMMIT);
            assert_eq!(cards.purse("torn"), if committed { 42_000 } else { 50_000 }, "{fault:?}");
            let expected = match (exchange, fault) {
                (1..=4, _) => vec![],
                (COMMIT, _) => vec![Outcome::Unknown],
                _ => vec![Outcome::Void],
            };
            assert_eq!(outcomes(&bus), expected, "{fault:?}");

            let again = bus.tap(&mut cards, "torn", later(3));
            assert!(matches!(again.state(), State::Accepted { .. }), "{fault:?}: {:?}", again.state());
            assert_eq!(cards.purse("torn"), 42_000, "charged once: {fault:?}");
            if committed {
                assert_eq!((again.state(), again.exchanges), (&recovered(42_000), 4));
            }
            let third = bus.tap(&mut cards, "torn", later(6));
            assert!(matches!(third.state(), State::Attention { .. }), "{fault:?}: {:?}", third.state());
        }
    }
}

#[test]
fn a_commit_that_came_through_is_confirmed_and_admits_once() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    bus.torn_tap(&mut cards, "torn", NOW, Fault::LoseAfter(COMMIT));
    let unknown = bus.taps()[0].id;
    bus.tap(&mut cards, "torn", later(3));
    assert_eq!(outcomes(&bus), [Outcome::Unknown, Outcome::Confirmed { names: unknown, admitted: true }]);
    assert_eq!(bus.taps()[1].fare, Amount::from(8000), "the fare of the tap that is admitted");
}

/// A look back names what was unknown and the record that it read; the pass that was read with it is no part of it.
#[test]
fn a_look_back_has_the_record_alone() {
    for fault in [Fault::LoseBefore(COMMIT), Fault::LoseAfter(COMMIT)] {
        let mut cards = Cards::new();
        let mut bus = Bus::new(101, 23);
        bus.torn_tap(&mut cards, "student-pass", NOW, fault);
        bus.tap(&mut cards, "student-pass", later(3));
        let look = &bus.taps()[1];
        assert!(matches!(look.outcome, Outcome::Confirmed { .. } | Outcome::Voided { .. }), "{look:?}");
        assert_eq!((look.fare, look.debited, look.issuer_read), (Amount::ZERO, None, None), "{fault:?}");
        assert!(look.record_read.is_some() && look.record_written.is_none(), "{fault:?}");
    }
}

#[test]
fn a_commit_that_did_not_come_through_is_voided_and_charged_anew() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    bus.torn_tap(&mut cards, "torn", NOW, Fault::LoseBefore(COMMIT));
    let unknown = bus.taps()[0].id;
    bus.tap(&mut cards, "torn", later(3));
    assert_eq!(outcomes(&bus), [Outcome::Unknown, Outcome::Voided { names: unknown }, Outcome::Done]);
}

#[test]
fn a_later_ride_elsewhere_confirms_without_admitting() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    bus.torn_tap(&mut cards, "torn", NOW, Fault::LoseAfter(COMMIT));
    let unknown = bus.taps()[0].id;
    Bus::new(102, 5).tap(&mut cards, "torn", later(600));
    let ride = bus.tap(&mut cards, "torn", later(4000));
    let State::Accepted { recovered: false, .. } = ride.state() else { panic!("{:?}", ride.state()) };
    assert_eq!(
        outcomes(&bus),
        [Outcome::Unknown, Outcome::Confirmed { names: unknown, admitted: false }, Outcome::Done]
    );
    assert_eq!(cards.purse("torn"), 26_000);
}

/// The rider of a torn tap goes to the desk, loads, and comes back: the debit that the card took is still one ride.
#[test]
fn a_load_after_a_torn_tap_does_not_take_the_ride_away() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    bus.torn_tap(&mut cards, "torn", NOW, Fault::LoseAfter(COMMIT));
    let unknown = bus.taps()[0].id;
    let text = std::fs::read_to_string(fixtures().join("cards/torn.toml")).unwrap();
    let loaded = format!(
        "kind = 4\ncard_sequence = 3\ntap_device = 900\ntap_epoch = 1\ntap_sequence = 2\nprevious_device = 101\n\
         previous_epoch = 1\nprevious_sequence = {}\ntime = {}\nline = 1\nstop = 23\namount = 20000\n\
         action_sequence = 1\nbalance_after = 62000",
        unknown.sequence,
        NOW.0 + 60
    );
    let text = text.replace("kind = 0 # issued\ncard_sequence = 1\nbalance_after = 50000", &loaded);
    cards.replace("torn", &text.replace("value = 50000", "value = 62000"));
    assert_eq!(*bus.tap(&mut cards, "torn", later(90)).state(), recovered(62_000));
    assert_eq!(outcomes(&bus), [Outcome::Unknown, Outcome::Confirmed { names: unknown, admitted: true }]);
    let again = bus.tap(&mut cards, "torn", later(120));
    assert!(matches!(again.state(), State::Attention { .. }), "{:?}", again.state());
    assert_eq!(cards.purse("torn"), 62_000, "and is charged no more");
}

#[test]
fn a_card_that_rode_too_often_since_leaves_the_unknown_to_the_clearing_house() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    bus.torn_tap(&mut cards, "torn", NOW, Fault::LoseAfter(COMMIT));
    let mut other = Bus::new(102, 5);
    for ride in 1..=3 {
        other.tap(&mut cards, "torn", later(ride * 600));
    }
    bus.tap(&mut cards, "torn", later(4000));
    assert_eq!(outcomes(&bus), [Outcome::Unknown, Outcome::Done]);
}

#[test]
fn a_card_torn_too_often_is_declined() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    for pull in 0..8 {
        bus.torn_tap(&mut cards, "torn", later(pull), Fault::LoseBefore(COMMIT));
    }
    let declined = bus.tap(&mut cards, "torn", later(60));
    let State::Declined { reason, .. } = declined.state() else { panic!("{:?}", declined.state()) };
    assert_eq!(*reason, transit::screen::DeclineReason::TooManyTorn);
    assert_eq!(cards.purse("torn"), 50_000);
}

#[test]
fn torn_taps_count_for_a_day() {
    const DAY_S: u32 = 86_400;
    for restarted in [false, true] {
        let mut cards = Cards::new();
        let mut bus = Bus::with_torn_taps(101, 23, 1);
        bus.torn_tap(&mut cards, "torn", NOW, Fault::LoseBefore(COMMIT));
        bus.torn_tap(&mut cards, "adult", later(1), Fault::LoseBefore(COMMIT - 1));
        if restarted {
            bus.restart();
        }
        let of_all = |bus: &mut Bus, at| bus.engine.log().unwrap().torn_taps_of_all(at);
        let counted = [1, DAY_S - 1, DAY_S, DAY_S + 1].map(|at| of_all(&mut bus, later(at)));
        assert_eq!(counted, [2, 2, 1, 0], "of all cards; one begins a second later");
        for (at, admitted) in [(DAY_S - 1, false), (DAY_S, true)] {
            let state = bus.tap(&mut cards, "torn", later(at)).state().clone();
            assert_eq!(matches!(state, State::Accepted { .. }), admitted, "{at}: {state:?}");
        }
    }
}
