//! A validator in this process: the product's engine, tap log and outbox, with a disk, a clock and a process that fail.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use card_crypto::{Lost, Transport};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rusqlite::{Connection, OpenFlags, params};
use transit::id::{DeviceId, Epoch, TapId};
use transit::screen::State;
use transit::sync::{Acknowledgement, Verdict};
use transit::tap::SealedTap;
use transit::time::Moment;
use validator::config::Core;
use validator::engine::{Engine, Rules};
use validator::link::check_acknowledgement;
use validator::log::{BootId, TapLog};
use validator::outbox::{Cursor, Next, Outbox};
use virtual_card::{CardInField, Picc};

use crate::Failed;
use crate::seeded_card::in_field;
use crate::seeded_event::{GatePlan, LogWrite, Mishap};

/// A disk that is slow because the machine is busy must change nothing.
const INTENT_DEADLINE: Duration = Duration::from_secs(600);
const RETRY_MS: (u64, u64) = (2_000, 600_000);
const COMMIT_TRANSACTION: u8 = 0xC7;

/// A validator.
#[derive(Debug)]
pub struct Gate {
    /// What it is.
    pub plan: GatePlan,
    /// By how much its clock is ahead of the true time, in seconds.
    pub clock_ahead_s: i64,
    folder: PathBuf,
    engine: Engine,
    device: DeviceId,
    public_key: [u8; 32],
    outbox: Outbox,
    in_flight: Option<u32>,
    random: ChaCha8Rng,
    refusal: Option<Refusal>,
    /// Which boot of its machine this is.
    boot: u64,
    /// How often a write to its log was refused.
    pub refused_writes: u64,
    /// How often it found at start that the process before had died past an intent.
    pub adopted_intents: u64,
}

/// What its disk refuses.
#[derive(Debug, Clone, Copy)]
struct Refusal {
    write: LogWrite,
    /// Once the log has so many taps.
    from_taps: u32,
    lasts: bool,
    /// It has refused something.
    is_known: bool,
}

/// Taps on their way.
#[derive(Debug)]
pub struct Upload {
    /// Which upload of this validator it is.
    pub number: u32,
    /// The first sequence.
    pub first: u32,
    /// The sealed taps.
    pub body: Vec<u8>,
}

/// A tap that the clearing house has acknowledged, as the validator believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledged {
    /// Its name.
    pub tap: TapId,
    /// The hash that it ends with.
    pub hash: [u8; 32],
    /// What the clearing house said.
    pub verdict: Verdict,
}

impl Gate {
    /// A validator in `folder`, which is made; `configuration` is what its `core.toml` says.
    ///
    /// # Errors
    /// Its files cannot be written or read.
    pub fn new(plan: GatePlan, folder: PathBuf, configuration: &str, seed: u64) -> Result<Self, Failed> {
        fs::create_dir_all(folder.join("log")).map_err(Failed::system(format!("making {}", folder.display())))?;
        let (engine, device, public_key) = load(&folder, configuration)?;
        let mut gate = Self {
            plan,
            clock_ahead_s: plan.clock_ahead_s,
            folder,
            engine,
            device,
            public_key,
            outbox: Outbox::new(Cursor { epoch: 0, through: 0 }, RETRY_MS),
            in_flight: None,
            random: ChaCha8Rng::seed_from_u64(seed ^ u64::from(plan.device) << 32),
            refusal: None,
            boot: 1,
            refused_writes: 0,
            adopted_intents: 0,
        };
        gate.open_log()?;
        Ok(gate)
    }

