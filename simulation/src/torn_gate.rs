//! One validator: the product's engine over its own log, whose disk can be kept and put back.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use card_crypto::{Lost, Transport};
use rusqlite::{Connection, params};
use transit::id::{CardToken, DeviceId, Epoch};
use transit::screen::State as Screen;
use transit::tap::{CHAIN_START, SealedTap};
use transit::time::Moment;
use validator::config::{Core, DenyList};
use validator::engine::{Engine, Rules};
use validator::log::{BootId, LogFailed, LogFiles, StartUp, TapLog};
use virtual_card::distortion::distorted;
use virtual_card::{CardInField, Identity, Memory, Picc};

use crate::Failed;
use crate::city::CLEARING_HOUSE_KEY;
use crate::torn_fault::{Exchange, Fault, PowerLoss};

/// The boot in which a card is presented, and the one after a lost power. No intent is older than its presentation.
const BOOT: BootId = BootId([1; 16]);
const NEXT_BOOT: BootId = BootId([2; 16]);

/// Where a validator stands, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// Its number.
    pub device: u32,
    /// Whose it is.
    pub operator: u16,
    /// At which stop of line 1.
    pub stop: u16,
}

/// Everything that the log of a validator holds between two presentations: its process has ended or was started again,
/// so that no intent stands and everything is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The epoch; one more after a log was destroyed.
    pub epoch: Epoch,
    /// The sealed taps, in order.
    pub taps: Arc<Vec<SealedTap>>,
    /// The unknown taps among them whose riders may have been admitted.
    pub perhaps_admitted: Arc<BTreeSet<u32>>,
}

impl Log {
    /// The log of a new validator.
    pub fn new() -> Self {
        Self::of_epoch(1)
    }

    fn of_epoch(epoch: Epoch) -> Self {
        Self { epoch, taps: Arc::default(), perhaps_admitted: Arc::default() }
    }

    /// The last tap's hash, which stands for everything before it.
    pub fn head(&self) -> [u8; 32] {
        self.taps.last().map_or(CHAIN_START, SealedTap::hash)
    }

    /// How many taps it holds.
    pub fn len(&self) -> u32 {
        u32::try_from(self.taps.len()).unwrap_or(u32::MAX)
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.taps.is_empty()
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

/// One presentation of a card.
#[derive(Debug)]
pub struct Presentation<'a> {
    /// The card, and what it keeps.
    pub card: (&'a Identity, &'a Memory),
    /// When.
    pub at: Moment,
    /// What goes wrong.
    pub fault: Fault,
    /// What every challenge consists of.
    pub challenge: u8,
}

/// What a presentation left.
#[derive(Debug)]
pub struct Left {
    /// What the card keeps.
    pub card: Memory,
    /// The log.
    pub log: Log,
    /// Whether the rider saw green.
    pub green: bool,
}

/// Whether the engine's intents survive the end of its process. Without them the harness must find losses: it shows
/// that it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intents {
    /// As the product writes them.
    Kept,
    /// Removed from the log wherever the process ends, as if they had never been written.
    Removed,
}

/// A validator.
#[derive(Debug)]
pub struct Gate {
    device: DeviceId,
    config: PathBuf,
    engine: Engine,
    path: PathBuf,
    /// The file of a log without taps.
    blank: Vec<u8>,
    intents: Intents,
    /// The log whose file was laid out last, and that file.
    laid_out: Option<(Log, Vec<u8>)>,
}

/// The files of a log, as a lost power leaves them.
#[derive(Debug)]
struct Disk {
    database: Vec<u8>,
    write_ahead: Vec<u8>,
    /// The head in the second place, where there was one yet.
    head: Option<Vec<u8>>,
}

impl Gate {
    /// The validator at `site`, with its log in `folder`; it reads `older_records` after each green.
    ///
    /// # Errors
    /// The fixtures cannot be read, or the log cannot be made.
    pub fn new(
        site: Site,
        folder: &Path,
        fixtures: &Path,
        intents: Intents,
        older_records: u8,
    ) -> Result<Self, Failed> {
        let name = format!("gate-{}", site.device);
        let config = folder.join(format!("{name}.toml"));
        let making = || Failed::system(format!("making {}", config.display()));
        fs::write(&config, core_config(site, fixtures, older_records)).map_err(making())?;
        let core = Core::load(&config, None).map_err(Failed::unexpected)?;
        let device = core.config.device;
        let path = folder.join(format!("{name}.db"));
        drop(TapLog::open(&path, device, 1, Some(BOOT)).map_err(Failed::unexpected)?);
        let blank = read(&path)?;
        Ok(Self { device, config, engine: engine(core), path, blank, intents, laid_out: None })
    }

