//! What waits in suspense: pending, then unresolved, and always what the ledger's account holds.

use std::num::NonZeroU16;

use clearing_house::suspense::{Awaits, State, Suspense, UNKNOWN_DEADLINE_DAYS};
use proptest::prelude::*;
use transit::money::Amount;
use transit::tap::{Outcome, Tap};
use transit::time::Moment;

use crate::support::{Card, City, DAY_S, MORNING, Validator, later, monday};

/// The suspense at `at`, which must be what the ledger's account held then.
fn suspense(city: &mut City, at: Moment) -> Suspense {
    let suspense = city.clearing_house.suspense(at).unwrap();
    let (pending, unresolved) = (suspense.pending, suspense.unresolved);
    assert_eq!(pending.amount_minor.minor() + unresolved.amount_minor.minor(), suspense.account_minor);
    let taps: Vec<_> =
        suspense.operators.iter().flat_map(|operator| &operator.devices).flat_map(|device| &device.taps).collect();
    assert_eq!(pending.taps + unresolved.taps, taps.len() as u64);
    assert_eq!(suspense.account_minor, taps.iter().map(|tap| tap.amount_minor.minor()).sum::<i64>());
    suspense
}

#[test]
fn the_deadline_is_exact_to_the_second() {
    let days = |days| NonZeroU16::new(days).unwrap();
    let cases = [
        (0, 0, 1, State::Pending),
        (0, DAY_S - 1, 1, State::Pending),
        (0, DAY_S, 1, State::Unresolved),
        (100, 100 + 30 * DAY_S - 1, 30, State::Pending),
        (100, 100 + 30 * DAY_S, 30, State::Unresolved),
        // A clock that was set back: looked at before it was booked.
        (100, 0, 1, State::Pending),
        // A deadline after the last moment that there is.
        (u32::MAX, u32::MAX, u16::MAX, State::Pending),
    ];
    for (booked_at, at, deadline, expected) in cases {
        let state = State::of(Moment(booked_at), Moment(at), days(deadline));
        assert_eq!(state, expected, "booked at {booked_at}, looked at {at}, {deadline} days");
    }
}

#[test]
fn the_deadline_pays_nobody_and_changes_nothing() {
    let mut city = City::with_settings("unknown_deadline_days = 10");
    let unknown = Validator::new(1, 1).unknown(&mut Card::new(1, 50_000), MORNING, true);
    let booked_at = later(3_600);
    city.upload_at(&[unknown], booked_at);
    let before = city.clearing_house.status().unwrap();
    let deadline = booked_at.0 + 10 * DAY_S;
    let last = suspense(&mut city, Moment(deadline - 1));
    let first = suspense(&mut city, Moment(deadline));
    let tap = |suspense: &Suspense| suspense.operators[0].devices[0].taps[0].clone();
    assert_eq!((last.pending.taps, last.unresolved.taps, tap(&last).age_days), (1, 0, 9));
    assert_eq!((first.pending.taps, first.unresolved.taps, tap(&first).age_days), (0, 1, 10));
    assert_eq!(first.unresolved.amount_minor, Amount::from(8_000));
    assert_eq!(city.clearing_house.status().unwrap(), before, "looking at it enters nothing");
    city.verify();
}

#[test]
fn the_age_counts_from_the_booking() {
    let mut city = City::new();
    let unknown = Validator::new(1, 1).unknown(&mut Card::new(1, 50_000), MORNING, true);
    let booked_at = later(90 * DAY_S);
    city.upload_at(&[unknown], booked_at);
    let suspense = suspense(&mut city, booked_at);
    let tap = &suspense.operators[0].devices[0].taps[0];
    assert_eq!((tap.travel_day, tap.age_days, tap.state), (monday(), 0, State::Pending));
}

#[test]
fn evidence_after_the_deadline_ends_it_and_the_past_stays() {
    for (committed, expected) in [(true, 16_000), (false, 8_000)] {
        let mut city = City::new();
        let mut card = Card::new(1, 50_000);
        let unknown = Validator::new(1, 1).unknown(&mut card, MORNING, committed);
        city.upload_at(&[unknown], later(60));
        let year = 365 * DAY_S;
        assert_eq!(suspense(&mut city, later(year)).unresolved.taps, 1);
        let next = Validator::new(2, 1).done(&mut card, later(year));
        city.upload_at(&[next], later(year + 60));
        assert_eq!(city.balance("operator:1:payable"), expected, "committed: {committed}");
        let now = suspense(&mut city, later(year + 60));
        assert_eq!((now.operators.len(), now.account_minor), (0, 0));
        assert_eq!(suspense(&mut city, later(year + 59)).unresolved.taps, 1, "as it was known then");
        assert_eq!(suspense(&mut city, later(59)).account_minor, 0, "before it was booked");
        city.verify();
    }
}

