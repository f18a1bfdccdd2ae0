//! The file, on the writer's side.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use jiff::Timestamp;
use refinery::Target;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};
use transit::id::{DeviceId, Epoch, TapId};
use transit::tap::{Outcome, SealedTap, Tap};
use transit::time::Moment;

use super::damage::beside;
use super::head::{Head, HeadKeeper};
use super::reserve::Reserve;
use super::wal_length::{WAL_KEPT_BYTES, WalLength, length};
use super::{Acknowledged, BootId, Job, LogFailed, LogFiles, wal};

mod migrations {
    refinery::embed_migrations!("migrations");
}

/// An open log whose every page and tap was looked at.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    connection: Connection,
    device: DeviceId,
    epoch: Epoch,
    last_sequence: u32,
    last_hash: [u8; 32],
    flushed_through: u32,
    keeper: HeadKeeper,
    /// The head as it was last given to the keeper.
    head: Option<Head>,
    reserve: Reserve,
    wal_length: WalLength,
    boot: Option<BootId>,
}

/// Nobody else writes; who holds the lock for longer than this has lost its way.
pub(super) const BUSY_TIMEOUT_MS: u32 = 1000;

impl Store {
    /// Opens the log, which is made in the epoch of `begins` where there is none; `known` is its head in the second
    /// place. `visit` sees every tap in order.
    ///
    /// # Errors
    /// [`LogFailed::Damaged`] where the log does not hold what was written to it, [`LogFailed::Store`] where it cannot be
    /// read or written, [`LogFailed::NotOurs`] where it is another device's.
    pub(super) fn open(
        files: &LogFiles,
        device: DeviceId,
        begins: Option<&Head>,
        known: Option<&Head>,
        mut visit: impl FnMut(&Tap),
    ) -> Result<Self, LogFailed> {
        let path = &files.log;
        let damaged = |why: String| LogFailed::Damaged { path: path.clone(), why };
        let failed = |doing| move |source: rusqlite::Error| store_failed(path, doing, source);
        let mut connection = open_whole(path)?;
        bring_up_to_date(path, &mut connection)?;
        if let Some(Head { epoch, hash, .. }) = begins {
            connection
                .execute(
                    "INSERT OR IGNORE INTO log (one, device, epoch, anchor_hash) VALUES (1, ?1, ?2, ?3)",
                    params![device.number(), epoch, hash.as_slice()],
                )
                .map_err(failed("written"))?;
        }
        let log = LogRow::read(&connection).map_err(failed("read"))?;
        let Some(log) = log else { return Err(damaged("it does not say whose it is".to_owned())) };
        if log.device != device.number() {
            return Err(match known {
                Some(_) => damaged(format!("it says that it is device {}'s, and its head does not", log.device)),
                None => LogFailed::NotOurs { path: path.clone(), why: other_device(log.device, device) },
            });
        }
        let mut store = Self {
            path: path.clone(),
            connection,
            device,
            epoch: log.epoch,
            last_sequence: log.anchor_sequence,
            last_hash: log.anchor_hash,
            flushed_through: log.durable_through,
            keeper: HeadKeeper::new(files.head.clone()),
            head: known.cloned(),
            reserve: Reserve::hold(None),
            wal_length: WalLength::new(beside(path, "-wal"), files.wal_bytes_max),
            boot: None,
        };
        store.check(known, &mut visit)?;
        if log.durable_through > store.last_sequence {
            let (durable, last) = (log.durable_through, store.last_sequence);
            return Err(damaged(format!("{durable} taps were on the disk, and it ends with {last}")));
        }
        Ok(store)
    }

    pub(super) fn use_reserve(&mut self, reserve: Reserve) {
        self.reserve = reserve;
    }

    /// Intents are written in this boot from now on.
    pub(super) fn use_boot(&mut self, boot: Option<BootId>) {
        self.boot = boot;
    }

