//! Tap-ins and tap-outs in the city of `fixtures/lagoon`: what each tap is charged, in cents. A tap is written as what the
//! gate is, line and stop: `in 1.4`, `out 1.5`, `both 2.1`, `ride 9.1`; `out! 1.5` is at a place with an incident.
//! 2026-11-24 is a Tuesday.

use proptest::prelude::*;
use transit::card::{DeskWrite, Profile, Record, record_of_load};
use transit::fare::{Accept, Boarding, CardView, Decision, Gate, GateKind, JourneyStep, TapOutPrice, decide};
use transit::id::{DeviceId, LineNumber, StopNumber, TapId};
use transit::money::{Amount, Balance};
use transit::tariff::Tariff;
use transit::time::Moment;

use crate::fare_table::{card, with_pass_of_line};
use crate::journey_prices::lagoon;

/// A moment of the city's clocks in November 2026.
pub(crate) fn at(local: &str) -> Moment {
    let instant: jiff::Timestamp = format!("{}+01:00", local.replace(' ', "T")).parse().unwrap();
    Moment(u32::try_from(instant.as_second()).unwrap())
}

pub(crate) fn boarding(view: &CardView, spec: &str, at: Moment) -> Boarding {
    let (gate, place) = spec.split_once(' ').unwrap();
    let (line, stop) = place.split_once('.').unwrap();
    let kind = match gate.trim_end_matches('!') {
        "in" | "ride" => GateKind::Entry,
        "out" => GateKind::Exit,
        "both" => GateKind::Both,
        other => panic!("`{other}` is no gate"),
    };
    // Every tap is at another validator.
    let sequence = view.record.card_sequence;
    let tap = TapId { device: DeviceId::new(sequence + 100).unwrap(), epoch: 1, sequence };
    let (line, stop) = (LineNumber(line.parse().unwrap()), StopNumber(stop.parse().unwrap()));
    Boarding { tap, line, stop, at, gate: Gate { kind, incident: gate.ends_with('!') } }
}

/// One tap; the card has its record afterwards. What it was charged, and what else there is to say.
pub(crate) fn tap(view: &mut CardView, tariff: &Tariff, spec: &str, at: Moment) -> Result<Accept, String> {
    let accept = match decide(view, tariff, &boarding(view, spec, at)) {
        Decision::Accept(accept) => accept,
        Decision::Refuse(refusal) => return Err(format!("{refusal:?}")),
    };
    let written = accept.record.encode().map(|written| Record::decode(&written));
    assert_eq!(written, Ok(Ok(accept.record)), "the record holds what was decided");
    let debited = view.record.balance_after.minor() - accept.record.balance_after.minor();
    assert_eq!((debited, accept.record.amount), (accept.fare.minor(), accept.fare), "the mirror moves with the fare");
    assert_eq!(accept.path.charge, accept.fare);
    view.record = accept.record;
    Ok(accept)
}

fn spoken(accept: &Accept) -> String {
    let mut said = accept.fare.minor().to_string();
    let mut add = |what: &str, amount: Amount| {
        if amount > Amount::ZERO {
            said.push_str(&format!(" {what} {}", amount.minor()));
        }
    };
    add("credit", accept.path.credit);
    if let Some(JourneyStep::TapOut(tap_out)) = accept.path.journey {
        add("overpaid", tap_out.overpaid);
        add("lacking", tap_out.lacking);
    }
    add("owed", accept.path.unfinished.map_or(Amount::ZERO, |unfinished| unfinished.owed));
    said
}

fn charges(mut view: CardView, taps: &[(&str, &str)]) -> Vec<String> {
    let lagoon = lagoon();
    let day = |local: &str| if local.len() > 8 { local.to_owned() } else { format!("2026-11-24 {local}") };
    taps.iter()
        .map(|(local, spec)| match tap(&mut view, &lagoon, spec, at(&day(local))) {
            Ok(accept) => spoken(&accept),
            Err(refusal) => refusal,
        })
        .collect()
}

