//! Rules that change the fare of a line: the time of day, the rider's profile, and rounding.

use jiff::civil::{Time, Weekday};
use serde::Deserialize;

use crate::card::Profile;
use crate::money::Amount;
use crate::time::{ServiceCalendar, ServiceDay, ServiceTime};

/// The most that a time band may ask, in percent of the fare.
const PERCENT_MAX: u16 = 1_000;

/// How a fare that percentages made is brought to an amount that can be charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounding {
    /// Charged are multiples of this; 1 minor unit or more.
    pub to: Amount,
    /// Which way.
    pub direction: RoundingDirection,
}

/// Which of the two multiples beside a fare is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundingDirection {
    /// The higher one.
    Up,
    /// The lower one.
    Down,
    /// The nearer one, and the higher one from exactly between.
    HalfUp,
}

/// Riders of a profile pay less while it is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discount {
    /// Who.
    pub profile: Profile,
    /// How much less, 1 to 99 percent.
    pub percent_off: u8,
}

/// Part of the day in which a boarding costs more or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeBand {
    /// On which days.
    pub days: DayTypes,
    /// From this local time on …
    pub from: Time,
    /// … to just before this one.
    pub until: Time,
    /// What is charged: 0 to 1000 percent of the fare.
    pub percent_of_fare: u16,
    /// `from` and `until` in seconds since the service day began, so that a band after midnight is of the day before.
    span_s: (u32, u32),
}

/// A set of kinds of service day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayTypes(u8);

/// A kind of service day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DayType {
    /// A Monday that is no holiday; and so on.
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
    /// One of the tariff's holidays, whatever day of the week it is.
    Holiday,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimeBandEntry {
    days: Option<Vec<DayType>>,
    from: String,
    until: String,
    percent_of_fare: u16,
}

impl Rounding {
    /// Percentages leave no fraction of a minor unit, and nothing else is rounded.
    pub const MINOR_UNIT: Self = Self { to: Amount::MINOR_UNIT, direction: RoundingDirection::HalfUp };

    /// `amount` times each of `percents`, rounded once, at the end. `None` on overflow.
    pub fn apply(self, amount: Amount, percents: [u16; 2]) -> Option<Amount> {
        let exact =
            percents.into_iter().try_fold(amount.minor(), |exact, percent| exact.checked_mul(percent.into()))?;
        self.round(exact, 100 * 100)
    }

    /// `exact` parts of a minor unit, of which `parts` make one, rounded. `None` on overflow.
    pub(super) fn round(self, exact: i64, parts: i64) -> Option<Amount> {
        let step = self.to.minor().checked_mul(parts)?;
        let (whole, rest) = (exact.checked_div(step)?, exact.checked_rem(step)?);
        let up = match self.direction {
            RoundingDirection::Up => rest > 0,
            RoundingDirection::Down => false,
            RoundingDirection::HalfUp => rest >= step - rest,
        };
        Amount::from_minor((whole + i64::from(up)).checked_mul(self.to.minor())?)
    }

    pub(super) fn checked(to: Option<Amount>, direction: Option<RoundingDirection>) -> Result<Self, String> {
        match (to, direction) {
            (None, None) => Ok(Self::MINOR_UNIT),
            (Some(to), Some(direction)) if (1..=1_000_000).contains(&to.minor()) => Ok(Self { to, direction }),
            (Some(to), Some(_)) => Err(format!("`rounding_minor` is 1 to 1000000 minor units, not {}", to.minor())),
            (Some(_), None) | (None, Some(_)) => Err("`rounding_minor` and `rounding` go together".to_owned()),
        }
    }
}

/// One discount for a profile at most, and none that says nothing.
pub(super) fn check_discounts(discounts: &[Discount]) -> Result<(), String> {
    for (index, discount) in discounts.iter().enumerate() {
        let profile = discount.profile;
        if !(1..=99).contains(&discount.percent_off) {
            return Err(format!(
                "the discount of {profile:?} is 1 to 99 percent off, not {}; who rides at 0 is one of `free_profiles`",
                discount.percent_off
            ));
        }
        if profile == Profile::Ordinary {
            return Err("a discount is for a profile, and ordinary is none: lower the fares".to_owned());
        }
        if discounts[..index].iter().any(|other| other.profile == profile) {
            return Err(format!("the discount of {profile:?} is there twice"));
        }
    }
    Ok(())
}

impl TimeBand {
    /// Whether it counts at `time` of a service day that is of `day`.
    pub fn counts(&self, day: DayType, time: ServiceTime) -> bool {
        self.days.contains(day) && (self.span_s.0..self.span_s.1).contains(&time.second_of_day)
    }

    /// Its seconds of the service day: from the first to just before the second.
    pub fn span_s(&self) -> (u32, u32) {
        self.span_s
    }
}

impl TimeBandEntry {
    pub(super) fn checked(self, calendar: &ServiceCalendar) -> Result<TimeBand, String> {
        let local = |text: &str| text.parse::<Time>().map_err(|_| format!("`{text}` is no local time, such as 06:30"));
        let (from, until) = (local(&self.from)?, local(&self.until)?);
        // A band may end with the service day, and never goes past it.
        let span_s = match (calendar.second_of_day(from), calendar.second_of_day(until)) {
            (from_s, 0) => (from_s, 86_400),
            span_s => span_s,
        };
        let named = format!("the time band from {} until {}", self.from, self.until);
        if span_s.0 >= span_s.1 {
            return Err(format!("{named} is empty, or goes past the begin of the service day: make two of it"));
        }
        if self.percent_of_fare > PERCENT_MAX {
            return Err(format!(
                "{named} asks {} percent of the fare; the most is {PERCENT_MAX}",
                self.percent_of_fare
            ));
        }
        let days = self.days.map_or(DayTypes::EVERY_DAY, |days| DayTypes::of(&days));
        if days == DayTypes::of(&[]) {
            return Err(format!("{named} has no days; without `days` it counts on every day"));
        }
        Ok(TimeBand { days, from, until, percent_of_fare: self.percent_of_fare, span_s })
    }
}

impl DayTypes {
    /// All of them.
    pub const EVERY_DAY: Self = Self(u8::MAX);

    fn of(days: &[DayType]) -> Self {
        Self(days.iter().fold(0, |set, day| set | 1 << *day as u8))
    }

    /// Whether `day` is one of them.
    pub fn contains(self, day: DayType) -> bool {
        self.0 & 1 << day as u8 != 0
    }

    /// The days of both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether it is no day.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl DayType {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
        Self::Holiday,
    ];

    /// Its name in a tariff file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Monday => "monday",
            Self::Tuesday => "tuesday",
            Self::Wednesday => "wednesday",
            Self::Thursday => "thursday",
            Self::Friday => "friday",
            Self::Saturday => "saturday",
            Self::Sunday => "sunday",
            Self::Holiday => "holiday",
        }
    }

    /// What `day` is, given the holidays in order.
    pub fn of(day: ServiceDay, holidays: &[ServiceDay]) -> Self {
        if holidays.binary_search(&day).is_ok() {
            return Self::Holiday;
        }
        match day.date().weekday() {
            Weekday::Monday => Self::Monday,
            Weekday::Tuesday => Self::Tuesday,
            Weekday::Wednesday => Self::Wednesday,
            Weekday::Thursday => Self::Thursday,
            Weekday::Friday => Self::Friday,
            Weekday::Saturday => Self::Saturday,
            Weekday::Sunday => Self::Sunday,
        }
    }
}