    /// Whether the WAL is as long as it may be, kept up to date.
    pub(super) fn wal_length_reached(&self) -> Arc<AtomicBool> {
        self.wal_length.reached()
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn last_sequence(&self) -> u32 {
        self.last_sequence
    }

    /// Goes through every tap: whole, in order, in one chain, and not fewer than the head in the second place says.
    fn check(&mut self, known: Option<&Head>, visit: &mut impl FnMut(&Tap)) -> Result<(), LogFailed> {
        let path = self.path.clone();
        let damaged = |why: String| LogFailed::Damaged { path: path.clone(), why };
        let failed = |source| store_failed(&path, "read", source);
        let known = known.filter(|known| known.epoch >= self.epoch);
        if let Some(known) = known.filter(|known| known.epoch > self.epoch) {
            return Err(damaged(format!("it is of epoch {}, and epoch {} was begun", self.epoch, known.epoch)));
        }
        let differs = |sequence, hash| known.is_some_and(|known| known.sequence == sequence && known.hash != hash);
        if differs(self.last_sequence, self.last_hash) {
            return Err(damaged("it does not go on from where its head says".to_owned()));
        }
        let (mut last_sequence, mut last_hash) = (self.last_sequence, self.last_hash);
        let mut statement =
            self.connection.prepare("SELECT sequence, sealed FROM tap ORDER BY sequence").map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let (sequence, sealed): (u32, Vec<u8>) =
                row.get(0).and_then(|sequence| Ok((sequence, row.get(1)?))).map_err(failed)?;
            let (sealed, tap) = self.opened(&sealed)?;
            let expected = TapId { device: self.device, epoch: self.epoch, sequence: last_sequence + 1 };
            if tap.id != expected || sequence != expected.sequence {
                return Err(damaged(format!("tap {} is in the place {sequence} of {expected}", tap.id)));
            }
            if sealed.previous_hash() != last_hash {
                return Err(damaged(format!("tap {} does not go on from the one before it", tap.id)));
            }
            (last_sequence, last_hash) = (sequence, sealed.hash());
            if differs(last_sequence, last_hash) {
                return Err(damaged(format!("tap {} is another than its head says", tap.id)));
            }
            visit(&tap);
        }
        drop(rows);
        drop(statement);
        (self.last_sequence, self.last_hash) = (last_sequence, last_hash);
        if let Some(known) = known.filter(|known| known.sequence > last_sequence) {
            return Err(damaged(format!("it ends with tap {last_sequence}, and its head is tap {}", known.sequence)));
        }
        if let Some(intent) = self.intent()? {
            self.check_is_next(&intent).map_err(|_| damaged("the tap under way is not the next one".to_owned()))?;
        }
        Ok(())
    }

    fn opened(&self, sealed: &[u8]) -> Result<(SealedTap, Tap), LogFailed> {
        SealedTap::from_bytes(sealed)
            .and_then(|sealed| Ok((sealed.open()?, sealed)))
            .map(|(tap, sealed)| (sealed, tap))
            .map_err(|error| LogFailed::Damaged { path: self.path.clone(), why: format!("a tap in it: {error}") })
    }

    fn intent(&self) -> Result<Option<Tap>, LogFailed> {
        let sealed: Option<Vec<u8>> = self
            .connection
            .query_row("SELECT sealed FROM intent", [], |row| row.get(0))
            .optional()
            .map_err(|source| store_failed(&self.path, "read", source))?;
        sealed.map(|sealed| self.opened(&sealed).map(|(_, tap)| tap)).transpose()
    }

    /// The process that left an intent died past it: nobody knows what the card did. Nor, where the machine was started
    /// anew since, whether the rider was admitted.
    pub(super) fn adopt_intent(&mut self) -> Result<Option<Tap>, LogFailed> {
        let Some(tap) = self.intent()? else { return Ok(None) };
        let written_in: Option<[u8; 16]> = self
            .connection
            .query_row("SELECT boot FROM intent", [], |row| row.get(0))
            .map_err(|source| store_failed(&self.path, "read", source))?;
        let same_boot = self.boot.is_some_and(|now| written_in == Some(now.0));
        self.append(&tap, !same_boot)?;
        Ok(Some(tap))
    }

    /// The sequences of unknown taps whose riders may have been admitted.
    pub(super) fn perhaps_admitted(&self) -> Result<HashSet<u32>, LogFailed> {
        let read = || -> rusqlite::Result<_> {
            let mut statement = self.connection.prepare("SELECT sequence FROM perhaps_admitted")?;
            statement.query_map([], |row| row.get(0))?.collect()
        };
        read().map_err(|source| store_failed(&self.path, "read", source))
    }

