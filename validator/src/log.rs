//! The tap log: an SQLite file with one intent at most and taps that can only be added.
//!
//! A thread of its own writes it, so that the intent reaches the disk while the card works. The intent is committed
//! with `synchronous=FULL`: one fsync a tap, which also covers every tap before it. The outcome is committed with
//! `NORMAL`: a lost power may take it back, and then the intent stands again and says `unknown`. Taps are uploaded only
//! when an fsync has covered them: `durable_through` is written by fully flushed commits only.
//!
//! Each intent says in which boot of the machine it was written. One that is found in the same boot has no outcome: its
//! process died, and its rider was not admitted. One of another boot may have had one.
//!
//! Start-up looks at every page and every tap. A log that is damaged, or shorter than the head in the second place says,
//! is kept under another name, and the next epoch begins, whose first tap goes on from that head.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use transit::card::Record;
use transit::id::{CardToken, DeviceId, Epoch, TapId};
use transit::sync::Verdict;
use transit::tap::{Outcome, Tap};
use transit::time::Moment;

mod boot;
mod damage;
mod head;
mod reserve;
mod store;
mod wal;
mod wal_length;

pub use boot::{BootId, NoBootId};
pub use damage::kept_logs;
use reserve::Reserve;
pub use reserve::ReserveFile;
pub use wal_length::WAL_LONG_BYTES;

/// The log cannot be written: the validator goes out of service until it can.
#[derive(Debug, thiserror::Error)]
pub enum LogFailed {
    /// SQLite or the file system refused.
    #[error("the tap log {} cannot be {doing}", path.display())]
    Store {
        /// The log.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The log is another device's, or its content is not what this program wrote.
    #[error("the tap log {} is not usable: {why}", path.display())]
    NotOurs {
        /// The log.
        path: PathBuf,
        /// What is wrong, and the remedy.
        why: String,
    },
    /// The log does not hold what was written to it.
    #[error("the tap log {} is damaged: {why}", path.display())]
    Damaged {
        /// The log.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The disk is full: what is under way can be concluded, and no tap can be begun.
    #[error("the disk of the tap log {} is full: make room", path.display())]
    Full {
        /// The log.
        path: PathBuf,
    },
    /// The WAL is as long as it may be: what is under way can be concluded, and no tap can be begun.
    #[error("the WAL of the tap log {} cannot begin anew: end whatever reads the log (`fuser` names it)", path.display())]
    WalHeld {
        /// The log.
        path: PathBuf,
    },
    /// An earlier failure ended the writer.
    #[error("the tap log is closed after a failure")]
    Closed,
}

/// A tap of this validator whose outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenTap {
    /// The tap.
    pub id: TapId,
    /// The card's sequence before it.
    pub card_sequence_before: u32,
    /// What it would have debited.
    pub fare: transit::money::Amount,
    /// The machine was started anew past its intent: its rider may have been admitted.
    pub perhaps_admitted: bool,
}

/// Where a tap log and what belongs to it are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFiles {
    /// The log itself, an SQLite file.
    pub log: PathBuf,
    /// Its head, in a second place: best on another medium.
    pub head: PathBuf,
    /// Room held for when the disk is full; `None` holds none.
    pub reserve: Option<ReserveFile>,
    /// The most bytes that the WAL may have before a tap is begun.
    pub wal_bytes_max: u64,
}

/// Room for some 8,000 taps.
pub const WAL_BYTES_MAX: u64 = 128 << 20;

impl LogFiles {
    /// The log at this path, and its head beside it.
    pub fn at(log: &Path) -> Self {
        Self {
            log: log.to_owned(),
            head: log.with_added_extension("head"),
            reserve: None,
            wal_bytes_max: WAL_BYTES_MAX,
        }
    }
}

/// The log, and what the engine must remember of it.
#[derive(Debug)]
pub struct TapLog {
    device: DeviceId,
    epoch: Epoch,
    next_sequence: u32,
    memory: Memory,
    reserve: Reserve,
    wal_length_reached: Arc<AtomicBool>,
    jobs: Option<SyncSender<Job>>,
    writer: Option<JoinHandle<()>>,
}

/// What the clearing house said of one tap of this log; it counts only where the hash is that tap's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledged {
    /// The tap's place in the log.
    pub sequence: u32,
    /// The hash that was acknowledged.
    pub hash: [u8; 32],
    /// What became of it.
    pub verdict: Verdict,
}

/// A log that was damaged or gone: another one was begun in the next epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunAnew {
    /// The epoch begun.
    pub epoch: Epoch,
    /// What was wrong with the log before.
    pub why: String,
    /// Where that is kept, its WAL beside it; `None` where there was nothing left of it.
    pub kept: Option<PathBuf>,
}