#[test]
fn the_table_of_journeys() {
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);
    let table: &[Row<'_>] = &[
        (
            "the minimum at the tap-in, the rest at the tap-out",
            &[("10:00", "in 1.1"), ("10:20", "out 1.4")],
            &["120", "50"],
        ),
        ("nothing is left of the shortest ride", &[("10:00", "in 1.1"), ("10:20", "out 1.2")], &["120", "0"]),
        ("the longest costs no more than the maximum", &[("10:00", "in 1.1"), ("10:50", "out 1.6")], &["120", "380"]),
        ("a time band counts from the tap-in", &[("08:59", "in 1.1"), ("09:20", "out 1.4")], &["145", "60"]),
        ("and not from the tap-out", &[("06:59", "in 1.1"), ("07:20", "out 1.4")], &["120", "50"]),
        ("two lines of one network", &[("10:00", "in 3.1"), ("10:40", "out 4.4")], &["150", "200"]),
        (
            "downhill costs less than the tap-in and the rest uphill",
            &[("10:00", "in 5.3"), ("10:20", "out 5.2")],
            &["200", "0"],
        ),
        ("a bus that takes riders in and out", &[("10:00", "both 2.1"), ("10:01", "both 2.4")], &["100", "250"]),
        (
            "out where one came in, soon: the tap-in becomes a credit, and no chain of transfers",
            &[("10:00", "in 1.1"), ("10:14", "out 1.1"), ("10:20", "ride 9.1")],
            &["120", "0 overpaid 120", "10 credit 120"],
        ),
        (
            "a credit is taken off once and no more",
            &[
                ("10:00", "in 1.1"),
                ("10:14", "out 1.1"),
                ("12:00", "in 5.1"),
                ("12:30", "out 5.3"),
                ("14:00", "in 5.1"),
            ],
            &["120", "0 overpaid 120", "80 credit 120", "400", "200"],
        ),
        (
            "what is left of a credit stays",
            &[("10:00", "in 1.1"), ("10:10", "out 1.1"), ("12:00", "both 2.1"), ("12:20", "both 2.4")],
            &["120", "0 overpaid 120", "0 credit 100", "230 credit 20"],
        ),
        (
            "out where one came in, later: a ride of no length",
            &[("10:00", "in 1.1"), ("10:15", "out 1.1"), ("12:00", "in 1.1")],
            &["120", "0", "120"],
        ),
        ("where no minutes are free, none are", &[("10:00", "in 5.1"), ("10:00:20", "out 5.1")], &["200", "0"]),
        ("out on time", &[("10:00", "in 1.1"), ("12:00", "out 1.4")], &["120", "50"]),
        ("out too late: the maximum", &[("10:00", "in 1.1"), ("12:01", "out 1.4")], &["120", "380"]),
        ("at a place with an incident nobody is late", &[("10:00", "in 1.1"), ("15:00", "out! 1.4")], &["120", "50"]),
        (
            "and out where one came in is free at any time",
            &[("10:00", "in 1.1"), ("15:00", "out! 1.1")],
            &["120", "0 overpaid 120"],
        ),
        (
            "never tapped out: the next tap-in finds it, owes the maximum and debits none of it",
            &[("10:00", "in 1.1"), ("13:00", "in 1.4"), ("13:20", "out 1.5")],
            &["120", "120 owed 380", "40"],
        ),
        ("a boarding finds it too", &[("10:00", "in 1.1"), ("13:00", "ride 9.1")], &["120", "130 owed 380"]),
        (
            "a gate of both ways takes an old one for unfinished",
            &[("10:00", "both 2.1"), ("11:31", "both 2.4")],
            &["100", "100 owed 300"],
        ),
        ("an exit of another network does too", &[("10:00", "in 1.1"), ("10:30", "out 3.2")], &["120", "450 owed 380"]),
        ("buses are each for themselves", &[("10:00", "in 1.1"), ("10:30", "out 2.2")], &["120", "400 owed 380"]),
        ("at a place with an incident nothing is owed", &[("10:00", "in 1.1"), ("13:00", "in! 1.4")], &["120", "120"]),
        ("not tapped in: the maximum", &[("10:00", "out 1.4")], &["500"]),
        ("at a place with an incident, nothing", &[("10:00", "out! 1.4")], &["0"]),
        (
            "out a second time moments later: let out, charged once",
            &[("10:00", "in 1.1"), ("10:20", "out 1.4"), ("10:20:59", "out 1.4"), ("10:22", "out 1.4")],
            &["120", "50", "0", "500"],
        ),
        (
            "a transfer takes its discount off the whole journey",
            &[("10:00", "in 1.1"), ("10:20", "out 1.4"), ("10:30", "in 3.1"), ("10:55", "out 3.3")],
            &["120", "50", "100", "100"],
        ),
        (
            "from a tram to the metro and back: the third is no transfer",
            &[
                ("10:00", "ride 9.1"),
                ("10:10", "in 1.1"),
                ("10:30", "out 1.4"),
                ("10:40", "ride 9.1"),
                ("10:50", "in 1.1"),
                ("11:10", "out 1.4"),
            ],
            &["130", "70", "50", "80", "120", "50"],
        ),
        (
            "the cap of a day leaves less of a tap-in and nothing of a tap-out",
            &[
                ("10:00", "in 1.1"),
                ("10:50", "out 1.6"),
                ("12:00", "in 3.1"),
                ("13:00", "out 4.5"),
                ("15:00", "in 1.1"),
                ("15:50", "out 1.6"),
            ],
            &["120", "380", "150", "200", "50", "0"],
        ),
        (
            "a journey counts in the day of its tap-in, whenever it ends",
            &[
                ("22:00", "in 1.1"),
                ("22:50", "out 1.6"),
                ("23:55", "in 3.1"),
                ("2026-11-25 00:50", "out 4.5"),
                ("2026-11-25 03:50", "in 1.1"),
                ("2026-11-25 04:20", "out 1.6"),
                ("2026-11-25 04:30", "ride 9.1"),
            ],
            &["120", "380", "150", "200", "50", "0", "80"],
        ),
        (
            "what was not due is not spent",
            &[
                ("10:00", "in 1.1"),
                ("10:10", "out 1.1"),
                ("12:00", "in 5.1"),
                ("12:50", "out 5.3"),
                ("14:00", "ride 9.1"),
                ("16:00", "in 3.1"),
                ("17:00", "out 3.3"),
            ],
            &["120", "0 overpaid 120", "80 credit 120", "400", "130", "150", "20"],
        ),
    ];
    for (what, taps, expected) in table {
        assert_eq!(charges(card(Profile::Ordinary), taps), *expected, "{what}");
    }
}