    pub(super) fn serve(mut self, queue: &Receiver<Job>) {
        while let Ok(job) = queue.recv() {
            let (result, done) = match job {
                Job::Intend(tap, done) => (self.intend(&tap), done),
                Job::Conclude(tap, done) => (self.conclude(&tap), done),
                Job::Acknowledge(verdicts, done) => (self.acknowledge(&verdicts), done),
                Job::Prune(made_before, done) => (self.prune(made_before), done),
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
        // A clean end leaves nothing for the next start to wonder about: only then may closing it write its WAL back.
        let ended = self.flush().and_then(|()| {
            let end = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
            end.map(drop).map_err(|source| store_failed(&self.path, "closed", source))
        });
        if let Err(error) = ended {
            tracing::warn!(%error, "the tap log was not flushed at the end");
        }
    }

    fn intend(&mut self, tap: &Tap) -> Result<(), LogFailed> {
        if self.reserve.is_full() {
            return Err(LogFailed::Full { path: self.path.clone() });
        }
        if self.wal_length.is_too_long() && !self.keep_wal_short()? {
            return Err(LogFailed::WalHeld { path: self.path.clone() });
        }
        let unknown = Tap { outcome: Outcome::Unknown, transaction_mac: None, ..tap.clone() };
        let sealed = self.seal(&unknown)?;
        let (through, boot) = (self.last_sequence, self.boot.map(|boot| boot.0));
        self.transaction("FULL", "written", |connection| {
            connection
                .prepare_cached("INSERT INTO intent (one, sealed, boot) VALUES (1, ?1, ?2)")?
                .execute(params![sealed.as_bytes().as_slice(), boot.as_ref().map(<[u8; 16]>::as_slice)])?;
            connection.prepare_cached("UPDATE log SET durable_through = ?1")?.execute([through])?;
            Ok(())
        })?;
        self.flushed_through = through;
        Ok(())
    }

    fn conclude(&mut self, tap: &Tap) -> Result<(), LogFailed> {
        self.append(tap, false)
    }

    fn append(&mut self, tap: &Tap, perhaps_admitted: bool) -> Result<(), LogFailed> {
        let sealed = self.seal(tap)?;
        let sequence = tap.id.sequence;
        // No intent stands behind a ride on an earlier debit: had the power taken this tap back, the debit would give
        // another one.
        let admits_alone = matches!(tap.outcome, Outcome::Confirmed { admitted: true, .. });
        self.transaction(if admits_alone { "FULL" } else { "NORMAL" }, "written", |connection| {
            connection
                .prepare_cached("INSERT INTO tap (sequence, sealed) VALUES (?1, ?2)")?
                .execute(params![sequence, sealed.as_bytes().as_slice()])?;
            connection.prepare_cached("DELETE FROM intent")?.execute([])?;
            if perhaps_admitted {
                connection
                    .prepare_cached("INSERT INTO perhaps_admitted (sequence) VALUES (?1)")?
                    .execute([sequence])?;
            }
            if admits_alone {
                connection.prepare_cached("UPDATE log SET durable_through = ?1")?.execute([sequence])?;
            }
            Ok(())
        })?;
        self.last_sequence = sequence;
        self.last_hash = sealed.hash();
        if admits_alone {
            self.flushed_through = sequence;
        }
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

    fn prune(&mut self, made_before: Moment) -> Result<(), LogFailed> {
        let Some((anchor_sequence, anchor_hash)) = self.old_and_booked(made_before)? else { return Ok(()) };
        self.transaction("FULL", "written", |connection| {
            connection
                .prepare_cached("UPDATE log SET anchor_sequence = ?1, anchor_hash = ?2")?
                .execute(params![anchor_sequence, anchor_hash.as_slice()])?;
            connection.prepare_cached("DELETE FROM tap WHERE sequence <= ?1")?.execute([anchor_sequence])?;
            Ok(())
        })
    }

    /// The last of the oldest taps that are old and booked without a gap. Durable ones only: the head is never behind
    /// the anchor for want of an fsync.
    fn old_and_booked(&self, made_before: Moment) -> Result<Option<(u32, [u8; 32])>, LogFailed> {
        let failed = |source| store_failed(&self.path, "read", source);
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT tap.sequence, sealed, verdict IN ('accepted', 'known') FROM tap
                 LEFT JOIN acknowledgement ON acknowledgement.sequence = tap.sequence
                 WHERE tap.sequence <= ?1 ORDER BY tap.sequence LIMIT 1000",
            )
            .map_err(failed)?;
        let mut rows = statement.query([self.flushed_through]).map_err(failed)?;
        let mut last = None;
        while let Some(row) = rows.next().map_err(failed)? {
            let (sequence, sealed, booked): (u32, Vec<u8>, Option<bool>) =
                row.get(0).and_then(|sequence| Ok((sequence, row.get(1)?, row.get(2)?))).map_err(failed)?;
            let (sealed, tap) = self.opened(&sealed)?;
            if booked != Some(true) || tap.at >= made_before {
                break;
            }
            last = Some((sequence, sealed.hash()));
        }
        Ok(last)
    }

    pub(super) fn flush(&mut self) -> Result<(), LogFailed> {
        let through = self.last_sequence;
        if through > self.flushed_through {
            self.transaction("FULL", "flushed", |connection| {
                connection.prepare_cached("UPDATE log SET durable_through = ?1")?.execute([through])?;
                Ok(())
            })?;
            self.flushed_through = through;
        }
        self.keep_head();
        let write_back = || self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        let mut done = write_back();
        if done.as_ref().is_err_and(is_full) && self.reserve.release() {
            done = write_back();
        }
        done.map_err(|source| store_failed(&self.path, "flushed", source))?;
        self.keep_wal_short().map(drop)
    }

    /// Gives whether the WAL is short enough for a tap.
    fn keep_wal_short(&mut self) -> Result<bool, LogFailed> {
        self.wal_length.keep(&self.connection).map_err(|source| store_failed(&self.path, "flushed", source))
    }

    /// Keeps the head in the second place up with what is on the disk; nobody waits for it.
    fn keep_head(&mut self) {
        let head = Head {
            device: self.device,
            epoch: self.epoch,
            sequence: self.last_sequence,
            hash: self.last_hash,
            begun: true,
            kept: None,
        };
        if self.head.as_ref() != Some(&head) || self.keeper.has_failed() {
            self.keeper.keep(head.clone());
            self.head = Some(head);
        }
    }

    fn check_is_next(&self, tap: &Tap) -> Result<(), LogFailed> {
        let expected = TapId { device: self.device, epoch: self.epoch, sequence: self.last_sequence + 1 };
        if tap.id != expected {
            let why = format!("tap {} was to be written where {expected} is next", tap.id);
            return Err(LogFailed::NotOurs { path: self.path.clone(), why });
        }
        Ok(())
    }

    fn seal(&self, tap: &Tap) -> Result<SealedTap, LogFailed> {
        self.check_is_next(tap)?;
        tap.seal(&self.last_hash)
            .map_err(|error| LogFailed::NotOurs { path: self.path.clone(), why: error.to_string() })
    }

    fn transaction(
        &mut self,
        synchronous: &str,
        doing: &'static str,
        write: impl Fn(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), LogFailed> {
        let mut run = || {
            self.connection.pragma_update(None, "synchronous", synchronous)?;
            let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            write(&transaction)?;
            transaction.commit()
        };
        let mut done = run();
        if done.as_ref().is_err_and(is_full) && self.reserve.release() {
            done = run();
        }
        done.map_err(|source| store_failed(&self.path, doing, source))
    }
}

/// The epoch that the log at `path` says it is of, unchecked; `None` where it does not say.
pub(super) fn claimed_epoch(path: &Path) -> Option<Epoch> {
    if length(path).ok()? == 0 {
        // SQLite would delete its WAL.
        return None;
    }
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    connection.query_row("SELECT epoch FROM log", [], |row| row.get(0)).ok()
}

/// Opens the file and looks at every page of it, and of its WAL, before anything is written. Closing it writes nothing
/// either, so that a damaged one is kept as it is.
fn open_whole(path: &Path) -> Result<Connection, LogFailed> {
    let failed = |source| store_failed(path, "opened", source);
    let damaged = |why: String| LogFailed::Damaged { path: path.to_owned(), why };
    let unread = |source| LogFailed::Store { path: path.to_owned(), doing: "read", source: Box::new(source) };
    let wal = beside(path, "-wal");
    if length(path).map_err(unread)? == 0 && length(&wal).map_err(unread)? > 0 {
        // SQLite would delete the WAL.
        return Err(damaged("it is empty, and its WAL is not".to_owned()));
    }
    let connection = Connection::open(path).map_err(failed)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed)?;
    connection.busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS.into())).map_err(failed)?;
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if found != "ok" {
        return Err(damaged(found.replace('\n', ": ")));
    }
    let root_of_log = "SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND name = 'log'";
    let flush_page: Option<u32> = connection.query_row(root_of_log, [], |row| row.get(0)).optional().map_err(failed)?;
    if let Some(why) = wal::damage(&wal, flush_page).map_err(unread)? {
        return Err(damaged(why));
    }
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
             PRAGMA journal_size_limit = {WAL_KEPT_BYTES}; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;",
        ))
        .map_err(failed)?;
    Ok(connection)
}

