//! One whole purse tap of the engine, the card replayed, the tap log in memory.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use benches::{
    Failure,
    bus::{Bus, MORNING, memory_folder},
    replay::Recording,
};
use criterion::Criterion;

fn main() -> Result<(), Failure> {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let folder = memory_folder()?;
    let mut bus = Bus::new(folder.path())?;
    let recording = Recording::of_purse_tap(&mut bus)?;
    criterion.bench_function("purse tap", |bencher| {
        bencher.iter_custom(|taps| {
            let mut elapsed = Duration::ZERO;
            for tap in 0..taps {
                let started = Instant::now();
                let answer = bus.accept(recording.replay(), &recording.uid, MORNING);
                elapsed += started.elapsed();
                answer.expect("a recorded tap is accepted");
                // As between two passengers: otherwise the log's WAL would grow by megabytes.
                if tap % 100 == 0 {
                    bus.flush().expect("a log in memory");
                }
            }
            elapsed
        });
    });
    criterion.final_summary();
    Ok(())
}
