//! The prices and the network, as data (`docs/tariff.md`).

use std::path::Path;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::card::Profile;
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
struct TariffFile {
    version: u32,
    currency: Currency,
    time_zone: String,
    service_day_starts_at: String,
    pass_back_window_s: u32,
    free_profiles: Vec<Profile>,
    #[serde(rename = "line")]
    lines: Vec<Line>,
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
        Ok(Self {
            version: file.version,
            currency: file.currency,
            calendar: ServiceCalendar { time_zone, day_starts_at },
            pass_back_window_s: file.pass_back_window_s,
            free_profiles: file.free_profiles,
            lines: file.lines,
        })
    }

    /// The line of this number.
    pub fn line(&self, number: LineNumber) -> Option<&Line> {
        self.lines.iter().find(|line| line.number == number)
    }
}

impl Line {
    /// The stop of this number.
    pub fn stop(&self, number: StopNumber) -> Option<&Stop> {
        self.stops.iter().find(|stop| stop.number == number)
    }
}