/// Runs the migrations that a new or an older log needs. A schema that no version of this program made is damaged.
fn bring_up_to_date(path: &Path, connection: &mut Connection) -> Result<(), LogFailed> {
    let failed = |source| store_failed(path, "read", source);
    let damaged = |why: &str| LogFailed::Damaged { path: path.to_owned(), why: why.to_owned() };
    let found = schema(connection).map_err(failed)?;
    let mut versions: Vec<i32> =
        migrations::migrations::runner().get_migrations().iter().map(|migration| migration.version()).collect();
    versions.sort_unstable();
    let made_by = |version| Ok::<_, LogFailed>(fresh_schema(path, version)? == found);
    let newest = versions.last().copied().unwrap_or(0);
    if made_by(newest)? {
        return Ok(());
    }
    if !found.is_empty() && !nothing_made(connection, &found).map_err(failed)? {
        let applied: rusqlite::Result<i32> =
            connection.query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0));
        if let Ok(applied) = applied
            && applied > newest
        {
            let why =
                format!("its schema is version {applied}, and this program knows {newest}: use the newer program");
            return Err(LogFailed::NotOurs { path: path.to_owned(), why });
        }
        let is_older = versions.iter().map(|version| made_by(*version)).collect::<Result<Vec<_>, _>>()?.contains(&true);
        if !is_older || !history_can_be_read(connection).map_err(failed)? {
            return Err(damaged("its tables are not those that this program made"));
        }
    }
    migrate(path, connection, newest)
}

