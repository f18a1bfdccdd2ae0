//! A stored day priced by another tariff, and two versions of a tariff in one city.

use std::path::Path;

use clearing_house::rehearse::{Change, Riders, rehearse};
use transit::money::Amount;
use transit::tap::{SealedTap, Tap};
use transit::tariff::Tariff;

use crate::support::{Card, City, DAY_S, MORNING, TARIFF, Validator, later, monday, tariff};

/// The city's tariff as version 2, with `from` replaced by `to` and `lines` at its head.
fn next(lines: &str, from: &str, to: &str) -> String {
    assert!(TARIFF.contains(from));
    format!("{lines}\n{}", TARIFF.replace("version = 1", "version = 2").replace(from, to))
}

fn parse(text: &str) -> Tariff {
    Tariff::parse(Path::new("next.toml"), text).unwrap()
}

fn opened(taps: &[SealedTap]) -> Vec<Tap> {
    taps.iter().map(|tap| tap.open().unwrap()).collect()
}

/// Three rides of one card and one of another, an hour apart.
fn rides() -> Vec<SealedTap> {
    let (mut often, mut once) = (Card::new(1, 50_000), Card::new(2, 50_000));
    let mut validator = Validator::new(1, 1);
    let mut taps: Vec<_> = (0..3).map(|hour| validator.done(&mut often, later(3_600 * hour))).collect();
    taps.push(validator.done(&mut once, later(4 * 3_600)));
    taps
}

/// What is tried, and then: revenue, riders who pay more, the same, less.
#[test]
fn the_table() {
    let flat = "flat_fare_minor = 8000";
    let line = "[[line]]";
    let table = [
        ("the same", next("", flat, flat), 32_000, (0, 2, 0)),
        ("dearer by an eighth", next("", flat, "flat_fare_minor = 9000"), 36_000, (2, 0, 0)),
        ("cheaper", next("", flat, "flat_fare_minor = 7000"), 28_000, (0, 0, 2)),
        (
            "dearer, with a day's cap",
            next("caps = { day_minor = 20000 }", flat, "flat_fare_minor = 9000"),
            29_000,
            (1, 0, 1),
        ),
        (
            "every second ride is a free transfer",
            next("", line, "[transfer]\nwindow_minutes = 90\nmost_transfers = 1\nfare = \"free\"\n[[line]]"),
            24_000,
            (0, 1, 1),
        ),
    ];
    for (what, text, after_minor, (more, same, less)) in table {
        let rehearsal = rehearse(opened(&rides()), &parse(&text), monday());
        let total = Change { rides: 4, before_minor: 32_000, after_minor };
        assert_eq!((rehearsal.total, rehearsal.riders), (total, Riders { more, same, less }), "{what}");
        assert_eq!(rehearsal.undecidable, [], "{what}");
    }
}

/// In whatever order the books have them.
#[test]
fn the_order_of_rides_does_not_count() {
    let tried = parse(&next("caps = { day_minor = 20000 }", "flat_fare_minor = 8000", "flat_fare_minor = 9000"));
    let mut rides = opened(&rides());
    let expected = rehearse(rides.clone(), &tried, monday());
    rides.reverse();
    assert_eq!(rehearse(rides, &tried, monday()), expected);
}

#[test]
fn a_purse_that_does_not_cover_it_is_counted() {
    let mut card = Card::new(1, 17_000);
    let mut validator = Validator::new(1, 1);
    let taps = [validator.done(&mut card, MORNING), validator.done(&mut card, later(3_600))];
    let tried = parse(&next("", "flat_fare_minor = 8000", "flat_fare_minor = 9000"));
    let rehearsal = rehearse(opened(&taps), &tried, monday());
    // 17,000 less 9,000 leaves 8,000.
    assert_eq!((rehearsal.not_enough, rehearsal.total.after_minor), (1, 18_000));
}

#[test]
fn a_ride_without_a_price_is_named() {
    let tried = parse(
        &next("", "number = 1\nname = \"BRT 01\"", "number = 2\nname = \"BRT 02\"").replace("line = 1", "line = 2"),
    );
    let rehearsal = rehearse(opened(&rides()[3..]), &tried, monday());
    assert_eq!(rehearsal.total, Change::default());
    assert_eq!(rehearsal.undecidable[0].tap, "1-1-4");
    assert_eq!(rehearsal.undecidable[0].why, "no such line, or counters used up");
}

