//! The tap log: an SQLite file with one intent at most and taps that can only be added.
//!
//! A thread of its own writes it, so that the intent reaches the disk while the card works. The intent is committed
//! with `synchronous=FULL`: one fsync a tap, which also covers every tap before it. The outcome is committed with
//! `NORMAL`: a lost power may take it back, and then the intent stands again and says `unknown`. Taps are uploaded only
//! when an fsync has covered them: `durable_through` is written by fully flushed commits only.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use transit::card::Record;
use transit::id::{CardToken, DeviceId, Epoch, TapId};
use transit::sync::Verdict;
use transit::tap::{CHAIN_START, Outcome, SealedTap, Tap};
use transit::time::Moment;

mod migrations {
    refinery::embed_migrations!("migrations");
}

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
}

/// The log, and what the engine must remember of it.
#[derive(Debug)]
pub struct TapLog {
    device: DeviceId,
    epoch: Epoch,
    next_sequence: u32,
    open_taps: HashMap<CardToken, Vec<OpenTap>>,
    torn_taps: HashMap<CardToken, Vec<Moment>>,
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

/// What start-up found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartUp {
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
    Flush(SyncSender<Result<(), LogFailed>>),
}

impl TapLog {
    /// Opens the log at `path`, or creates it with `epoch`; an intent that a dead process left becomes an unknown tap.
    ///
    /// # Errors
    /// [`LogFailed`]: the file cannot be opened and written, or is another device's.
    pub fn open(path: &Path, device: DeviceId, epoch: Epoch) -> Result<(Self, StartUp), LogFailed> {
        let mut store = Store::open(path, device, epoch)?;
        let unknown = store.adopt_intent()?;
        let mut log = Self {
            device,
            epoch: store.epoch,
            next_sequence: store.last_sequence + 1,
            open_taps: HashMap::new(),
            torn_taps: HashMap::new(),
            jobs: None,
            writer: None,
        };
        store.each_tap(|tap| log.remember(tap))?;
        let taps = store.last_sequence;
        let (jobs, queue) = sync_channel(64);
        log.jobs = Some(jobs);
        log.writer = Some(thread::spawn(move || store.serve(&queue)));
        Ok((log, StartUp { unknown, taps }))
    }

    /// The name that the next tap will have.
    pub fn next_id(&self) -> TapId {
        TapId { device: self.device, epoch: self.epoch, sequence: self.next_sequence }
    }

    /// This validator's taps of this card whose outcome is unknown.
    pub fn open_taps(&self, card: CardToken) -> Vec<OpenTap> {
        self.open_taps.get(&card).cloned().unwrap_or_default()
    }

    /// How many taps of this card were torn in the day before `at`.
    pub fn torn_taps(&self, card: CardToken, at: Moment) -> u32 {
        let torn = self.torn_taps.get(&card).map_or(0, |torn| torn.iter().filter(|time| recent(**time, at)).count());
        u32::try_from(torn).unwrap_or(u32::MAX)
    }

    /// How many taps of any card were torn in the day before `at`.
    pub fn torn_taps_of_all(&self, at: Moment) -> u32 {
        let torn = self.torn_taps.values().flatten().filter(|time| recent(**time, at)).count();
        u32::try_from(torn).unwrap_or(u32::MAX)
    }

    /// Records the intent of a tap, sealed as unknown: durable (fsync) when the answer comes. Its name must be
    /// [`TapLog::next_id`].
    pub fn intend(&mut self, tap: &Tap) -> Pending {
        self.send(|done| Job::Intend(Box::new(tap.clone()), done))
    }

    /// Appends a tap and removes the intent, in one transaction; in the log, though perhaps not yet on the disk, when
    /// the answer comes.
    pub fn conclude(&mut self, tap: &Tap) -> Pending {
        self.next_sequence = tap.id.sequence + 1;
        self.remember(tap);
        self.send(|done| Job::Conclude(Box::new(tap.clone()), done))
    }

    /// Notes what the clearing house said of taps of this log's epoch.
    pub fn acknowledge(&mut self, verdicts: Vec<Acknowledged>) -> Pending {
        self.send(|done| Job::Acknowledge(verdicts, done))
    }