fn migrate(path: &Path, connection: &mut Connection, version: i32) -> Result<(), LogFailed> {
    // Without grouping, the tables and the note that they are made would be two transactions: a fault between them would
    // leave a log that no later start can open.
    let runner = migrations::migrations::runner().set_grouped(true).set_target(Target::Version(version));
    runner.run(connection).map(drop).map_err(|source| LogFailed::Store {
        path: path.to_owned(),
        doing: "brought to this program's schema",
        source: Box::new(source),
    })
}

/// A first start that died, or met a full disk, between refinery's own table and ours.
fn nothing_made(connection: &Connection, found: &Schema) -> rusqlite::Result<bool> {
    let mut tables = found.iter().filter(|(kind, ..)| kind == "table").map(|(_, name, _)| name.as_str());
    Ok((tables.next(), tables.next()) == (Some("refinery_schema_history"), None)
        && connection.query_row("SELECT count(*) = 0 FROM refinery_schema_history", [], |row| row.get(0))?)
}

/// refinery panics at times and checksums that it cannot read.
fn history_can_be_read(connection: &Connection) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare("SELECT applied_on, checksum FROM refinery_schema_history")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (applied_on, checksum): (String, String) = (row.get(0)?, row.get(1)?);
        let plain = applied_on.bytes().all(|byte| byte.is_ascii_digit() || b"T:.Z-".contains(&byte));
        let is_time =
            applied_on.ends_with('Z') && !applied_on.contains(":60") && applied_on.parse::<Timestamp>().is_ok();
        if !plain || !is_time || checksum.parse::<u64>().is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

type Schema = Vec<(String, String, Option<String>)>;

fn schema(connection: &Connection) -> rusqlite::Result<Schema> {
    let mut statement = connection.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

fn fresh_schema(path: &Path, version: i32) -> Result<Schema, LogFailed> {
    let mut fresh = Connection::open_in_memory().map_err(|source| store_failed(path, "opened", source))?;
    migrate(path, &mut fresh, version)?;
    schema(&fresh).map_err(|source| store_failed(path, "read", source))
}

struct LogRow {
    device: u32,
    epoch: Epoch,
    durable_through: u32,
    anchor_sequence: u32,
    anchor_hash: [u8; 32],
}

impl LogRow {
    fn read(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        connection
            .query_row("SELECT device, epoch, durable_through, anchor_sequence, anchor_hash FROM log", [], |row| {
                Ok(Self {
                    device: row.get(0)?,
                    epoch: row.get(1)?,
                    durable_through: row.get(2)?,
                    anchor_sequence: row.get(3)?,
                    anchor_hash: row.get(4)?,
                })
            })
            .optional()
    }
}

pub(super) fn other_device(owner: impl std::fmt::Display, device: DeviceId) -> String {
    format!("it belongs to device {owner}, and this is device {device}: give this device its own log")
}

fn store_failed(path: &Path, doing: &'static str, source: rusqlite::Error) -> LogFailed {
    if is_damage(&source) {
        return LogFailed::Damaged { path: path.to_owned(), why: source.to_string() };
    }
    LogFailed::Store { path: path.to_owned(), doing, source: Box::new(source) }
}

fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// SQLite says that the file is damaged, or a column holds what no column of ours can.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error;
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        || matches!(
            error,
            Error::FromSqlConversionFailure(..)
                | Error::IntegralValueOutOfRange(..)
                | Error::InvalidColumnType(..)
                | Error::Utf8Error(..)
        )
}
