//! How long a validator takes to open a log of 100,000 acknowledged taps whose process was killed: every page looked at,
//! every tap opened, the chain followed.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use benches::{
    Failure,
    bus::{BOOT, Bus, MORNING},
};
use transit::{
    id::DeviceId,
    sync::Verdict,
    tap::{CHAIN_START, Tap},
};
use validator::{
    log::{Acknowledged, TapLog},
    salvage::Salvage,
};
use virtual_card::CardInField;

use crate::figure::{Bound, Figure};

const TAPS: u32 = 100_000;
const TAPS_PER_FLUSH: u32 = 1_000;
/// Of which the WAL is full when the process is killed: the last of the log, each with its intent.
const LAST_TAPS: u32 = 200;
const RESTARTS: usize = 9;

pub(crate) fn measure(output: &Path) -> Result<Figure, Failure> {
    let killed = tempfile::tempdir_in(output)?;
    let files = killed_log(&killed.path().join("tap.db"))?;
    let mut times_ms = Vec::new();
    for _ in 0..RESTARTS {
        let folder = tempfile::tempdir_in(output)?;
        for (name, bytes) in &files {
            fs::write(folder.path().join(name), bytes)?;
        }
        let since = Instant::now();
        let (log, start_up) = TapLog::open(&folder.path().join("tap.db"), device()?, 1, Some(BOOT))?;
        times_ms.push(since.elapsed().as_secs_f64() * 1e3);
        if start_up.taps != TAPS || start_up.begun_anew.is_some() {
            return Err(format!("the log is another: {start_up:?}").into());
        }
        drop(log);
    }
    times_ms.sort_by(f64::total_cmp);
    Ok(Figure::new("log_open_ms_100k_rows", times_ms[RESTARTS / 2], Bound::AtMost(1_000.0)))
}

/// The files of a log at `path` as they are before it is closed.
fn killed_log(path: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, Failure> {
    let like = some_tap()?;
    let (mut log, _) = TapLog::open(path, device()?, 1, Some(BOOT))?;
    let (mut last, mut acknowledged) = (CHAIN_START, Vec::new());
    for sequence in 1..=TAPS {
        let tap = Tap { id: log.next_id(), ..like.clone() };
        last = tap.seal(&last)?.hash();
        if sequence > TAPS - LAST_TAPS {
            log.intend(&tap).wait()?;
        }
        log.conclude(&tap).wait()?;
        acknowledged.push(Acknowledged { sequence, hash: last, verdict: Verdict::Accepted });
        if sequence % TAPS_PER_FLUSH == 0 && sequence < TAPS {
            log.acknowledge(std::mem::take(&mut acknowledged)).wait()?;
            log.flush().wait()?;
        }
    }
    let names = ["tap.db", "tap.db-wal", "tap.db.head"];
    let read = names.map(|name| Ok((PathBuf::from(name), fs::read(path.with_file_name(name))?)));
    read.into_iter().collect()
}

fn some_tap() -> Result<Tap, Failure> {
    let folder = benches::bus::memory_folder()?;
    let mut bus = Bus::new(folder.path())?;
    let card = bus.card("adult")?;
    bus.tap(&mut CardInField::new(card), MORNING)?;
    bus.flush()?;
    let taps = Salvage::read(&folder.path().join("tap.db"))?.taps;
    let (_, sealed) = taps.first().ok_or("the tap is not in its log")?;
    Ok(sealed.open()?)
}

fn device() -> Result<DeviceId, Failure> {
    DeviceId::new(101).ok_or_else(|| "101 is a device number".into())
}
