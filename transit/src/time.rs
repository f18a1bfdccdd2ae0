//! Moments and service days.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ZonedDateTime};
use serde::{Deserialize, Serialize};

/// A moment to the second: seconds since 1970-01-01T00:00:00Z, in 32 bits (until 2106), as a card's record has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(pub u32);

impl Moment {
    /// The distance to `other` in seconds, whichever is later: clocks of two validators may disagree about the order.
    pub fn distance_s(self, other: Self) -> u32 {
        self.0.abs_diff(other.0)
    }

    /// The moment as a civil timestamp in UTC.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_second(i64::from(self.0)).expect("32-bit seconds are inside jiff's range")
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timestamp().fmt(f)
    }
}

/// Where a service day begins: a tap at 02:59 belongs to the day before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCalendar {
    /// The time zone of the city.
    pub time_zone: TimeZone,
    /// The local time at which a service day begins, such as 04:00.
    pub day_starts_at: Time,
}

/// A moment as the city's timetable has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceTime {
    /// The service day.
    pub day: ServiceDay,
    /// Seconds of local time since the one at which service days begin, 0 to 86,399.
    pub second_of_day: u32,
}

impl ServiceCalendar {
    /// The service day that `moment` belongs to.
    pub fn service_day(&self, moment: Moment) -> ServiceDay {
        self.service_time(moment).day
    }

    /// The service day that `moment` belongs to, and the time of it.
    pub fn service_time(&self, moment: Moment) -> ServiceTime {
        let local = ZonedDateTime::new(moment.timestamp(), self.time_zone.clone()).datetime();
        let date = if local.time() < self.day_starts_at {
            local.date().yesterday().expect("32-bit moments are far from the calendar's ends")
        } else {
            local.date()
        };
        let day = ServiceDay::from_date(date).unwrap_or(ServiceDay(0));
        ServiceTime { day, second_of_day: self.second_of_day(local.time()) }
    }

    /// Seconds from the begin of a service day to `local`: of 01:00, where days begin at 04:00, 75,600.
    pub fn second_of_day(&self, local: Time) -> u32 {
        let of_midnight =
            |time: Time| 3600 * i32::from(time.hour()) + 60 * i32::from(time.minute()) + i32::from(time.second());
        (of_midnight(local) - of_midnight(self.day_starts_at)).rem_euclid(86_400).unsigned_abs()
    }

    /// The first and the last second of a service day, as far as 32-bit moments reach.
    pub fn span(&self, day: ServiceDay) -> (Moment, Moment) {
        let start = |day: ServiceDay| {
            let local = day.date().to_datetime(self.day_starts_at);
            let second = self.time_zone.to_timestamp(local).map_or(i64::MAX, Timestamp::as_second);
            u32::try_from(second.clamp(0, i64::from(u32::MAX))).unwrap_or(u32::MAX)
        };
        let next = ServiceDay(day.0.saturating_add(1));
        (Moment(start(day)), Moment(start(next).saturating_sub(1)))
    }

    /// The local time of `moment` as `HH:MM`.
    pub fn local_time(&self, moment: Moment) -> String {
        ZonedDateTime::new(moment.timestamp(), self.time_zone.clone()).strftime("%H:%M").to_string()
    }
}

/// A service day: days since 2000-01-01, in 16 bits (until 2179), as a card has it. Written as an ISO date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceDay(pub u16);

const DAY_ZERO: Date = jiff::civil::date(2000, 1, 1);

impl ServiceDay {
    /// The service day that begins on `date`; `None` before 2000-01-01 and after 2179-06-06.
    pub fn from_date(date: Date) -> Option<Self> {
        let days = DAY_ZERO.until(date).ok()?.get_days();
        u16::try_from(days).ok().map(Self)
    }

    /// The calendar date on which the day begins.
    pub fn date(self) -> Date {
        DAY_ZERO.checked_add(Span::new().days(i64::from(self.0))).expect("16-bit days are inside jiff's range")
    }
}

/// A calendar month. Written as `2026-12`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    /// 2000 to 2178.
    year: i16,
    /// 1 to 12.
    month: i8,
}

impl Month {
    /// The month in which `day` begins.
    pub fn of(day: ServiceDay) -> Self {
        let date = day.date();
        Self { year: date.year(), month: date.month() }
    }

    /// The month after it.
    pub fn next(self) -> Self {
        if self.month == 12 { Self { year: self.year + 1, month: 1 } } else { Self { month: self.month + 1, ..self } }
    }

    /// The month before it.
    pub fn previous(self) -> Self {
        if self.month == 1 { Self { year: self.year - 1, month: 12 } } else { Self { month: self.month - 1, ..self } }
    }

    /// Whole months since 2000-01.
    pub fn since_2000(self) -> u16 {
        (self.year.unsigned_abs().saturating_sub(2000)) * 12 + u16::from(self.month.unsigned_abs()).saturating_sub(1)
    }

    /// Its first service day.
    pub fn first_day(self) -> ServiceDay {
        self.day(1)
    }

    /// Its last service day.
    pub fn last_day(self) -> ServiceDay {
        ServiceDay(self.next().first_day().0.saturating_sub(1))
    }

    /// The service day that begins on its `day`-th, 1 to 28, which every month has.
    pub fn day(self, day: u8) -> ServiceDay {
        let date = jiff::civil::date(self.year, self.month, i8::try_from(day.clamp(1, 28)).unwrap_or(28));
        // Only the month before 2000-01 lies outside, and it is over.
        ServiceDay::from_date(date).unwrap_or(ServiceDay(0))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = InvalidMonth;

    fn from_str(text: &str) -> Result<Self, InvalidMonth> {
        let invalid = || InvalidMonth(text.to_owned());
        let (year, month) = text.split_once('-').ok_or_else(invalid)?;
        let parsed = Self { year: year.parse().map_err(|_| invalid())?, month: month.parse().map_err(|_| invalid())? };
        let is_written_so = parsed.to_string() == text;
        let exists = (2000..=2178).contains(&parsed.year) && (1..=12).contains(&parsed.month);
        if is_written_so && exists { Ok(parsed) } else { Err(invalid()) }
    }
}

/// A text that is no month.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no month; write one of 2000 or later as YYYY-MM")]
pub struct InvalidMonth(pub String);

impl fmt::Display for ServiceDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date().fmt(f)
    }
}

impl FromStr for ServiceDay {
    type Err = InvalidServiceDay;

    fn from_str(text: &str) -> Result<Self, InvalidServiceDay> {
        text.parse::<Date>().ok().and_then(Self::from_date).ok_or_else(|| InvalidServiceDay(text.to_owned()))
    }
}

impl Serialize for ServiceDay {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ServiceDay {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that is no service day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no service day; write a date of 2000 or later as YYYY-MM-DD")]
pub struct InvalidServiceDay(pub String);