/// What start-up found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartUp {
    /// The log before this one was damaged or gone.
    pub begun_anew: Option<BegunAnew>,
    /// The process died past an intent: its tap is now an unknown one.
    pub unknown: Option<TapId>,
    /// Taps in the log.
    pub taps: u32,
}

/// A commit under way.
#[derive(Debug)]
#[must_use = "the commit may fail"]
pub struct Pending(Receiver<Result<(), LogFailed>>);

impl Pending {
    /// Waits for the commit.
    ///
    /// # Errors
    /// [`LogFailed`]: nothing was committed.
    pub fn wait(self) -> Result<(), LogFailed> {
        self.0.recv().unwrap_or(Err(LogFailed::Closed))
    }

    /// Waits for the commit for at most `deadline`; `None` when it is still under way then.
    pub fn wait_for(&self, deadline: Duration) -> Option<Result<(), LogFailed>> {
        match self.0.recv_timeout(deadline) {
            Ok(result) => Some(result),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(LogFailed::Closed)),
        }
    }
}

enum Job {
    Intend(Box<Tap>, SyncSender<Result<(), LogFailed>>),
    Conclude(Box<Tap>, SyncSender<Result<(), LogFailed>>),
    Acknowledge(Vec<Acknowledged>, SyncSender<Result<(), LogFailed>>),
    Prune(Moment, SyncSender<Result<(), LogFailed>>),
    Flush(SyncSender<Result<(), LogFailed>>),
}

impl TapLog {
    /// Opens the log at `path` with its head beside it; see [`TapLog::open_files`].
    ///
    /// # Errors
    /// As [`TapLog::open_files`].
    pub fn open(
        path: &Path,
        device: DeviceId,
        epoch: Epoch,
        boot: Option<BootId>,
    ) -> Result<(Self, StartUp), LogFailed> {
        Self::open_files(&LogFiles::at(path), device, epoch, boot)
    }

    /// Opens the log, or creates it with `epoch`; an intent that a dead process left becomes an unknown tap. A damaged
    /// log is kept under another name, and one of the next epoch is begun. `boot` is the machine's boot now; where it is
    /// not known, every intent that is found counts as another boot's.
    ///
    /// # Errors
    /// [`LogFailed`]: the file cannot be opened and written, is another device's, or is damaged as well as its head.
    pub fn open_files(
        files: &LogFiles,
        device: DeviceId,
        epoch: Epoch,
        boot: Option<BootId>,
    ) -> Result<(Self, StartUp), LogFailed> {
        let reserve = Reserve::hold(files.reserve.clone());
        let (mut store, mut memory, begun_anew) = damage::open_or_begin_anew(files, device, epoch)?;
        store.use_reserve(reserve.clone());
        store.use_boot(boot);
        let unknown = store.adopt_intent()?;
        if let Some(tap) = &unknown {
            memory.remember(tap);
        }
        memory.remember_perhaps_admitted(&store.perhaps_admitted()?);
        store.flush()?;
        let start_up = StartUp { begun_anew, unknown: unknown.map(|tap| tap.id), taps: store.last_sequence() };
        let (epoch, next_sequence) = (store.epoch(), store.last_sequence() + 1);
        let (jobs, queue) = sync_channel(64);
        let wal_length_reached = store.wal_length_reached();
        let writer = Some(thread::spawn(move || store.serve(&queue)));
        let jobs = Some(jobs);
        Ok((Self { device, epoch, next_sequence, memory, reserve, wal_length_reached, jobs, writer }, start_up))
    }

    /// The name that the next tap will have.
    pub fn next_id(&self) -> TapId {
        TapId { device: self.device, epoch: self.epoch, sequence: self.next_sequence }
    }

    /// This validator's taps of this card whose outcome is unknown.
    pub fn open_taps(&self, card: CardToken) -> Vec<OpenTap> {
        self.memory.open_taps.get(&card).cloned().unwrap_or_default()
    }

    /// The last tap of this card that was found to be committed and on whose debit nobody was admitted then.
    pub fn confirmed_without_a_ride(&self, card: CardToken) -> Option<TapId> {
        self.memory.without_a_ride.get(&card).copied()
    }

    /// How many taps of this card were torn in the day before `at`.
    pub fn torn_taps(&self, card: CardToken, at: Moment) -> u32 {
        let torn =
            self.memory.torn_taps.get(&card).map_or(0, |torn| torn.iter().filter(|time| recent(**time, at)).count());
        u32::try_from(torn).unwrap_or(u32::MAX)
    }

    /// How many taps of any card were torn in the day before `at`.
    pub fn torn_taps_of_all(&self, at: Moment) -> u32 {
        let torn = self.memory.torn_taps.values().flatten().filter(|time| recent(**time, at)).count();
        u32::try_from(torn).unwrap_or(u32::MAX)
    }

