//! Attackers with the product's own engine, card and clearing house in one process: `simulation attack`,
//! `docs/torn-taps.md`.
//!
//! Rides never exceed debits, and nobody is paid without a card's evidence, whatever they do. What is left is money: a
//! card that was copied or put back rides until it is denied.

use std::fmt;
use std::io::Write;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::attack_operator::operators;
use crate::attack_rider::riders;
use crate::torn_bench::Bench;
use crate::torn_gate::Intents;
use crate::{Failed, figures};

/// What one attacker came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attack {
    /// What was done.
    pub attacker: String,
    /// Presentations of a card, or taps that were uploaded.
    pub tries: u32,
    /// Rides that were given.
    pub rides: u32,
    /// Debits that the card has committed.
    pub debits: u32,
    /// What was gained before it was denied, in đồng.
    pub exposure_vnd: i64,
    /// Whether a copied card is what it needs: then rides may exceed the debits that the card still shows.
    pub needs_copied_card: bool,
    /// What must not be, if anything.
    pub problem: Option<String>,
}

/// What all attackers came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Each.
    pub attacks: Vec<Attack>,
}

/// Runs every attack.
///
/// # Errors
/// The fixtures cannot be read, or something fails that is none of the attacks.
pub fn run(fixtures: &Path) -> Result<Report, Failed> {
    let mut bench = Bench::new(fixtures, Intents::Kept)?;
    let mut attacks = riders(&mut bench)?;
    attacks.extend(operators(&mut bench)?);
    Ok(Report { attacks })
}

impl Report {
    /// The most that one attacker gains before it is denied, in đồng.
    pub fn exposure_vnd(&self) -> i64 {
        self.attacks.iter().map(|attack| attack.exposure_vnd).max().unwrap_or(0)
    }

    /// Whether no attacker without a copied card gained anything, and nothing else was as it must not be.
    pub fn is_good(&self) -> bool {
        let gains = |attack: &Attack| !attack.needs_copied_card && attack.exposure_vnd > 0;
        !self.attacks.iter().any(|attack| gains(attack) || attack.problem.is_some())
    }

    /// Prints the report, as JSON or for people.
    ///
    /// # Errors
    /// It cannot be printed, or an attacker gained what it must not.
    pub fn conclude(&self, json: bool, out: &mut dyn Write) -> Result<(), Failed> {
        let text =
            if json { serde_json::to_string_pretty(self).map_err(Failed::unexpected)? } else { self.to_string() };
        writeln!(out, "{text}").map_err(Failed::system("printing the report"))?;
        if self.is_good() { Ok(()) } else { Err(Failed::Unexpected("an attacker came through".to_owned())) }
    }

    /// Writes the figures into `figures.json` in `folder`; figures of others that are there stay.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds something else than figures.
    pub fn merge_into(&self, folder: &Path) -> Result<(), Failed> {
        let own =
            [("attacks", Value::from(self.attacks.len())), ("attack_exposure_vnd", Value::from(self.exposure_vnd()))];
        figures::merge(folder, own)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<76}{:>6}{:>6}{:>7}{:>10}", "attacker", "tries", "rides", "debits", "gains, đ")?;
        for Attack { attacker, tries, rides, debits, exposure_vnd, problem, .. } in &self.attacks {
            writeln!(f, "{attacker:<76}{tries:>6}{rides:>6}{debits:>7}{exposure_vnd:>10}")?;
            if let Some(problem) = problem {
                writeln!(f, "  {problem}")?;
            }
        }
        Ok(())
    }
}
