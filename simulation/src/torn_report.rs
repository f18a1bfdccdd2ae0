//! What came of torn taps: for people, and as figures.

use std::fmt;
use std::io::Write;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::torn::{Presented, told};
use crate::torn_bench::{Count, Verdict};
use crate::{Failed, figures};

/// How many of the schedules that came to what must not be are told.
const PROBLEMS_SHOWN: usize = 20;

/// What came of it. Counts are of schedules times taps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The schedules.
    pub schedules: u64,
    /// The different states that they came to, each of which was settled once.
    pub states: u64,
    /// Presentations that were played.
    pub presentations_played: u64,
    /// Committed debits that are neither booked nor in suspense.
    pub lost: u64,
    /// Fares booked that no card was charged.
    pub phantom: u64,
    /// Second debits at one place within the pass-back window.
    pub double: u64,
    /// Greens beyond debits.
    pub free_rides: u64,
    /// Schedules after which the money of the books was not that of their taps.
    pub money_differs: u64,
    /// Unknown taps in suspense while the card has not been seen again.
    pub suspense: u64,
    /// Unknown taps in suspense after one later good tap, in schedules without a destroyed log.
    pub suspense_after_tap: u64,
    /// The same in schedules in which a log was destroyed.
    pub log_destroyed_suspense_after_tap: u64,
    /// The same after one later good tap that read two older records.
    pub log_destroyed_suspense_after_older_records: u64,
    /// Schedules after which the later tap at one validator or other let the rider in on an earlier debit, so that the
    /// one after it is the later tap.
    pub recovered_later: u64,
    /// The schedules in which a log was destroyed; the counts above are without their lost debits.
    pub log_destroyed_schedules: u64,
    /// Debits of these that are neither booked nor in suspense.
    pub log_destroyed_lost: u64,
    /// The same after one later good tap.
    pub log_destroyed_lost_after_tap: u64,
    /// … that the board of gaps does not count as missing either.
    pub log_destroyed_unshown_after_tap: u64,
    /// Lost debits after one later good tap that read two older records.
    pub log_destroyed_lost_after_older_records: u64,
    /// Debits in suspense after that whose taps are lost.
    pub log_destroyed_named_after_older_records: u64,
    /// The first schedules that came to what must not be.
    pub problems: Vec<String>,
}

impl Report {
    /// Adds a state that so many schedules have come to, one of them by `path`.
    pub fn add(&mut self, schedules: u64, path: &[Presented], verdict: &Verdict) {
        let times = |count: u32| u64::from(count) * schedules;
        let Verdict { log_destroyed, at_once, after_tap, recoveries, after_older_records } = verdict;
        self.recovered_later += if *recoveries > 0 { schedules } else { 0 };
        self.schedules += schedules;
        self.states += 1;
        self.suspense += times(at_once.suspense);
        let worst = |count: fn(&Count) -> u32| times(after_tap.iter().map(count).max().unwrap_or(0));
        let all = |count: fn(&Count) -> u32| times(count(at_once).max(after_tap.iter().map(count).max().unwrap_or(0)));
        self.phantom += all(|count| count.phantom);
        self.double += all(|count| count.double);
        self.free_rides += all(|count| count.free_rides);
        self.money_differs += all(|count| count.money_differs);
        if *log_destroyed {
            self.log_destroyed_schedules += schedules;
            self.log_destroyed_suspense_after_tap += worst(|count| count.suspense);
            self.log_destroyed_lost += times(at_once.lost);
            self.log_destroyed_lost_after_tap += worst(|count| count.lost);
            self.log_destroyed_unshown_after_tap += worst(|count| count.unshown);
            let after = after_older_records.unwrap_or_default();
            let worst = |count: fn(&Count) -> u32| times(after.iter().map(count).max().unwrap_or(0));
            self.phantom += worst(|count| count.phantom);
            self.money_differs += worst(|count| count.money_differs);
            self.log_destroyed_suspense_after_older_records += worst(|count| count.suspense);
            self.log_destroyed_lost_after_older_records += worst(|count| count.lost);
            self.log_destroyed_named_after_older_records += worst(|count| count.named);
        } else {
            self.suspense_after_tap += worst(|count| count.suspense);
            self.lost += all(|count| count.lost);
        }
        let wrong = |count: &Count| count.phantom + count.double + count.free_rides + count.money_differs;
        let lost = |count: &Count| if *log_destroyed { 0 } else { count.lost };
        let waits = |count: &Count| if *log_destroyed { 0 } else { count.suspense };
        let is_wrong = after_tap.iter().any(|count| wrong(count) + lost(count) + waits(count) > 0)
            || after_older_records.iter().flatten().any(|count| wrong(count) + count.lost > 0)
            || wrong(at_once) + lost(at_once) > 0;
        if is_wrong && self.problems.len() < PROBLEMS_SHOWN {
            let after = after_tap.iter().chain(after_older_records.iter().flatten());
            let after: Vec<_> = after.map(Count::to_string).collect();
            self.problems.push(format!(
                "{}: {at_once}; after one later tap at each validator: {}",
                told(path),
                after.join("; ")
            ));
        }
    }

