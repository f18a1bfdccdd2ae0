//! What is to be looked at in a tariff, and what another version changes.

use std::path::Path;

use proptest::prelude::*;
use transit::card::Profile;
use transit::tariff::{Tariff, TariffFindingKind};

use crate::fare_table::{at, card, ride, tariff};

const HANOI: &str = include_str!("../../../fixtures/hanoi/tariff.toml");
const EVERY_RULE: &str = include_str!("../../../fixtures/every-rule/tariff.toml");

fn parse(text: &str) -> Tariff {
    Tariff::parse(Path::new("tariff.toml"), text).unwrap()
}

#[test]
fn the_tariffs_that_come_with_the_programs_are_well() {
    assert_eq!(parse(HANOI).check(), []);
    assert_eq!(parse(EVERY_RULE).check(), []);
}

#[test]
fn every_kind_of_finding() {
    use TariffFindingKind::{FallsWithDistance, Hole, MissingLine, Overlap, PassPrice, Unreachable};
    let holiday = "\"sunday\", \"holiday\"]";
    let table = [
        (
            EVERY_RULE.replace(
                "[[route_length_band]]\nfare_minor = 900",
                "[[route_length_band]]\nbelow_km = \"40\"\nfare_minor = 900",
            ),
            Hole,
            "routes of 40 km and more have no fare: the last [[route_length_band]] should be without `below_km`",
        ),
        (
            EVERY_RULE.replace("fare_minor = 900", "fare_minor = 640"),
            FallsWithDistance,
            "a route of 20 km costs 6,40 $, less than a shorter one, 6,50 $",
        ),
        (
            EVERY_RULE.replace(holiday, "\"friday\"]"),
            Overlap,
            "time bands 07:00–09:00 (125 %) and 04:00–04:00 (80 %) overlap: the first is taken",
        ),
        (
            EVERY_RULE.replace(
                &format!("[{holiday}\nfrom = \"04:00\"\nuntil = \"04:00\""),
                "[\"monday\"]\nfrom = \"07:00\"\nuntil = \"08:59\"",
            ),
            Unreachable,
            "the time band 07:00–08:59 (80 %) never counts: bands before it are taken, or its days do not come",
        ),
        (
            EVERY_RULE.replace(holiday, "\"holiday\"]").replace("holidays = [\"2026-12-25\", \"2027-01-01\"]", ""),
            Unreachable,
            "the time band 04:00–04:00 (80 %) never counts: bands before it are taken, or its days do not come",
        ),
        (
            EVERY_RULE.replace("[\"under_six\"]", "[\"under_six\", \"student\"]").replace(", student = 26000", ""),
            Unreachable,
            "the discount of student never counts: student is one of `free_profiles`",
        ),
        (
            EVERY_RULE.replace("month_minor = 48000", "month_minor = 3000"),
            Unreachable,
            "the cap of a day, 30,00 $, never counts: that of a month is 30,00 $",
        ),
        (
            EVERY_RULE.replace("student = 26000", "student = 52001"),
            PassPrice,
            "the all_route_pass costs student 520,01 $, more than without a profile",
        ),
        (
            EVERY_RULE.replace("student = 26000", "under_six = 26000"),
            PassPrice,
            "the all_route_pass is sold to under_six, who rides at 0",
        ),
        (
            HANOI.replace("price_minor = { ordinary = 140000,", "price_minor = { ordinary = 280000,"),
            PassPrice,
            "the one_route_pass of line 1 costs ordinary 280.000 ₫, and one for all routes no more",
        ),
        (
            format!(
                "{HANOI}\n[[line]]\nnumber = 2\nname = \"2\"\nlength_km = \"9\"\nstop = [{{ number = 1, name = \"A\", gtfs_stop_id = \"A\" }}]"
            ),
            MissingLine,
            "line 2 has no one_route_pass, and other lines have one",
        ),
        (
            format!("{EVERY_RULE}\n[[line]]\nnumber = 4\nname = \"4\"\nlength_km = \"9\"\nstop = []"),
            MissingLine,
            "line 4 has no stops: no validator can be on it",
        ),
    ];
    for (text, kind, detail) in table {
        let findings = parse(&text).check();
        let [finding] = findings.as_slice() else { panic!("{detail}: {findings:?}") };
        assert_eq!((finding.kind, finding.detail.replace('\u{a0}', " ").as_str()), (kind, detail));
    }
    let nothing = tariff("line = []").check();
    assert_eq!((nothing.len(), nothing[0].kind), (1, MissingLine));
}

