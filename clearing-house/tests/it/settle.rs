//! Closing a day: once, the same bytes each time, and what comes late counts later.

use clearing_house::closing::SettleError;
use transit::money::Amount;
use transit::time::Moment;

use crate::support::{Card, City, DAY_S, MORNING, Validator, later, monday, tuesday};
use crate::verify::tamper;

#[test]
fn twice_is_once() {
    let mut city = City::new();
    let mut validator = Validator::new(1, 1);
    city.upload(&[validator.done(&mut Card::new(1, 50_000), MORNING)]);
    let first = city.clearing_house.settle(monday(), later(7_200)).unwrap();
    let second = city.clearing_house.settle(monday(), later(DAY_S)).unwrap();
    assert_eq!(first, second);
    assert_eq!(first.to_string(), second.to_string());
    assert_eq!(city.balance("operator:1:payable"), 0);
    assert_eq!(city.balance("operator:1:settled"), 8_000);
    city.verify();
}

#[test]
fn a_statement_reads() {
    let mut city = City::new();
    let (mut first, mut second) = (Validator::new(1, 1), Validator::new(2, 1));
    let mut adult = Card::new(1, 50_000);
    city.upload(&[
        first.done(&mut adult, MORNING),
        first.done(&mut Card::sixty_plus(2), later(60)),
        first.unknown(&mut Card::new(3, 50_000), later(120), true),
        second.done(&mut adult, later(3_000)),
    ]);
    let day = city.clearing_house.settle(monday(), later(7_200)).unwrap();
    let text = day.to_string();
    let statement = text.split("Digest").next().unwrap().replace('\u{a0}', " ");
    let rule = "─".repeat(96);
    let expected = format!(
        "\
Chạm — settlement statement
Operator       1 Hà Nội BRT
Service day    2026-11-23
Currency       VND, tariff version 1
{rule}
Line               Basis                          Travelled   Rides         Fare          Amount
1 BRT 01           flat fare                      2026-11-23      2      8.000 ₫        16.000 ₫
    1-1-1  2-1-1
1 BRT 01           free profile: sixty plus       2026-11-23      1          0 ₫             0 ₫
    1-1-2
{rule}
Total                                                             3                     16.000 ₫
Still pending, not paid                                           1                      8.000 ₫
    1-1-3
"
    );
    assert_eq!(statement, expected);
    assert_eq!(day.statements.len(), 2, "an operator without rides gets a statement that says so");
    assert_eq!(day.statements[1].statement.amount_minor, Amount::ZERO);
}

#[test]
fn what_comes_late_counts_in_the_day_of_its_receipt() {
    let mut city = City::new();
    let mut validator = Validator::new(1, 1);
    let taps = [
        validator.done(&mut Card::new(1, 50_000), MORNING),
        validator.done(&mut Card::new(2, 50_000), later(60)),
        validator.done(&mut Card::new(3, 50_000), later(DAY_S)),
    ];
    city.upload(&taps[..1]);
    let closed = city.clearing_house.settle(monday(), later(7_200)).unwrap();
    city.upload_at(&taps[1..], later(DAY_S + 60));
    assert_eq!(city.clearing_house.settle(monday(), later(DAY_S + 120)).unwrap(), closed);
    let day = city.clearing_house.settle(tuesday(), later(DAY_S + 120)).unwrap();
    let lines = &day.statements[0].statement.lines;
    let found: Vec<_> = lines.iter().map(|line| (line.travel_day, line.taps.join(" "))).collect();
    assert_eq!(found, [(monday(), "1-1-2".to_owned()), (tuesday(), "1-1-3".to_owned())]);
    city.verify();
}

#[test]
fn what_comes_on_a_day_that_is_closed_already_counts_in_the_next() {
    let mut city = City::new();
    let mut validator = Validator::new(1, 1);
    city.clearing_house.settle(monday(), later(7_200)).unwrap();
    city.upload_at(&[validator.done(&mut Card::new(1, 50_000), MORNING)], later(7_300));
    let day = city.clearing_house.settle(tuesday(), later(DAY_S)).unwrap();
    assert_eq!(day.statements[0].statement.lines[0].travel_day, monday());
    city.verify();
}

