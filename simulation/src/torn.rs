//! Every way in which the taps of one card can go wrong: `make torn`, `docs/torn-taps.md`.
//!
//! A schedule is a row of presentations, each at one of two validators, soon or late after the one before, each with one
//! fault or none. All are played with the product's own engine, tap log, card and clearing house. Schedules that have
//! come to the same state go on as one and are counted as many: the state is all that the next presentation can
//! depend on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use indicatif::{ProgressBar, ProgressStyle};

use crate::Failed;
use crate::torn_bench::{Bench, State, Verdict};
pub use crate::torn_fault::{Exchange, Fault};
pub use crate::torn_gate::Intents;
pub use crate::torn_report::Report;

/// The two validators that stand side by side.
const GATES: usize = 2;
/// Within the pass-back window and past it, in seconds after the presentation before.
const LATER_S: [u32; 2] = [20, 1000];

/// How much is played.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// The most presentations of a schedule.
    pub presentations: u8,
    /// What may go wrong with each.
    pub faults: &'static [Fault],
    /// Whether the engine's intents survive a lost power.
    pub intents: Intents,
}

/// A state that schedules have come to.
#[derive(Debug)]
struct Reached {
    schedules: u64,
    /// One of them, for people.
    path: Vec<Presented>,
    state: Option<State>,
    verdict: Option<Verdict>,
}

/// At which validator, how many seconds after the presentation before, and what went wrong.
pub type Presented = (usize, u32, Fault);

/// By the digests of the states.
type Layer = BTreeMap<[u8; 32], Reached>;

/// Plays every schedule of `extent` and settles each, on as many threads as there are processors.
///
/// # Errors
/// The fixtures cannot be read, or something fails that is none of the faults.
pub fn explore(extent: Extent, fixtures: &Path) -> Result<Report, Failed> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let benches = (0..workers).map(|_| Bench::new(fixtures, extent.intents)).collect::<Result<Vec<_>, _>>()?;
    let benches: Vec<_> = benches.into_iter().map(Mutex::new).collect();
    let mut report = Report::default();
    let start = lock(&benches[0]).start()?;
    let mut states = vec![(1, Vec::new(), start)];
    for presentation in 1..=extent.presentations {
        let is_last = presentation == extent.presentations;
        let bar = progress(states.len() as u64, &format!("presentation {presentation}"));
        let (layer, next) = (Mutex::new(Layer::new()), AtomicUsize::new(0));
        let work = |bench: &Mutex<Bench>| {
            let mut bench = lock(bench);
            while let Some((schedules, path, state)) = states.get(next.fetch_add(1, Ordering::Relaxed)) {
                expand(&mut bench, &layer, extent, (*schedules, path, state), is_last)?;
                bar.inc(1);
            }
            Ok(())
        };
        let done: Result<Vec<()>, Failed> = thread::scope(|scope| {
            let threads: Vec<_> = benches.iter().map(|bench| scope.spawn(|| work(bench))).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        done?;
        bar.finish_and_clear();
        let layer = layer.into_inner().unwrap_or_else(PoisonError::into_inner);
        report.presentations_played +=
            (states.len() * gaps(states[0].1.len()).len() * GATES * extent.faults.len()) as u64;
        states = Vec::new();
        for reached in layer.into_values() {
            let Reached { schedules, path, state, verdict } = reached;
            let verdict = verdict.ok_or_else(|| Failed::Unexpected("a state was not settled".to_owned()))?;
            report.add(schedules, &path, &verdict);
            states.extend(state.map(|state| (schedules, path, state)));
        }
    }
    Ok(report)
}

fn expand(
    bench: &mut Bench,
    layer: &Mutex<Layer>,
    extent: Extent,
    (schedules, path, state): (u64, &[Presented], &State),
    is_last: bool,
) -> Result<(), Failed> {
    for gate in 0..GATES {
        for later_s in gaps(path.len()) {
            for &fault in extent.faults {
                let after = bench.present(state, gate, *later_s, fault)?;
                let key = after.key()?;
                let mut reached = lock(layer);
                if let Some(known) = reached.get_mut(&key) {
                    known.schedules += schedules;
                    continue;
                }
                let path = [path, &[(gate, *later_s, fault)]].concat();
                reached.insert(key, Reached { schedules, path, state: None, verdict: None });
                drop(reached);
                let verdict = bench.settle(&after)?;
                if let Some(reached) = lock(layer).get_mut(&key) {
                    reached.verdict = Some(verdict);
                    reached.state = (!is_last).then_some(after);
                }
            }
        }
    }
    Ok(())
}

/// Before the first presentation there is none to be soon after.
fn gaps(presentations_before: usize) -> &'static [u32] {
    if presentations_before == 0 { &LATER_S[1..] } else { &LATER_S }
}

/// A schedule, for people.
pub(crate) fn told(path: &[Presented]) -> String {
    let told = path.iter().map(|(gate, later_s, fault)| format!("validator {gate}, {later_s} s later, {fault}"));
    told.collect::<Vec<_>>().join(", then ")
}

pub(crate) fn progress(length: u64, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bar:40} {pos} of {len}, {eta} left");
    let bar = ProgressBar::new(length).with_message(what.to_owned());
    if let Ok(style) = style { bar.with_style(style) } else { bar }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
