//! The prices and the network, as data (`docs/tariff.md`).

mod caps;
mod check;
mod check_journeys;
mod diff;
mod journey;
mod line;
mod pass;
mod price;
mod transfer;
mod versions;

use std::path::Path;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde::Deserialize;

use self::journey::{JourneyFareEntry, PAID_MAX_MINOR, check_stops};
use self::line::{LineEntry, check_bands};
use self::pass::PassEntry;
use self::price::{TimeBandEntry, check_discounts};
use self::transfer::TransferEntry;
use crate::card::{ProductKind, Profile};
use crate::config::{self, ConfigError};
use crate::id::LineNumber;
use crate::money::{Amount, Currency};
use crate::time::{ServiceCalendar, ServiceDay, ServiceTime};

pub use caps::Caps;
pub use check::{TariffFinding, TariffFindingKind};
pub use diff::TariffChange;
pub use journey::{DistanceRate, DistanceStep, JourneyFare, JourneyPrice, JourneyPrices, JourneyRule, PairTable};
pub use line::{FareRule, InvalidLength, InvalidPosition, Length, Line, Position, RouteLengthBand, Stop};
pub use pass::Pass;
pub use price::{DayType, DayTypes, Discount, Rounding, RoundingDirection, TimeBand};
pub use transfer::{TransferFare, TransferRule};
pub use versions::{TariffPaths, Tariffs};

/// The most that one boarding may cost: the 24 bits of a card's record.
const FARE_MAX_MINOR: i64 = 0x00FF_FFFF;

/// A tariff: one version of a city's prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tariff {
    /// Its number; every tap names the version it was decided by.
    pub version: u32,
    /// The first service day on which it is in force; `None`: from ever.
    pub valid_from: Option<ServiceDay>,
    /// The last one; `None`: until the next version is.
    pub valid_until: Option<ServiceDay>,
    /// The one currency of its amounts.
    pub currency: Currency,
    /// Where service days begin.
    pub calendar: ServiceCalendar,
    /// A card that comes back to the place of its last tap within this many seconds has paid already.
    pub pass_back_window_s: u32,
    /// Profiles that ride at 0.
    pub free_profiles: Vec<Profile>,
    /// What profiles pay less.
    pub discounts: Vec<Discount>,
    /// When a boarding costs more or less; the first that counts is taken.
    pub time_bands: Vec<TimeBand>,
    /// Service days that are holidays, in order.
    pub holidays: Vec<ServiceDay>,
    /// How a fare is rounded after percentages.
    pub rounding: Rounding,
    /// What boardings cost that follow each other; `None` where each pays for itself.
    pub transfer: Option<TransferRule>,
    /// The most that one card pays.
    pub caps: Caps,
    /// What a boarding costs by the length of the route, from short to long; empty where every line has its own fare.
    pub route_length_bands: Vec<RouteLengthBand>,
    /// What journeys cost on lines with tap-in and tap-out.
    pub journey_fares: Vec<JourneyFare>,
    /// The lines.
    pub lines: Vec<Line>,
    /// The passes on sale.
    pub passes: Vec<Pass>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TariffFile {
    version: u32,
    valid_from: Option<ServiceDay>,
    valid_until: Option<ServiceDay>,
    currency: Currency,
    time_zone: String,
    service_day_starts_at: String,
    pass_back_window_s: u32,
    free_profiles: Vec<Profile>,
    #[serde(rename = "discount", default)]
    discounts: Vec<Discount>,
    #[serde(rename = "time_band", default)]
    time_bands: Vec<TimeBandEntry>,
    #[serde(default)]
    holidays: Vec<ServiceDay>,
    rounding_minor: Option<Amount>,
    rounding: Option<RoundingDirection>,
    transfer: Option<TransferEntry>,
    #[serde(default)]
    caps: Caps,
    #[serde(rename = "route_length_band", default)]
    route_length_bands: Vec<RouteLengthBand>,
    #[serde(rename = "journey_fare", default)]
    journey_fares: Vec<JourneyFareEntry>,
    #[serde(rename = "line")]
    lines: Vec<LineEntry>,
    #[serde(rename = "pass", default)]
    passes: Vec<PassEntry>,
}