    /// Its number.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// Presents a card to this validator, whose process is started on `log` for it and ends after it.
    ///
    /// # Errors
    /// The log cannot be read or written otherwise than by the fault.
    pub fn present(&mut self, log: &Log, presentation: &Presentation<'_>) -> Result<Left, Failed> {
        let Presentation { card: (identity, memory), at, fault, challenge } = *presentation;
        self.lay_out(log)?;
        let (opened, _) = self.open(log, BOOT)?;
        // A log that starts with tables of others is refused.
        if let Some(trigger) = trigger(fault) {
            self.sql()?.execute_batch(trigger).map_err(Failed::unexpected)?;
        }
        self.engine.use_log(opened);
        let card = Picc::with_memory(identity.clone(), memory.clone(), Box::new(move || [challenge; 16]));
        let mut field = Watched { field: faulty(card, fault), path: &self.path, moment: power_loss(fault), left: None };
        let uid = identity.uid;
        let answer = self.engine.tap(&mut field, &uid, at, [!challenge; 16]);
        let failed = answer.is_err();
        let green = answer.as_ref().is_ok_and(|answer| matches!(answer.state, Screen::Accepted { .. }));
        let moment = power_loss(fault);
        let power_goes = match moment {
            Some(PowerLoss::AfterOutcome) => green,
            Some(PowerLoss::BeforeSync) => green && self.is_durable()?,
            Some(PowerLoss::BeforeIntent | PowerLoss::AfterIntent | PowerLoss::BeforeOutcome) | None => false,
        };
        match answer {
            Ok(answer) if power_goes => {
                drop(answer);
                field.lose_power();
            }
            Ok(answer) => self.engine.read_older(answer).map_err(Failed::unexpected)?,
            Err(LogFailed::Store { .. }) if trigger(fault).is_some() => {}
            Err(error) => return Err(Failed::unexpected(error)),
        }
        let Watched { field, left, .. } = field;
        let next = self.engine.log().map(|log| log.next_id().sequence);
        self.engine.close_log();

        if let Some((disk, card)) = left {
            self.put_back(&disk?)?;
            let green = green && matches!(moment, Some(PowerLoss::AfterOutcome | PowerLoss::BeforeSync));
            return Ok(Left { card: without_power(&card)?, log: self.restart(log, NEXT_BOOT)?, green });
        }
        let card = field.remove().memory().clone();
        if fault == Fault::LogDestroyed {
            return Ok(Left { card, log: Log::of_epoch(log.epoch + 1), green });
        }
        if trigger(fault).is_some() {
            self.sql()?
                .execute_batch("DROP TRIGGER IF EXISTS intent_fails; DROP TRIGGER IF EXISTS tap_fails")
                .map_err(Failed::unexpected)?;
        }
        let log = match next {
            _ if failed => self.restart(log, BOOT)?,
            // Nothing was written.
            Some(next) if next == log.len() + 1 => log.clone(),
            Some(_) | None => self.read(log)?,
        };
        Ok(Left { card, log, green })
    }

    /// A tap through `transport`, whatever stands between this validator and the card: whether it shows green, and its log.
    ///
    /// # Errors
    /// The log cannot be read or written.
    pub fn tap_through<T: Transport>(
        &mut self,
        log: &Log,
        transport: &mut T,
        uid: &[u8],
        (at, challenge): (Moment, u8),
    ) -> Result<(bool, Log), Failed> {
        self.lay_out(log)?;
        let (opened, _) = self.open(log, BOOT)?;
        self.engine.use_log(opened);
        let answer = self.engine.tap(transport, uid, at, [!challenge; 16]).map_err(Failed::unexpected)?;
        let green = matches!(answer.state, Screen::Accepted { .. });
        drop(answer);
        self.engine.close_log();
        Ok((green, self.read(log)?))
    }

    /// Has this validator deny `cards` from now on.
    ///
    /// # Errors
    /// Its configuration cannot be read again.
    pub fn deny(&mut self, cards: Vec<CardToken>) -> Result<(), Failed> {
        let mut core = Core::load(&self.config, None).map_err(Failed::unexpected)?;
        core.deny_list = DenyList::new(1, cards);
        self.engine = engine(core);
        Ok(())
    }

    fn open(&self, log: &Log, boot: BootId) -> Result<(TapLog, StartUp), Failed> {
        TapLog::open(&self.path, self.device, log.epoch, Some(boot)).map_err(Failed::unexpected)
    }

    /// The process that ended without a word is started again, and finds what it left.
    fn restart(&mut self, before: &Log, boot: BootId) -> Result<Log, Failed> {
        if self.intents == Intents::Removed {
            self.sql()?.execute_batch("DELETE FROM intent").map_err(Failed::unexpected)?;
        }
        drop(self.open(before, boot)?);
        self.read(before)
    }