    /// Records the intent of a tap, sealed as unknown: durable (fsync) when the answer comes. Its name must be
    /// [`TapLog::next_id`].
    pub fn intend(&mut self, tap: &Tap) -> Pending {
        self.send(|done| Job::Intend(Box::new(tap.clone()), done))
    }

    /// Appends a tap and removes the intent, in one transaction; in the log, though perhaps not yet on the disk, when
    /// the answer comes. A tap that admits on an earlier debit is on the disk then (fsync).
    pub fn conclude(&mut self, tap: &Tap) -> Pending {
        self.next_sequence = tap.id.sequence + 1;
        self.memory.remember(tap);
        self.send(|done| Job::Conclude(Box::new(tap.clone()), done))
    }

    /// Notes what the clearing house said of taps of this log's epoch.
    pub fn acknowledge(&mut self, verdicts: Vec<Acknowledged>) -> Pending {
        self.send(|done| Job::Acknowledge(verdicts, done))
    }

    /// Deletes the oldest taps as long as the clearing house has booked them and they were made before `made_before`, a
    /// thousand at most. For idle moments.
    pub fn prune(&mut self, made_before: Moment) -> Pending {
        self.send(|done| Job::Prune(made_before, done))
    }

    /// Makes every tap durable and writes the WAL back. For idle moments.
    pub fn flush(&mut self) -> Pending {
        self.send(Job::Flush)
    }

    /// Whether no tap can be begun: the disk is full, or the WAL as long as it may be.
    pub fn is_full(&self) -> bool {
        self.reserve.is_full() || self.wal_length_reached.load(Ordering::Relaxed)
    }

    /// Holds the room for a full disk again, and has a long WAL begun anew; gives whether taps can be begun.
    ///
    /// # Errors
    /// [`LogFailed`]: the log is closed.
    pub fn make_room(&mut self) -> Result<bool, LogFailed> {
        self.reserve.hold_again();
        if self.wal_length_reached.load(Ordering::Relaxed) {
            self.flush().wait()?;
        }
        Ok(!self.is_full())
    }

    /// The epoch of this log.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn send(&mut self, job: impl FnOnce(SyncSender<Result<(), LogFailed>>) -> Job) -> Pending {
        let (done, answer) = sync_channel(1);
        if let Some(jobs) = &self.jobs {
            // A writer that is gone drops `done`, which the waiter sees as `Closed`.
            let _ = jobs.send(job(done));
        }
        Pending(answer)
    }
}

/// What is known of the cards that this validator has seen.
#[derive(Debug, Default)]
struct Memory {
    open_taps: HashMap<CardToken, Vec<OpenTap>>,
    torn_taps: HashMap<CardToken, Vec<Moment>>,
    without_a_ride: HashMap<CardToken, TapId>,
}

impl Memory {
    fn remember(&mut self, tap: &Tap) {
        match tap.outcome {
            Outcome::Unknown => {
                let before = tap.record_read.and_then(|record| Record::decode(&record).ok());
                let open = OpenTap {
                    id: tap.id,
                    card_sequence_before: before.map_or(0, |record| record.card_sequence),
                    fare: tap.fare,
                    perhaps_admitted: false,
                };
                self.open_taps.entry(tap.card).or_default().push(open);
                self.remember_torn(tap);
            }
            Outcome::Void => self.remember_torn(tap),
            Outcome::Confirmed { names, .. } | Outcome::Voided { names } => {
                if let Some(open) = self.open_taps.get_mut(&tap.card) {
                    open.retain(|tap| tap.id != names);
                    if open.is_empty() {
                        self.open_taps.remove(&tap.card);
                    }
                }
                if let Outcome::Confirmed { admitted: false, .. } = tap.outcome {
                    self.without_a_ride.insert(tap.card, names);
                }
            }
            Outcome::Done | Outcome::Declined(_) | Outcome::Evidence => {}
        }
    }

    fn remember_perhaps_admitted(&mut self, sequences: &HashSet<u32>) {
        for open in self.open_taps.values_mut().flatten() {
            open.perhaps_admitted = sequences.contains(&open.id.sequence);
        }
    }

    fn remember_torn(&mut self, tap: &Tap) {
        let torn = self.torn_taps.entry(tap.card).or_default();
        torn.retain(|time| recent(*time, tap.at));
        torn.push(tap.at);
    }
}

impl Drop for TapLog {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has nothing left to lose: the intent stands in the file.
            let _ = writer.join();
        }
    }
}

const DAY_S: u32 = 24 * 60 * 60;

fn recent(time: Moment, at: Moment) -> bool {
    time.distance_s(at) < DAY_S
}
