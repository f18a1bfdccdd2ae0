//! Caps of a service day and of a month.

use std::collections::BTreeMap;

use proptest::prelude::*;
use transit::card::{DeskWrite, Profile, Record, record_of_load};
use transit::fare::{Basis, Boarding, CardView, Decision, Gate, decide};
use transit::id::{DeviceId, LineNumber, StopNumber, TapId};
use transit::money::Amount;
use transit::tariff::Tariff;
use transit::time::{Moment, Month};

use crate::fare_table::{at, card, charges, refusal, ride, tariff, with_pass_of_line};

/// Line 1 costs 8,000, line 2 costs 12,000.
const LINES: &str = r#"
[[line]]
number = 1
name = "1"
flat_fare_minor = 8000
stop = []
[[line]]
number = 2
name = "2"
flat_fare_minor = 12000
stop = []
"#;

fn with(caps: &str) -> Tariff {
    tariff(&format!("{caps}\n{LINES}"))
}

#[test]
fn the_cap_table() {
    let day = "[caps]\nday_minor = 30000";
    let month = "[caps]\nmonth_minor = 30000";
    let both = "[caps]\nday_minor = 20000\nmonth_minor = 45000";
    let transfers = "[caps]\nday_minor = 20000\n[transfer]\nwindow_minutes = 60\nmost_transfers = 3\nfare = \"free\"";
    type Row<'a> = (&'a str, &'a str, &'a [(&'a str, u16)], &'a [i64]);
    let table: [Row<'_>; 9] = [
        (
            "the ride that reaches the cap costs what is left, the next one nothing",
            day,
            &[("2026-11-24 07:00", 1), ("2026-11-24 09:00", 2), ("2026-11-24 11:00", 2), ("2026-11-24 13:00", 1)],
            &[8_000, 12_000, 10_000, 0],
        ),
        (
            "a service day ends at 04:00",
            day,
            &[("2026-11-24 22:00", 2), ("2026-11-25 01:00", 2), ("2026-11-25 03:59", 2), ("2026-11-25 04:00", 2)],
            &[12_000, 12_000, 6_000, 12_000],
        ),
        (
            "a month ends with its last service day",
            month,
            &[("2026-11-05 10:00", 2), ("2026-11-30 10:00", 2), ("2026-12-01 03:59", 2), ("2026-12-01 04:00", 2)],
            &[12_000, 12_000, 6_000, 12_000],
        ),
        (
            "both: the tighter one",
            both,
            &[
                ("2026-11-23 10:00", 2),
                ("2026-11-23 11:00", 2),
                ("2026-11-23 12:00", 2),
                ("2026-11-24 10:00", 2),
                ("2026-11-24 11:00", 2),
                ("2026-11-25 10:00", 2),
                ("2026-11-25 11:00", 2),
            ],
            &[12_000, 8_000, 0, 12_000, 8_000, 5_000, 0],
        ),
        (
            "transfers first, then the cap",
            transfers,
            &[("2026-11-24 10:00", 1), ("2026-11-24 10:30", 2), ("2026-11-24 12:00", 1), ("2026-11-24 14:00", 1)],
            &[8_000, 0, 8_000, 4_000],
        ),
        (
            "a clock that is behind at the begin of a day does not begin the day again",
            day,
            &[("2026-11-24 04:00", 2), ("2026-11-24 03:58", 2), ("2026-11-24 04:05", 2), ("2026-11-24 03:59", 1)],
            &[12_000, 12_000, 6_000, 0],
        ),
        (
            "nor the month",
            month,
            &[("2026-12-01 04:00", 2), ("2026-12-01 03:58", 2), ("2026-12-01 04:05", 2), ("2026-12-01 04:10", 1)],
            &[12_000, 12_000, 6_000, 0],
        ),
        (
            "a clock that is behind by more than a day gives nothing away",
            day,
            &[("2026-11-24 10:00", 2), ("2026-11-24 11:00", 2), ("2026-11-24 12:00", 2), ("2026-11-22 12:00", 2)],
            &[12_000, 12_000, 6_000, 12_000],
        ),
        (
            "the numbers of days come round after 512: that day is over",
            day,
            &[("2026-11-24 10:00", 2), ("2026-11-24 11:00", 2), ("2026-11-24 12:00", 2), ("2028-04-19 12:00", 2)],
            &[12_000, 12_000, 6_000, 12_000],
        ),
    ];
    for (what, caps, taps, expected) in table {
        assert_eq!(charges(&with(caps), card(Profile::Ordinary), taps), expected, "{what}");
    }
}

/// London, 2004: bus rides at 80p under a cap of £3.00 (slides of London Underground's training, quoted at
/// londonbanter.co.uk/28468-post1.html, "Bus / Tram Capping"). One-dollar rides under a day cap of $10: three cost $3,
/// thirteen cost $10 (developers.google.com/pay/transit, "Fare caps").
#[test]
fn published_worked_examples() {
    let line =
        |fare_minor: u32| format!("[[line]]\nnumber = 1\nname = \"1\"\nflat_fare_minor = {fare_minor}\nstop = []");
    let london = tariff(&format!("[caps]\nday_minor = 300\n{}", line(80)));
    let taps = [("2026-11-24 06:15", 1), ("2026-11-24 10:30", 1), ("2026-11-24 12:00", 1), ("2026-11-24 13:15", 1)];
    assert_eq!(charges(&london, card(Profile::Ordinary), &taps), [80, 80, 80, 60]);

    let dollars = tariff(&format!("[caps]\nday_minor = 1000\n{}", line(100)));
    for (rides, expected) in [(1, 100), (3, 300), (13, 1_000)] {
        let (mut view, begin) = (card(Profile::Ordinary), at("2026-11-24 06:00").0);
        let paid = (0..rides).map(|hour| ride(&mut view, &dollars, 1, Moment(begin + 3_600 * hour)).fare.minor());
        assert_eq!(paid.sum::<i64>(), expected, "{rides} rides");
    }
}

/// What a pass or a profile pays for is not spent, and a day of such rides ends the day before it.
#[test]
fn free_rides_spend_nothing() {
    let rules = with("[caps]\nday_minor = 20000");
    let view = with_pass_of_line(card(Profile::Ordinary), 1);
    let taps = [("2026-11-24 10:00", 2), ("2026-11-24 11:00", 1), ("2026-11-24 12:00", 2), ("2026-11-24 13:00", 2)];
    assert_eq!(charges(&rules, view, &taps), [12_000, 0, 8_000, 0]);

    let taps = [
        ("2026-11-24 10:00", 2),
        ("2026-11-24 11:00", 2),
        ("2026-11-25 04:00", 1),
        ("2026-11-25 03:58", 2),
        ("2026-11-25 04:05", 2),
    ];
    assert_eq!(charges(&rules, view, &taps), [12_000, 8_000, 0, 12_000, 8_000], "a free ride begins a day too");

    let mut view = view;
    ride(&mut view, &rules, 2, at("2026-11-24 10:00"));
    ride(&mut view, &rules, 1, at("2026-11-25 10:00"));
    assert_eq!((view.record.carried.caps.0, view.record.carried.caps.1), (9_825 % 512, 0));
}

#[test]
fn a_load_keeps_what_is_spent() {
    let rules = with("[caps]\nday_minor = 20000");
    let mut view = card(Profile::Ordinary);
    ride(&mut view, &rules, 2, at("2026-11-24 10:00"));
    let action = TapId { device: DeviceId::new(900).unwrap(), epoch: 1, sequence: 1 };
    let write = DeskWrite { action, at: at("2026-11-24 10:05"), amount: Amount::from(20_000) };
    view.record = record_of_load(&view.record, write).unwrap();
    let accept = ride(&mut view, &rules, 2, at("2026-11-24 10:10"));
    assert_eq!((accept.fare.minor(), accept.basis), (8_000, Basis::Cap));
    let caps = accept.path.caps.unwrap();
    let of_day = caps.of_day.unwrap();
    assert_eq!((caps.day.to_string().as_str(), caps.of_month), ("2026-11-24", None));
    assert_eq!((of_day.limit.minor(), of_day.spent.minor(), of_day.off.minor()), (20_000, 12_000, 4_000));
}

/// A card of a tariff without caps, or with higher ones.
#[test]
fn a_tariff_that_brings_a_cap_begins_with_what_the_card_has() {
    let mut view = card(Profile::Ordinary);
    for hour in 10..15 {
        ride(&mut view, &with("[caps]\nday_minor = 60000"), 2, at(&format!("2026-11-24 {hour}:00")));
    }
    assert_eq!(ride(&mut view, &with("[caps]\nday_minor = 20000"), 1, at("2026-11-24 16:00")).fare.minor(), 0);
    assert_eq!(view.record.carried.caps.1, 60_000);
    assert_eq!(ride(&mut view, &with(""), 1, at("2026-11-24 17:00")).fare.minor(), 8_000);
    assert_eq!(view.record.carried.caps.1, 60_000, "carried on");
}

#[test]
fn caps_that_no_card_holds_are_refused() {
    let table = [
        ("[caps]\nday_minor = 0", "`day_minor` of [caps] is 1 to 1048575 minor units, as a card's record holds, not 0"),
        ("[caps]\nday_minor = 1048576", "`day_minor` of [caps] is 1 to 1048575"),
        ("[caps]\nmonth_minor = 4194304", "`month_minor` of [caps] is 1 to 4194303"),
        ("[caps]\nweek_minor = 1", "unknown field `week_minor`"),
    ];
    for (caps, expected) in table {
        let refusal = refusal(&format!("{caps}\n{LINES}"));
        assert!(refusal.contains(expected), "`{expected}` is not in `{refusal}`");
    }
    assert_eq!(with("[caps]\nday_minor = 1048575\nmonth_minor = 4194303").caps.day, Some(Amount::from(1_048_575)));
}

/// What somebody who sees every tap of the card charges.
#[derive(Default)]
struct AllSeeing {
    last_day: u16,
    days: BTreeMap<u16, i64>,
    months: BTreeMap<String, i64>,
}

impl AllSeeing {
    fn charge(&mut self, rules: &Tariff, at: Moment, fare: i64) -> i64 {
        let day = rules.calendar.service_day(at).0.max(self.last_day);
        self.last_day = day;
        let month = Month::of(transit::time::ServiceDay(day)).to_string();
        let (in_day, in_month) = (self.days.entry(day).or_default(), self.months.entry(month).or_default());
        let left = |cap: Option<Amount>, spent: i64| cap.map_or(i64::MAX, |cap| cap.minor() - spent);
        let charge = fare.min(left(rules.caps.day, *in_day)).min(left(rules.caps.month, *in_month));
        *in_day += charge;
        *in_month += charge;
        charge
    }
}

fn ride_at(view: &mut CardView, rules: &Tariff, device: u32, line: u16, at: Moment) -> i64 {
    let tap = TapId { device: DeviceId::new(device).unwrap(), epoch: 1, sequence: 1 };
    let boarding = Boarding { tap, line: LineNumber(line), stop: StopNumber(line), at, gate: Gate::ENTRY };
    let Decision::Accept(accept) = decide(view, rules, &boarding) else { panic!("{view:?}") };
    view.record = Record::decode(&accept.record.encode().unwrap()).unwrap();
    accept.fare.minor()
}

proptest! {
    /// A card alone, offline, on validators whose clocks disagree by minutes, charges what somebody charges who sees
    /// every tap: never more than a cap and never less than is due; and which validator it was makes no difference.
    #[test]
    fn a_card_caps_as_if_everybody_saw_every_tap(
        day_cap in proptest::option::of(1..60_000_u32), month_cap in proptest::option::of(1..400_000_u32),
        rides in proptest::collection::vec((120..40_000_u32, 0..600_u32, 1..=2_u16, 1..9_u32, 1..9_u32), 1..120),
    ) {
        let cap = |name: &str, cap: Option<u32>| cap.map_or_else(String::new, |cap| format!("{name}_minor = {cap}\n"));
        let rules = with(&format!("[caps]\n{}{}", cap("day", day_cap), cap("month", month_cap)));
        let rules = Tariff { pass_back_window_s: 0, ..rules };
        let (mut one, mut other, mut all_seeing) =
            (card(Profile::Ordinary), card(Profile::Ordinary), AllSeeing::default());
        one.record.balance_after = transit::money::Balance::from_minor(2_000_000_000);
        other.record.balance_after = one.record.balance_after;
        let mut now = at("2026-11-24 10:00").0;
        for (wait_s, behind_s, line, device, another) in rides {
            now += wait_s;
            let clock = Moment(now - behind_s);
            let expected = all_seeing.charge(&rules, clock, if line == 1 { 8_000 } else { 12_000 });
            prop_assert_eq!(ride_at(&mut one, &rules, device, line, clock), expected);
            prop_assert_eq!(ride_at(&mut other, &rules, another, line, clock), expected);
        }
        for (spent, cap) in [(all_seeing.days.values().max(), day_cap), (all_seeing.months.values().max(), month_cap)] {
            prop_assert!(cap.is_none_or(|cap| spent.is_none_or(|spent| *spent <= i64::from(cap))));
        }
    }
}