#[test]
fn profiles_and_passes() {
    let student = [("10:00", "in 1.1"), ("10:20", "out 1.4"), ("13:00", "in 1.1"), ("16:00", "in 1.1")];
    assert_eq!(charges(card(Profile::Student), &student), ["60", "25", "60", "60 owed 190"]);
    let child =
        [("10:00", "in 1.1"), ("10:20", "out 1.4"), ("11:00", "in 3.1"), ("16:00", "in 1.1"), ("19:00", "out 1.1")];
    assert_eq!(charges(card(Profile::UnderSix), &child), ["0"; 5]);

    // A pass of one boat line counts to the ends of that line, and nothing is owed that it covers.
    let pass = || with_pass_of_line(card(Profile::Ordinary), 3);
    assert_eq!(charges(pass(), &[("10:00", "in 3.1"), ("10:20", "out 3.3")]), ["0", "0"]);
    assert_eq!(charges(pass(), &[("10:00", "in 3.1"), ("10:20", "out 4.4")]), ["0", "350"]);
    assert_eq!(charges(pass(), &[("10:00", "in 3.1"), ("15:00", "in 3.1")]), ["0", "0"]);
    assert_eq!(charges(pass(), &[("10:00", "out 3.3")]), ["0"]);
}

/// Whoever is inside may go: with an empty purse, on the deny list, in debt.
#[test]
fn an_exit_never_traps() {
    let purse = |minor| {
        let mut view = card(Profile::Ordinary);
        view.record.balance_after = Balance::from_minor(minor);
        view
    };
    let out = [("10:00", "in 1.1"), ("10:20", "out 1.4"), ("10:40", "in 1.4")];
    assert_eq!(charges(purse(170), &out)[..2], ["120", "50"]);
    assert_eq!(
        charges(purse(130), &out),
        ["120", "10 lacking 40", "NotEnough { balance: Balance(0), fare: Amount(70) }"]
    );
    assert_eq!(charges(purse(119), &out)[0], "NotEnough { balance: Balance(119), fare: Amount(120) }");
    assert_eq!(charges(purse(-20), &[("10:00", "out 1.4")]), ["0 lacking 500"]);

    let lagoon = lagoon();
    let mut view = purse(1_000);
    tap(&mut view, &lagoon, "in 1.1", at("2026-11-24 10:00")).unwrap();
    view.denied = true;
    for gate in ["out 1.4", "both 1.4"] {
        let accept = tap(&mut view.clone(), &lagoon, gate, at("2026-11-24 10:20")).unwrap();
        assert_eq!(accept.fare.minor(), 50, "{gate}");
    }
    assert_eq!(tap(&mut view, &lagoon, "in 1.4", at("2026-11-24 10:20")), Err("Denied".to_owned()));
}