    /// Makes every tap durable and writes the WAL back. For idle moments.
    pub fn flush(&mut self) -> Pending {
        self.send(Job::Flush)
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

    fn remember(&mut self, tap: &Tap) {
        match tap.outcome {
            Outcome::Unknown => {
                let before = tap.record_read.and_then(|record| Record::decode(&record).ok());
                let open = OpenTap {
                    id: tap.id,
                    card_sequence_before: before.map_or(0, |record| record.card_sequence),
                    fare: tap.fare,
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
            }
            Outcome::Done | Outcome::Declined(_) | Outcome::Evidence => {}
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

/// The file, on the writer's side.
#[derive(Debug)]
struct Store {
    path: PathBuf,
    connection: Connection,
    device: DeviceId,
    epoch: Epoch,
    last_sequence: u32,
    last_hash: [u8; 32],
    flushed_through: u32,
}

impl Store {
    fn open(path: &Path, device: DeviceId, epoch: Epoch) -> Result<Self, LogFailed> {
        let failed = |doing| move |source: rusqlite::Error| store_failed(path, doing, source);
        let mut connection = Connection::open(path).map_err(failed("opened"))?;
        // Nobody else writes; who holds the lock for longer than this has lost its way.
        connection.busy_timeout(Duration::from_secs(1)).map_err(failed("opened"))?;
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
                 PRAGMA journal_size_limit = 8388608; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;",
            )
            .map_err(failed("opened"))?;
        // Without grouping, the tables and the note that they are made would be two transactions: a fault between them
        // would leave a log that no later start can open.
        migrations::migrations::runner().set_grouped(true).run(&mut connection).map_err(|source| LogFailed::Store {
            path: path.to_owned(),
            doing: "brought to this program's schema",
            source: Box::new(source),
        })?;
        connection
            .execute(
                "INSERT OR IGNORE INTO log (one, device, epoch) VALUES (1, ?1, ?2)",
                params![device.number(), epoch],
            )
            .map_err(failed("written"))?;
        let (owner, epoch): (u32, Epoch) = connection
            .query_row("SELECT device, epoch FROM log", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(failed("read"))?;
        if owner != device.number() {
            let why =
                format!("it belongs to device {owner}, and this is device {device}: give this device its own log");
            return Err(LogFailed::NotOurs { path: path.to_owned(), why });
        }
        let last: Option<(u32, Vec<u8>)> = connection
            .query_row("SELECT sequence, sealed FROM tap ORDER BY sequence DESC LIMIT 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
            .map_err(failed("read"))?;
        let (last_sequence, last_hash) = match last {
            Some((sequence, sealed)) => (sequence, sealed_tap(path, &sealed)?.hash()),
            None => (0, CHAIN_START),
        };
        Ok(Self { path: path.to_owned(), connection, device, epoch, last_sequence, last_hash, flushed_through: 0 })
    }

    /// The process that left an intent died past it: nobody knows what the card did.
    fn adopt_intent(&mut self) -> Result<Option<TapId>, LogFailed> {
        let sealed: Option<Vec<u8>> = self
            .connection
            .query_row("SELECT sealed FROM intent", [], |row| row.get(0))
            .optional()
            .map_err(|source| store_failed(&self.path, "read", source))?;
        let Some(sealed) = sealed else { return Ok(None) };
        let tap = open_tap(&self.path, &sealed)?;
        self.conclude(&tap)?;
        self.flush()?;
        Ok(Some(tap.id))
    }

    fn each_tap(&self, mut visit: impl FnMut(&Tap)) -> Result<(), LogFailed> {
        let failed = |source| store_failed(&self.path, "read", source);
        let mut statement = self.connection.prepare("SELECT sealed FROM tap ORDER BY sequence").map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let sealed: Vec<u8> = row.get(0).map_err(failed)?;
            visit(&open_tap(&self.path, &sealed)?);
        }
        Ok(())
    }

    fn serve(mut self, queue: &Receiver<Job>) {
        while let Ok(job) = queue.recv() {
            let (result, done) = match job {
                Job::Intend(tap, done) => (self.intend(&tap), done),
                Job::Conclude(tap, done) => (self.conclude(&tap), done),
                Job::Acknowledge(verdicts, done) => (self.acknowledge(&verdicts), done),
                Job::Flush(done) => (self.flush(), done),
            };
            let failed = result.is_err();
            // Nobody waits any longer when the deadline has passed.
            let _ = done.send(result);
            if failed {
                // After a failed write nothing that this connection says can be trusted: the log is opened anew.
                return;
            }
        }
        // A clean end leaves nothing for the next start to wonder about.
        if let Err(error) = self.flush() {
            tracing::warn!(%error, "the tap log was not flushed at the end");
        }
    }

    fn intend(&mut self, tap: &Tap) -> Result<(), LogFailed> {
        let unknown = Tap { outcome: Outcome::Unknown, transaction_mac: None, ..tap.clone() };
        let sealed = self.seal(&unknown)?;
        let through = self.last_sequence;
        self.transaction("FULL", "written", |connection| {
            connection
                .prepare_cached("INSERT INTO intent (one, sealed) VALUES (1, ?1)")?
                .execute([sealed.as_bytes().as_slice()])?;
            connection.prepare_cached("UPDATE log SET durable_through = ?1")?.execute([through])?;
            Ok(())
        })?;
        self.flushed_through = through;
        Ok(())
    }

    fn conclude(&mut self, tap: &Tap) -> Result<(), LogFailed> {
        let sealed = self.seal(tap)?;
        let sequence = tap.id.sequence;
        self.transaction("NORMAL", "written", |connection| {
            connection
                .prepare_cached("INSERT INTO tap (sequence, sealed) VALUES (?1, ?2)")?
                .execute(params![sequence, sealed.as_bytes().as_slice()])?;
            connection.prepare_cached("DELETE FROM intent")?.execute([])?;
            Ok(())
        })?;
        self.last_sequence = sequence;
        self.last_hash = sealed.hash();
        Ok(())
    }

    fn acknowledge(&mut self, verdicts: &[Acknowledged]) -> Result<(), LogFailed> {
        self.transaction("NORMAL", "written", |connection| {
            let mut insert = connection.prepare_cached(
                "INSERT INTO acknowledgement (sequence, verdict)
                 SELECT sequence, ?2 FROM tap WHERE sequence = ?1 AND substr(sealed, -32) = ?3
                 ON CONFLICT (sequence) DO UPDATE SET verdict = excluded.verdict",
            )?;
            for Acknowledged { sequence, hash, verdict } in verdicts {
                insert.execute(params![sequence, verdict.name(), hash.as_slice()])?;
            }
            Ok(())
        })
    }

    fn flush(&mut self) -> Result<(), LogFailed> {
        let through = self.last_sequence;
        if through > self.flushed_through {
            self.transaction("FULL", "flushed", |connection| {
                connection.prepare_cached("UPDATE log SET durable_through = ?1")?.execute([through])?;
                Ok(())
            })?;
            self.flushed_through = through;
        }
        self.connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            .map_err(|source| store_failed(&self.path, "flushed", source))
    }

    fn seal(&self, tap: &Tap) -> Result<SealedTap, LogFailed> {
        let expected = TapId { device: self.device, epoch: self.epoch, sequence: self.last_sequence + 1 };
        if tap.id != expected {
            let why = format!("tap {} was to be written where {expected} is next", tap.id);
            return Err(LogFailed::NotOurs { path: self.path.clone(), why });
        }
        tap.seal(&self.last_hash)
            .map_err(|error| LogFailed::NotOurs { path: self.path.clone(), why: error.to_string() })
    }

    fn transaction(
        &mut self,
        synchronous: &str,
        doing: &'static str,
        write: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), LogFailed> {
        let run = || {
            self.connection.pragma_update(None, "synchronous", synchronous)?;
            let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            write(&transaction)?;
            transaction.commit()
        };
        run().map_err(|source| store_failed(&self.path, doing, source))
    }
}

fn open_tap(path: &Path, sealed: &[u8]) -> Result<Tap, LogFailed> {
    sealed_tap(path, sealed)?
        .open()
        .map_err(|error| LogFailed::NotOurs { path: path.to_owned(), why: format!("a tap in it is damaged: {error}") })
}

fn sealed_tap(path: &Path, sealed: &[u8]) -> Result<SealedTap, LogFailed> {
    SealedTap::from_bytes(sealed)
        .map_err(|error| LogFailed::NotOurs { path: path.to_owned(), why: format!("a tap in it is damaged: {error}") })
}

fn store_failed(path: &Path, doing: &'static str, source: rusqlite::Error) -> LogFailed {
    LogFailed::Store { path: path.to_owned(), doing, source: Box::new(source) }
}
