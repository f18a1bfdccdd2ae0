//! Time of day, profiles and rounding.

use proptest::prelude::*;
use transit::card::Profile;
use transit::money::Amount;
use transit::tariff::{Rounding, RoundingDirection};

use crate::fare_table::{at, card, charges, refusal, ride, tariff, with_pass_of_line};

const RUSH_HOURS: &str = r#"
holidays = ["2026-11-26"]
rounding_minor = 500
rounding = "half_up"
[[time_band]]
days = ["monday", "tuesday", "wednesday", "thursday", "friday"]
from = "06:30"
until = "08:30"
percent_of_fare = 120
[[time_band]]
from = "22:00"
until = "04:00"
percent_of_fare = 75
[[time_band]]
days = ["sunday", "holiday"]
from = "04:00"
until = "04:00"
percent_of_fare = 50
[[discount]]
profile = "student"
percent_off = 50
[[discount]]
profile = "disabled"
percent_off = 99
[[line]]
number = 1
name = "1"
flat_fare_minor = 8000
stop = []
[[line]]
number = 2
name = "2"
flat_fare_minor = 8001
stop = []
"#;

/// 2026-11-24 is a Tuesday.
#[test]
fn the_time_of_day_and_the_profile_change_the_fare() {
    let rules = tariff(RUSH_HOURS);
    let table = [
        ("the fare of the line, as it stands", "2026-11-24 06:29", 1, Profile::Ordinary, 8_000),
        ("… though it is no multiple of 500", "2026-11-24 06:29", 2, Profile::Ordinary, 8_001),
        ("8,000 × 120 % = 9,600, to the nearest 500", "2026-11-24 06:30", 1, Profile::Ordinary, 9_500),
        ("the rush hour's last minute", "2026-11-24 08:29", 1, Profile::Ordinary, 9_500),
        ("it has ended", "2026-11-24 08:30", 1, Profile::Ordinary, 8_000),
        ("no rush hour on Saturday", "2026-11-28 07:00", 1, Profile::Ordinary, 8_000),
        ("nor on a holiday, a Thursday: 8,000 × 50 %", "2026-11-26 07:00", 1, Profile::Ordinary, 4_000),
        ("Sunday", "2026-11-29 12:00", 1, Profile::Ordinary, 4_000),
        ("two bands count: the first of the file, 75 %", "2026-11-29 23:00", 1, Profile::Ordinary, 6_000),
        ("01:00 on Monday is Sunday's night", "2026-11-30 01:00", 1, Profile::Ordinary, 6_000),
        ("03:59 on Monday too, 04:00 is Monday", "2026-11-30 03:59", 1, Profile::Ordinary, 6_000),
        ("04:00 on Monday", "2026-11-30 04:00", 1, Profile::Ordinary, 8_000),
        ("a student: 8,000 × 50 %", "2026-11-24 12:00", 1, Profile::Student, 4_000),
        ("in the rush hour: 8,000 × 120 % × 50 % = 4,800", "2026-11-24 07:00", 1, Profile::Student, 5_000),
        ("rounded once: 8,000 × 75 % × 50 % = 3,000", "2026-11-24 22:00", 1, Profile::Student, 3_000),
        ("1 % of 8,000 is 80, nearer to 0", "2026-11-24 12:00", 1, Profile::Disabled, 0),
        ("the last day of the profile, to its last second", "2026-12-01 03:59", 1, Profile::Student, 3_000),
        ("the profile has ended", "2026-12-01 04:00", 1, Profile::Student, 8_000),
        ("a free profile, at any time", "2026-11-24 07:00", 1, Profile::SixtyPlus, 0),
        ("a profile without a discount", "2026-11-24 12:00", 1, Profile::Merit, 8_000),
    ];
    for (what, local, line, profile, expected) in table {
        assert_eq!(charges(&rules, card(profile), &[(local, line)]), [expected], "{what}");
    }
    let with_pass = with_pass_of_line(card(Profile::Student), 1);
    assert_eq!(charges(&rules, with_pass, &[("2026-11-24 07:00", 1), ("2026-11-24 07:10", 2)]), [0, 5_000]);
}

#[test]
fn the_path_says_what_counted() {
    let rules = tariff(RUSH_HOURS);
    let path = ride(&mut card(Profile::Student), &rules, 1, at("2026-11-24 07:00")).path;
    assert_eq!((path.tariff_version, path.line.0, path.line_fare.minor()), (7, 1, 8_000));
    assert_eq!(path.time_band.map(|band| band.percent_of_fare), Some(120));
    assert_eq!(path.discount.map(|discount| discount.percent_off), Some(50));
    assert_eq!((path.single_fare.minor(), path.charge.minor(), path.free), (5_000, 5_000, None));
    let path = ride(&mut card(Profile::Ordinary), &rules, 1, at("2026-11-24 12:00")).path;
    assert_eq!((path.time_band, path.discount, path.charge.minor()), (None, None, 8_000));
}