#[test]
fn each_tap_says_what_would_end_it() {
    let mut city = City::new();
    let (mut validator, mut card) = (Validator::new(1, 1), Card::new(1, 50_000));
    let plain = validator.unknown(&mut Card::new(2, 50_000), MORNING, true);
    let claimed_card = &mut Card::new(3, 50_000);
    let claimed = validator.unknown(claimed_card, MORNING, true);
    let names = claimed.open().unwrap().id;
    let claim = validator.look(claimed_card, later(5), Outcome::Confirmed { names, admitted: true });
    // The card has another amount for it than the tap says.
    let (tap, accept) = validator.intend(&card, MORNING);
    let disputed = validator.seal(&Tap { outcome: Outcome::Unknown, fare: Amount::from(80_000), ..tap });
    card.record = accept.record;
    let next = validator.done(&mut card, later(600));
    let (tap, _) = validator.intend(&Card::new(4, 50_000), MORNING);
    let blind = validator.seal(&Tap { outcome: Outcome::Unknown, record_read: Some([0xFF; 60]), ..tap });
    city.upload(&[plain, claimed, claim, disputed, next, blind]);
    let suspense = suspense(&mut city, later(3_600));
    let taps = suspense.operators[0].devices[0].taps.iter();
    let found: Vec<_> = taps.map(|tap| (&*tap.tap, tap.claimed, tap.awaits.clone())).collect();
    let expected = [
        ("1-1-1", false, Awaits::CardHistory { record: 2 }),
        ("1-1-2", true, Awaits::CardHistory { record: 2 }),
        ("1-1-4", false, Awaits::Decision),
        ("1-1-6", false, Awaits::NoRecord),
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_report_reads() {
    let mut city = City::with_settings("unknown_deadline_days = 2");
    let old = Validator::new(1, 1).unknown(&mut Card::new(1, 50_000), MORNING, true);
    let young = Validator::new(3, 2).unknown(&mut Card::new(2, 50_000), later(DAY_S), true);
    city.upload_at(&[old], later(60));
    city.upload_at(&[young], later(DAY_S + 60));
    let text = suspense(&mut city, later(2 * DAY_S + 60)).to_string().replace('\u{a0}', " ");
    let expected = "\
Suspense at 2026-11-25T01:01:00Z; unresolved from 2 days on
Operator 1 Hà Nội BRT: pending 0 with 0 ₫, unresolved 1 with 8.000 ₫
  Device 1: pending 0 with 0 ₫, unresolved 1 with 8.000 ₫
    1-1-1            2026-11-23    2 days        8.000 ₫  unresolved  needs a proven tap of its card that reads record 2 or 3
Operator 2 Transerco: pending 1 with 8.000 ₫, unresolved 0 with 0 ₫
  Device 3: pending 1 with 8.000 ₫, unresolved 0 with 0 ₫
    3-1-1            2026-11-24    1 days        8.000 ₫  pending     needs a proven tap of its card that reads record 2 or 3
Total: pending 1 with 8.000 ₫, unresolved 1 with 8.000 ₫
suspense:unknown in the ledger: 16.000 ₫
";
    assert_eq!(text, expected);
}

#[test]
fn the_default_is_a_month() {
    assert_eq!(City::new().clearing_house.suspense(MORNING).unwrap().unknown_deadline_days, UNKNOWN_DEADLINE_DAYS);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Whatever is torn and whatever comes when: at every moment the report is the ledger's account.
    #[test]
    fn the_totals_are_the_ledgers_at_every_moment(
        taps in proptest::collection::vec((0_usize..3, 0_u32..2, any::<bool>(), any::<bool>(), 0_u32..3 * DAY_S), 1..16),
        looks in proptest::collection::vec(0_u32..6 * DAY_S, 4),
    ) {
        let mut city = City::with_settings("unknown_deadline_days = 1");
        let mut cards: Vec<_> = (0..3).map(|number| Card::new(number, 200_000)).collect();
        let mut validators = [Validator::new(1, 1), Validator::new(3, 2)];
        let mut uploads = Vec::new();
        for (index, (card, validator, torn, committed, delay_s)) in (0_u32..).zip(taps) {
            let (card, validator, at) = (&mut cards[card], &mut validators[validator as usize], later(1_000 * index));
            let tap = if torn { validator.unknown(card, at, committed) } else { validator.done(card, at) };
            uploads.push((Moment(at.0 + delay_s), tap));
        }
        uploads.sort_by_key(|(at, _)| *at);
        for (at, tap) in uploads {
            city.upload_at(&[tap], at);
        }
        for seconds in looks {
            suspense(&mut city, later(seconds));
        }
        let now = suspense(&mut city, later(10 * DAY_S));
        prop_assert_eq!(now.account_minor, city.balance("suspense:unknown"));
        prop_assert_eq!(now.pending.taps, 0);
        city.verify();
    }
}
