//! A tariff file before it is in force: what a fare officer should look at, and what it changes.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use transit::config::ConfigError;
use transit::tariff::{Tariff, TariffChange, TariffFinding};

use crate::config;

/// What to look at in a tariff file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TariffCheck {
    /// The file.
    pub file: PathBuf,
    /// The tariff's version.
    pub version: u32,
    /// What to look at; empty where all is well.
    pub findings: Vec<TariffFinding>,
}

/// What one tariff file changes in another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TariffDiff {
    /// The tariff in force.
    pub before: PathBuf,
    /// The one that is to come.
    pub after: PathBuf,
    /// What differs; empty where both charge alike.
    pub changes: Vec<TariffChange>,
}

impl TariffCheck {
    /// Checks the tariff of `file`.
    ///
    /// # Errors
    /// [`ConfigError`] where the file is no tariff: no program starts with it.
    pub fn of(file: &Path) -> Result<Self, ConfigError> {
        let tariff = parse(file)?;
        Ok(Self { file: file.to_owned(), version: tariff.version, findings: tariff.check() })
    }
}

impl TariffDiff {
    /// What `after` changes in `before`.
    ///
    /// # Errors
    /// [`ConfigError`] where one of the files is no tariff.
    pub fn of(before: &Path, after: &Path) -> Result<Self, ConfigError> {
        let changes = parse(before)?.diff(&parse(after)?);
        Ok(Self { before: before.to_owned(), after: after.to_owned(), changes })
    }
}

fn parse(file: &Path) -> Result<Tariff, ConfigError> {
    Tariff::parse(file, &config::read(file)?)
}

impl fmt::Display for TariffCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for TariffFinding { detail, .. } in &self.findings {
            writeln!(f, "{}: {detail}", self.file.display())?;
        }
        writeln!(f, "Tariff version {}: {} finding(s)", self.version, self.findings.len())
    }
}

impl fmt::Display for TariffDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for TariffChange { what, before, after } in &self.changes {
            let said = |value: &Option<String>| value.clone().unwrap_or_else(|| "—".to_owned());
            writeln!(f, "{what}: {} → {}", said(before), said(after))?;
        }
        writeln!(f, "{} change(s)", self.changes.len())
    }
}