#[test]
fn rounding_goes_where_the_tariff_says() {
    use RoundingDirection::{Down, HalfUp, Up};
    let table = [
        (8_000, 100, 1_000, Up, 8_000),
        (8_001, 100, 1_000, Up, 9_000),
        (8_999, 100, 1_000, Down, 8_000),
        (8_499, 100, 1_000, HalfUp, 8_000),
        (8_500, 100, 1_000, HalfUp, 9_000),
        (1, 50, 1, Down, 0),
        (1, 50, 1, HalfUp, 1),
        (1, 49, 1, HalfUp, 0),
        (3, 50, 1, Up, 2),
        (0, 100, 1_000, Up, 0),
    ];
    for (fare, percent, to, direction, expected) in table {
        let rounding = Rounding { to: Amount::from(to), direction };
        let rounded = rounding.apply(Amount::from(fare), [percent, 100]).unwrap();
        assert_eq!(rounded.minor(), expected, "{fare} × {percent} %, to {to} {direction:?}");
    }
    let most = Amount::from_minor(i64::MAX).unwrap();
    assert_eq!(Rounding::MINOR_UNIT.apply(most, [100, 100]), None);
}

#[test]
fn what_makes_no_sense_is_refused_with_a_remedy() {
    let table = [
        (
            "percent_off = 99",
            "percent_off = 100",
            "1 to 99 percent off, not 100; who rides at 0 is one of `free_profiles`",
        ),
        ("profile = \"disabled\"", "profile = \"student\"", "the discount of Student is there twice"),
        ("profile = \"disabled\"", "profile = \"ordinary\"", "a discount is for a profile, and ordinary is none"),
        ("rounding_minor = 500", "", "`rounding_minor` and `rounding` go together"),
        ("rounding_minor = 500", "rounding_minor = 0", "`rounding_minor` is 1 to 1000000 minor units, not 0"),
        (
            "until = \"08:30\"",
            "until = \"06:30\"",
            "from 06:30 until 06:30 is empty, or goes past the begin of the service day",
        ),
        ("from = \"22:00\"", "from = \"03:00\"\nuntil = \"05:00\"", "duplicate key"),
        ("until = \"08:30\"", "until = \"25:00\"", "`25:00` is no local time, such as 06:30"),
        ("percent_of_fare = 120", "percent_of_fare = 1001", "asks 1001 percent of the fare; the most is 1000"),
        ("days = [\"sunday\", \"holiday\"]", "days = []", "has no days; without `days` it counts on every day"),
        ("\"holiday\"]", "\"tet\"]", "unknown variant `tet`, expected one of `monday`"),
        ("2026-11-26", "26.11.2026", "`26.11.2026` is no service day"),
        (
            "flat_fare_minor = 8000",
            "flat_fare_minor = 14000000",
            "the fare of line 1 is more than a card's record holds",
        ),
    ];
    for (from, to, expected) in table {
        let refusal = refusal(&RUSH_HOURS.replacen(from, to, 1));
        assert!(refusal.contains(expected), "`{expected}` is not in `{refusal}`");
    }
    let past = RUSH_HOURS.replacen("until = \"04:00\"", "until = \"04:01\"", 1);
    assert!(refusal(&past).contains("from 22:00 until 04:01 is empty, or goes past the begin of the service day"));
}

proptest! {
    /// A rounded fare is a multiple, less than one multiple away, and on the side that the rule says.
    #[test]
    fn rounding_stays_within_one_multiple(
        fare in 0..0x0100_0000_u32, percent in 0..=1000_u16, left in 1..=100_u16, to in 1..=10_000_u32,
    ) {
        let exact = i128::from(fare) * i128::from(percent) * i128::from(left);
        let rounded = |direction| {
            let rounding = Rounding { to: Amount::from(to), direction };
            i128::from(rounding.apply(Amount::from(fare), [percent, left]).unwrap().minor()) * 10_000
        };
        let (up, down, half) =
            (rounded(RoundingDirection::Up), rounded(RoundingDirection::Down), rounded(RoundingDirection::HalfUp));
        let step = i128::from(to) * 10_000;
        prop_assert!(down <= exact && exact - down < step && down % step == 0);
        prop_assert!(up >= exact && up - exact < step && up % step == 0);
        prop_assert_eq!(half, if 2 * (exact - down) >= step { down + step } else { down });
    }

    /// A discount never makes a ride dearer, at whatever time.
    #[test]
    fn a_discount_never_costs_more(minute in 0..20_000_u32, line in 1..=2_u16) {
        let rules = tariff(RUSH_HOURS);
        let when = transit::time::Moment(at("2026-11-16 04:00").0 + 60 * minute);
        let of = |profile| ride(&mut card(profile), &rules, line, when).fare;
        prop_assert!(of(Profile::Student) <= of(Profile::Ordinary));
    }
}
