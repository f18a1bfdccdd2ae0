//! Taps out of a log that is damaged: whatever became of the SQLite file around it, a sealed tap carries its own hash and
//! that of the one before it.
//!
//! The bytes of the log and of its WAL are searched for sealed taps that are whole. Of several with one name (the intent
//! and the conclusion, both at times in pages not used any more) the one counts that the next tap names. A tap without
//! a next one is the conclusion where there is one; only an intent stands for itself, as it does after a restart.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use transit::id::{DeviceId, Epoch, TapId};
use transit::tap::{Outcome, SealedTap, TAP_LEN, TAP_VERSION, Tap};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvage {
    /// Sealed taps in order, each with its name.
    pub taps: Vec<(TapId, SealedTap)>,
    /// Names of which only other bytes were found than the next tap names.
    pub left_out: u32,
}

/// Taps one after the other, each with the hash of the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Whose log.
    pub device: DeviceId,
    /// Of which epoch.
    pub epoch: Epoch,
    /// The first of them.
    pub first: u32,
    /// The last of them.
    pub last: u32,
}

/// What was found and what was done with it, for people and for machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The damaged log.
    pub log: PathBuf,
    /// Sealed taps found.
    pub taps: usize,
    /// Where they lie: what is between two runs of one epoch was not found.
    pub runs: Vec<Run>,
    /// Names of which only other bytes were found than the next tap names.
    pub left_out: u32,
    /// Where they were written.
    pub written: Option<PathBuf>,
    /// What the clearing house said of them: how often each verdict. Empty where they were not sent.
    pub verdicts: BTreeMap<&'static str, u32>,
}

impl Salvage {
    /// Searches the log at `path` and its WAL; also a file of sealed taps.
    ///
    /// # Errors
    /// Neither file can be read.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut found = BTreeMap::new();
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        match (fs::read(path), fs::read(PathBuf::from(wal))) {
            (Err(error), Err(_)) => return Err(error),
            (log, wal) => [log, wal].iter().flatten().for_each(|bytes| search(bytes, &mut found)),
        }
        Ok(Self::choose(&found))
    }

    fn choose(found: &BTreeMap<Name, Vec<(SealedTap, Tap)>>) -> Self {
        let (mut taps, mut left_out) = (Vec::new(), 0);
        // The tap before the last one chosen, and its hash.
        let mut named: Option<(Name, [u8; 32])> = None;
        for (name, versions) in found.iter().rev() {
            let hash = named.filter(|(before, _)| before == name).map(|(_, hash)| hash);
            let is_conclusion = |(_, tap): &&(SealedTap, Tap)| tap.outcome != Outcome::Unknown;
            let chosen = match hash {
                Some(hash) => versions.iter().find(|(sealed, _)| sealed.hash() == hash),
                None => versions.iter().find(is_conclusion).or(versions.first()),
            };
            let Some((sealed, tap)) = chosen else {
                left_out += 1;
                named = None;
                continue;
            };
            named = name.2.checked_sub(1).map(|before| ((name.0, name.1, before), sealed.previous_hash()));
            taps.push((tap.id, sealed.clone()));
        }
        taps.reverse();
        Self { taps, left_out }
    }

    /// The bytes of the taps, one after the other.
    pub fn bytes(&self) -> Vec<u8> {
        self.taps.iter().flat_map(|(_, sealed)| sealed.as_bytes()).copied().collect()
    }

    /// What there is to tell of it.
    pub fn report(&self, log: PathBuf) -> Report {
        let mut runs: Vec<Run> = Vec::new();
        for (TapId { device, epoch, sequence }, _) in &self.taps {
            match runs.last_mut() {
                Some(run) if (run.device, run.epoch, run.last.saturating_add(1)) == (*device, *epoch, *sequence) => {
                    run.last = *sequence;
                }
                Some(_) | None => {
                    runs.push(Run { device: *device, epoch: *epoch, first: *sequence, last: *sequence });
                }
            }
        }
        let (taps, left_out) = (self.taps.len(), self.left_out);
        Report { log, taps, runs, left_out, written: None, verdicts: BTreeMap::new() }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} sealed taps", self.log.display(), self.taps)?;
        for Run { device, epoch, first, last } in &self.runs {
            write!(f, "\n  validator {device} epoch {epoch}: {first} to {last}")?;
        }
        if self.left_out > 0 {
            write!(f, "\n  left out: {} that the next tap does not go on from", self.left_out)?;
        }
        if let Some(path) = &self.written {
            write!(f, "\n  written to {}", path.display())?;
        }
        for (verdict, count) in &self.verdicts {
            write!(f, "\n  the clearing house said {verdict}: {count}")?;
        }
        Ok(())
    }
}

/// Device, epoch, sequence: in the order of the log.
type Name = (u32, Epoch, u32);

/// Every sealed tap in `bytes` that is whole, wherever it begins.
fn search(bytes: &[u8], found: &mut BTreeMap<Name, Vec<(SealedTap, Tap)>>) {
    let mut at = 0;
    while let Some(candidate) = bytes.get(at..at + TAP_LEN) {
        let sealed = Some(candidate).filter(|candidate| candidate[0] == TAP_VERSION);
        let sealed = sealed.and_then(|candidate| SealedTap::from_bytes(candidate).ok());
        let sealed = sealed.filter(|sealed| sealed.claimed_id().is_some());
        let Some((sealed, tap)) = sealed.and_then(|sealed| sealed.open().ok().map(|tap| (sealed, tap))) else {
            at += 1;
            continue;
        };
        let versions = found.entry((tap.id.device.number(), tap.id.epoch, tap.id.sequence)).or_default();
        if versions.iter().all(|(known, _)| *known != sealed) {
            versions.push((sealed, tap));
        }
        at += TAP_LEN;
    }
}
