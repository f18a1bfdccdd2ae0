//! What has not come: what logs lack, what cards counted, and the money at risk.

use clearing_house::gaps::{AtRisk, Gaps, Transaction, leaps};
use proptest::prelude::*;
use transit::money::Amount;
use transit::tap::{Outcome, Tap};

use crate::desk_support::Desk;
use crate::support::{Card, City, MORNING, Validator, later};

fn amounts(charges: &[(u32, u64)]) -> Vec<(Amount, u64)> {
    charges.iter().map(|(minor, times)| (Amount::from(*minor), *times)).collect()
}

#[test]
fn money_at_risk_is_the_median_and_the_highest_times_the_missing() {
    type Case<'a> = (&'a [(u32, u64)], u32, u32, i64, i64);
    // Charges, the tariff's highest fare, how many are missing; likely and highest that are expected.
    let cases: [Case<'_>; 7] = [
        (&[(8_000, 1)], 9_000, 3, 24_000, 27_000),
        // Nothing is booked: the highest fare is both.
        (&[], 9_000, 3, 27_000, 27_000),
        // A charge above the tariff's fares, such as one of an older tariff.
        (&[(8_000, 1), (10_000, 1)], 9_000, 1, 8_000, 10_000),
        // Rides at 0 count: two of three are free.
        (&[(0, 2), (8_000, 1)], 8_000, 5, 0, 40_000),
        // Of two middle ones the lower.
        (&[(0, 2), (8_000, 2)], 8_000, 5, 0, 40_000),
        (&[(0, 2), (8_000, 3)], 8_000, 5, 40_000, 40_000),
        (&[(7_000, 1)], 8_000, 0, 0, 0),
    ];
    for (charges, highest_fare, missing, likely, highest) in cases {
        let at_risk = AtRisk::of(&amounts(charges), Amount::from(highest_fare), missing);
        let found = (at_risk.likely_minor.minor(), at_risk.highest_minor.minor());
        assert_eq!(found, (likely, highest), "{charges:?}, {missing} missing");
    }
    let most = AtRisk::of(&[], Amount::from_minor(i64::MAX).unwrap(), u32::MAX);
    assert_eq!(most.highest_minor.minor(), i64::MAX, "saturated, never wrapped");
}

#[test]
fn a_leap_is_between_proven_counters() {
    // Counter, record number, proven; the records of torn taps that the card confirmed; the leaps that are expected.
    type Row = (u32, Option<u32>, bool);
    type Case<'a> = (&'a [Row], &'a [u32], &'a [(u32, u32, u32)]);
    let cases: [Case<'_>; 12] = [
        (&[], &[], &[]),
        // What was before the first proven one is not known to be missing.
        (&[(9, Some(10), true)], &[], &[]),
        (&[(1, Some(2), true), (2, Some(3), true)], &[], &[]),
        (&[(1, Some(2), true), (5, Some(6), true)], &[], &[(1, 5, 3)]),
        (&[(1, Some(2), true), (5, Some(6), true), (7, Some(8), true)], &[], &[(1, 5, 3), (5, 7, 1)]),
        // A torn tap that the card confirmed used one counter up; one outside of the leap did not.
        (&[(1, Some(2), true), (3, Some(4), true)], &[3], &[]),
        (&[(1, Some(2), true), (4, Some(5), true)], &[3, 6], &[(1, 4, 1)]),
        // Where a record's number is not known, a torn tap has no place.
        (&[(1, None, true), (3, Some(4), true)], &[3], &[(1, 3, 1)]),
        // What is booked without proof has come, and opens nothing.
        (&[(1, Some(2), true), (2, None, false), (4, Some(5), true)], &[], &[(1, 4, 1)]),
        (&[(1, Some(2), true), (2, None, false), (2, None, false), (4, Some(5), true)], &[], &[(1, 4, 1)]),
        (&[(1, Some(2), true), (4_000_000_000, None, false)], &[], &[]),
        // Two with the same counter are a finding and no leap.
        (&[(1, Some(2), true), (1, Some(2), true), (2, Some(3), true)], &[], &[]),
    ];
    let id = Validator::new(1, 1).next;
    for (rows, torn, expected) in cases {
        let transactions = rows.iter().map(|(counter, slot, proven)| Transaction {
            id,
            counter: *counter,
            slot: *slot,
            proven: *proven,
        });
        let found: Vec<_> = leaps(&transactions.collect::<Vec<_>>(), &torn.iter().copied().collect())
            .iter()
            .map(|leap| (leap.counters.0, leap.counters.1, leap.missing))
            .collect();
        assert_eq!(found, expected, "{rows:?} with torn {torn:?}");
    }
}

