//! What a tap log holds, for people and for whoever measures. Reads only.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use serde::Serialize;
use transit::tap::{Outcome, SealedTap};

use crate::log::{WAL_LONG_BYTES, kept_logs};

/// Counts over a tap log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The validator.
    pub device: u32,
    /// The epoch of its log.
    pub epoch: u8,
    /// Sealed taps of every kind that are kept.
    pub taps: u32,
    /// Taps before them that went, acknowledged and old.
    pub pruned: u32,
    /// Taps that an fsync has covered.
    pub durable: u32,
    /// Durable taps that the clearing house has acknowledged.
    pub acknowledged: u32,
    /// Taps that it has not.
    pub unacknowledged: u32,
    /// Acknowledged taps that it has kept aside.
    pub kept_aside: u32,
    /// A tap is under way, or a process died during one.
    pub intent: bool,
    /// Riders admitted on a verified commit.
    pub done: u32,
    /// Cards declined.
    pub declined: u32,
    /// Taps whose outcome was unknown when they were sealed.
    pub unknown: u32,
    /// Unknown taps that the card later showed to be committed.
    pub confirmed: u32,
    /// Of these, how many let nobody in then: the power had gone, or the card had ridden on.
    pub confirmed_without_a_ride: u32,
    /// Unknown taps that the card later showed not to be committed.
    pub voided: u32,
    /// Taps given up before the commit was sent.
    pub void: u32,
    /// The length of the WAL.
    pub wal_bytes: u64,
    /// The WAL is longer than it gets while nothing reads the log without an end.
    pub wal_is_long: bool,
    /// Damaged logs that are kept beside this one.
    pub kept_logs: Vec<PathBuf>,
}

impl Status {
    /// Reads the log at `path`.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn read(path: &Path) -> rusqlite::Result<Self> {
        let log = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let count = |sql| log.query_row(sql, [], |row| row.get(0));
        let mut status = Self {
            device: count("SELECT device FROM log")?,
            epoch: log.query_row("SELECT epoch FROM log", [], |row| row.get(0))?,
            taps: count("SELECT count(*) FROM tap")?,
            pruned: count("SELECT anchor_sequence FROM log")?,
            durable: count("SELECT durable_through FROM log")?,
            acknowledged: count("SELECT count(*) FROM acknowledgement")?,
            unacknowledged: count(
                "SELECT count(*) FROM tap WHERE sequence NOT IN (SELECT sequence FROM acknowledgement)",
            )?,
            kept_aside: count("SELECT count(*) FROM acknowledgement WHERE verdict NOT IN ('accepted', 'known')")?,
            intent: count("SELECT count(*) FROM intent")? > 0,
            kept_logs: kept_logs(path).unwrap_or_default(),
            ..Self::default()
        };
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        status.wal_bytes = fs::metadata(wal).map_or(0, |metadata| metadata.len());
        status.wal_is_long = status.wal_bytes > WAL_LONG_BYTES;
        let mut taps = log.prepare("SELECT sealed FROM tap")?;
        let mut rows = taps.query([])?;
        while let Some(row) = rows.next()? {
            let sealed: Vec<u8> = row.get(0)?;
            let Ok(tap) = SealedTap::from_bytes(&sealed).and_then(|sealed| sealed.open()) else { continue };
            match tap.outcome {
                Outcome::Done => status.done += 1,
                Outcome::Declined(_) => status.declined += 1,
                Outcome::Unknown => status.unknown += 1,
                Outcome::Confirmed { admitted, .. } => {
                    status.confirmed += 1;
                    status.confirmed_without_a_ride += u32::from(!admitted);
                }
                Outcome::Voided { .. } => status.voided += 1,
                Outcome::Void => status.void += 1,
                Outcome::Evidence => {}
            }
        }
        Ok(status)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "validator {} epoch {}", self.device, self.epoch)?;
        writeln!(f, "  taps             {:>8}   ({} on the disk for certain)", self.taps, self.durable)?;
        writeln!(f, "  gone             {:>8}   (acknowledged and old)", self.pruned)?;
        writeln!(f, "  acknowledged     {:>8}   ({} kept aside there)", self.acknowledged, self.kept_aside)?;
        writeln!(f, "  unacknowledged   {:>8}", self.unacknowledged)?;
        writeln!(f, "  admitted         {:>8}", self.done)?;
        writeln!(f, "  declined         {:>8}", self.declined)?;
        let Self { confirmed, confirmed_without_a_ride, voided, .. } = self;
        let confirmed = format!("{confirmed} confirmed, {confirmed_without_a_ride} of them without a ride");
        writeln!(f, "  unknown          {:>8}   ({confirmed}; {voided} voided)", self.unknown)?;
        writeln!(f, "  given up         {:>8}", self.void)?;
        write!(f, "  under way        {:>8}", if self.intent { "one" } else { "none" })?;
        write!(f, "\n  write-ahead log  {:>8}   KiB", self.wal_bytes.div_ceil(1024))?;
        if self.wal_is_long {
            write!(f, " (long: end whatever reads the log)")?;
        }
        for kept in &self.kept_logs {
            write!(f, "\n  damaged log kept: {}", kept.display())?;
        }
        Ok(())
    }
}