impl Tariff {
    /// Reads a tariff file's `text`.
    ///
    /// # Errors
    /// [`ConfigError`] with `path`, the line where one is to blame, and what would be right.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let file: TariffFile = config::parse(path, text)?;
        let refuse = |message: String| ConfigError::whole_file(path, message);
        let time_zone = TimeZone::get(&file.time_zone)
            .map_err(|_| refuse(format!("`{}` is no IANA time zone, such as Asia/Ho_Chi_Minh", file.time_zone)))?;
        let day_starts_at: Time = file
            .service_day_starts_at
            .parse()
            .map_err(|_| refuse(format!("`{}` is no local time, such as 04:00", file.service_day_starts_at)))?;
        if let (Some(from), Some(until)) = (file.valid_from, file.valid_until)
            && until < from
        {
            return Err(refuse(format!("`valid_until` {until} is before `valid_from` {from}")));
        }
        if file.currency.minor_digits > 3 {
            return Err(refuse("a currency has at most 3 minor digits".to_owned()));
        }
        let calendar = ServiceCalendar { time_zone, day_starts_at };
        let rounding = Rounding::checked(file.rounding_minor, file.rounding).map_err(refuse)?;
        check_discounts(&file.discounts).map_err(refuse)?;
        let time_bands = file.time_bands.into_iter().map(|band| band.checked(&calendar));
        let time_bands: Vec<_> = time_bands.collect::<Result<_, _>>().map_err(refuse)?;
        let mut holidays = file.holidays;
        holidays.sort_unstable();
        check_bands(&file.route_length_bands).map_err(refuse)?;
        let mut journey_fares: Vec<JourneyFare> = Vec::new();
        for entry in file.journey_fares {
            let fare = entry.checked().map_err(refuse)?;
            if journey_fares.iter().any(|other| other.name == fare.name) {
                return Err(refuse(format!("[[journey_fare]] `{}` is there twice", fare.name)));
            }
            journey_fares.push(fare);
        }
        let mut lines: Vec<Line> = Vec::new();
        for entry in file.lines {
            if lines.iter().any(|other| other.number == entry.number) {
                return Err(refuse(format!("line {} is there twice", entry.number.0)));
            }
            let line = entry.checked(&file.route_length_bands, &journey_fares).map_err(refuse)?;
            lines.push(line);
        }
        check_stops(&journey_fares, &lines).map_err(refuse)?;
        let mut passes: Vec<Pass> = Vec::new();
        for entry in file.passes {
            let pass = entry.checked(&lines).map_err(refuse)?;
            if passes.iter().any(|other| (other.kind, other.line) == (pass.kind, pass.line)) {
                return Err(refuse(format!("the {:?} of line {} is there twice", pass.kind, pass.line.0)));
            }
            passes.push(pass);
        }
        file.caps.check().map_err(refuse)?;
        let transfer = file.transfer.map(|entry| entry.checked(&lines)).transpose().map_err(refuse)?;
        let tariff = Self {
            version: file.version,
            valid_from: file.valid_from,
            valid_until: file.valid_until,
            currency: file.currency,
            calendar,
            pass_back_window_s: file.pass_back_window_s,
            free_profiles: file.free_profiles,
            discounts: file.discounts,
            time_bands,
            holidays,
            rounding,
            transfer,
            caps: file.caps,
            route_length_bands: file.route_length_bands,
            journey_fares,
            lines,
            passes,
        };
        for line in &tariff.lines {
            let most = match line.fare_rule {
                FareRule::Flat | FareRule::RouteLength(_) => FARE_MAX_MINOR,
                FareRule::Journey(_) => PAID_MAX_MINOR,
            };
            if tariff.highest_fare_of(line).is_none_or(|fare| fare.minor() > most) {
                return Err(refuse(format!("the fare of line {} is more than a card's record holds", line.number.0)));
            }
        }
        tariff.transfer.iter().try_for_each(|rule| rule.check_amounts(&tariff)).map_err(refuse)?;
        Ok(tariff)
    }

    /// The pass of this kind; `line` counts for a one-route pass only.
    pub fn pass(&self, kind: ProductKind, line: LineNumber) -> Option<&Pass> {
        self.passes.iter().find(|pass| pass.kind == kind && (pass.line == line || kind == ProductKind::AllRoutePass))
    }

    /// The most that a boarding or a journey of any line costs, at whatever time; 0 without lines.
    pub fn highest_fare(&self) -> Amount {
        self.lines.iter().filter_map(|line| self.highest_fare_of(line)).max().unwrap_or(Amount::ZERO)
    }

    fn highest_fare_of(&self, line: &Line) -> Option<Amount> {
        let fare = self.journey_fare(line).map_or(line.fare, |journey| journey.maximum);
        let most_percent = self.time_bands.iter().map(|band| band.percent_of_fare).max().unwrap_or(100).max(100);
        Some(self.rounding.apply(fare, [most_percent, 100])?.max(fare))
    }

    /// The time band that counts at `time`.
    pub fn time_band(&self, time: ServiceTime) -> Option<&TimeBand> {
        if self.time_bands.is_empty() {
            return None;
        }
        let day = DayType::of(time.day, &self.holidays);
        self.time_bands.iter().find(|band| band.counts(day, time))
    }

    /// What riders of `profile` pay less.
    pub fn discount(&self, profile: Profile) -> Option<&Discount> {
        self.discounts.iter().find(|discount| discount.profile == profile)
    }

    /// The line of this number.
    pub fn line(&self, number: LineNumber) -> Option<&Line> {
        self.lines.iter().find(|line| line.number == number)
    }
}