#[test]
fn a_diff_names_what_changes_and_nothing_else() {
    let told = |before: &str, after: &str| {
        let changes = parse(before).diff(&parse(after)).into_iter();
        let words = |value: Option<String>| value.map_or("-".to_owned(), |value| value.replace('\u{a0}', " "));
        changes
            .map(|change| format!("{} | {} | {}", change.what, words(change.before), words(change.after)))
            .collect::<Vec<_>>()
    };
    assert_eq!(told(EVERY_RULE, EVERY_RULE), [""; 0]);
    // Hanoi's fares before 1 November 2024 were 7,000, 8,000 and 9,000 (Thời Đại 205933).
    assert_eq!(
        told(&HANOI.replace("fare_minor = 8000", "fare_minor = 7000"), HANOI),
        ["line 1: fare | 7.000 ₫ (14.77 km) | 8.000 ₫ (14.77 km)"]
    );
    let table = [
        ("version = 3", "version = 4", "version | 3 | 4"),
        ("code = \"HKD\"", "code = \"MOP\"", "currency | HKD with 2 minor digits | MOP with 2 minor digits"),
        ("pass_back_window_s = 120", "pass_back_window_s = 60", "pass-back window | 120 s | 60 s"),
        ("[\"under_six\"]", "[]", "free profile under_six | rides at 0 | -"),
        ("percent_off = 50", "percent_off = 40", "discount of student | 50 % off | 40 % off"),
        (
            "percent_of_fare = 80",
            "percent_of_fare = 70",
            "time band 2 | 04:00–04:00, 80 % of the fare, sunday holiday | 04:00–04:00, 70 % of the fare, sunday holiday",
        ),
        (", \"2027-01-01\"]", ", \"2027-01-01\", \"2027-02-06\"]", "holiday 2027-02-06 | - | is one"),
        ("rounding = \"down\"", "rounding = \"half_up\"", "rounding | down to 0,10 $ | half up to 0,10 $"),
        (
            "window_minutes = 90",
            "window_minutes = 120",
            "transfer | the highest fare of the chain, 90 min, at most 3, lines 1 2 3 | the highest fare of the chain, 120 min, at most 3, lines 1 2 3",
        ),
        ("day_minor = 3000", "day_minor = 2500", "cap of a day | 30,00 $ | 25,00 $"),
        ("month_minor = 48000", "", "cap of a month | 480,00 $ | -"),
        ("flat_fare_minor = 1200", "flat_fare_minor = 1300", "line 9: fare | 12,00 $ | 13,00 $"),
        ("\"9 Ferry\"", "\"9 Boat\"", "line 9: name | 9 Ferry | 9 Boat"),
        ("name = \"Island\"", "name = \"Isle\"", "line 9: stop 2 | Island (I) | Isle (I)"),
        ("ordinary = 52000", "ordinary = 53000", "all_route_pass: price for ordinary | 520,00 $ | 530,00 $"),
        ("from_day = 20", "from_day = 21", "all_route_pass: next month from day | 20 | 21"),
    ];
    for (from, to, expected) in table {
        let after = EVERY_RULE.replacen(from, to, 1);
        assert_ne!(after, EVERY_RULE, "{from}");
        assert_eq!(told(EVERY_RULE, &after), [expected]);
    }
    let later = EVERY_RULE.replacen("service_day_starts_at = \"04:00\"", "service_day_starts_at = \"03:30\"", 1);
    let told =
        told(EVERY_RULE, &later.replace("from = \"04:00\"\nuntil = \"04:00\"", "from = \"03:30\"\nuntil = \"03:30\""));
    assert_eq!(told[0], "service day | from 04:00:00 in Asia/Hong_Kong | from 03:30:00 in Asia/Hong_Kong");
}

proptest! {
    /// A band that is said never to count never does, and one that is not does at some moment.
    #[test]
    fn unreachable_bands_never_count(
        bands in proptest::collection::vec((0..12_u32, 0..12_u32, 0..4_usize), 1..5),
    ) {
        let days = ["[\"monday\"]", "[\"monday\", \"tuesday\"]", "[\"tuesday\"]", "[\"holiday\"]"];
        let hours = |hour: u32| format!("{:02}:00", (4 + 2 * hour) % 24);
        let mut text = "[[line]]\nnumber = 1\nname = \"1\"\nflat_fare_minor = 8000\nstop = []\n".to_owned();
        for (index, (from, until, day)) in bands.iter().enumerate() {
            let until = if from < until { *until } else { 12 };
            text += &format!(
                "[[time_band]]\nfrom = \"{}\"\nuntil = \"{}\"\ndays = {}\npercent_of_fare = {}\n",
                hours(*from), hours(until), days[*day], index + 1
            );
        }
        let rules = tariff(&text);
        let counted: Vec<u16> = (0..48_u32).filter_map(|hour| {
            let when = transit::time::Moment(at("2026-11-23 04:00").0 + 3_600 * hour);
            ride(&mut card(Profile::Ordinary), &rules, 1, when).path.time_band.map(|band| band.percent_of_fare)
        }).collect();
        let findings = rules.check();
        let unreachable = findings.iter().filter(|finding| finding.kind == TariffFindingKind::Unreachable).count();
        let never = rules.time_bands.iter().filter(|band| !counted.contains(&band.percent_of_fare)).count();
        prop_assert_eq!(unreachable, never);
    }
}
