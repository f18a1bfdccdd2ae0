//! The tariff that a new one follows.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use transit::config::ConfigError;
use transit::tariff::Tariff;

use crate::config;

/// When a service day begins where no base says otherwise: 04:00.
pub(super) const DAY_STARTS_AT_S: u32 = 4 * 3600;

/// A tariff in force: the new one keeps the numbers of its lines and stops, and what a feed does not speak of.
#[derive(Debug, Clone)]
pub struct Base {
    pub(super) table: toml::Table,
    pub(super) tariff: Tariff,
}

impl Base {
    /// Reads the tariff of `file`.
    ///
    /// # Errors
    /// [`ConfigError`] where it is none.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let text = config::read(file)?;
        let tariff = Tariff::parse(file, &text)?;
        let table = transit::config::parse(file, &text)?;
        Ok(Self { table, tariff })
    }

    pub(super) fn day_starts_at_s(&self) -> u32 {
        let time = self.tariff.calendar.day_starts_at;
        let part = |part: i8| u32::try_from(part).unwrap_or(0);
        part(time.hour()) * 3600 + part(time.minute()) * 60 + part(time.second())
    }

    /// The numbers of its lines by name.
    pub(super) fn line_numbers(&self) -> BTreeMap<&str, u16> {
        self.tariff.lines.iter().map(|line| (&*line.name, line.number.0)).collect()
    }

    /// The numbers of its stops by their id, as far as a number is one stop.
    pub(super) fn stop_numbers(&self) -> HashMap<&str, u16> {
        let (mut numbers, mut taken) = (HashMap::new(), HashMap::new());
        for stop in self.tariff.lines.iter().flat_map(|line| &line.stops) {
            if *taken.entry(stop.number).or_insert(&*stop.gtfs_stop_id) == stop.gtfs_stop_id {
                numbers.entry(&*stop.gtfs_stop_id).or_insert(stop.number.0);
            }
        }
        numbers
    }
}