fn gaps(city: &mut City) -> Gaps {
    city.clearing_house.gaps().unwrap()
}

#[test]
fn a_log_that_is_whole_has_no_gap() {
    let mut city = City::new();
    let (mut validator, mut card) = (Validator::new(1, 1), Card::new(1, 50_000));
    city.upload(&[validator.done(&mut card, MORNING), validator.done(&mut card, later(600))]);
    let gaps = gaps(&mut city);
    assert_eq!((gaps.devices.len(), gaps.cards.len(), gaps.of_devices.missing, gaps.of_cards.missing), (0, 0, 0, 0));
}

#[test]
fn a_log_says_what_it_lacks_since_when_and_between_which_taps() {
    let mut city = City::new();
    let mut validator = Validator::new(1, 1);
    let taps: Vec<_> =
        (0..8).map(|number| validator.done(&mut Card::new(number, 50_000), later(60 * u32::from(number)))).collect();
    // The last comes first: 1 to 7 are missing from then on, whatever fills them later.
    city.upload_at(&taps[7..], later(1_000));
    city.upload_at(&taps[4..5], later(2_000));
    city.upload_at(&taps[1..2], later(3_000));
    let found: Vec<_> = gaps(&mut city)
        .devices
        .iter()
        .map(|gap| (gap.first, gap.last, gap.missing, gap.since, gap.made_after, gap.made_before))
        .collect();
    let since = later(1_000);
    assert_eq!(
        found,
        [
            (1, 1, 1, since, None, later(60)),
            (3, 4, 2, since, Some(later(60)), later(240)),
            (6, 7, 2, since, Some(later(240)), later(420)),
        ]
    );
    let sum = gaps(&mut city).of_devices;
    assert_eq!((sum.gaps, sum.missing, sum.at_risk.likely_minor), (3, 5, Amount::from(40_000)));
    city.upload_at(&taps, later(4_000));
    assert!(gaps(&mut city).devices.is_empty(), "what comes late fills it");
}

#[test]
fn a_card_says_what_nobody_uploaded() {
    let mut city = City::new();
    let mut card = Card::new(1, 90_000);
    let first = Validator::new(1, 1).done(&mut card, MORNING);
    // Two taps at a validator whose log is lost, then one at a third: no sequence is missing anywhere.
    let mut lost = Validator::new(2, 1);
    let missing = [lost.done(&mut card, later(1_000)), lost.done(&mut card, later(2_000))];
    let after = Validator::new(3, 2).done(&mut card, later(3_000));
    city.upload_at(&[first], later(10));
    assert!(gaps(&mut city).cards.is_empty());
    city.upload_at(&[after], later(3_010));
    let found = gaps(&mut city);
    assert!(found.devices.is_empty());
    let gap = &found.cards[0];
    assert_eq!((gap.card, gap.first, gap.last, gap.missing), (card.token(), 2, 3, 2));
    assert_eq!((&*gap.after, &*gap.before, gap.since), ("1-1-1", "3-1-1", later(3_010)));
    assert_eq!(gap.named, ["2-1-1", "2-1-2"], "the card itself says who wrote on it");
    assert_eq!(gap.at_risk, AtRisk { likely_minor: Amount::from(16_000), highest_minor: Amount::from(16_000) });
    city.upload_at(&missing, later(4_000));
    assert!(gaps(&mut city).cards.is_empty(), "what comes late fills it");
}

#[test]
fn a_torn_tap_that_its_card_confirmed_is_not_missing() {
    let mut city = City::new();
    let (mut validator, mut card) = (Validator::new(1, 1), Card::new(1, 50_000));
    let taps = [
        validator.done(&mut card, MORNING),
        validator.unknown(&mut card, later(1_000), true),
        validator.unknown(&mut card, later(2_000), false),
        validator.done(&mut card, later(3_000)),
    ];
    city.upload(&taps);
    assert!(gaps(&mut city).cards.is_empty());
}

