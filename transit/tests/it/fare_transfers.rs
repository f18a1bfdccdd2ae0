//! Transfers.

use proptest::prelude::*;
use transit::card::{DeskWrite, Profile, record_of_load};
use transit::id::{DeviceId, TapId};
use transit::money::Amount;
use transit::time::Moment;

use crate::fare_table::{at, card, charges, refusal, ride, tariff, with_pass_of_line};

/// Lines 1 and 2 cost 8,000, line 3 costs 12,000, line 4 costs 20,000.
const LINES: &str = r#"
[[line]]
number = 1
name = "1"
flat_fare_minor = 8000
stop = []
[[line]]
number = 2
name = "2"
flat_fare_minor = 8000
stop = []
[[line]]
number = 3
name = "3"
flat_fare_minor = 12000
stop = []
[[line]]
number = 4
name = "4"
flat_fare_minor = 20000
stop = []
"#;

fn with(transfer: &str) -> String {
    format!("[transfer]\n{transfer}\n{LINES}")
}

#[test]
fn the_transfer_table() {
    let free = "window_minutes = 60\nmost_transfers = 2\nfare = \"free\"";
    let discount = "window_minutes = 60\nmost_transfers = 2\nfare = \"discount\"\ndiscount_minor = 9000";
    let highest = "window_minutes = 60\nmost_transfers = 3\nfare = \"highest_fare\"";
    let of_lines = "window_minutes = 60\nmost_transfers = 2\nfare = \"free\"\nlines = [1, 3]";
    type Row<'a> = (&'a str, &'a str, &'a [(&'a str, u16)], &'a [i64]);
    let table: [Row<'_>; 13] = [
        ("free, to the second", free, &[("2026-11-24 10:00:30", 1), ("2026-11-24 11:00:29", 2)], &[8_000, 0]),
        ("the window is over", free, &[("2026-11-24 10:00:30", 1), ("2026-11-24 11:00:30", 2)], &[8_000, 8_000]),
        (
            "it counts from the first boarding; the third begins a new one",
            free,
            &[("2026-11-24 10:00", 1), ("2026-11-24 10:40", 2), ("2026-11-24 11:10", 1), ("2026-11-24 12:00", 2)],
            &[8_000, 0, 8_000, 0],
        ),
        (
            "two transfers and no more",
            free,
            &[("2026-11-24 10:00", 1), ("2026-11-24 10:10", 2), ("2026-11-24 10:20", 1), ("2026-11-24 10:30", 2)],
            &[8_000, 0, 0, 8_000],
        ),
        ("free, and onto a dearer line", free, &[("2026-11-24 10:00", 1), ("2026-11-24 10:10", 4)], &[8_000, 0]),
        (
            "9,000 less, and never less than nothing",
            discount,
            &[("2026-11-24 10:00", 1), ("2026-11-24 10:10", 3), ("2026-11-24 10:20", 2)],
            &[8_000, 3_000, 0],
        ),
        (
            "the chain costs its highest fare: dearer",
            highest,
            &[("2026-11-24 10:00", 1), ("2026-11-24 10:10", 3), ("2026-11-24 10:20", 4), ("2026-11-24 10:30", 1)],
            &[8_000, 4_000, 8_000, 0],
        ),
        ("… and cheaper", highest, &[("2026-11-24 10:00", 4), ("2026-11-24 10:10", 1)], &[20_000, 0]),
        (
            "a line that transfers are not for pays for itself and leaves the chain",
            of_lines,
            &[("2026-11-24 10:00", 1), ("2026-11-24 10:10", 2), ("2026-11-24 10:20", 3)],
            &[8_000, 8_000, 0],
        ),
        ("… and begins none", of_lines, &[("2026-11-24 10:00", 2), ("2026-11-24 10:10", 1)], &[8_000, 8_000]),
        ("over the begin of the service day", free, &[("2026-11-24 03:50", 1), ("2026-11-24 04:10", 2)], &[8_000, 0]),
        (
            "a clock that goes back makes the chain older, not younger",
            free,
            &[("2026-11-24 10:00", 1), ("2026-11-24 09:30", 2), ("2026-11-24 10:10", 1)],
            &[8_000, 0, 8_000],
        ),
        (
            "… and one that goes back by a day ends it",
            free,
            &[("2026-11-24 10:00", 1), ("2026-11-23 10:00", 2)],
            &[8_000, 8_000],
        ),
    ];
    for (what, rule, taps, expected) in table {
        assert_eq!(charges(&tariff(&with(rule)), card(Profile::Ordinary), taps), expected, "{what}");
    }
}

/// A pass or a free profile neither begins a chain nor is part of one.
#[test]
fn a_ride_on_a_pass_is_no_transfer() {
    let rules = tariff(&with("window_minutes = 60\nmost_transfers = 1\nfare = \"free\""));
    let view = with_pass_of_line(card(Profile::Ordinary), 1);
    let taps = [("2026-11-24 10:00", 1), ("2026-11-24 10:10", 2), ("2026-11-24 10:20", 1), ("2026-11-24 10:30", 3)];
    assert_eq!(charges(&rules, view, &taps), [0, 8_000, 0, 0]);
    let taps = [("2026-11-24 10:00", 2), ("2026-11-24 10:40", 1), ("2026-11-24 11:00", 3)];
    assert_eq!(charges(&rules, view, &taps), [8_000, 0, 12_000], "minutes go by on a pass too");
}

/// Seattle's ORCA: the chain costs its highest fare for two hours. $2.50, then $2.75, is 25 cents more (Seattle Transit
/// Blog, "How ORCA fare revenue is apportioned", 2011-06-20). Rides every 30 minutes at $3.49, and rides between them
/// that transfers are not for (OpenTripPlanner, OrcaFareServiceTest: calculateFareThatExceedsTwoHourFreeTransferWindow
/// and calculateFareThatIncludesNoFreeTransfers, electronicRegular).
#[test]
fn orcas_worked_examples() {
    let line = |number: u16, fare_minor: u32| {
        format!("[[line]]\nnumber = {number}\nname = \"{number}\"\nflat_fare_minor = {fare_minor}\nstop = []\n")
    };
    let orca = "[transfer]\nwindow_minutes = 120\nmost_transfers = 14\nfare = \"highest_fare\"\nlines = [1, 2, 3]\n";
    let fares = [(1, 250), (2, 275), (3, 349), (4, 610), (5, 349), (6, 0)];
    let rules = tariff(&format!("{orca}{}", fares.map(|(number, fare)| line(number, fare)).concat()));
    let ride_at = |lines: &[u16]| {
        let mut view = card(Profile::Ordinary);
        let begin = at("2026-11-24 11:00").0;
        let moments = (0..).map(|index| Moment(begin + index * 1_800));
        lines.iter().zip(moments).map(|(line, at)| ride(&mut view, &rules, *line, at).fare.minor()).collect::<Vec<_>>()
    };
    assert_eq!(ride_at(&[1, 2]), [250, 25]);
    assert_eq!(ride_at(&[3, 3, 3, 3, 3, 3]), [349, 0, 0, 0, 349, 0]);
    assert_eq!(ride_at(&[3, 4, 3, 5, 3, 6]), [349, 610, 0, 349, 349, 0]);
}

/// Houston: the highest fare in 150 minutes; lines at $1, $1 and $2 (OpenTripPlanner,
/// HighestFareInFreeTransferWindowFareServiceTest; its moments are seconds after midnight).
#[test]
fn houstons_worked_examples() {
    let rules = "[transfer]\nwindow_minutes = 150\nmost_transfers = 14\nfare = \"highest_fare\"\n".to_owned() + LINES;
    let rules = tariff(&rules.replace("8000", "100").replace("12000", "200"));
    let table: [(&[(u32, u16)], i64); 6] = [
        (&[(30, 1), (90, 2)], 100),
        (&[(30, 3), (90, 2)], 200),
        (&[(30, 2), (90, 3)], 200),
        (&[(30, 1), (10_000, 2)], 200),
        (&[(30, 1), (10_000, 2), (10_150, 1)], 200),
        (&[(30, 1), (10_000, 2), (20_000, 1)], 300),
    ];
    for (taps, expected) in table {
        let mut view = card(Profile::Ordinary);
        let begin = at("2026-11-24 00:00").0;
        let paid =
            taps.iter().map(|(second, line)| ride(&mut view, &rules, *line, Moment(begin + second)).fare.minor());
        assert_eq!(paid.sum::<i64>(), expected, "{taps:?}");
    }
}

/// A rider who tops up between two buses neither loses the transfer nor gets a longer one.
#[test]
fn a_load_between_two_boardings_keeps_the_chain() {
    let rules = tariff(&with("window_minutes = 60\nmost_transfers = 2\nfare = \"highest_fare\""));
    for (second, expected) in [("2026-11-24 10:59:59", 4_000), ("2026-11-24 11:00:00", 12_000)] {
        let mut view = card(Profile::Ordinary);
        ride(&mut view, &rules, 1, at("2026-11-24 10:00"));
        for (sequence, local) in [(1, "2026-11-24 10:20"), (2, "2026-11-24 10:30")] {
            let action = TapId { device: DeviceId::new(900).unwrap(), epoch: 1, sequence };
            let write = DeskWrite { action, at: at(local), amount: Amount::from(20_000) };
            view.record = record_of_load(&view.record, write).unwrap();
        }
        let accept = ride(&mut view, &rules, 3, at(second));
        assert_eq!(accept.fare.minor(), expected, "{second}");
    }
}

#[test]
fn the_path_names_the_transfer() {
    let rules = tariff(&with("window_minutes = 60\nmost_transfers = 3\nfare = \"highest_fare\""));
    let mut view = card(Profile::Ordinary);
    assert_eq!(ride(&mut view, &rules, 1, at("2026-11-24 10:00")).path.transfer, None);
    let path = ride(&mut view, &rules, 3, at("2026-11-24 10:12:59")).path;
    let transfer = path.transfer.unwrap();
    assert_eq!((transfer.number, transfer.minutes_ago), (1, 12));
    assert_eq!((transfer.paid.minor(), transfer.off.minor(), path.charge.minor()), (8_000, 8_000, 4_000));
    let transfer = ride(&mut view, &rules, 1, at("2026-11-24 10:30")).path.transfer.unwrap();
    assert_eq!((transfer.number, transfer.minutes_ago, transfer.paid.minor()), (2, 29, 12_000));
}

#[test]
fn rules_that_cannot_be_are_refused() {
    let rule = with("window_minutes = 60\nmost_transfers = 2\nfare = \"free\"\nlines = [1, 2]");
    let table = [
        ("window_minutes = 60", "window_minutes = 0", "`window_minutes` is 1 to 1440, not 0"),
        ("window_minutes = 60", "window_minutes = 1441", "`window_minutes` is 1 to 1440, not 1441"),
        ("most_transfers = 2", "most_transfers = 15", "`most_transfers` is 1 to 14, not 15"),
        ("\"free\"", "\"discount\"", "needs a `discount_minor` of 1 or more"),
        ("\"free\"", "\"free\"\ndiscount_minor = 1", "`discount_minor` goes with fare = \"discount\" only"),
        ("\"free\"", "\"cheap\"", "unknown variant `cheap`, expected one of `free`, `discount`, `highest_fare`"),
        ("[1, 2]", "[1, 7]", "transfers are for line 7, which has no [[line]] entry"),
    ];
    for (from, to, expected) in table {
        let refusal = refusal(&rule.replacen(from, to, 1));
        assert!(refusal.contains(expected), "`{expected}` is not in `{refusal}`");
    }
    let dear = rule.replacen("\"free\"", "\"highest_fare\"", 1).replacen("20000", "1048576", 1);
    assert!(
        refusal(&dear).contains("a boarding costs at most 1048575 minor units, as a card's record holds, not 1048576")
    );
}

proptest! {
    /// However one rides: no boarding costs more than it would alone, a chain at the highest fare costs exactly that,
    /// and the one that begins a chain costs its own fare.
    #[test]
    fn a_transfer_never_costs_more_than_a_fresh_ride(
        window in 1..200_u16, most in 1..=14_u8, kind in 0..3_usize,
        rides in proptest::collection::vec((60..7_000_u32, 1..=4_u16), 1..40),
    ) {
        let fare = ["\"free\"", "\"highest_fare\"", "\"discount\"\ndiscount_minor = 5000"][kind];
        let rules = tariff(&with(&format!("window_minutes = {window}\nmost_transfers = {most}\nfare = {fare}")));
        let (mut view, mut now) = (card(Profile::Ordinary), at("2026-11-24 10:00"));
        let (mut begun, mut highest, mut paid, mut transfers, mut records) = (now, 0, 0, 0, 0);
        for (wait_s, line) in rides {
            now = Moment(now.0 + wait_s);
            let accept = ride(&mut view, &rules, line, now);
            let alone = ride(&mut card(Profile::Ordinary), &rules, line, now).fare.minor();
            prop_assert!(accept.fare.minor() <= alone);
            records += 1;
            let since_s = now.0 - begun.0;
            match accept.path.transfer {
                None => {
                    prop_assert_eq!(accept.fare.minor(), alone);
                    prop_assert!(paid == 0 || transfers == most || since_s >= 60 * u32::from(window));
                    (begun, highest, paid, transfers, records) = (now, alone, alone, 0, 0);
                }
                Some(transfer) => {
                    prop_assert!(since_s < 60 * (u32::from(window) + records), "within the window");
                    (highest, paid, transfers) = (highest.max(alone), paid + accept.fare.minor(), transfers + 1);
                    prop_assert_eq!(transfer.number, transfers);
                    prop_assert!(transfers <= most);
                }
            }
            if kind == 1 {
                prop_assert_eq!(paid, highest);
            }
        }
    }
}
