use jiff::civil::time;
use jiff::tz::TimeZone;
use transit::id::TapId;
use transit::money::{Amount, Balance, Currency};
use transit::time::{Moment, Month, ServiceCalendar, ServiceDay};

#[test]
fn amounts_are_written_as_the_country_writes_them() {
    let dong = Currency { code: "VND".into(), minor_digits: 0, sign: "₫".into() };
    let dollar = Currency { code: "HKD".into(), minor_digits: 2, sign: "$".into() };
    let table = [
        (&dong, 0, "0\u{a0}₫"),
        (&dong, 500, "500\u{a0}₫"),
        (&dong, 8000, "8.000\u{a0}₫"),
        (&dong, 140_000, "140.000\u{a0}₫"),
        (&dong, -42000, "−42.000\u{a0}₫"),
        (&dong, 1_234_567, "1.234.567\u{a0}₫"),
        (&dollar, 5, "0,05\u{a0}$"),
        (&dollar, 123_456, "1.234,56\u{a0}$"),
    ];
    for (currency, minor, expected) in table {
        assert_eq!(currency.display(minor).to_string(), expected);
    }
}

#[test]
fn arithmetic_is_checked() {
    let most = Amount::from_minor(i64::MAX).unwrap();
    assert_eq!(most.checked_add(Amount::from(1)), None);
    assert_eq!(Amount::from(8000).checked_add(Amount::from(3000)), Some(Amount::from(11_000)));
    assert_eq!(Amount::from_minor(-1), None);
    assert_eq!(Balance::from_minor(i64::MIN).checked_debit(Amount::from(1)), None);
    assert_eq!(Balance::from_minor(3000).checked_debit(Amount::from(8000)), Some(Balance::from_minor(-5000)));
    assert_eq!(most.card_minor(), None);
}

#[test]
fn a_service_day_begins_at_four_in_hanoi() {
    let hanoi =
        ServiceCalendar { time_zone: TimeZone::get("Asia/Ho_Chi_Minh").unwrap(), day_starts_at: time(4, 0, 0, 0) };
    let day = |text: &str| {
        let second = text.parse::<jiff::Timestamp>().unwrap().as_second();
        hanoi.service_day(Moment(u32::try_from(second).unwrap())).to_string()
    };
    assert_eq!(day("2026-11-24T02:59:00+07:00"), "2026-11-23");
    assert_eq!(day("2026-11-24T03:59:59+07:00"), "2026-11-23");
    assert_eq!(day("2026-11-24T04:00:00+07:00"), "2026-11-24");
    assert_eq!(hanoi.local_time(Moment(0)), "08:00");
    assert_eq!(Moment(1_795_489_200).to_string(), "2026-11-24T03:00:00Z");
}

#[test]
fn the_seconds_of_a_service_day_are_counted_from_its_begin() {
    let calendar = |day_starts_at| ServiceCalendar { time_zone: TimeZone::UTC, day_starts_at };
    let (four, odd) = (calendar(time(4, 0, 0, 0)), calendar(time(4, 30, 15, 0)));
    let table = [
        (&four, time(4, 0, 0, 0), 0),
        (&four, time(4, 0, 1, 0), 1),
        (&four, time(4, 1, 0, 0), 60),
        (&four, time(5, 0, 0, 0), 3_600),
        (&four, time(1, 0, 0, 0), 75_600),
        (&four, time(3, 59, 59, 0), 86_399),
        (&odd, time(4, 30, 15, 0), 0),
        (&odd, time(5, 31, 16, 0), 3_661),
        (&odd, time(4, 30, 14, 0), 86_399),
    ];
    for (calendar, local, expected) in table {
        assert_eq!(calendar.second_of_day(local), expected, "{local} of a day from {}", calendar.day_starts_at);
    }
}

/// Cards and their readers count months alike.
#[test]
fn months_are_counted_from_2000() {
    let table = [("2000-01-01", 0), ("2000-02-01", 1), ("2001-01-01", 12), ("2026-11-24", 322), ("2026-12-31", 323)];
    for (day, expected) in table {
        assert_eq!(Month::of(day.parse().unwrap()).since_2000(), expected, "{day}");
    }
}

#[test]
fn days_and_taps_are_read_as_they_are_written() {
    let day: ServiceDay = "2026-11-24".parse().unwrap();
    assert_eq!((day.0, day.to_string().as_str()), (9824, "2026-11-24"));
    assert!("24.11.2026".parse::<ServiceDay>().is_err());
    assert!("1999-12-31".parse::<ServiceDay>().is_err());
    let tap: TapId = "12-1-4711".parse().unwrap();
    assert_eq!(tap.to_string(), "12-1-4711");
    for wrong in ["", "12-1", "0-1-1", "12-256-1", "12-1-1-1", "a-b-c", "16777216-1-1"] {
        assert!(wrong.parse::<TapId>().is_err(), "{wrong}");
    }
}