#[test]
fn a_tap_that_is_booked_without_proof_is_not_missing() {
    let mut city = City::with_policy("observe");
    let (mut validator, mut card) = (Validator::new(1, 1), Card::new(1, 50_000));
    let first = validator.done(&mut card, MORNING);
    let (tap, accept) = validator.intend(&card, later(1_000));
    card.record = accept.record;
    let mut tap = card.prove(Tap { outcome: Outcome::Done, ..tap });
    tap.transaction_mac.as_mut().unwrap().value[0] ^= 1;
    let second = validator.seal(&tap);
    let third = validator.done(&mut card, later(2_000));
    city.upload(&[first, second, third]);
    assert!(gaps(&mut city).cards.is_empty());
}

#[test]
fn what_a_desk_lacks_is_no_fare_and_what_it_wrote_counts_on_the_card() {
    let mut city = City::new();
    let (mut desk, mut validator, mut card) = (Desk::new(), Validator::new(1, 1), Card::new(1, 20_000));
    let first = validator.done(&mut card, MORNING);
    let steps = desk.load(&mut card, later(600), 10_000);
    let last = validator.done(&mut card, later(1_200));
    city.upload(&[first, last]);
    let found = gaps(&mut city);
    assert_eq!((found.cards.len(), found.cards[0].missing), (1, 1));
    assert_eq!(found.cards[0].named, ["900-1-2"]);
    city.upload_actions(&steps[1..]);
    let found = gaps(&mut city);
    assert!(found.cards.is_empty(), "the desk's step is what the card counted");
    let gap = &found.devices[0];
    assert_eq!((gap.device.number(), gap.first, gap.last, gap.at_risk), (900, 1, 1, None));
    assert_eq!(found.of_devices.at_risk, AtRisk::default());
    assert!(found.to_string().contains("; a desk, bounded by its allowance\n"), "{found}");
}

#[test]
fn the_board_reads() {
    let mut city = City::new();
    let (mut validator, mut card) = (Validator::new(1, 1), Card::new(1, 90_000));
    let taps: Vec<_> = (0..4).map(|number| validator.done(&mut card, later(600 * number))).collect();
    city.upload_at(&[taps[0].clone(), taps[3].clone()], later(2_000));
    let text = gaps(&mut city).to_string().replace('\u{a0}', " ");
    let expected = format!(
        "\
Taps that logs lack: 2 in 1 gap(s)
  Device 1 epoch 1: 2 to 3 (2), known since 2026-11-23T01:33:20Z, made between 2026-11-23T01:00:00Z and \
2026-11-23T01:30:00Z; 16.000 ₫ likely, 16.000 ₫ at most
  Together: 16.000 ₫ likely, 16.000 ₫ at most
Transactions that cards counted: 2 in 1 gap(s)
  Card {}: 2 of counters 2 to 3, between 1-1-1 and 1-1-4, known since 2026-11-23T01:33:20Z, the card names 1-1-2 1-1-3; \
16.000 ₫ likely, 16.000 ₫ at most
  Together: 16.000 ₫ likely, 16.000 ₫ at most
",
        card.token()
    );
    assert_eq!(text, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Whatever is uploaded of what was made: a log lacks exactly what was made before its last and did not come, and a
    /// card counted exactly what was made between its first and its last and did not come.
    #[test]
    fn the_boards_count_what_was_made_and_did_not_come(
        taps in proptest::collection::vec((0_usize..2, 0_usize..2, any::<bool>()), 1..14),
    ) {
        let mut city = City::new();
        let mut cards = [Card::new(1, 200_000), Card::new(2, 200_000)];
        let mut validators = [Validator::new(1, 1), Validator::new(3, 2)];
        let (mut of_logs, mut of_cards) = ([vec![], vec![]], [vec![], vec![]]);
        let mut upload = Vec::new();
        for (index, (validator, card, comes)) in (0_u32..).zip(taps) {
            let tap = validators[validator].done(&mut cards[card], later(1_000 * index));
            of_logs[validator].push(comes);
            of_cards[card].push(comes);
            if comes {
                upload.push(tap);
            }
        }
        city.upload_at(&upload, later(100_000));
        let found = gaps(&mut city);
        let until_last = |made: &Vec<bool>| made.iter().rev().skip_while(|comes| !**comes).filter(|comes| !**comes).count();
        let from_first = |made: &Vec<bool>| until_last(&made.iter().copied().skip_while(|comes| !*comes).collect());
        let count = |made: &[Vec<bool>; 2], missing: &dyn Fn(&Vec<bool>) -> usize| made.iter().map(missing).sum::<usize>();
        prop_assert_eq!(found.of_devices.missing, count(&of_logs, &until_last) as u64);
        prop_assert_eq!(found.of_cards.missing, count(&of_cards, &from_first) as u64);
    }
}