    /// Puts the file of `log` where the engine finds it. Its head is made anew: the one in the second place is of whatever
    /// log was here before.
    fn lay_out(&mut self, log: &Log) -> Result<(), Failed> {
        remove(&head_of(&self.path))?;
        if let Some((laid_out, file)) = &self.laid_out
            && laid_out == log
        {
            return write(&self.path, file);
        }
        write(&self.path, &self.blank)?;
        let mut connection = self.sql()?;
        let lay = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            transaction.execute("UPDATE log SET epoch = ?1, durable_through = ?2", params![log.epoch, log.len()])?;
            let mut insert = transaction.prepare("INSERT INTO tap (sequence, sealed) VALUES (?1, ?2)")?;
            for (sequence, tap) in (1..).zip(log.taps.iter()) {
                let sequence: u32 = sequence;
                insert.execute(params![sequence, tap.as_bytes().as_slice()])?;
            }
            drop(insert);
            for sequence in log.perhaps_admitted.iter() {
                transaction.execute("INSERT INTO perhaps_admitted (sequence) VALUES (?1)", [sequence])?;
            }
            transaction.commit()
        };
        lay(&mut connection).map_err(Failed::unexpected)?;
        drop(connection);
        let file = read(&self.path)?;
        self.laid_out = Some((log.clone(), file));
        Ok(())
    }

    /// What the log holds now, `before` having been its beginning.
    fn read(&self, before: &Log) -> Result<Log, Failed> {
        let connection = self.sql()?;
        let intents: u32 =
            connection.query_row("SELECT count(*) FROM intent", [], |row| row.get(0)).map_err(Failed::unexpected)?;
        if intents > 0 {
            return Err(Failed::Unexpected(format!("{} has an intent after its end", self.path.display())));
        }
        let mut statement = connection
            .prepare("SELECT sealed FROM tap WHERE sequence > ?1 ORDER BY sequence")
            .map_err(Failed::unexpected)?;
        let sealed: Vec<Vec<u8>> = statement
            .query_map([before.len()], |row| row.get(0))
            .and_then(Iterator::collect)
            .map_err(Failed::unexpected)?;
        if sealed.is_empty() {
            return Ok(before.clone());
        }
        let mut statement = connection.prepare("SELECT sequence FROM perhaps_admitted").map_err(Failed::unexpected)?;
        let perhaps_admitted: BTreeSet<u32> =
            statement.query_map([], |row| row.get(0)).and_then(Iterator::collect).map_err(Failed::unexpected)?;
        let mut taps = before.taps.as_ref().clone();
        for bytes in sealed {
            taps.push(SealedTap::from_bytes(&bytes).map_err(Failed::unexpected)?);
        }
        Ok(Log { epoch: before.epoch, taps: Arc::new(taps), perhaps_admitted: Arc::new(perhaps_admitted) })
    }

    /// Whether an fsync has covered every tap of the log.
    fn is_durable(&self) -> Result<bool, Failed> {
        let covered = "SELECT durable_through >= (SELECT coalesce(max(sequence), 0) FROM tap) FROM log";
        self.sql()?.query_row(covered, [], |row| row.get(0)).map_err(Failed::unexpected)
    }

    fn put_back(&self, disk: &Disk) -> Result<(), Failed> {
        write(&self.path, &disk.database)?;
        write(&beside(&self.path, "-wal"), &disk.write_ahead)?;
        match &disk.head {
            Some(head) => write(&head_of(&self.path), head),
            None => remove(&head_of(&self.path)),
        }
    }

    fn sql(&self) -> Result<Connection, Failed> {
        Connection::open(&self.path).map_err(Failed::unexpected)
    }
}

/// A card in the field of a validator that may lose its power.
struct Watched<'a> {
    field: CardInField,
    path: &'a Path,
    moment: Option<PowerLoss>,
    /// What the loss left: the disk, and the card's memory.
    left: Option<(Result<Disk, Failed>, Memory)>,
}

impl Watched<'_> {
    fn lose_power(&mut self) {
        self.left = Some((Disk::now(self.path), self.field.card().memory().clone()));
    }
}

impl Transport for Watched<'_> {
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Lost> {
        let number = self.field.traffic().exchanges + 1;
        let at = |exchange: Exchange| number == exchange as u32;
        match self.moment {
            // Without a commit, what was before the tap is all that is surely on the disk.
            Some(PowerLoss::BeforeIntent | PowerLoss::BeforeSync) if at(Exchange::ReadRecords) => self.lose_power(),
            Some(PowerLoss::AfterIntent) if at(Exchange::Commit) => self.lose_power(),
            Some(_) | None => {}
        }
        let answer = self.field.exchange(command);
        let before_outcome = matches!(self.moment, Some(PowerLoss::BeforeOutcome | PowerLoss::BeforeSync));
        if before_outcome && at(Exchange::Commit) {
            self.lose_power();
        }
        answer
    }
}

