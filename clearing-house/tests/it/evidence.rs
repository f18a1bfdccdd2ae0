//! Unknown taps: pending, then paid or void by the card's own evidence, in whatever order it arrives.

use clearing_house::evidence::{Writing, proofs, voids};
use transit::card::Record;
use transit::id::{DeviceId, TapId};
use transit::money::Amount;
use transit::tap::{Outcome, SealedTap, Tap};

use crate::support::{Card, City, MORNING, Validator, later, monday};

/// Payable to operator 1, to operator 2, and in suspense, after these uploads.
fn money_after(uploads: &[&[SealedTap]]) -> [i64; 3] {
    let mut city = City::new();
    for taps in uploads {
        city.upload(taps);
    }
    city.verify();
    let balance = |city: &mut City, account: &str| city.balance(account);
    let money = ["operator:1:payable", "operator:2:payable", "suspense:unknown"];
    let found = money.map(|account| balance(&mut city, account));
    let all: i64 = city.clearing_house.status().unwrap().balances_minor.values().sum();
    assert_eq!(all, 0);
    found
}

#[test]
fn an_unknown_tap_alone_pays_nobody() {
    let mut card = Card::new(1, 50_000);
    let unknown = Validator::new(1, 1).unknown(&mut card, MORNING, true);
    assert_eq!(money_after(&[&[unknown]]), [0, 0, 8_000]);
}

#[test]
fn the_next_tap_of_the_card_decides_in_either_order() {
    for (committed, expected) in [(true, [8_000, 8_000, 0]), (false, [0, 8_000, 0])] {
        let mut card = Card::new(1, 50_000);
        let unknown = Validator::new(1, 1).unknown(&mut card, MORNING, committed);
        let next = Validator::new(3, 2).done(&mut card, later(3_600));
        let (unknown, next) = ([unknown], [next]);
        assert_eq!(money_after(&[&unknown, &next]), expected, "committed: {committed}");
        assert_eq!(money_after(&[&next, &unknown]), expected, "committed: {committed}, evidence first");
    }
}

#[test]
fn the_tap_after_the_next_decides_too() {
    // The tap between, which read the record of the unknown one, never arrives: the one after it names both.
    let mut card = Card::new(1, 50_000);
    let unknown = Validator::new(1, 1).unknown(&mut card, MORNING, true);
    Validator::new(2, 1).done(&mut card, later(1_000));
    let after = Validator::new(3, 2).done(&mut card, later(2_000));
    let (unknown, after) = ([unknown], [after]);
    assert_eq!(money_after(&[&unknown, &after]), [8_000, 8_000, 0]);
    assert_eq!(money_after(&[&after, &unknown]), [8_000, 8_000, 0]);
}

#[test]
fn a_claim_that_it_was_committed_pays_nobody() {
    let (mut card, mut validator) = (Card::new(1, 50_000), Validator::new(1, 1));
    let unknown = validator.unknown(&mut card, MORNING, true);
    let names = unknown.open().unwrap().id;
    let claim = validator.look(&card, later(5), Outcome::Confirmed { names, admitted: true });
    let mut city = City::new();
    city.upload(&[unknown.clone(), claim.clone()]);
    let pending = city.clearing_house.status().unwrap().pending;
    assert_eq!((pending.taps, pending.amount_minor, pending.claimed), (1, Amount::from(8_000), 1));
    let next = Validator::new(2, 1).done(&mut card, later(3_600));
    assert_eq!(money_after(&[&[unknown, claim], &[next]]), [16_000, 0, 0]);
}

#[test]
fn its_own_validator_voids_it_with_the_record_that_it_then_read() {
    let (mut card, mut validator) = (Card::new(1, 50_000), Validator::new(1, 1));
    let unknown = validator.unknown(&mut card, MORNING, false);
    let names = unknown.open().unwrap().id;
    let claim = validator.look(&card, later(5), Outcome::Voided { names });
    let (unknown, claim) = ([unknown], [claim]);
    assert_eq!(money_after(&[&unknown, &claim]), [0, 0, 0]);
    assert_eq!(money_after(&[&claim, &unknown]), [0, 0, 0]);
}

#[test]
fn a_void_needs_the_record_the_card_and_the_log_of_the_unknown_tap() {
    let mut card = Card::new(1, 50_000);
    let mut validator = Validator::new(1, 1);
    let mut other = Validator::new(2, 1);
    let unknown = validator.unknown(&mut card, MORNING, true);
    let names = unknown.open().unwrap().id;
    let claims = [
        // The card went on: its record is not the one that the unknown tap had read.
        validator.look(&card, later(5), Outcome::Voided { names }),
        validator.look(&Card::new(2, 50_000), later(6), Outcome::Voided { names }),
        other.look(&Card::new(1, 50_000), later(7), Outcome::Voided { names }),
    ];
    for claim in claims {
        assert_eq!(money_after(&[std::slice::from_ref(&unknown), &[claim]]), [0, 0, 8_000]);
    }
}

