//! What came of a soak: for people, and as figures.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::soak_damage::Damage;
use crate::{Failed, figures};

/// The program that is under fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// `clearing-house serve`.
    ClearingHouse,
    /// `validator core`.
    Core,
    /// `validator sync`.
    Sync,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClearingHouse => "clearing house",
            Self::Core => "core",
            Self::Sync => "sync",
        })
    }
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// SIGKILLs: at a chosen call, at a named step, at random moments.
    pub kills: u32,
    /// The part of them that the shim sent, at a chosen call counted from the start.
    pub kills_at_calls: u32,
    /// The part of them that a core got in a tap, by the step that was hit.
    pub kills_at_steps: BTreeMap<String, u32>,
    /// The part of them that the clearing house got while a bad network was before it.
    pub kills_behind_bad_network: u32,
    /// What that network did, by kind.
    pub troubles: BTreeMap<String, u32>,
    /// Jumps of a validator's wall clock.
    pub clock_jumps: u32,
    /// Starts of a core on a log with flipped bits.
    pub damage_of_logs: Damage,
    /// Taps that were acknowledged before and missing after.
    pub acknowledged_taps_lost: u32,
    /// By program.
    pub targets: BTreeMap<Target, OfTarget>,
    /// Sealed taps of cards on the readers of a pcscd.
    pub taps_through_readers: u32,
    /// SIGKILLs of the clearing house at random moments in a second, restart and second upload included.
    pub kills_per_second: f64,
    /// From starting a program on what was left to its first word or its first screen, in ms: the median.
    pub restart_ms_p50: f64,
    /// The longest.
    pub restart_ms_max: f64,
    /// The same with a long log, median; none where that was not done.
    pub restart_ms_long_log: Option<f64>,
    /// From a pcscd that hangs to the screen that says so, in ms: the median; none where that was not done.
    pub out_of_service_ms: Option<f64>,
    /// From the last answer of a card that falls silent to the screen that says so, in ms: the median.
    pub card_silent_ms: Option<f64>,
    /// What was not as expected, each with what was done.
    pub problems: Vec<String>,
    /// Every restart.
    #[serde(skip)]
    pub restarts_ms: Vec<f64>,
}

/// What came of one program's fire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct OfTarget {
    /// Runs in which a call failed; a run that ends before its call is none.
    pub nth_call_failures: u32,
    /// Riders who were let in without a debit that card and log know, kills included.
    pub wrong_greens: u32,
    /// Runs after which the program's standard error tells of a panic, kills included.
    pub panics: u32,
}

impl Report {
    /// The part of one program.
    pub fn of(&mut self, target: Target) -> &mut OfTarget {
        self.targets.entry(target).or_default()
    }

    /// Notes how long a restart took.
    pub fn restarted(&mut self, ms: f64) {
        self.restarts_ms.push(ms);
        self.restarts_ms.sort_unstable_by(f64::total_cmp);
        self.restart_ms_p50 = self.restarts_ms[self.restarts_ms.len() / 2];
        self.restart_ms_max = self.restarts_ms.last().copied().unwrap_or(0.0);
    }

    /// Adds what came of another part.
    pub fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.kills_at_calls += other.kills_at_calls;
        for (step, kills) in other.kills_at_steps {
            *self.kills_at_steps.entry(step).or_default() += kills;
        }
        let damage = &mut self.damage_of_logs;
        damage.files += other.damage_of_logs.files;
        damage.said += other.damage_of_logs.said;
        damage.harmless += other.damage_of_logs.harmless;
        self.clock_jumps += other.clock_jumps;
        self.kills_behind_bad_network += other.kills_behind_bad_network;
        for (trouble, count) in other.troubles {
            *self.troubles.entry(trouble).or_default() += count;
        }
        self.acknowledged_taps_lost += other.acknowledged_taps_lost;
        for (target, of) in other.targets {
            let sum = self.of(target);
            sum.nth_call_failures += of.nth_call_failures;
            sum.wrong_greens += of.wrong_greens;
            sum.panics += of.panics;
        }
        self.out_of_service_ms = self.out_of_service_ms.or(other.out_of_service_ms);
        self.card_silent_ms = self.card_silent_ms.or(other.card_silent_ms);
        self.restart_ms_long_log = self.restart_ms_long_log.or(other.restart_ms_long_log);
        other.restarts_ms.into_iter().for_each(|ms| self.restarted(ms));
        self.problems.extend(other.problems);
    }

    /// Prints the report as JSON.
    ///
    /// # Errors
    /// It cannot be printed, or something was not as expected.
    pub fn conclude(&self, out: &mut dyn Write) -> Result<(), Failed> {
        let printing = |error: serde_json::Error| Failed::system("printing the report")(error.into());
        let text = serde_json::to_string_pretty(self).map_err(printing)?;
        writeln!(out, "{text}").map_err(Failed::system("printing the report"))?;
        match self.problems.len() {
            0 => Ok(()),
            count => Err(Failed::Unexpected(format!("{count} times it was not as expected"))),
        }
    }

    /// Writes the figures into `figures.json` in `folder`; figures of others that are there stay.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds something else than figures.
    pub fn merge_into(&self, folder: &Path) -> Result<(), Failed> {
        figures::merge(folder, self.figures())
    }

    fn figures(&self) -> Map<String, Value> {
        let of = |target| self.targets.get(&target).copied().unwrap_or_default();
        let (house, core, sync) = (of(Target::ClearingHouse), of(Target::Core), of(Target::Sync));
        let own = [
            ("kills", self.kills),
            ("kills_acknowledged_taps_lost", self.acknowledged_taps_lost),
            ("damaged_logs", self.damage_of_logs.files),
            ("clock_jumps", self.clock_jumps),
            ("nth_call_failures_clearing_house", house.nth_call_failures),
            ("nth_call_panics_clearing_house", house.panics),
            ("nth_call_failures_validator_core", core.nth_call_failures),
            ("nth_call_failures_validator_sync", sync.nth_call_failures),
            ("nth_call_failures_validator", core.nth_call_failures + sync.nth_call_failures),
            ("nth_call_wrong_greens_validator", core.wrong_greens + sync.wrong_greens),
            ("nth_call_panics_validator", core.panics + sync.panics),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), Value::from(value)));
        let troubles = ("network_troubles".to_owned(), Value::from(self.troubles.values().sum::<u32>()));
        let steps = self.kills_at_steps.iter().map(|(step, kills)| (format!("kills_at_{step}"), Value::from(*kills)));
        let times = [
            ("restart_ms_100k_rows", self.restart_ms_long_log),
            ("out_of_service_ms", self.out_of_service_ms),
            ("out_of_service_card_silent_ms", self.card_silent_ms),
        ];
        let times = times.into_iter().filter_map(|(name, ms)| Some((name.to_owned(), Value::from(ms?))));
        own.into_iter().chain([troubles]).chain(times).chain(steps).collect()
    }
}
