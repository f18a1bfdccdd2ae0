//! Tariffs as a fare officer states them, and what a day of taps costs under each.

use std::path::Path;

use transit::card::{CarriedFields, Issuer, Product, ProductKind, Profile, Record, RecordKind};
use transit::fare::{Accept, Boarding, CardView, Decision, Gate, decide};
use transit::id::{DeviceId, LineNumber, StopNumber, TapId};
use transit::money::{Amount, Balance};
use transit::tariff::Tariff;
use transit::time::{Moment, ServiceDay};

/// What every tariff of these tables has before its own rules.
const HEAD: &str = r#"
version = 7
time_zone = "Asia/Ho_Chi_Minh"
service_day_starts_at = "04:00"
pass_back_window_s = 60
free_profiles = ["sixty_plus"]
currency = { code = "VND", minor_digits = 0, sign = "₫" }
"#;

pub(crate) fn tariff(rules: &str) -> Tariff {
    Tariff::parse(Path::new("tariff.toml"), &format!("{HEAD}{rules}")).unwrap()
}

pub(crate) fn refusal(rules: &str) -> String {
    Tariff::parse(Path::new("tariff.toml"), &format!("{HEAD}{rules}")).unwrap_err().to_string()
}

/// A moment of Hanoi's clocks, such as `2026-11-24 10:00`.
pub(crate) fn at(local: &str) -> Moment {
    let instant: jiff::Timestamp = format!("{}+07:00", local.replace(' ', "T")).parse().unwrap();
    Moment(u32::try_from(instant.as_second()).unwrap())
}

/// A card with a million in its purse that has never been used.
pub(crate) fn card(profile: Profile) -> CardView {
    let record = Record {
        kind: RecordKind::Issued,
        card_sequence: 1,
        tap: None,
        previous: None,
        time: at("2026-11-01 10:00"),
        line: LineNumber(0),
        stop: StopNumber(0),
        amount: Amount::ZERO,
        balance_after: Balance::from_minor(1_000_000),
        has_pass: false,
        has_profile: profile != Profile::Ordinary,
        profile,
        carried: CarriedFields::default(),
        recovered: false,
    };
    let profile_valid_until = "2026-11-30".parse().unwrap();
    let issuer = Issuer { profile, profile_valid_until, products: [Product::NONE; 5] };
    CardView { record, issuer: record.has_profile.then_some(issuer), denied: false }
}

pub(crate) fn with_pass_of_line(mut view: CardView, line: u16) -> CardView {
    let profile = view.record.profile;
    let mut issuer =
        view.issuer.unwrap_or(Issuer { profile, profile_valid_until: ServiceDay(0), products: [Product::NONE; 5] });
    issuer.products[0] = Product {
        kind: ProductKind::OneRoutePass,
        line: LineNumber(line),
        valid_from: "2026-11-01".parse().unwrap(),
        valid_until: "2026-11-30".parse().unwrap(),
    };
    view.record.has_pass = true;
    view.issuer = Some(issuer);
    view
}

/// One accepted ride; the card has its record afterwards. Every ride is at another validator.
pub(crate) fn ride(view: &mut CardView, tariff: &Tariff, line: u16, at: Moment) -> Accept {
    let sequence = view.record.card_sequence;
    let tap = TapId { device: DeviceId::new(sequence + 100).unwrap(), epoch: 1, sequence };
    let boarding = Boarding { tap, line: LineNumber(line), stop: StopNumber(1), at, gate: Gate::ENTRY };
    let decision = decide(view, tariff, &boarding);
    let Decision::Accept(accept) = decision else { panic!("line {line} at {at}: {decision:?}") };
    let written = accept.record.encode().unwrap();
    assert_eq!(Record::decode(&written).unwrap(), accept.record, "the record holds what was decided");
    view.record = accept.record;
    accept
}

/// Taps as `(local time, line)`, and what each was charged.
pub(crate) fn charges(tariff: &Tariff, mut view: CardView, taps: &[(&str, u16)]) -> Vec<i64> {
    taps.iter().map(|(local, line)| ride(&mut view, tariff, *line, at(local)).fare.minor()).collect()
}

/// Hanoi's five bands since 1 November 2024 (Thời Đại 205933; Thị trường hàng hóa 265028), at their edges.
#[test]
fn hanoi_charges_by_the_length_of_the_route() {
    let table = [
        ("0.001", 8_000),
        ("14.77", 8_000),
        ("14.999", 8_000),
        ("15", 10_000),
        ("24.999", 10_000),
        ("25", 12_000),
        ("29.9", 12_000),
        ("30.000", 15_000),
        ("39.99", 15_000),
        ("40", 20_000),
        ("9999.999", 20_000),
    ];
    let hanoi = include_str!("../../../fixtures/hanoi/tariff.toml");
    for (length_km, expected) in table {
        let text = hanoi.replace("14.77", length_km);
        let tariff = Tariff::parse(Path::new("tariff.toml"), &text).unwrap();
        let charged = charges(&tariff, card(Profile::Ordinary), &[("2026-11-24 10:00", 1)]);
        assert_eq!(charged, [expected], "a route of {length_km} km");
    }
}

#[test]
fn lengths_are_read_and_written_as_decimals() {
    let table = [("14.77", "14.77"), ("15", "15"), ("015.500", "15.5"), ("0.001", "0.001"), ("9999.999", "9999.999")];
    for (text, expected) in table {
        assert_eq!(text.parse::<transit::tariff::Length>().unwrap().to_string(), expected);
    }
    for wrong in ["", "0", "0.000", ".5", "5.", "-1", "+1", "1e3", "10000", "1.2345", "14,77", "1 5", "３"] {
        assert!(wrong.parse::<transit::tariff::Length>().is_err(), "{wrong}");
    }
}

/// A day in the city of `fixtures/every-rule`, in cents. 2026-11-24 is a Tuesday.
#[test]
fn every_rule_in_one_day() {
    let text = include_str!("../../../fixtures/every-rule/tariff.toml");
    let rules = Tariff::parse(Path::new("tariff.toml"), text).unwrap();
    let taps = [
        ("2026-11-24 06:00", 1),
        ("2026-11-24 06:30", 3),
        ("2026-11-24 08:00", 2),
        ("2026-11-24 08:30", 9),
        ("2026-11-24 09:00", 3),
        ("2026-11-24 12:00", 9),
    ];
    // In Hanoi's time; the city is an hour ahead, so the first is at 07:00, in the rush hour: 4.00 × 125 %. Then 9.00 ×
    // 125 % = 11.25, down to 11.20, of which 5.00 are paid. At 09:00 a new chain and no rush hour: 6.50. The ferry. To the
    // airport 2.50 more, of which the cap of 30.00 leaves 0.30, and then nothing.
    assert_eq!(charges(&rules, card(Profile::Ordinary), &taps), [500, 620, 650, 1_200, 30, 0]);
    assert_eq!(charges(&rules, card(Profile::Student), &taps), [250, 310, 320, 600, 130, 600]);
}
