use std::path::Path;

use transit::card::{CarriedFields, Issuer, Product, ProductKind, Profile, Record, RecordKind};
use transit::fare::{Basis, Boarding, CardView, Decision, Gate, Refusal, decide};
use transit::id::{DeviceId, LineNumber, StopNumber, TapId};
use transit::money::{Amount, Balance};
use transit::tariff::Tariff;
use transit::time::{Moment, ServiceDay};

/// 2026-11-24 10:00 in Hanoi.
const NOW: Moment = Moment(1_795_489_200);
const TODAY: ServiceDay = ServiceDay(9824);
const HERE: (u32, u16) = (101, 23);

fn tap(device: u32, sequence: u32) -> TapId {
    TapId { device: DeviceId::new(device).unwrap(), epoch: 1, sequence }
}

fn ordinary(balance: i64) -> CardView {
    let record = Record {
        kind: RecordKind::Issued,
        card_sequence: 1,
        tap: None,
        previous: None,
        time: Moment(NOW.0 - 86_400),
        line: LineNumber(0),
        stop: StopNumber(0),
        amount: Amount::ZERO,
        balance_after: Balance::from_minor(balance),
        has_pass: false,
        has_profile: false,
        profile: Profile::Ordinary,
        carried: CarriedFields::default(),
        recovered: false,
    };
    CardView { record, issuer: None, denied: false }
}

fn with_issuer(balance: i64, profile: Profile, until: u16, pass: Option<(ProductKind, u16, u16, u16)>) -> CardView {
    let mut products = [Product::NONE; 5];
    if let Some((kind, line, from, until)) = pass {
        products[0] =
            Product { kind, line: LineNumber(line), valid_from: ServiceDay(from), valid_until: ServiceDay(until) };
    }
    CardView { issuer: Some(Issuer { profile, profile_valid_until: ServiceDay(until), products }), ..ordinary(balance) }
}

/// A card that was let in at `stop` by `device` some seconds ago.
fn boarded(device: u32, stop: u16, seconds_ago: u32) -> CardView {
    let mut view = ordinary(50_000);
    view.record.kind = RecordKind::Boarding;
    view.record.tap = Some(tap(device, 7));
    view.record.line = LineNumber(1);
    view.record.stop = StopNumber(stop);
    view.record.time = Moment(NOW.0 - seconds_ago);
    view
}

/// What the table says of a decision: the fare and a word, or the refusal.
fn spoken(view: &CardView) -> String {
    let tariff = include_str!("../../../fixtures/hanoi/tariff.toml");
    let tariff = Tariff::parse(Path::new("tariff.toml"), tariff).unwrap();
    let boarding =
        Boarding { tap: tap(HERE.0, 9), line: LineNumber(1), stop: StopNumber(HERE.1), at: NOW, gate: Gate::ENTRY };
    match decide(view, &tariff, &boarding) {
        Decision::Accept(accept) => {
            assert_eq!(accept.record.tap, Some(boarding.tap));
            assert_eq!(accept.record.previous, view.record.tap);
            assert_eq!(accept.record.card_sequence, view.record.card_sequence + 1);
            let paid = view.record.balance_after.minor() - accept.record.balance_after.minor();
            assert_eq!(paid, accept.fare.minor(), "the mirror moves with the fare");
            assert_eq!(accept.record.amount, accept.fare);
            assert!(!accept.record.recovered, "that an earlier tap was torn is not this one's to say");
            let word = match accept.basis {
                Basis::FlatFare => "flat".to_owned(),
                Basis::RouteLength => "by length".to_owned(),
                Basis::Journey | Basis::TimeBand | Basis::Discount(_) | Basis::Transfer | Basis::Cap => {
                    panic!("Hanoi has none: {accept:?}")
                }
                Basis::Pass { days_left, .. } => format!("pass, {days_left} days left"),
                Basis::FreeProfile(profile) => format!("free {profile:?}"),
            };
            let expired = accept.expired_pass.map_or_else(String::new, |day| format!(", pass ended {day}"));
            format!("{} {word}{expired}", accept.fare.minor())
        }
        Decision::Refuse(Refusal::NotEnough { balance, fare }) => {
            format!("not enough: {} of {}", balance.minor(), fare.minor())
        }
        Decision::Refuse(refusal) => format!("{refusal:?}"),
    }
}

