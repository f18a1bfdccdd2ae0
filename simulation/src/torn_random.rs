//! Torn taps at random: longer schedules than can be played all, with answers that are cut and distorted anywhere.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use serde_json::Value;

use crate::torn::{Presented, lock, progress, told};
use crate::torn_bench::{Bench, Count, ELSEWHERE, SITES};
use crate::torn_fault::{Exchange, Fault};
use crate::torn_gate::Intents;
use crate::{Failed, figures};

/// With the rides before and after, a card keeps every record.
const PRESENTATIONS: std::ops::RangeInclusive<usize> = 5..=7;
/// At most so long after the presentation before, in seconds: past the pass-back window as often as within it.
const LATER_S: u32 = 600;
/// A card's longest answer, in bytes.
const ANSWER_LEN: usize = 78;
const PROBLEMS_SHOWN: usize = 20;

/// How much is played.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// How many schedules.
    pub schedules: u64,
    /// What the first follows from; the next number is the next one's.
    pub seed: u64,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// The schedules, each settled after one later good tap at one of the validators.
    pub schedules: u64,
    /// Committed debits that are neither booked nor in suspense, in schedules without a destroyed log.
    pub lost: u64,
    /// Fares booked that no card was charged.
    pub phantom: u64,
    /// Second debits at one place within the pass-back window.
    pub double: u64,
    /// Greens beyond debits.
    pub free_rides: u64,
    /// Schedules after which the money of the books was not that of their taps.
    pub money_differs: u64,
    /// Unknown taps in suspense after the later tap.
    pub suspense_after_tap: u64,
    /// Debits of destroyed logs that the board of gaps does not count after the later tap.
    pub unshown: u64,
    /// Schedules in a second.
    pub schedules_per_second: f64,
    /// The first schedules that came to what must not be, each with its seed.
    pub problems: Vec<String>,
}

/// Plays so many schedules and settles each, on as many threads as there are processors.
///
/// # Errors
/// The fixtures cannot be read, or something fails that is none of the faults.
pub fn play(extent: Extent, fixtures: &Path) -> Result<Report, Failed> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let benches = (0..workers).map(|_| Bench::new(fixtures, Intents::Kept)).collect::<Result<Vec<_>, _>>()?;
    let (report, next) = (Mutex::new(Report::default()), AtomicU64::new(0));
    let bar = progress(extent.schedules, "at random");
    let began = Instant::now();
    let work = |mut bench: Bench| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= extent.schedules {
                return Ok(());
            }
            let seed = extent.seed.wrapping_add(number);
            let played = one(&mut bench, seed)?;
            lock(&report).add(seed, &played);
            bar.inc(1);
        }
    };
    let done: Result<Vec<()>, Failed> = thread::scope(|scope| {
        let threads: Vec<_> = benches.into_iter().map(|bench| scope.spawn(|| work(bench))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    });
    done?;
    bar.finish_and_clear();
    let mut report = lock(&report).clone();
    report.schedules_per_second = report.schedules as f64 / began.elapsed().as_secs_f64();
    Ok(report)
}

/// A schedule that was played and settled.
struct Played {
    path: Vec<Presented>,
    log_destroyed: bool,
    at_once: Count,
    after_tap: Count,
}

fn one(bench: &mut Bench, seed: u64) -> Result<Played, Failed> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut path = Vec::new();
    let mut state = bench.start()?;
    for _ in 0..random.random_range(PRESENTATIONS) {
        let (gate, later_s) = (random.random_range(0..SITES.len()), random.random_range(1..=LATER_S));
        // The ride that every schedule begins with was uploaded long before.
        let fault = Some(fault(&mut random)).filter(|fault| gate != ELSEWHERE || *fault != Fault::LogDestroyed);
        let fault = fault.unwrap_or(Fault::None);
        state = bench.present(&state, gate, later_s, fault)?;
        path.push((gate, later_s, fault));
    }
    let (at_once, after_tap, _) = bench.settle_at(&state, random.random_range(0..SITES.len()))?;
    Ok(Played { path, log_destroyed: state.log_destroyed(), at_once, after_tap })
}

/// One in three is none of those that are played all.
fn fault(random: &mut ChaCha8Rng) -> Fault {
    let exchange = random.random_range(1..=Exchange::Commit as u32);
    match random.random_range(0..6) {
        0 => Fault::CutInAnswer(exchange, random.random_range(0..ANSWER_LEN)),
        1 => Fault::Distorted(exchange, random.random()),
        _ => Fault::ALL.choose(random).copied().unwrap_or(Fault::None),
    }
}

impl Report {
    fn add(&mut self, seed: u64, played: &Played) {
        let Played { path, log_destroyed, at_once, after_tap } = played;
        let worst = |count: fn(&Count) -> u32| u64::from(count(at_once).max(count(after_tap)));
        let lost = if *log_destroyed { 0 } else { worst(|count| count.lost) };
        let wrong = [
            lost,
            worst(|count| count.phantom),
            worst(|count| count.double),
            worst(|count| count.free_rides),
            worst(|count| count.money_differs),
            u64::from(after_tap.unshown),
        ];
        let sums = [
            &mut self.lost,
            &mut self.phantom,
            &mut self.double,
            &mut self.free_rides,
            &mut self.money_differs,
            &mut self.unshown,
        ];
        sums.into_iter().zip(wrong).for_each(|(sum, count)| *sum += count);
        self.schedules += 1;
        self.suspense_after_tap += u64::from(after_tap.suspense);
        if wrong.iter().any(|count| *count > 0) && self.problems.len() < PROBLEMS_SHOWN {
            self.problems
                .push(format!("--random 1 --seed {seed}: {}: {at_once}; after one later tap: {after_tap}", told(path)));
        }
    }

    /// Whether nothing was lost, made up or given away. What waits in suspense is counted: `docs/torn-taps.md`.
    pub fn is_good(&self) -> bool {
        let Self { lost, phantom, double, free_rides, money_differs, unshown, .. } = self;
        [lost, phantom, double, free_rides, money_differs, unshown].into_iter().all(|count| *count == 0)
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
        let bad = self.lost + self.phantom + self.double + self.free_rides + self.money_differs;
        let own = [
            ("torn_random", Value::from(self.schedules)),
            ("torn_random_wrong", Value::from(bad)),
            ("torn_random_suspense_after_tap", Value::from(self.suspense_after_tap)),
        ];
        figures::merge(folder, own)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<66}{:>14}", "random schedules", self.schedules)?;
        writeln!(f, "{:<66}{:>14.1}", "a second", self.schedules_per_second)?;
        for (what, count) in [
            ("debits lost", self.lost),
            ("fares booked without a debit", self.phantom),
            ("second debits at one place within the pass-back window", self.double),
            ("greens beyond debits", self.free_rides),
            ("schedules after which the books do not add up", self.money_differs),
            ("debits of destroyed logs not on the board of gaps", self.unshown),
            ("unknown taps in suspense after one later good tap", self.suspense_after_tap),
        ] {
            writeln!(f, "{what:<66}{count:>14}")?;
        }
        self.problems.iter().try_for_each(|problem| writeln!(f, "{problem}"))
    }
}
