//! Cards on EV1 chips: the same taps, one exchange and one chained frame more, and nothing that proves them.

use transit::money::{Amount, Balance};
use transit::screen::State;
use transit::tap::Outcome;
use virtual_card::Fault;

use crate::world::{Bus, Cards, EV1_BUS, NOW};

const CARD: &str = "adult-ev1";

fn accepted(recovered: bool) -> State {
    State::Accepted {
        fare: Amount::from(8000),
        balance: Balance::from_minor(42_000),
        pass: None,
        concession: None,
        expired_pass: None,
        recovered,
        way: None,
    }
}

#[test]
fn a_tap_is_done_and_unproven() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(EV1_BUS, 23);
    let presented = bus.tap(&mut cards, CARD, NOW);
    assert_eq!(presented.state(), &accepted(false));
    assert_eq!(cards.purse(CARD), 42_000);
    let up_to_the_decision = &presented.instructions[..presented.exchanges as usize];
    let expected = [
        "SelectApplication",
        "AuthenticateEV2First", // which the chip does not know
        "AuthenticateAES",
        "AdditionalFrame",
        "ReadRecords",
        "AdditionalFrame",
        "Debit",
        "WriteRecord",
        "AdditionalFrame",
        "CommitTransaction",
    ];
    assert_eq!(up_to_the_decision, expected);
    let taps = bus.taps();
    assert_eq!((taps.len(), taps[0].outcome, taps[0].transaction_mac), (1, Outcome::Done, None));
}

/// Wherever the field goes, one debit is one ride.
#[test]
fn torn_anywhere_and_presented_again_is_one_ride_and_one_debit() {
    for exchange in 1..=10 {
        for fault in [Fault::LoseBefore(exchange), Fault::LoseAfter(exchange)] {
            let mut cards = Cards::new();
            let mut bus = Bus::new(EV1_BUS, 23);
            assert_eq!(bus.torn_tap(&mut cards, CARD, NOW, fault).state(), &State::PresentAgain, "{fault:?}");
            let committed = fault == Fault::LoseAfter(10);
            assert_eq!(cards.purse(CARD), if committed { 42_000 } else { 50_000 }, "{fault:?}");
            assert_eq!(bus.tap(&mut cards, CARD, NOW).state(), &accepted(committed), "{fault:?}");
            assert_eq!(cards.purse(CARD), 42_000, "{fault:?}");
        }
    }
}

/// A copy without the keys of its UID does not pass by being an older chip.
#[test]
fn an_older_chip_needs_its_keys_too() {
    let mut cards = Cards::new();
    let text = std::fs::read_to_string(crate::world::fixtures().join("cards/clone.toml")).unwrap();
    let text = text.replace("chip = \"EV2\"\nframe_size = 128", "chip = \"EV1\"\nframe_size = 64");
    assert!(text.contains("EV1"));
    cards.replace("clone", &text);
    let mut bus = Bus::new(EV1_BUS, 23);
    let declined = bus.tap(&mut cards, "clone", NOW);
    assert!(matches!(declined.state(), State::Declined { .. }), "{:?}", declined.state());
    assert_eq!(cards.purse("clone"), 99_000);
}

#[test]
fn where_no_ev1_cards_are_in_use_none_is_taken() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    let declined = bus.tap(&mut cards, CARD, NOW);
    assert!(matches!(declined.state(), State::Declined { .. }), "{:?}", declined.state());
    assert_eq!(cards.purse(CARD), 50_000);
}
