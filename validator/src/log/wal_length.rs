//! How long the WAL may get. It is written back while nobody taps, and begins anew only where no reader looks at what is
//! in it: one that never ends would let it grow until the disk is full.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

/// SQLite cuts the WAL to this length when it begins anew.
pub(super) const WAL_KEPT_BYTES: u64 = 8 << 20;
/// Longer than this it is only while something reads the log without an end, or nobody was idle for hundreds of taps.
pub const WAL_LONG_BYTES: u64 = 2 * WAL_KEPT_BYTES;

/// The WAL of a log, and whether it is as long as it may be.
#[derive(Debug)]
pub(super) struct WalLength {
    wal: PathBuf,
    bytes_max: u64,
    reached: Arc<AtomicBool>,
    alarm: bool,
}

impl WalLength {
    pub(super) fn new(wal: PathBuf, bytes_max: u64) -> Self {
        Self { wal, bytes_max, reached: Arc::default(), alarm: false }
    }

    /// Whether no tap may be begun, kept up to date.
    pub(super) fn reached(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.reached)
    }

    /// Looks at the length, and has the WAL begun anew where it is longer than it should be. Gives whether a tap may be
    /// begun.
    pub(super) fn keep(&mut self, connection: &Connection) -> rusqlite::Result<bool> {
        if self.length() > self.bytes_max.min(WAL_LONG_BYTES) {
            // A reader that holds it is not waited for.
            connection.pragma_update(None, "busy_timeout", 0)?;
            let held = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
            connection.pragma_update(None, "busy_timeout", super::store::BUSY_TIMEOUT_MS)?;
            self.tell(held?);
        } else {
            self.tell(false);
        }
        let reached = self.length() > self.bytes_max;
        self.reached.store(reached, Ordering::Relaxed);
        Ok(!reached)
    }

    /// Whether it is longer than it may be: a look at the file alone, for every tap.
    pub(super) fn is_too_long(&self) -> bool {
        self.length() > self.bytes_max
    }

    fn tell(&mut self, held: bool) {
        if held && !self.alarm {
            let wal_bytes = self.length();
            tracing::error!(wal_bytes, "alarm: something reads the tap log without an end, so that its WAL grows");
        }
        self.alarm = held;
    }

    fn length(&self) -> u64 {
        length(&self.wal).unwrap_or(0)
    }
}

/// The length of a file in bytes; 0 where there is none.
pub(super) fn length(path: &std::path::Path) -> io::Result<u64> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}