#[test]
fn an_amount_that_the_card_does_not_have_stays_pending() {
    let mut card = Card::new(1, 50_000);
    let mut validator = Validator::new(1, 1);
    let (tap, accept) = validator.intend(&card, MORNING);
    let unknown = validator.seal(&Tap { outcome: Outcome::Unknown, fare: Amount::from(80_000), ..tap });
    card.record = accept.record;
    let next = Validator::new(3, 2).done(&mut card, later(3_600));
    for order in [[&unknown, &next], [&next, &unknown]] {
        let mut city = City::new();
        for tap in order {
            city.upload(std::slice::from_ref(tap));
        }
        assert_eq!(city.balance("suspense:unknown"), 80_000);
        assert_eq!(city.clearing_house.status().unwrap().findings["evidence_differs"], 1);
        city.verify();
    }
}

#[test]
fn a_recovered_tap_is_a_line_of_its_own() {
    let mut card = Card::new(1, 50_000);
    let mut validator = Validator::new(1, 1);
    let taps = [validator.unknown(&mut card, MORNING, true), validator.done(&mut card, later(3_600))];
    let mut city = City::new();
    city.upload(&taps);
    let day = city.clearing_house.settle(monday(), later(7_200)).unwrap();
    let lines: Vec<_> =
        day.statements[0].statement.lines.iter().map(|line| (line.basis.to_string(), line.taps.join(" "))).collect();
    let expected = [("flat fare", "1-1-2"), ("recovered unknown", "1-1-1")];
    assert_eq!(lines, expected.map(|(basis, taps)| (basis.to_owned(), taps.to_owned())));
}

#[test]
fn a_free_unknown_ride_is_counted_once_confirmed() {
    let mut card = Card::sixty_plus(1);
    let mut validator = Validator::new(1, 1);
    let taps = [validator.unknown(&mut card, MORNING, true), validator.done(&mut card, later(3_600))];
    let mut city = City::new();
    city.upload(&taps);
    city.verify();
    let day = city.clearing_house.settle(monday(), later(7_200)).unwrap();
    assert_eq!((day.statements[0].statement.rides, day.statements[0].statement.pending.rides), (2, 0));
}

/// A completed tap proves the record that it read, the one before and the one that it wrote, as far as there are any.
#[test]
fn a_tap_proves_up_to_three_records() {
    for (read, expected) in [(0, vec![1]), (1, vec![1, 2]), (2, vec![1, 2, 3]), (9, vec![8, 9, 10])] {
        let mut card = Card::new(1, 50_000);
        card.record.card_sequence = read;
        let done = Validator::new(1, 1).done(&mut card, MORNING).open().unwrap();
        let slots = |writing: &Writing| proofs(writing).into_iter().map(|proof| proof.slot).collect::<Vec<_>>();
        let writing = Writing::of_tap(&done);
        assert_eq!(slots(&writing), expected, "after record {read}");
        // A record that is not the next, or that names another tap, is none that this one wrote.
        let written = Record::decode(&done.record_written.unwrap()).unwrap();
        for other in [Record { card_sequence: read + 2, ..written }, Record { tap: written.previous, ..written }] {
            let writing = Writing { written: Some(other.encode().unwrap()), ..writing.clone() };
            assert_eq!(slots(&writing), expected[..expected.len() - 1]);
        }
        assert_eq!(slots(&Writing { done: false, ..writing }), [0; 0]);
    }
}

/// Only the same log's later look at the same card, still with the record that was read before, voids a tap.
#[test]
fn only_a_later_look_of_the_same_log_at_the_same_card_voids() {
    let (mut card, mut validator) = (Card::new(1, 50_000), Validator::new(1, 1));
    validator.done(&mut Card::new(2, 50_000), MORNING);
    let unknown = validator.unknown(&mut card, MORNING, false).open().unwrap();
    let claim = validator.look(&card, later(5), Outcome::Voided { names: unknown.id }).open().unwrap();
    let other_device = DeviceId::new(2).unwrap();
    let next_record = Record { card_sequence: card.record.card_sequence + 1, ..card.record };
    let named = |id: TapId| Tap { id, ..claim.clone() };
    let table = [
        ("as it is", claim.clone(), true),
        ("of another device", named(TapId { device: other_device, ..claim.id }), false),
        ("of another epoch", named(TapId { epoch: 2, ..claim.id }), false),
        ("before it", named(TapId { sequence: 1, ..claim.id }), false),
        ("by its own name", named(unknown.id), false),
        ("of another card", Tap { card: Card::new(2, 0).token(), ..claim.clone() }, false),
        ("of another tap", Tap { outcome: Outcome::Voided { names: claim.id }, ..claim.clone() }, false),
        (
            "that it was committed",
            Tap { outcome: Outcome::Confirmed { names: unknown.id, admitted: false }, ..claim.clone() },
            false,
        ),
        ("with a later record", Tap { record_read: Some(next_record.encode().unwrap()), ..claim.clone() }, false),
        ("without a record", Tap { record_read: None, ..claim.clone() }, false),
    ];
    for (what, claim, expected) in table {
        assert_eq!(voids(&claim, &unknown), expected, "a look back {what}");
    }
    assert!(!voids(&claim, &Tap { record_read: None, ..unknown }));
}
