//! Processor time of the validator itself for one purse tap: card replayed, tap log in memory.

use std::fs;

use benches::{
    Failure,
    bus::{Bus, MORNING, memory_folder},
    replay::Recording,
};

const BATCHES: usize = 21;
const TAPS_PER_BATCH: u32 = 200;

/// The median of the batches, in microseconds a tap, all threads together, kernel included.
pub(crate) fn host_us_per_tap() -> Result<f64, Failure> {
    let folder = memory_folder()?;
    let mut bus = Bus::new(folder.path())?;
    let recording = Recording::of_purse_tap(&mut bus)?;
    let mut batches_us = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        // The WAL is written back between taps, never during one.
        bus.flush()?;
        let before_ns = processor_time_ns()?;
        for _ in 0..TAPS_PER_BATCH {
            bus.accept(recording.replay(), &recording.uid, MORNING)?;
        }
        let spent_ns = processor_time_ns()?.saturating_sub(before_ns);
        batches_us.push(spent_ns as f64 / 1e3 / f64::from(TAPS_PER_BATCH));
    }
    batches_us.sort_by(f64::total_cmp);
    Ok(batches_us[BATCHES / 2])
}

/// What the scheduler has given to every thread of this process so far.
pub(crate) fn processor_time_ns() -> Result<u64, Failure> {
    let mut total_ns = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        let statistics = fs::read_to_string(thread?.path().join("schedstat"))?;
        total_ns += statistics.split_ascii_whitespace().next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(total_ns)
}