impl Disk {
    fn now(path: &Path) -> Result<Self, Failed> {
        let head = head_of(path);
        let head = if head.exists() { Some(read(&head)?) } else { None };
        Ok(Self { database: read(path)?, write_ahead: read(&beside(path, "-wal"))?, head })
    }
}

/// What a card keeps that loses its power in the midst of a transaction: nothing of that.
fn without_power(card: &Memory) -> Result<Memory, Failed> {
    let kept = serde_json::to_vec(card).map_err(Failed::unexpected)?;
    serde_json::from_slice(&kept).map_err(Failed::unexpected)
}

/// The card in the field with what the fault does there.
fn faulty(card: Picc, fault: Fault) -> CardInField {
    let field = CardInField::new(card);
    match fault {
        Fault::LostBefore(exchange) => field.with_fault(virtual_card::Fault::LoseBefore(exchange as u32)),
        Fault::LostAfter(exchange) => field.with_fault(virtual_card::Fault::LoseAfter(exchange as u32)),
        Fault::Mutated(exchange) => field.with_mutation(Box::new(move |number, mut answer| {
            if number == exchange as u32 {
                answer.iter_mut().take(1).for_each(|byte| *byte ^= 1);
            }
            answer
        })),
        Fault::CutInAnswer(number, bytes) => field.with_fault(virtual_card::Fault::LoseInAnswer(number, bytes)),
        Fault::Distorted(number, seed) => field
            .with_mutation(Box::new(move |at, answer| if at == number { distorted(&answer, seed) } else { answer })),
        Fault::None
        | Fault::PowerLost(_)
        | Fault::IntentWriteFails
        | Fault::OutcomeWriteFails
        | Fault::TapWriteFails
        | Fault::LogDestroyed => field,
    }
}

fn power_loss(fault: Fault) -> Option<PowerLoss> {
    match fault {
        Fault::PowerLost(moment) => Some(moment),
        Fault::None
        | Fault::LostBefore(_)
        | Fault::LostAfter(_)
        | Fault::Mutated(_)
        | Fault::CutInAnswer(..)
        | Fault::Distorted(..)
        | Fault::IntentWriteFails
        | Fault::OutcomeWriteFails
        | Fault::TapWriteFails
        | Fault::LogDestroyed => None,
    }
}

/// What makes the log refuse, as a disk would that is full just there.
fn trigger(fault: Fault) -> Option<&'static str> {
    match fault {
        Fault::IntentWriteFails => {
            Some("CREATE TRIGGER intent_fails BEFORE INSERT ON intent BEGIN SELECT RAISE(ABORT, 'full'); END")
        }
        Fault::OutcomeWriteFails => Some(
            "CREATE TRIGGER tap_fails BEFORE INSERT ON tap WHEN EXISTS (SELECT 1 FROM intent) \
             BEGIN SELECT RAISE(ABORT, 'full'); END",
        ),
        Fault::TapWriteFails => {
            Some("CREATE TRIGGER tap_fails BEFORE INSERT ON tap BEGIN SELECT RAISE(ABORT, 'full'); END")
        }
        Fault::None
        | Fault::LostBefore(_)
        | Fault::LostAfter(_)
        | Fault::Mutated(_)
        | Fault::CutInAnswer(..)
        | Fault::Distorted(..)
        | Fault::PowerLost(_)
        | Fault::LogDestroyed => None,
    }
}

fn engine(core: Core) -> Engine {
    // A machine that stalls is none of the faults.
    let intent_deadline = Duration::from_secs(600);
    let rules = Rules { intent_deadline, ..Rules::new(&core.config, core.gate, core.tariffs, core.deny_list) };
    Engine::new(rules, core.keys)
}

fn core_config(site: Site, fixtures: &Path, older_records: u8) -> String {
    let Site { device, operator, stop } = site;
    let fixtures = fixtures.display();
    format!(
        r#"device = {device}
operator = {operator}
line = 1
stop = {stop}
reader = "none"
tariff = "{fixtures}/hanoi/tariff.toml"
keys = "{fixtures}/keys/test-validator-keys.toml"
keys_class = "test"
log = "gate-{device}.db"
panel_socket = "panel.sock"
link_socket = "link.sock"
clearing_house_public_key = "{CLEARING_HOUSE_KEY}"
limits = {{ older_records = {older_records} }}
"#
    )
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn head_of(log: &Path) -> PathBuf {
    LogFiles::at(log).head
}

fn remove(path: &Path) -> Result<(), Failed> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Failed::system(format!("removing {}", path.display()))(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failed> {
    fs::read(path).map_err(Failed::system(format!("reading {}", path.display())))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failed> {
    fs::write(path, bytes).map_err(Failed::system(format!("writing {}", path.display())))
}