#[test]
fn the_fare_table() {
    use ProductKind::{AllRoutePass, OneRoutePass};
    use Profile::{Ordinary, SixtyPlus, Student};
    let today = TODAY.0;
    let table = [
        (ordinary(50_000), "8000 by length"),
        (ordinary(8_000), "8000 by length"),
        (ordinary(7_999), "not enough: 7999 of 8000"),
        (ordinary(-1), "not enough: -1 of 8000"),
        (CardView { denied: true, ..ordinary(50_000) }, "Denied"),
        (with_issuer(0, SixtyPlus, today, None), "0 free SixtyPlus"),
        (with_issuer(-8_000, SixtyPlus, today, None), "0 free SixtyPlus"),
        (with_issuer(9_000, SixtyPlus, today - 1, None), "8000 by length"),
        (with_issuer(9_000, Student, today + 9, None), "8000 by length"),
        (with_issuer(0, Student, today + 9, Some((OneRoutePass, 1, today - 18, today + 12))), "0 pass, 12 days left"),
        (with_issuer(0, Ordinary, 0, Some((OneRoutePass, 1, today, today))), "0 pass, 0 days left"),
        (with_issuer(0, Ordinary, 0, Some((AllRoutePass, 0, today, today + 1))), "0 pass, 1 days left"),
        (with_issuer(9_000, Ordinary, 0, Some((OneRoutePass, 6, today, today + 12))), "8000 by length"),
        (with_issuer(9_000, Ordinary, 0, Some((OneRoutePass, 1, today + 1, today + 12))), "8000 by length"),
        (
            with_issuer(9_000, Student, today + 9, Some((OneRoutePass, 1, today - 30, today - 1))),
            "8000 by length, pass ended 2026-11-23",
        ),
        // Pass-back: the same validator, another at the same stop, another stop; inside and outside of five minutes.
        (boarded(HERE.0, HERE.1, 299), "AlreadyPaid"),
        (boarded(HERE.0, HERE.1, 300), "8000 by length"),
        (boarded(102, HERE.1, 10), "UseSameGate"),
        (boarded(102, 5, 10), "8000 by length"),
    ];
    for (view, expected) in table {
        assert_eq!(spoken(&view), expected, "{view:?}");
    }
}

#[test]
fn a_clock_that_went_back_is_still_the_same_boarding() {
    let mut view = boarded(HERE.0, HERE.1, 0);
    view.record.time = Moment(NOW.0 + 20);
    assert_eq!(spoken(&view), "AlreadyPaid");
}

#[test]
fn a_load_before_the_first_ride_is_no_ride() {
    let mut view = ordinary(50_000);
    view.record.kind = RecordKind::Load;
    view.record.time = NOW;
    // The desk that issued and loaded it is this very device.
    (view.record.previous, view.record.tap) = (Some(tap(HERE.0, 1)), Some(tap(HERE.0, 2)));
    assert_eq!(spoken(&view), "8000 by length");
}

#[test]
fn a_card_at_the_end_of_its_counter_is_not_wrapped() {
    let mut view = ordinary(50_000);
    view.record.card_sequence = 0x00FF_FFFE;
    assert_eq!(spoken(&view), "8000 by length", "the last record that a card takes");
    view.record.card_sequence = 0x00FF_FFFF;
    assert_eq!(spoken(&view), "CannotDecide");
}

#[test]
fn an_open_journey_is_closed_by_a_flat_fare() {
    let mut view = boarded(900, 5, 1200);
    view.record.kind = RecordKind::TapIn;
    view.record.carried.journey = (5, 0, 8000);
    view.record.carried.action = (12, -300);
    view.record.recovered = true;
    assert_eq!(spoken(&view), "8000 by length");
}
