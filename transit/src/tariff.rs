//! The prices and the network, as data (`docs/tariff.md`).

use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::card::{ProductKind, Profile};
use crate::config::{self, ConfigError};
use crate::id::{LineNumber, StopNumber};
use crate::money::{Amount, Currency};
use crate::time::ServiceCalendar;

/// A tariff: one version of a city's prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tariff {
    /// Its number; every tap names the version it was decided by.
    pub version: u32,
    /// The one currency of its amounts.
    pub currency: Currency,
    /// Where service days begin.
    pub calendar: ServiceCalendar,
    /// A card that comes back to the place of its last tap within this many seconds has paid already.
    pub pass_back_window_s: u32,
    /// Profiles that ride at 0.
    pub free_profiles: Vec<Profile>,
    /// The lines.
    pub lines: Vec<Line>,
    /// The passes on sale.
    pub passes: Vec<Pass>,
}

/// A calendar-month pass on sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// For one route or for all.
    pub kind: ProductKind,
    /// The line of a one-route pass; 0 of one for all.
    pub line: LineNumber,
    /// What it costs whom, in minor units; a profile that is missing pays what `Ordinary` does, or cannot buy it.
    pub prices: BTreeMap<Profile, Amount>,
    /// The day of the month, 1 to 28, from which the pass of the next month is on sale.
    pub next_month_from_day: u8,
}

/// A line with one flat fare.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its number.
    pub number: LineNumber,
    /// Its name, as passengers know it.
    pub name: String,
    /// The fare of a boarding, in minor units.
    #[serde(rename = "flat_fare_minor")]
    pub flat_fare: Amount,
    /// Its stops in order.
    #[serde(rename = "stop")]
    pub stops: Vec<Stop>,
}

/// A stop of a line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// Its number, from 1.
    pub number: StopNumber,
    /// Its name.
    pub name: String,
    /// Its `stop_id` in the city's GTFS feed.
    pub gtfs_stop_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PassEntry {
    kind: ProductKind,
    line: Option<LineNumber>,
    price_minor: BTreeMap<Profile, Amount>,
    next_month_from_day: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TariffFile {
    version: u32,
    currency: Currency,
    time_zone: String,
    service_day_starts_at: String,
    pass_back_window_s: u32,
    free_profiles: Vec<Profile>,
    #[serde(rename = "line")]
    lines: Vec<Line>,
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
        if file.currency.minor_digits > 3 {
            return Err(refuse("a currency has at most 3 minor digits".to_owned()));
        }
        for (index, line) in file.lines.iter().enumerate() {
            if file.lines[..index].iter().any(|other| other.number == line.number) {
                return Err(refuse(format!("line {} is there twice", line.number.0)));
            }
            if line.flat_fare.minor() > 0x00FF_FFFF {
                return Err(refuse(format!("the fare of line {} is more than a card's record holds", line.number.0)));
            }
            for (index, stop) in line.stops.iter().enumerate() {
                if stop.number.0 == 0 || line.stops[..index].iter().any(|other| other.number == stop.number) {
                    return Err(refuse(format!(
                        "stop {} of line {} is 0 or there twice",
                        stop.number.0, line.number.0
                    )));
                }
            }
        }
        let mut passes: Vec<Pass> = Vec::new();
        for entry in file.passes {
            let pass = entry.checked(&file.lines).map_err(refuse)?;
            if passes.iter().any(|other| (other.kind, other.line) == (pass.kind, pass.line)) {
                return Err(refuse(format!("the {:?} of line {} is there twice", pass.kind, pass.line.0)));
            }
            passes.push(pass);
        }
        Ok(Self {
            version: file.version,
            currency: file.currency,
            calendar: ServiceCalendar { time_zone, day_starts_at },
            pass_back_window_s: file.pass_back_window_s,
            free_profiles: file.free_profiles,
            lines: file.lines,
            passes,
        })
    }

    /// The pass of this kind; `line` counts for a one-route pass only.
    pub fn pass(&self, kind: ProductKind, line: LineNumber) -> Option<&Pass> {
        self.passes.iter().find(|pass| pass.kind == kind && (pass.line == line || kind == ProductKind::AllRoutePass))
    }

    /// The line of this number.
    pub fn line(&self, number: LineNumber) -> Option<&Line> {
        self.lines.iter().find(|line| line.number == number)
    }
}

impl PassEntry {
    fn checked(self, lines: &[Line]) -> Result<Pass, String> {
        let line = match (self.kind, self.line) {
            (ProductKind::OneRoutePass, Some(line)) if lines.iter().any(|other| other.number == line) => line,
            (ProductKind::OneRoutePass, Some(line)) => {
                return Err(format!("a pass is for line {}, which has no [[line]] entry", line.0));
            }
            (ProductKind::OneRoutePass, None) => return Err("a one_route_pass needs its `line`".to_owned()),
            (ProductKind::AllRoutePass, None) => LineNumber(0),
            (ProductKind::AllRoutePass, Some(_)) => return Err("an all_route_pass has no `line`".to_owned()),
            (ProductKind::None, _) => return Err("a pass is a one_route_pass or an all_route_pass".to_owned()),
        };
        if let Some(price) = self.price_minor.values().find(|price| !(1..=0x00FF_FFFF).contains(&price.minor())) {
            return Err(format!(
                "a pass costs 1 to 16777215 minor units, as a card's record holds, not {}",
                price.minor()
            ));
        }
        if !(1..=28).contains(&self.next_month_from_day) {
            return Err(format!("`next_month_from_day` is 1 to 28, not {}", self.next_month_from_day));
        }
        let next_month_from_day = self.next_month_from_day;
        Ok(Pass { kind: self.kind, line, prices: self.price_minor, next_month_from_day })
    }
}

impl Line {
    /// The stop of this number.
    pub fn stop(&self, number: StopNumber) -> Option<&Stop> {
        self.stops.iter().find(|stop| stop.number == number)
    }
}