#[test]
fn pass_back_goes_by_the_kind_of_gate() {
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[("10:00:00", "in 1.1"), ("10:00:59", "in 1.1")], "UseSameGate"),
        (&[("10:00:00", "in 1.1"), ("10:00:59", "both 1.1")], "UseSameGate"),
        (&[("10:00:00", "both 2.1"), ("10:00:10", "both 2.1")], "UseSameGate"),
        (&[("10:00:00", "in 3.3"), ("10:00:10", "in 4.3")], "UseSameGate"),
        // An exit is taken at once, a bus that has moved on too, and a way in right after a way out.
        (&[("10:00:00", "in 1.1"), ("10:00:10", "out 1.1")], "0 overpaid 120"),
        (&[("10:00:00", "both 2.1"), ("10:00:59", "both 2.2")], "0"),
        (&[("10:00:00", "in 1.1"), ("10:30:00", "out 1.4"), ("10:30:20", "in 1.4")], "70"),
        // Both ways: out is not at once in again.
        (&[("10:00:00", "both 2.1"), ("10:30:00", "both 2.4"), ("10:30:20", "both 2.4")], "UseSameGate"),
        (&[("10:00:00", "both 2.1"), ("10:30:00", "both 2.4"), ("10:31:00", "both 2.4")], "50"),
        // No way out of a line whose boardings have their price alone.
        (&[("10:00", "out 9.1")], "CannotDecide"),
    ];
    for (taps, expected) in table {
        let said = charges(card(Profile::Ordinary), taps);
        assert_eq!(said.last().unwrap(), expected, "{taps:?}");
    }
}

#[test]
fn a_load_on_the_way_keeps_the_journey() {
    let lagoon = lagoon();
    let loaded = |view: &mut CardView, local: &str| {
        let action = TapId { device: DeviceId::new(9_000).unwrap(), epoch: 1, sequence: view.record.card_sequence };
        let write = DeskWrite { action, at: at(local), amount: Amount::from(500) };
        view.record = record_of_load(&view.record, write).unwrap();
    };
    let mut view = card(Profile::Ordinary);
    tap(&mut view, &lagoon, "in 1.1", at("2026-11-24 08:50:50")).unwrap();
    loaded(&mut view, "2026-11-24 09:01:30");
    loaded(&mut view, "2026-11-24 09:10:00");
    // Whole minutes, rounded down twice: 08:51:30 at the latest, still in the rush hour.
    let accept = tap(&mut view, &lagoon, "out 1.4", at("2026-11-24 09:20")).unwrap();
    assert_eq!(spoken(&accept), "60");
    loaded(&mut view, "2026-11-24 09:30");
    let accept = tap(&mut view, &lagoon, "out 1.4", at("2026-11-24 10:20")).unwrap();
    let Some(JourneyStep::TapOut(tap_out)) = accept.path.journey else { panic!("{accept:?}") };
    assert_eq!((tap_out.price, tap_out.entry), (TapOutPrice::NoEntry, None), "a journey ends once");
}

/// The card was tapped in under a tariff that had the stop, or the line, or journeys at all.
#[test]
fn another_tariff_at_the_tap_out_charges_no_more_than_it_knows() {
    let text = include_str!("../../../fixtures/lagoon/tariff.toml");
    let parse = |text: &str| Tariff::parse(std::path::Path::new("tariff.toml"), text).unwrap();
    let mut view = card(Profile::Ordinary);
    tap(&mut view, &lagoon(), "in 5.2", at("2026-11-24 10:00")).unwrap();
    let without_price = parse(&text.replace("[2, 3, 400], [3, 2, 200], ", ""));
    let accept = tap(&mut view.clone(), &without_price, "out 5.3", at("2026-11-24 10:20")).unwrap();
    assert_eq!(spoken(&accept), "0");
    let flat =
        parse(&text.replace("journey_fare = \"railway\"", "flat_fare_minor = 300").replace("\"railway\"", "\"r\""));
    let accept = tap(&mut view.clone(), &flat, "ride 5.3", at("2026-11-24 10:20")).unwrap();
    assert_eq!((spoken(&accept).as_str(), accept.path.unfinished), ("250", None));
}