    /// Where its log is.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log/tap-log.db")
    }

    /// What its clock says at the true time `at`.
    pub fn clock(&self, at: u32) -> Moment {
        let clock = i64::from(at) + self.clock_ahead_s;
        Moment(u32::try_from(clock.clamp(0, i64::from(u32::MAX))).unwrap_or(u32::MAX))
    }

    /// Gets another configuration, and starts with it.
    ///
    /// # Errors
    /// Its files cannot be written or read.
    pub fn configure(&mut self, configuration: &str) -> Result<(), Failed> {
        self.engine.close_log();
        (self.engine, self.device, self.public_key) = load(&self.folder, configuration)?;
        self.open_log().map(drop)
    }

    /// Its processes end, and others take their place.
    ///
    /// # Errors
    /// The log cannot be opened though no fault of the plan explains it.
    pub fn restart(&mut self, cursor_lost: bool) -> Result<(), Failed> {
        self.in_flight = None;
        if cursor_lost {
            self.outbox = Outbox::new(Cursor { epoch: 0, through: 0 }, RETRY_MS);
        }
        self.open_log().map(drop)
    }

    /// Its disk refuses `write` once `after_taps` more taps are in the log.
    ///
    /// # Errors
    /// The log cannot be prepared for that.
    pub fn refuse(&mut self, write: LogWrite, after_taps: u32, lasts: bool) -> Result<(), Failed> {
        self.repair()?;
        let taps: u32 = self
            .connect()?
            .query_row("SELECT coalesce(max(sequence), 0) FROM tap", [], |row| row.get(0))
            .map_err(Failed::unexpected)?;
        self.refusal = Some(Refusal { write, from_taps: taps + after_taps, lasts, is_known: false });
        if self.engine.log().is_some() { self.prepare_refusal() } else { Ok(()) }
    }

    /// Its disk takes writes again.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn repair(&mut self) -> Result<(), Failed> {
        self.refusal = None;
        self.forget_refusal()
    }

    /// A trigger stands for the disk. It is there while the log is open alone: a log that has one when it is opened is not
    /// as its program made it.
    fn prepare_refusal(&self) -> Result<(), Failed> {
        let Some(Refusal { write, from_taps, .. }) = self.refusal else { return Ok(()) };
        let sql = format!(
            "CREATE TRIGGER disk_fault BEFORE {} WHEN (SELECT coalesce(max(sequence), 0) FROM tap) >= {from_taps}
             BEGIN SELECT RAISE(ABORT, 'the disk refuses'); END",
            write.operation()
        );
        self.connect()?.execute_batch(&sql).map_err(Failed::unexpected)
    }

    fn forget_refusal(&self) -> Result<(), Failed> {
        self.connect()?.execute_batch("DROP TRIGGER IF EXISTS disk_fault").map_err(Failed::unexpected)
    }

    /// Presents `card`, whose identifier is `uid`, at the true time `at`. Gives the card back, and what was shown: none
    /// where the validator is out of service.
    ///
    /// # Errors
    /// What no fault of the plan explains.
    pub fn present(
        &mut self,
        card: Picc,
        uid: &[u8; 7],
        at: u32,
        mishap: Option<Mishap>,
    ) -> Result<(Picc, Option<State>), Failed> {
        let rnd_a = self.random.random();
        if self.engine.log().is_none() && !self.open_log()? {
            return Ok((card, None));
        }
        let dies = matches!(mishap, Some(Mishap::ProcessDies { .. }));
        if dies {
            // Nothing reaches the disk that a process which dies here would not have written.
            let refuses = "CREATE TRIGGER process_died BEFORE INSERT ON tap BEGIN SELECT RAISE(ABORT, 'died'); END";
            self.connect()?.execute_batch(refuses).map_err(Failed::unexpected)?;
        }
        let power_goes = mishap == Some(Mishap::PowerLost);
        let reading = || Failed::system("keeping a log for a lost power");
        let kept = power_goes.then(|| files_in(&self.folder.join("log"))).transpose().map_err(reading())?;
        let mut field = Watched { field: in_field(card, mishap), log: self.folder.join("log"), kept };
        let clock = self.clock(at);
        let answer = self.engine.tap(&mut field, uid, clock, rnd_a);
        let shown = match answer {
            Ok(answer) => {
                let state = answer.state.clone();
                if self.engine.read_older(answer).is_err() {
                    self.log_failed();
                }
                Some(state)
            }
            // The disk has not refused: the process is gone.
            Err(_) if dies => None,
            Err(_) => {
                self.log_failed();
                None
            }
        };
        if dies {
            self.engine.close_log();
            self.connect()?.execute_batch("DROP TRIGGER process_died").map_err(Failed::unexpected)?;
            self.in_flight = None;
        }
        if let Some(mut files) = field.kept {
            if self.is_durable()? {
                files = files_in(&field.log).map_err(reading())?;
            }
            self.engine.close_log();
            put_back(&field.log, files).map_err(Failed::system("putting a log back"))?;
            self.in_flight = None;
            self.boot += 1;
        }
        if self.engine.log().is_none() {
            self.open_log()?;
        }
        Ok((field.field.remove(), shown))
    }

    /// No card is there: what is in the log goes to the disk.
    ///
    /// # Errors
    /// As [`Gate::restart`].
    pub fn idle(&mut self) -> Result<(), Failed> {
        if self.engine.log().is_some_and(|log| log.flush().wait().is_err()) {
            self.log_failed();
            self.open_log()?;
        }
        Ok(())
    }

    /// What is to be uploaded at the true time `at`, if anything.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn next_upload(&mut self, at: u32, number: u32) -> Result<Option<Upload>, Failed> {
        if self.in_flight.is_some() {
            return Ok(None);
        }
        let connection = Connection::open_with_flags(self.log(), OpenFlags::SQLITE_OPEN_READ_ONLY);
        let connection = connection.map_err(Failed::unexpected)?;
        let (epoch, durable): (Epoch, u32) = connection
            .query_row("SELECT epoch, durable_through FROM log", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(Failed::unexpected)?;
        let Next::Send { first, last } = self.outbox.next(ms(at), epoch, durable) else { return Ok(None) };
        let taps = taps(&connection, first, last).map_err(Failed::unexpected)?;
        self.in_flight = Some(number);
        Ok(Some(Upload { number, first, body: taps.concat() }))
    }

    /// The network is there, and no upload is under way.
    pub fn network_is_back(&mut self) {
        self.in_flight = None;
        self.outbox.network_is_back();
    }

    /// The time for an answer to upload `number` is over; whether none has come.
    pub fn no_answer(&mut self, at: u32, number: u32, chance: u32) -> bool {
        let waits = self.in_flight == Some(number);
        if waits {
            self.in_flight = None;
            self.outbox.failed(ms(at), chance);
        }
        waits
    }

    /// An answer came: to the upload that is under way, or to one that was given up. What the validator believes of it
    /// comes back.
    pub fn answered(
        &mut self,
        at: u32,
        (number, first): (u32, u32),
        (text, signature): (&str, &[u8; 64]),
        chance: u32,
    ) -> Vec<Acknowledged> {
        let mut believed = Vec::new();
        if let Some(log) = self.engine.log() {
            let (device, epoch) = (self.device, log.epoch());
            let checked = check_acknowledgement(text, &hex::encode(signature), &self.public_key, device, epoch)
                .unwrap_or_default();
            believed = checked
                .iter()
                .map(|said| Acknowledged {
                    tap: TapId { device, epoch, sequence: said.sequence },
                    hash: said.hash,
                    verdict: said.verdict,
                })
                .collect();
            if log.acknowledge(checked).wait().is_err() {
                self.log_failed();
            }
        }
        if self.in_flight == Some(number)
            && let Ok(acknowledgement) = serde_json::from_str::<Acknowledgement>(text)
        {
            self.in_flight = None;
            self.outbox.answered(ms(at), first, &acknowledgement.taps, chance);
        }
        believed
    }

    /// The taps of its log after the first `seen`.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn taps_from(&self, seen: usize) -> Result<Vec<SealedTap>, Failed> {
        let log = Connection::open_with_flags(self.log(), OpenFlags::SQLITE_OPEN_READ_ONLY);
        let first = u32::try_from(seen + 1).unwrap_or(u32::MAX);
        let taps = log.and_then(|log| taps(&log, first, u32::MAX)).map_err(Failed::unexpected)?;
        taps.iter().map(|bytes| SealedTap::from_bytes(bytes).map_err(Failed::unexpected)).collect()
    }

    /// Closes its log.
    pub fn end(&mut self) {
        self.engine.close_log();
    }

    /// Opens the log, as a validator's core does at its start and once a second while it is out of service; whether it
    /// is in service then.
    fn open_log(&mut self) -> Result<bool, Failed> {
        self.engine.close_log();
        match self.refusal {
            Some(Refusal { is_known: true, lasts: true, .. }) => return Ok(false),
            Some(Refusal { is_known: true, lasts: false, .. }) => self.repair()?,
            Some(_) => self.forget_refusal()?,
            None => {}
        }
        let mut boot = [0; 16];
        boot[..8].copy_from_slice(&self.boot.to_be_bytes());
        let (log, start_up) =
            TapLog::open(&self.log(), self.device, 1, Some(BootId(boot))).map_err(Failed::unexpected)?;
        self.adopted_intents += u64::from(start_up.unknown.is_some());
        self.engine.use_log(log);
        self.prepare_refusal()?;
        Ok(true)
    }

    fn log_failed(&mut self) {
        self.engine.close_log();
        self.refused_writes += 1;
        if let Some(refusal) = &mut self.refusal {
            refusal.is_known = true;
        }
    }

    /// Whether an fsync has covered every tap of its log.
    fn is_durable(&self) -> Result<bool, Failed> {
        let covered = "SELECT durable_through >= (SELECT coalesce(max(sequence), 0) FROM tap) FROM log";
        self.connect()?.query_row(covered, [], |row| row.get(0)).map_err(Failed::unexpected)
    }

    fn connect(&self) -> Result<Connection, Failed> {
        Connection::open(self.log()).map_err(Failed::unexpected)
    }
}

