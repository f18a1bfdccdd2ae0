//! What a journey costs from one stop to another, by each way that a tariff can say it.

use std::path::Path;

use proptest::prelude::*;
use transit::id::{LineNumber, StopNumber};
use transit::tariff::{JourneyRule, Tariff, TariffFindingKind};

use crate::fare_table::{refusal, tariff};

pub(crate) const LAGOON: &str = include_str!("../../../fixtures/lagoon/tariff.toml");

pub(crate) fn lagoon() -> Tariff {
    parse(LAGOON)
}

fn parse(text: &str) -> Tariff {
    Tariff::parse(Path::new("tariff.toml"), text).unwrap()
}

type Place = (u16, u16);

/// The price from a stop of a line to a stop of a line, in minor units.
fn price(tariff: &Tariff, (entry_line, entry): Place, (exit_line, exit): Place) -> Option<i64> {
    let place = |line, stop| (LineNumber(line), StopNumber(stop));
    tariff.journey_price(place(entry_line, entry), place(exit_line, exit)).map(|price| price.fare.minor())
}

#[test]
fn the_table_of_prices() {
    let lagoon = lagoon();
    let zone_pairs =
        parse(&LAGOON.replace(
            "zones_minor = [150, 250, 350]",
            "zone_pair = [[1, 1, 150], [1, 2, 260], [2, 1, 240], [2, 3, 310]]",
        ));
    let dearer = parse(&LAGOON.replace("rounding = \"half_up\"", "rounding = \"up\""));
    let table: [(&str, &Tariff, Place, Place, Option<i64>); 28] = [
        ("metro: 1.1 km, within the base", &lagoon, (1, 1), (1, 2), Some(120)),
        ("2.9 km", &lagoon, (1, 1), (1, 3), Some(120)),
        ("6.4 km: 120 + 3.4 × 14 = 167.6", &lagoon, (1, 1), (1, 4), Some(170)),
        ("rounded up all the same", &dearer, (1, 1), (1, 4), Some(170)),
        ("12.25 km: 120 + 9.25 × 14 = 249.5", &lagoon, (1, 1), (1, 5), Some(250)),
        ("and back", &lagoon, (1, 5), (1, 1), Some(250)),
        ("9.35 km: 120 + 6.35 × 14 = 208.9", &lagoon, (1, 3), (1, 5), Some(210)),
        ("5.3 km: 120 + 2.3 × 14 = 152.2", &lagoon, (1, 2), (1, 4), Some(150)),
        ("rounded up", &dearer, (1, 2), (1, 4), Some(155)),
        ("34 km: 554, and no more than the maximum", &lagoon, (1, 1), (1, 6), Some(500)),
        ("no way at all costs the base", &lagoon, (1, 4), (1, 4), Some(120)),
        ("bus: 4,999 m", &lagoon, (2, 1), (2, 2), Some(100)),
        ("5,000 m", &lagoon, (2, 1), (2, 3), Some(220)),
        ("1 m", &lagoon, (2, 2), (2, 3), Some(100)),
        ("15,000 m", &lagoon, (2, 1), (2, 4), Some(350)),
        ("boats: one zone", &lagoon, (3, 1), (3, 2), Some(150)),
        ("two zones", &lagoon, (3, 2), (3, 3), Some(250)),
        ("three zones, on two lines", &lagoon, (3, 1), (4, 4), Some(350)),
        ("five zones: as three", &lagoon, (4, 5), (3, 1), Some(350)),
        ("one zone of its own, on whichever line", &lagoon, (3, 3), (4, 3), Some(150)),
        ("zones by table: within one", &zone_pairs, (3, 1), (3, 2), Some(150)),
        ("to the next", &zone_pairs, (3, 1), (3, 3), Some(260)),
        ("the way back has its own", &zone_pairs, (4, 3), (3, 1), Some(240)),
        ("and here it has none: the same", &zone_pairs, (4, 4), (4, 3), Some(310)),
        ("no price stands there", &zone_pairs, (3, 1), (4, 4), None),
        ("railway: up", &lagoon, (5, 1), (5, 3), Some(600)),
        ("down", &lagoon, (5, 3), (5, 1), Some(450)),
        ("the way back where only one stands there", &lagoon, (5, 2), (5, 1), Some(300)),
    ];
    for (what, tariff, entry, exit, expected) in table {
        assert_eq!(price(tariff, entry, exit), expected, "{what}");
    }
    // No journey: from a metro to a boat, from a tram, from and to what is not there.
    for (entry, exit) in [((1, 1), (3, 1)), ((9, 1), (9, 2)), ((1, 7), (1, 1)), ((1, 1), (1, 0)), ((6, 1), (6, 2))] {
        assert_eq!(price(&lagoon, entry, exit), None);
    }
    let rule = lagoon.journey_price((LineNumber(1), StopNumber(2)), (LineNumber(1), StopNumber(4))).unwrap().rule;
    assert_eq!(rule, JourneyRule::Distance("5.3".parse().unwrap()));
}