const STOPS: [(u16, u16); 6] = [(1, 6), (2, 4), (3, 3), (5, 3), (9, 2), (4, 2)];

fn any_tap() -> impl Strategy<Value = String> {
    (0..STOPS.len(), 0..6_u16, prop_oneof![Just("in"), Just("out"), Just("both"), Just("out!"), Just("in!")]).prop_map(
        |(line, stop, gate)| {
            let (line, stops) = STOPS[line];
            let stop = 1 + stop % stops + if line == 4 { 2 } else { 0 };
            format!("{} {line}.{stop}", if line == 9 { "ride" } else { gate })
        },
    )
}

proptest! {
    /// Whatever is tapped: an exit lets out, the steps add up, nothing exceeds the maximum or the cap, and a credit is
    /// what was overpaid and not yet taken off.
    #[test]
    fn any_day_of_taps(
        taps in proptest::collection::vec((any_tap(), 5..9_000_u32), 1..40),
        profile in prop_oneof![Just(Profile::Ordinary), Just(Profile::Student), Just(Profile::UnderSix)],
        purse in prop_oneof![Just(1_000_000), 0..1_000_i64],
    ) {
        let lagoon = lagoon();
        let mut view = card(profile);
        view.record.balance_after = Balance::from_minor(purse);
        let (mut now, mut credit) = (at("2026-11-24 10:00"), 0);
        for (spec, wait_s) in taps {
            now = Moment(now.0 + wait_s);
            let is_exit = spec.starts_with("out");
            let accept = match tap(&mut view, &lagoon, &spec, now) {
                Ok(accept) => accept,
                Err(refusal) => {
                    prop_assert!(!is_exit, "{spec}: {refusal}");
                    continue;
                }
            };
            let path = accept.path;
            let off_caps: i64 = path.caps.map_or(0, |caps| [caps.of_day, caps.of_month].into_iter().flatten().map(|cap| cap.off.minor()).sum());
            let off = path.transfer.map_or(0, |transfer| transfer.off.minor()) + off_caps + path.credit.minor();
            let (paid, overpaid, lacking) = match path.journey {
                Some(JourneyStep::TapOut(out)) => (out.paid.minor(), out.overpaid.minor(), out.lacking.minor()),
                Some(JourneyStep::TapIn(_)) | None => (0, 0, 0),
            };
            prop_assert_eq!(path.single_fare.minor() - off - paid + overpaid - lacking, accept.fare.minor(), "{}: {}", spec, path);
            prop_assert!(path.single_fare.minor() <= 960, "the railway's maximum in the rush hour: {path}");
            prop_assert!(path.unfinished.is_none_or(|unfinished| unfinished.owed.minor() <= 960));
            credit += overpaid - path.credit.minor();
            prop_assert_eq!(i64::from(accept.record.carried.action.1), credit);
            prop_assert!(accept.record.carried.caps.1 <= 900, "the cap of a day");
        }
    }

    /// A tap-in and a tap-out together are charged the price of the journey, and a longer one never less.
    #[test]
    fn both_taps_together_are_the_price(
        entry in 1..=6_u16, near in 0..6_u16, far in 0..6_u16, minutes in 15..120_u32, hour in 4..22_u32,
        profile in prop_oneof![Just(Profile::Ordinary), Just(Profile::Student)],
    ) {
        let lagoon = lagoon();
        let begin = at(&format!("2026-11-24 {hour:02}:30"));
        let total = |exit: u16| {
            let mut view = card(profile);
            let paid = tap(&mut view, &lagoon, &format!("in 1.{entry}"), begin).unwrap();
            let rest = tap(&mut view, &lagoon, &format!("out 1.{exit}"), Moment(begin.0 + 60 * minutes)).unwrap();
            assert_eq!(rest.path.single_fare.minor(), paid.fare.minor() + rest.fare.minor());
            paid.fare.minor() + rest.fare.minor()
        };
        let (near, far) = (near.min(far), near.max(far));
        for further in [|from: u16, by: u16| from.saturating_add(by).min(6), |from: u16, by: u16| from.saturating_sub(by).max(1)] {
            let (nearer, farther) = (total(further(entry, near)), total(further(entry, far)));
            prop_assert!(nearer <= farther && farther <= 600, "{nearer} and {farther}");
        }
    }
}