#[test]
fn a_day_that_is_late_is_still_its_own_while_open() {
    let mut city = City::new();
    city.upload_at(&[Validator::new(1, 1).done(&mut Card::new(1, 50_000), MORNING)], later(2 * DAY_S));
    let day = city.clearing_house.settle(monday(), later(2 * DAY_S)).unwrap();
    assert_eq!(day.statements[0].statement.rides, 1);
    city.verify();
}

#[test]
fn the_service_day_begins_at_four() {
    let mut city = City::new();
    let mut validator = Validator::new(1, 1);
    // 03:59:59 and 04:00:00 on Tuesday.
    let four = later(20 * 3_600);
    let taps = [
        validator.done(&mut Card::new(1, 50_000), Moment(four.0 - 1)),
        validator.done(&mut Card::new(2, 50_000), four),
    ];
    city.upload_at(&taps, four);
    for day in [monday(), tuesday()] {
        assert_eq!(city.clearing_house.settle(day, later(DAY_S)).unwrap().statements[0].statement.rides, 1);
    }
}

#[test]
fn evidence_after_the_closing_is_paid_in_the_next_day() {
    let mut city = City::new();
    let mut card = Card::new(1, 50_000);
    let mut validator = Validator::new(1, 1);
    city.upload(&[validator.unknown(&mut card, MORNING, true)]);
    let day = city.clearing_house.settle(monday(), later(7_200)).unwrap();
    assert_eq!(day.statements[0].statement.pending.amount_minor, Amount::from(8_000));
    city.upload_at(&[validator.done(&mut card, later(DAY_S))], later(DAY_S + 60));
    let day = city.clearing_house.settle(tuesday(), later(DAY_S + 120)).unwrap();
    let statement = &day.statements[0].statement;
    assert_eq!((statement.rides, statement.amount_minor), (2, Amount::from(16_000)));
    assert_eq!(statement.pending.rides, 0);
    city.verify();
}

#[test]
fn a_day_that_has_not_begun_is_refused() {
    let mut city = City::new();
    let error = city.clearing_house.settle(tuesday(), later(7_200)).unwrap_err();
    assert!(matches!(error, SettleError::NotBegun { .. }));
    let expected = "service day 2026-11-24 has not begun: it is 2026-11-23; a day is settled on that day or later";
    assert_eq!(error.to_string(), expected);
}

/// What was stored when a day was closed is what it was closed with, or nothing is said of it.
#[test]
fn a_closed_day_that_was_changed_is_not_told() {
    let changes = [
        "UPDATE statement SET bytes = x'7b7d' WHERE operator = 1",
        "DELETE FROM statement WHERE operator = 2",
        "UPDATE closed_day SET closed_at = closed_at + 1",
        "UPDATE closed_day SET digest = zeroblob(32)",
    ];
    for change in changes {
        let mut city = City::new();
        city.upload(&[Validator::new(1, 1).done(&mut Card::new(1, 50_000), MORNING)]);
        city.clearing_house.settle(monday(), later(7_200)).unwrap();
        tamper(&city, change);
        let error = city.clearing_house.settle(monday(), later(7_300)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the stored statements of 2026-11-23 were changed; `verify` says more",
            "{change}: {error:?}"
        );
    }
}

#[test]
fn a_clock_that_runs_ahead_is_found_and_settled_today() {
    let mut city = City::new();
    city.upload(&[Validator::new(1, 1).done(&mut Card::new(1, 50_000), later(30 * DAY_S))]);
    assert_eq!(city.clearing_house.status().unwrap().findings["clock_ahead"], 1);
    assert_eq!(city.clearing_house.settle(monday(), later(7_200)).unwrap().statements[0].statement.rides, 1);
    city.verify();
}