#[test]
fn what_cannot_be_charged_is_refused() {
    let fare = |rules: &str| {
        format!(
            "[[journey_fare]]\nname = \"m\"\ntap_in_minor = 10\nmaximum_minor = 50\nlongest_minutes = 60\n{rules}\n"
        )
    };
    let line = |stops: &str| format!("[[line]]\nnumber = 1\nname = \"1\"\njourney_fare = \"m\"\nstop = [{stops}]\n");
    let stop = |number: u16, name: &str, more: &str| {
        format!("{{ number = {number}, name = \"{name}\", gtfs_stop_id = \"{name}\"{more} }},")
    };
    let zones = fare("zones_minor = [10, 20]");
    let table = [
        (
            fare("") + &line(""),
            "`m`: give it one of `zones_minor`, `zone_pair`, `distance_step`, `distance`, `stop_pair`",
        ),
        (fare("zones_minor = [10]\nstop_pair = []") + &line(""), "give it one of"),
        (fare("zones_minor = []") + &line(""), "it has no prices"),
        (fare("zones_minor = [51]") + &line(""), "a price of 51 is more than its `maximum_minor`, 50"),
        (zones.replace("tap_in_minor = 10", "tap_in_minor = 51") + &line(""), "a price of 51 is more than"),
        (zones.replace("= 50", "= 0") + &line(""), "`maximum_minor` is 1 to 1048575 minor units"),
        (zones.replace("= 60", "= 0") + &line(""), "`longest_minutes` is 1 to 1440, and `free_exit_minutes` no more"),
        (zones.clone() + "free_exit_minutes = 61\n" + &line(""), "`longest_minutes` is 1 to 1440"),
        (fare("stop_pair = [[1, 2, 10], [1, 2, 20]]") + &line(""), "its stop_pair from 1 to 2 is there twice"),
        (fare("distance_step = [{ below_km = \"5\", fare_minor = 1 }]") + &line(""), "the last one alone is without"),
        (
            fare(
                "distance_step = [{ below_km = \"5\", fare_minor = 1 }, { below_km = \"5\", fare_minor = 1 }, { fare_minor = 1 }]",
            ) + &line(""),
            "`distance_step` stand from short to long",
        ),
        (fare("distance = { base_minor = 1, base_km = \"-1\", per_km_minor = 1 }") + &line(""), "`-1` is no distance"),
        (zones.clone() + &zones + &line(""), "[[journey_fare]] `m` is there twice"),
        (line(""), "line 1 names [[journey_fare]] `m`, which is not there"),
        (
            zones.clone() + &line("").replace("name = \"1\"", "name = \"1\"\nflat_fare_minor = 5"),
            "has more than one of",
        ),
        (
            zones.clone() + &line(&stop(1, "A", "")),
            "stop 1 of line 1 has no `zone`, by which [[journey_fare]] `m` charges",
        ),
        (
            fare("distance = { base_minor = 1, base_km = \"0\", per_km_minor = 1 }") + &line(&stop(1, "A", "")),
            "stop 1 of line 1 has no `km`",
        ),
        (
            fare("distance = { base_minor = 1, base_km = \"0\", per_km_minor = 1 }")
                + &line(&(stop(1, "A", ", km = \"2\"") + &stop(2, "B", ", km = \"1\""))),
            "the `km` of line 1 grow from stop to stop",
        ),
        (
            zones.clone()
                + &line(&stop(1, "A", ", zone = 1"))
                + &line(&stop(1, "B", ", zone = 1")).replace("number = 1\nname = \"1\"", "number = 2\nname = \"2\""),
            "stop 1 is `A` and `B` on lines of [[journey_fare]] `m`, where a number is one place",
        ),
        (
            zones.replace("= 50", "= 1048575")
                + "[[time_band]]\nfrom = \"07:00\"\nuntil = \"09:00\"\npercent_of_fare = 101\n"
                + &line(&stop(1, "A", ", zone = 1")),
            "the fare of line 1 is more than a card's record holds",
        ),
    ];
    for (rules, expected) in table {
        let refusal = refusal(&rules);
        assert!(refusal.contains(expected), "`{expected}` is not in `{refusal}`");
    }
}

