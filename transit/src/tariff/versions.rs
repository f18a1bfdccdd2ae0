//! The versions of a city's tariff, each in force from a service day on.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Line, Tariff};
use crate::config::ConfigError;
use crate::id::LineNumber;
use crate::money::{Amount, Currency};
use crate::time::{Moment, ServiceCalendar, ServiceDay};

/// Every version that is at hand, at least one. Between the first day of the first and the last day of the last, exactly
/// one is in force on each service day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tariffs {
    /// In the order in which they are in force.
    versions: Vec<Tariff>,
}

impl Tariffs {
    /// Reads tariff files, in any order, each a path and its text.
    ///
    /// # Errors
    /// [`ConfigError`] with the path of the file that is no tariff, or that does not go with the others: the same
    /// number, the same first day, another currency, time zone or begin of the service day, or days before it with no
    /// tariff or with two.
    pub fn parse<'a>(files: impl IntoIterator<Item = (&'a Path, &'a str)>) -> Result<Self, ConfigError> {
        let mut versions = Vec::new();
        for (path, text) in files {
            versions.push((path, Tariff::parse(path, text)?));
        }
        versions.sort_by_key(|(_, tariff)| tariff.valid_from);
        for (index, (path, tariff)) in versions.iter().enumerate() {
            let refuse = |message: String| Err(ConfigError::whole_file(path, message));
            for (other_path, other) in &versions[..index] {
                if other.version == tariff.version {
                    return refuse(format!("version {} is that of {} too", tariff.version, other_path.display()));
                }
                if (&other.currency, &other.calendar) != (&tariff.currency, &tariff.calendar) {
                    let other_path = other_path.display();
                    return refuse(format!("its currency, time zone or service day is not that of {other_path}"));
                }
            }
            let Some((before_path, before)) = index.checked_sub(1).and_then(|before| versions.get(before)) else {
                continue;
            };
            let before_path = before_path.display();
            let Some(from) = tariff.valid_from.filter(|_| before.valid_from != tariff.valid_from) else {
                return refuse(format!("it begins with {before_path}: `valid_from` must be another day"));
            };
            let until = before.valid_until.map_or(from.0, |until| until.0.saturating_add(1));
            if until < from.0 {
                return refuse(format!("no tariff is in force between the last day of {before_path} and {from}"));
            }
            if until > from.0 {
                return refuse(format!(
                    "from {from} on {before_path} is in force too: `valid_until` there is too late"
                ));
            }
        }
        if versions.is_empty() {
            return Err(ConfigError::whole_file(Path::new("tariff"), "name at least one tariff file"));
        }
        Ok(Self { versions: versions.into_iter().map(|(_, tariff)| tariff).collect() })
    }

    /// The one in force on `day`; before the first day of all the first, after the last day of all the last, because a
    /// bus does not stop where nobody has sent a newer one.
    pub fn on(&self, day: ServiceDay) -> &Tariff {
        let begun = self.versions.iter().rev().find(|tariff| tariff.valid_from.is_none_or(|from| from <= day));
        begun.unwrap_or(&self.versions[0])
    }

    /// The one in force at `moment`.
    pub fn at(&self, moment: Moment) -> &Tariff {
        self.on(self.calendar().service_day(moment))
    }

    /// The one of this number, or the newest where it is not at hand.
    pub fn of_version(&self, version: u32) -> &Tariff {
        self.versions.iter().find(|tariff| tariff.version == version).unwrap_or_else(|| self.newest())
    }

    /// The one that is in force last.
    pub fn newest(&self) -> &Tariff {
        &self.versions[self.versions.len() - 1]
    }

    /// The newest version of the line of this number.
    pub fn line(&self, number: LineNumber) -> Option<&Line> {
        self.versions.iter().rev().find_map(|tariff| tariff.line(number))
    }

    /// Each, in the order in which they are in force.
    pub fn iter(&self) -> impl Iterator<Item = &Tariff> {
        self.versions.iter()
    }

    /// Where service days begin, the same for all.
    pub fn calendar(&self) -> &ServiceCalendar {
        &self.versions[0].calendar
    }

    /// The most that a boarding of any line costs by any of them.
    pub fn highest_fare(&self) -> Amount {
        self.versions.iter().map(Tariff::highest_fare).max().unwrap_or(Amount::ZERO)
    }

    /// The currency, the same for all.
    pub fn currency(&self) -> &Currency {
        &self.versions[0].currency
    }
}

impl From<Tariff> for Tariffs {
    fn from(tariff: Tariff) -> Self {
        Self { versions: vec![tariff] }
    }
}

/// The tariff files that a configuration names: one, or a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub struct TariffPaths(pub Vec<PathBuf>);

impl TryFrom<toml::Value> for TariffPaths {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        let path = |value: toml::Value| {
            let name = value.as_str().map(PathBuf::from);
            name.ok_or_else(|| format!("`tariff` is a file's name or a list of them, not {value}"))
        };
        if let toml::Value::Array(paths) = value {
            return paths.into_iter().map(path).collect::<Result<_, _>>().map(Self);
        }
        path(value).map(|path| Self(vec![path]))
    }
}

impl TariffPaths {
    /// The same paths, taken from `folder`.
    #[must_use]
    pub fn within(&self, folder: &Path) -> Self {
        Self(self.0.iter().map(|path| folder.join(path)).collect())
    }

    /// Reads all of them, each by `read`.
    ///
    /// # Errors
    /// [`ConfigError`]: that of `read`, or that of [`Tariffs::parse`].
    pub fn read(&self, read: impl Fn(&Path) -> Result<String, ConfigError>) -> Result<Tariffs, ConfigError> {
        let texts: Vec<String> = self.0.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
        Tariffs::parse(self.0.iter().map(PathBuf::as_path).zip(texts.iter().map(String::as_str)))
    }
}
