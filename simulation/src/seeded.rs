//! A whole city from a seed, many times: `make simulate`. `docs/simulation.md`.

use std::fs;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::Value;

use crate::seeded_city::run;
use crate::seeded_invariants::violations;
use crate::seeded_outcome::{Finished, Happened};
use crate::seeded_plan::plan;
use crate::{Failed, figures};

/// Which cities.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// The first seed.
    pub first: u64,
    /// How many, one after the other.
    pub seeds: u64,
}

/// What came of all of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// Cities that were run.
    pub seeds: u64,
    /// Invariants that did not hold, over all cities.
    pub violations: u64,
    /// Sealed taps in the logs of all validators.
    pub taps: u64,
    /// Transactions that cards committed.
    pub commits: u64,
    /// Fares of them, in dong.
    pub fares_minor: i64,
    /// Taps that stay in suspense for ever, because no proof of their card reaches them.
    pub unresolved_taps: u64,
    /// How long it took, in s.
    pub elapsed_s: f64,
    /// Taps in a second, over all cores.
    pub taps_per_second: f64,
    /// How often each kind of thing happened.
    pub happened: Happened,
    /// What did not hold, each with the command that repeats it.
    pub problems: Vec<String>,
}

/// The command that repeats one city.
#[must_use]
pub fn command(seed: u64) -> String {
    format!("cargo run --release -p simulation -- simulate --seed {seed} --seeds 1")
}

/// Makes the city of `seed`, runs it in a folder of its own in memory, where there is such a thing, and looks whether
/// everything holds.
///
/// # Errors
/// What no fault of the plan explains.
pub fn run_seed(seed: u64, fixtures: &Path) -> Result<Finished, Failed> {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let folder = folder.map_err(Failed::system("making a folder for a city"))?;
    run(&plan(seed), folder.path(), fixtures)?.look()
}

/// Writes what happens in the city of `seed` to `path`, a line for each step.
///
/// # Errors
/// As [`run_seed`], or the file cannot be written.
pub fn write_trace(seed: u64, fixtures: &Path, path: &Path) -> Result<(), Failed> {
    let fixtures = fixtures.canonicalize().map_err(Failed::system(format!("finding {}", fixtures.display())))?;
    let trace = run_seed(seed, &fixtures)?.trace;
    fs::write(path, trace).map_err(Failed::system(format!("writing {}", path.display())))
}

/// Runs every city of `extent` on every core, with a bar on standard error where `shows_progress`.
///
/// # Errors
/// The cards, keys or tariff are not there.
pub fn run_all(extent: Extent, fixtures: &Path, shows_progress: bool) -> Result<Report, Failed> {
    let fixtures = fixtures.canonicalize().map_err(Failed::system(format!("finding {}", fixtures.display())))?;
    let bar = if shows_progress { ProgressBar::new(extent.seeds) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} cities, {elapsed} gone, {eta} left{msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let (next, report) = (AtomicU64::new(0), Mutex::new(Report::default()));
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZeroUsize::get) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= extent.seeds {
                        return;
                    }
                    let seed = extent.first.wrapping_add(number);
                    let finished = run_seed(seed, &fixtures);
                    let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
                    report.add(seed, &finished);
                    if report.violations > 0 {
                        bar.set_message(format!(", {} VIOLATIONS", report.violations));
                    }
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish();
    let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.elapsed_s = started.elapsed().as_secs_f64();
    // Millions at most: a double counts them exactly.
    report.taps_per_second = report.taps as f64 / report.elapsed_s.max(f64::EPSILON);
    report.problems.sort();
    Ok(report)
}

impl Report {
    fn add(&mut self, seed: u64, finished: &Result<Finished, Failed>) {
        self.seeds += 1;
        match finished {
            Ok(finished) => {
                self.taps += finished.logs.len() as u64;
                self.commits += finished.model.commits.len() as u64;
                self.fares_minor += finished.model.commits.values().map(|commit| commit.fare).sum::<i64>();
                self.unresolved_taps += finished.books.suspense.unresolved.taps;
                for (what, count) in &finished.happened {
                    *self.happened.entry(what).or_default() += count;
                }
                for violation in violations(finished) {
                    self.violations += 1;
                    self.problem(seed, &format!("{}: {}", violation.invariant, violation.how));
                }
            }
            Err(error) => {
                self.violations += 1;
                self.problem(seed, &format!("the city does not run: {error}"));
            }
        }
    }

    fn problem(&mut self, seed: u64, what: &str) {
        self.problems.push(format!("seed {seed}: {what}\n  repeat it with: {}", command(seed)));
    }

    /// Prints the report, as JSON or for people.
    ///
    /// # Errors
    /// It cannot be printed, or something did not hold.
    pub fn conclude(&self, as_json: bool, out: &mut dyn Write) -> Result<(), Failed> {
        let text = if as_json {
            serde_json::to_string_pretty(self).map_err(|error| Failed::system("printing the report")(error.into()))?
        } else {
            let problems: Vec<_> = self.problems.iter().map(|problem| format!("{problem}\n")).collect();
            let happened: Vec<_> = self.happened.iter().map(|(what, count)| format!("{count:>10} {what}\n")).collect();
            format!(
                "{}{}{} cities, {} taps, {} commits of cards with {} dong of fares, {} taps that no card decides; \
                 {:.0} taps a second; {} violations",
                happened.concat(),
                problems.concat(),
                self.seeds,
                self.taps,
                self.commits,
                self.fares_minor,
                self.unresolved_taps,
                self.taps_per_second,
                self.violations
            )
        };
        writeln!(out, "{text}").map_err(Failed::system("printing the report"))?;
        match self.violations {
            0 => Ok(()),
            count => Err(Failed::Unexpected(format!("{count} times an invariant did not hold"))),
        }
    }

    /// Writes the figures into `figures.json` in `folder`; figures of others that are there stay.
    ///
    /// # Errors
    /// As [`figures::merge`].
    pub fn merge_into(&self, folder: &Path) -> Result<(), Failed> {
        let own = [
            ("sim_seeds", Value::from(self.seeds)),
            ("sim_violations", Value::from(self.violations)),
            ("sim_taps_per_second", Value::from(self.taps_per_second.round())),
        ];
        figures::merge(folder, own)
    }
}