/// A ride that is booked by a later look counts, one that turned out to be uncharged does not.
#[test]
fn only_what_is_booked_is_priced() {
    let mut city = City::new();
    let mut validator = Validator::new(1, 1);
    let (mut charged, mut free) = (Card::new(1, 50_000), Card::new(2, 50_000));
    let mut taps = vec![
        validator.unknown(&mut charged, MORNING, true),
        validator.unknown(&mut free, later(60), false),
        validator.done(&mut charged, later(3_600)),
        validator.done(&mut free, later(3_600 + DAY_S)),
    ];
    city.upload_at(&taps, later(2 * DAY_S));
    taps.clear();
    let path = city.folder.path().join("next.toml");
    std::fs::write(&path, next("", "flat_fare_minor = 8000", "flat_fare_minor = 8300")).unwrap();
    let rehearsal = city.clearing_house.rehearse(&path, monday()).unwrap();
    assert_eq!(rehearsal.total, Change { rides: 2, before_minor: 16_000, after_minor: 16_600 });
    let card = charged.token();
    assert_eq!(
        rehearsal.to_string().replace('\u{a0}', " "),
        format!(
            "Service day 2026-11-23 by tariff version 2\n\
             Revenue     2 ride(s), 16.000 ₫ → 16.600 ₫ (+3.7 %)\n\
             \x20 line 1    2 ride(s), 16.000 ₫ → 16.600 ₫ (+3.7 %)\n\
             Riders      1 pay more, 0 the same, 0 less\n\
             \x20 card {card}: 2 ride(s), 16.000 ₫ → 16.600 ₫ (+3.7 %)\n"
        )
    );
    let refused = |city: &mut City, day: &str| city.clearing_house.rehearse(&path, day.parse().unwrap()).unwrap_err();
    let no_rides = "the books have no ride of 2026-11-22; `status` tells which days they have";
    assert_eq!(refused(&mut city, "2026-11-22").to_string(), no_rides);
    std::fs::write(&path, next("", "VND", "EUR")).unwrap();
    let other_money = "the tariff is in EUR, and the books are in VND";
    assert_eq!(refused(&mut city, "2026-11-23").to_string(), other_money);
}

/// Each tap is decided again by the version that it names, and one that names another than the one in force is found.
#[test]
fn two_versions_of_a_tariff_live_in_one_city() {
    let next = next("valid_from = \"2026-11-24\"", "flat_fare_minor = 8000", "flat_fare_minor = 9000");
    let mut city = City::with_next_tariff(&next);
    let (mut card, mut validator) = (Card::new(1, 50_000), Validator::new(1, 1));
    let taps = [
        validator.done(&mut card, MORNING),
        validator.done_by(&parse(&next), &mut card, later(DAY_S)),
        // A validator that was not sent the new one.
        validator.done_by(&tariff(), &mut card, later(DAY_S + 3_600)),
    ];
    city.upload_at(&taps, later(2 * DAY_S));
    assert_eq!(city.balance("operator:1:payable"), 25_000);
    let findings: Vec<(String, String, String)> = city
        .sql()
        .prepare("SELECT kind, tap, detail FROM finding")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let detail = "device 1 epoch 1 sequence 3: decided by tariff version 1, in force was 2";
    assert_eq!(findings, [("tariff_not_in_force".to_owned(), "1-1-3".to_owned(), detail.to_owned())]);
    let explained = city.clearing_house.explain("1-1-2".parse().unwrap()).unwrap();
    assert_eq!((explained.fare_minor, explained.findings), (Amount::from(9_000), vec![]));
    let settled = city.clearing_house.settle(monday(), later(3 * DAY_S)).unwrap();
    assert_eq!(settled.statements[0].statement.header.tariff_version, 1);
    let settled = city.clearing_house.settle("2026-11-24".parse().unwrap(), later(3 * DAY_S)).unwrap();
    assert_eq!(settled.statements[0].statement.header.tariff_version, 2);
    city.verify();
}