    /// Whether nothing was lost, made up or given away, and nothing was left in suspense.
    pub fn is_good(&self) -> bool {
        let Self { lost, phantom, double, free_rides, money_differs, suspense_after_tap, .. } = self;
        [lost, phantom, double, free_rides, money_differs, suspense_after_tap].into_iter().all(|count| *count == 0)
            && self.log_destroyed_unshown_after_tap + self.log_destroyed_lost_after_older_records == 0
    }

    /// Prints the report, as JSON or for people.
    ///
    /// # Errors
    /// It cannot be printed, or something came to what must not be.
    pub fn conclude(&self, json: bool, out: &mut dyn Write) -> Result<(), Failed> {
        let text =
            if json { serde_json::to_string_pretty(self).map_err(Failed::unexpected)? } else { self.to_string() };
        writeln!(out, "{text}").map_err(Failed::system("printing the report"))?;
        if self.is_good() { Ok(()) } else { Err(Failed::Unexpected("torn taps came to what must not be".to_owned())) }
    }

    /// Writes the figures into `figures.json` in `folder`; figures of others that are there stay.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds something else than figures.
    pub fn merge_into(&self, folder: &Path) -> Result<(), Failed> {
        let own = [
            ("torn_schedules", Value::from(self.schedules)),
            ("torn_states", Value::from(self.states)),
            ("torn_lost", Value::from(self.lost)),
            ("torn_phantom", Value::from(self.phantom)),
            ("torn_double", Value::from(self.double)),
            ("torn_free_rides", Value::from(self.free_rides)),
            ("torn_suspense_after_tap", Value::from(self.suspense_after_tap)),
            ("torn_log_destroyed_schedules", Value::from(self.log_destroyed_schedules)),
            ("torn_log_destroyed_lost_after_tap", Value::from(self.log_destroyed_lost_after_tap)),
            ("torn_log_destroyed_unshown_after_tap", Value::from(self.log_destroyed_unshown_after_tap)),
            ("torn_log_destroyed_lost_after_older_records", Value::from(self.log_destroyed_lost_after_older_records)),
            (
                "torn_log_destroyed_suspense_after_older_records",
                Value::from(self.log_destroyed_suspense_after_older_records),
            ),
        ];
        figures::merge(folder, own)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |what: &str, count: u64| writeln!(f, "{what:<66}{count:>14}");
        line("schedules", self.schedules)?;
        line("different states that they came to, each settled", self.states)?;
        line("presentations played", self.presentations_played)?;
        line("debits lost", self.lost)?;
        line("fares booked without a debit", self.phantom)?;
        line("second debits at one place within the pass-back window", self.double)?;
        line("greens beyond debits", self.free_rides)?;
        line("schedules after which the books do not add up", self.money_differs)?;
        line("unknown taps in suspense, the card not seen again", self.suspense)?;
        line("unknown taps in suspense after one later good tap", self.suspense_after_tap)?;
        line("schedules whose later tap first let in on an earlier debit", self.recovered_later)?;
        line("schedules with a log destroyed", self.log_destroyed_schedules)?;
        line("… debits that are in no books, the card not seen again", self.log_destroyed_lost)?;
        line("… debits that are in no books after one later good tap", self.log_destroyed_lost_after_tap)?;
        line("… of them not on the board of gaps", self.log_destroyed_unshown_after_tap)?;
        line("… unknown taps in suspense after it", self.log_destroyed_suspense_after_tap)?;
        line("… in no books after a later tap that read older records", self.log_destroyed_lost_after_older_records)?;
        line("… in suspense without their taps after it", self.log_destroyed_named_after_older_records)?;
        line("… unknown taps in suspense after it", self.log_destroyed_suspense_after_older_records)?;
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        Ok(())
    }
}