fn ms(at: u32) -> u64 {
    u64::from(at) * 1000
}

/// The sealed taps of a log, from `first` to `last`.
pub(crate) fn taps(log: &Connection, first: u32, last: u32) -> rusqlite::Result<Vec<Vec<u8>>> {
    let mut statement = log.prepare("SELECT sealed FROM tap WHERE sequence BETWEEN ?1 AND ?2 ORDER BY sequence")?;
    statement.query_map(params![first, last], |row| row.get(0))?.collect()
}

fn load(folder: &Path, configuration: &str) -> Result<(Engine, DeviceId, [u8; 32]), Failed> {
    let path = folder.join("core.toml");
    fs::write(&path, configuration).map_err(Failed::system(format!("writing {}", path.display())))?;
    let core = Core::load(&path, None).map_err(Failed::unexpected)?;
    let (device, public_key) = (core.config.device, core.config.clearing_house_public_key);
    let rules =
        Rules { intent_deadline: INTENT_DEADLINE, ..Rules::new(&core.config, core.gate, core.tariffs, core.deny_list) };
    Ok((Engine::new(rules, core.keys), device, public_key))
}

/// A card whose commit is noticed.
struct Watched {
    field: CardInField,
    log: PathBuf,
    /// What a lost power leaves of the log's files: as they were before the tap, or with its intent.
    kept: Option<Vec<(PathBuf, Vec<u8>)>>,
}

impl Transport for Watched {
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Lost> {
        if let (Some(files), [_, COMMIT_TRANSACTION, ..]) = (&mut self.kept, command) {
            *files = files_in(&self.log).map_err(|_| Lost::Silent)?;
        }
        self.field.exchange(command)
    }
}

fn files_in(folder: &Path) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // The index of the write-ahead log is made anew from it.
        if !path.to_string_lossy().ends_with("-shm") {
            files.push((path.clone(), fs::read(path)?));
        }
    }
    Ok(files)
}

fn put_back(folder: &Path, files: Vec<(PathBuf, Vec<u8>)>) -> io::Result<()> {
    fs::remove_dir_all(folder)?;
    fs::create_dir_all(folder)?;
    files.into_iter().try_for_each(|(path, bytes)| fs::write(path, bytes))
}