#[test]
fn what_surprises_is_found() {
    use TariffFindingKind::{FallsWithDistance, Hole, TapInFare, Unreachable};
    assert_eq!(lagoon().check(), []);
    let table = [
        (
            "[150, 250, 350]",
            "[150, 350, 250]",
            FallsWithDistance,
            "in [[journey_fare]] `boat` 3 zones cost 2,50 €, less than 2, 3,50 €",
        ),
        (
            "below_km = \"15\", fare_minor = 220",
            "below_km = \"15\", fare_minor = 360",
            FallsWithDistance,
            "on line 2 2 ride(s) are cheaper than shorter ones, the first from Station to Saltworks, 3,50 €: to Bridge it is 3,60 €",
        ),
        (
            "[1, 3, 600]",
            "[1, 3, 290]",
            FallsWithDistance,
            "on line 5 1 ride(s) are cheaper than shorter ones, the first from Valley to Summit, 2,90 €: to Chapel it is 3,00 €",
        ),
        (
            "[2, 3, 400], [3, 2, 200], ",
            "",
            Hole,
            "[[journey_fare]] `railway` has no price for 2 pair(s) of stops, the first from 2 Chapel to 3 Summit: such a \
          journey costs what its tap-in debited",
        ),
        (
            "[3, 1, 450]",
            "[3, 1, 450], [4, 1, 450]",
            Unreachable,
            "[[journey_fare]] `railway` has prices for stop 4, which no stop of its lines has",
        ),
        (
            "tap_in_minor = 200",
            "tap_in_minor = 210",
            TapInFare,
            "a tap-in of [[journey_fare]] `railway` debits 2,10 €, and its cheapest journey costs 2,00 €",
        ),
        (
            "journey_fare = \"railway\"",
            "flat_fare_minor = 300",
            Unreachable,
            "[[journey_fare]] `railway` never counts: no line names it",
        ),
    ];
    for (from, to, kind, detail) in table {
        let findings = parse(&LAGOON.replace(from, to)).check();
        assert!(
            findings
                .iter()
                .any(|finding| (finding.kind, finding.detail.replace('\u{a0}', " ").as_str()) == (kind, detail)),
            "{detail}: {findings:?}"
        );
    }
}

#[test]
fn a_diff_names_prices_of_journeys() {
    let table = [
        ("tap_in_minor = 120", "tap_in_minor = 110", "journey_fare metro: tap-in | 1,20 € | 1,10 €"),
        ("maximum_minor = 400", "maximum_minor = 420", "journey_fare bus: maximum | 4,00 € | 4,20 €"),
        ("free_exit_minutes = 15", "free_exit_minutes = 10", "journey_fare metro: free exit | 15 min | 10 min"),
        ("longest_minutes = 90", "longest_minutes = 80", "journey_fare bus: longest journey | 90 min | 80 min"),
        ("per_km_minor = 14", "per_km_minor = 15", "journey_fare metro: each km more | 0,14 € | 0,15 €"),
        ("\"15\", fare_minor = 220", "\"15\", fare_minor = 230", "journey_fare bus: below 15 km | 2,20 € | 2,30 €"),
        ("[150, 250, 350]", "[150, 260, 350]", "journey_fare boat: zones counted 2 | 2,50 € | 2,60 €"),
        ("[3, 1, 450]", "[3, 1, 460]", "journey_fare railway: stop 3 to 1 | 4,50 € | 4,60 €"),
        ("km = \"2.9\"", "km = \"3\"", "line 1: stop 3 | Cathedral (M3), km 2.9 | Cathedral (M3), km 3"),
        ("zone = 5", "zone = 4", "line 4: stop 5 | Outer Island (A5), zone 5 | Outer Island (A5), zone 4"),
    ];
    for (from, to, expected) in table {
        let changes = lagoon().diff(&parse(&LAGOON.replacen(from, to, 1)));
        let said = |value: &Option<String>| value.clone().unwrap_or_default().replace('\u{a0}', " ");
        let told: Vec<_> = changes
            .iter()
            .map(|change| format!("{} | {} | {}", change.what, said(&change.before), said(&change.after)))
            .collect();
        // The tap-in stands with the line too.
        assert_eq!(told.first().unwrap(), expected);
        assert_eq!(told.len(), if from.starts_with("tap_in") { 2 } else { 1 }, "{told:?}");
    }
}

proptest! {
    /// Where prices grow with the distance a longer ride costs no less, the way back the same, and never more than the
    /// maximum.
    #[test]
    fn a_longer_ride_never_costs_less(
        mut km in proptest::collection::vec(0..60_000_u32, 2..12),
        base in 1..300_u32,
        per_km in 0..90_u32,
        rounding in prop_oneof![Just("up"), Just("down"), Just("half_up")],
        to in 1..30_u32,
    ) {
        km.sort_unstable();
        let stops: String = km.iter().enumerate().map(|(index, m)| {
            let number = index + 1;
            format!("{{ number = {number}, name = \"{number}\", gtfs_stop_id = \"{number}\", km = \"{}.{:03}\" }},", m / 1000, m % 1000)
        }).collect();
        let rules = tariff(&format!(
            "rounding = \"{rounding}\"\nrounding_minor = {to}\n\
             [[journey_fare]]\nname = \"m\"\ntap_in_minor = 1\nmaximum_minor = 900\nlongest_minutes = 60\n\
             distance = {{ base_minor = {base}, base_km = \"2\", per_km_minor = {per_km} }}\n\
             [[line]]\nnumber = 1\nname = \"1\"\njourney_fare = \"m\"\nstop = [{stops}]"
        ));
        let stops = u16::try_from(km.len()).unwrap();
        for from in 1..=stops {
            let prices: Vec<_> = (from..=stops).map(|to| price(&rules, (1, from), (1, to)).unwrap()).collect();
            prop_assert!(prices.is_sorted() && prices.iter().all(|price| *price <= 900), "{prices:?}");
            for (to, one) in (from..=stops).zip(&prices) {
                prop_assert_eq!(price(&rules, (1, to), (1, from)), Some(*one));
            }
        }
    }
}
