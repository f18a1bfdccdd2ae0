//! A tariff that waits on the validator for its first service day.

use std::fs;
use std::path::Path;

use transit::id::LineNumber;
use transit::money::Amount;
use transit::screen::State;
use transit::tariff::Tariffs;
use transit::time::{Moment, ServiceDay};

use crate::world::{Bus, Cards, NOW, TODAY, fixtures, tariff};

/// Hanoi's tariff, and from tomorrow on one whose line costs 9,000.
fn tariffs() -> Tariffs {
    let path = fixtures().join("hanoi/tariff.toml");
    let today = fs::read_to_string(&path).unwrap();
    let tomorrow = ServiceDay(TODAY.0 + 1);
    let version = format!("version = {}", tariff().version);
    let tomorrow = today.replacen(&version, &format!("version = 900\nvalid_from = \"{tomorrow}\""), 1);
    let dearer = tomorrow.replace("8000", "9000");
    assert_ne!(tomorrow, dearer);
    Tariffs::parse([(Path::new("today"), today.as_str()), (Path::new("tomorrow"), dearer.as_str())]).unwrap()
}

#[test]
fn the_fare_is_that_of_the_service_day_with_no_network() {
    let tariffs = tariffs();
    let of_line = |version: u32| tariffs.of_version(version).line(LineNumber(1)).unwrap().fare.minor();
    assert_eq!((of_line(tariff().version), of_line(900)), (8_000, 9_000));
    let (end, _) = tariffs.calendar().span(ServiceDay(TODAY.0 + 1));
    let mut bus = Bus::with_tariffs(101, 23, tariffs);
    let table = [(NOW, 8_000, tariff().version), (Moment(end.0 - 1), 8_000, tariff().version), (end, 9_000, 900)];
    for (at, fare_minor, version) in table {
        let mut cards = Cards::new();
        let presented = bus.tap(&mut cards, "adult", at);
        let State::Accepted { fare, .. } = presented.state() else { panic!("{:?}", presented.state()) };
        assert_eq!(*fare, Amount::from(fare_minor), "{at}");
        assert_eq!(bus.taps().last().unwrap().tariff_version, version, "{at}");
    }
}
