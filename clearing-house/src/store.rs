//! The books on disk: SQLite, and the only file with SQL outside the migrations.
//!
//! `synchronous=FULL`: when a commit returns, the disk has it, and only then is an upload answered. Every write happens
//! in a [`Books`] begun with `BEGIN IMMEDIATE`, so that a server and a settlement may share one file.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use transit::action::ActionError;
use transit::id::{CardToken, DeviceId, TapId};
use transit::sync::Verdict;
use transit::tap::{Outcome, SealedTap, Tap, TapError};
use transit::time::{Moment, ServiceDay};

use crate::chain;
use crate::evidence::{SlotProof, Writing, wanted_slot};
use crate::finding::{Finding, FindingKind};

mod actions;
mod desks;
mod gaps;
mod history;
mod ledger;
mod missing;
mod moments;
mod suspense;
mod unproven_limits;
mod unproven_records;
mod whole;

pub(crate) use actions::{ActionColumns, StoredAction};
pub(crate) use desks::{StoredAnswer, StoredDenyList};
pub(crate) use gaps::Uncounted;
pub(crate) use ledger::StoredEntry;
pub(crate) use suspense::PendingUnknown;
pub use whole::BackupError;

mod migrations {
    refinery::embed_migrations!("migrations");
}

/// Why the books could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused: disk full, locked, read-only.
    #[error("the books cannot be used")]
    Sqlite(#[source] rusqlite::Error),
    /// SQLite cannot read what was written.
    #[error("the books are damaged; {REMEDY}")]
    Corrupt(#[source] rusqlite::Error),
    /// A look at every page found something.
    #[error("the books are damaged ({0}); {REMEDY}")]
    Pages(String),
    /// The tables could not be made or brought up to date.
    #[error("the books cannot be brought up to this program's version")]
    Migration(#[source] Box<refinery::Error>),
    /// A row holds what this program does not write.
    #[error("a row of the books is damaged: {0}")]
    Damaged(String),
    /// A tap in the books does not open any more.
    #[error("tap {id} in the books is damaged")]
    Tap {
        /// Its name.
        id: String,
        /// What is wrong with its bytes.
        source: TapError,
    },
    /// A step of a desk's action in the books does not open any more.
    #[error("action {id} in the books is damaged")]
    Action {
        /// Its name.
        id: String,
        /// What is wrong with its bytes.
        source: ActionError,
    },
    /// An entry's postings do not sum to 0: a mistake of this program, which writes nothing then.
    #[error("an entry of kind {0} does not balance")]
    Unbalanced(&'static str),
}

const REMEDY: &str = "nothing is written to them: keep the files, and put the last backup in their place";

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if whole::is_damage(&error) { Self::Corrupt(error) } else { Self::Sqlite(error) }
    }
}

impl StoreError {
    /// The books hold something else than what was written to them: nothing that a second try mends.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Corrupt(_) | Self::Pages(_) | Self::Damaged(_) | Self::Tap { .. } | Self::Action { .. } => true,
            Self::Migration(error) => {
                error.source().and_then(|source| source.downcast_ref()).is_some_and(whole::is_damage)
            }
            Self::Sqlite(_) | Self::Unbalanced(_) => false,
        }
    }
}

/// The books.
#[derive(Debug)]
pub struct Store(Connection);

/// The books inside one database transaction: dropped without [`Books::commit`], nothing has happened.
#[derive(Debug)]
pub struct Books<'a>(Transaction<'a>);

/// A tap as it lies in the books.
#[derive(Debug, Clone)]
pub struct StoredTap {
    /// The name that its row has.
    pub id: String,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether its Transaction MAC was found right.
    pub proven: bool,
    /// The receipt that acknowledged it.
    pub receipt: i64,
    /// The columns that were read out of the bytes when it was stored.
    pub columns: TapColumns,
}

/// What is read out of a tap so that it can be found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapColumns {
    device: u32,
    epoch: u8,
    sequence: u32,
    card: [u8; 16],
    outcome: String,
    counter: Option<u32>,
    wanted_slot: Option<u32>,
    names: Option<String>,
}

/// One acknowledged upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// When it came.
    pub at: Moment,
    /// The text that was answered.
    pub acknowledgement: String,
    /// Its signature.
    pub signature: Vec<u8>,
}

/// Bytes that are not in the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAside {
    /// The name that they claim.
    pub tap: Option<String>,
    /// Why they are not in the books.
    pub verdict: Verdict,
    /// The same, for people.
    pub detail: String,
    /// The bytes as they came.
    pub bytes: Vec<u8>,
}

/// A closed day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedDay {
    /// The day.
    pub service_day: ServiceDay,
    /// When it was closed.
    pub closed_at: Moment,
    /// The newest entry that its statements know of.
    pub last_entry: i64,
    /// The digest over its statements.
    pub digest: [u8; 32],
}

impl Store {
    /// Opens the books at `path`, making or updating them where needed, after a look at every page and every row that
    /// names another.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be opened, is damaged, or is of a newer program.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = connect(path)?;
        whole::check(&connection)?;
        Self::prepare(connection)
    }

    /// The same without the look, which takes five seconds of a processor for a million taps, a third of it for the rows
    /// that name others: for reports, after which nothing is different.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_unchecked(path: &Path) -> Result<Self, StoreError> {
        Self::prepare(connect(path)?)
    }

    fn prepare(mut connection: Connection) -> Result<Self, StoreError> {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // Without it, INSERT OR REPLACE would delete rows behind the triggers' back.
        connection.pragma_update(None, "recursive_triggers", true)?;
        connection.set_prepared_statement_cache_capacity(64);
        // A migration that makes a table anew drops the old one while others still name it; what it leaves is checked.
        // SQLite documentation, "Making other kinds of table schema changes".
        connection.pragma_update(None, "foreign_keys", false)?;
        whole::check_history(&connection)?;
        // Without grouping, the tables and the note that they are made would be two transactions: a fault between them
        // would leave books that no later start can open.
        let report = migrations::migrations::runner()
            .set_grouped(true)
            .run(&mut connection)
            .map_err(|error| StoreError::Migration(Box::new(error)))?;
        if !report.applied_migrations().is_empty()
            && let Some(table) = whole::dangling(&connection)?
        {
            return Err(StoreError::Damaged(format!("a row of `{table}` names a row that is not there")));
        }
        connection.pragma_update(None, "foreign_keys", true)?;
        Ok(Self(connection))
    }

    /// Begins to write.
    ///
    /// # Errors
    /// [`StoreError`] where another program writes for more than ten seconds.
    pub fn begin(&mut self) -> Result<Books<'_>, StoreError> {
        Ok(Books(self.0.transaction_with_behavior(TransactionBehavior::Immediate)?))
    }

    /// Begins to read: one moment's view, however long it takes.
    ///
    /// # Errors
    /// [`StoreError`] where SQLite refuses.
    pub fn view(&mut self) -> Result<Books<'_>, StoreError> {
        Ok(Books(self.0.transaction()?))
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    Ok(connection)
}

/// Taps and what was said of them.
impl Books<'_> {
    /// Makes everything since [`Store::begin`] durable.
    ///
    /// # Errors
    /// [`StoreError`]; nothing has happened then.
    pub fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit()?)
    }

    pub(crate) fn next_receipt(&self) -> Result<i64, StoreError> {
        Ok(self.0.query_row("SELECT coalesce(max(id), 0) + 1 FROM receipt", [], |row| row.get(0))?)
    }

    pub(crate) fn insert_receipt(&self, id: i64, receipt: &Receipt) -> Result<(), StoreError> {
        self.0
            .prepare_cached("INSERT INTO receipt (id, at, acknowledgement, signature) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![id, receipt.at.0, receipt.acknowledgement, receipt.signature])?;
        Ok(())
    }

    pub(crate) fn receipt(&self, id: i64) -> Result<Option<Receipt>, StoreError> {
        let mut statement =
            self.0.prepare_cached("SELECT at, acknowledgement, signature FROM receipt WHERE id = ?1")?;
        Ok(statement
            .query_row([id], |row| {
                Ok(Receipt { at: Moment(row.get(0)?), acknowledgement: row.get(1)?, signature: row.get(2)? })
            })
            .optional()?)
    }

    pub(crate) fn for_each_receipt(
        &self,
        mut visit: impl FnMut(i64, Receipt) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.0.prepare("SELECT at, acknowledgement, signature, id FROM receipt ORDER BY id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let receipt = Receipt { at: Moment(row.get(0)?), acknowledgement: row.get(1)?, signature: row.get(2)? };
            visit(row.get(3)?, receipt)?;
        }
        Ok(())
    }

    pub(crate) fn insert_tap(
        &self,
        tap: &Tap,
        sealed: &SealedTap,
        proven: bool,
        receipt: i64,
    ) -> Result<(), StoreError> {
        let columns = TapColumns::of(tap);
        self.0
            .prepare_cached(
                "INSERT INTO tap (id, device, epoch, sequence, bytes, card, outcome, proven, counter, wanted_slot, \
                 names, receipt) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .execute(params![
                tap.id.to_string(),
                columns.device,
                columns.epoch,
                columns.sequence,
                sealed.as_bytes(),
                columns.card,
                columns.outcome,
                proven,
                columns.counter,
                columns.wanted_slot,
                columns.names,
                receipt
            ])?;
        Ok(())
    }

    /// The sealed tap of this name.
    pub(crate) fn sealed(&self, id: TapId) -> Result<Option<SealedTap>, StoreError> {
        let mut statement =
            self.0.prepare_cached("SELECT bytes FROM tap WHERE device = ?1 AND epoch = ?2 AND sequence = ?3")?;
        let bytes: Option<Vec<u8>> =
            statement.query_row(params![id.device.number(), id.epoch, id.sequence], |row| row.get(0)).optional()?;
        bytes
            .map(|bytes| SealedTap::from_bytes(&bytes))
            .transpose()
            .map_err(|source| StoreError::Tap { id: id.to_string(), source })
    }

    /// The name of the tap of `device` whose hash is `hash`. Looks at every tap of the device.
    pub(crate) fn tap_with_hash(&self, device: DeviceId, hash: [u8; 32]) -> Result<Option<String>, StoreError> {
        let mut statement =
            self.0.prepare_cached("SELECT id FROM tap WHERE device = ?1 AND substr(bytes, -32) = ?2")?;
        Ok(statement.query_row(params![device.number(), hash.as_slice()], |row| row.get(0)).optional()?)
    }

    /// The opened tap of this name.
    pub(crate) fn tap(&self, id: TapId) -> Result<Option<Tap>, StoreError> {
        let opened = self.sealed(id)?.map(|sealed| sealed.open());
        opened.transpose().map_err(|source| StoreError::Tap { id: id.to_string(), source })
    }

    /// The taps that name `id`, such as a later look at the card.
    pub(crate) fn taps_naming(&self, id: TapId) -> Result<Vec<Tap>, StoreError> {
        self.taps("SELECT bytes FROM tap WHERE names = ?1 ORDER BY device, epoch, sequence", [id.to_string()])
    }

    /// The taps of `day` whose fare is booked: completed ones, and unknown ones that turned out to be charged.
    pub(crate) fn rides_of(&self, day: ServiceDay) -> Result<Vec<Tap>, StoreError> {
        self.taps(
            "SELECT t.bytes FROM entry e JOIN tap t ON t.id = e.tap \
             WHERE e.service_day = ?1 AND e.kind IN ('ride', 'unknown_confirmed')",
            [day.to_string()],
        )
    }

    /// The unknown taps that were to write this record of this card.
    pub(crate) fn unknowns_wanting(&self, card: CardToken, slot: u32) -> Result<Vec<Tap>, StoreError> {
        self.taps(
            "SELECT bytes FROM tap WHERE card = ?1 AND wanted_slot = ?2 ORDER BY device, epoch, sequence",
            params![card.0, slot],
        )
    }

    fn taps(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<Tap>, StoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        let rows = statement.query_map(parameters, |row| row.get::<_, Vec<u8>>(0))?;
        rows.map(|bytes| {
            SealedTap::from_bytes(&bytes?)
                .and_then(|sealed| sealed.open())
                .map_err(|source| StoreError::Tap { id: "named by another".to_owned(), source })
        })
        .collect()
    }

    pub(crate) fn for_each_tap(
        &self,
        mut visit: impl FnMut(StoredTap) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.0.prepare(
            "SELECT id, bytes, proven, receipt, device, epoch, sequence, card, outcome, counter, wanted_slot, names \
             FROM tap ORDER BY device, epoch, sequence",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            visit(StoredTap {
                id: row.get(0)?,
                bytes: row.get(1)?,
                proven: row.get(2)?,
                receipt: row.get(3)?,
                columns: TapColumns {
                    device: row.get(4)?,
                    epoch: row.get(5)?,
                    sequence: row.get(6)?,
                    card: row.get(7)?,
                    outcome: row.get(8)?,
                    counter: row.get(9)?,
                    wanted_slot: row.get(10)?,
                    names: row.get(11)?,
                },
            })?;
        }
        Ok(())
    }

    /// Keeps bytes aside; `false` where the same bytes are there already.
    pub(crate) fn keep_aside(&self, kept: &KeptAside, receipt: i64) -> Result<bool, StoreError> {
        let rows = self
            .0
            .prepare_cached(
                "INSERT INTO kept_aside (digest, tap, verdict, detail, bytes, receipt) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (digest) DO NOTHING",
            )?
            .execute(params![
                chain::sha256(&kept.bytes),
                kept.tap,
                kept.verdict.name(),
                kept.detail,
                kept.bytes,
                receipt
            ])?;
        Ok(rows == 1)
    }

    /// Digest, verdict, detail, claimed name, bytes and receipt of everything kept aside.
    pub(crate) fn for_each_kept_aside(
        &self,
        mut visit: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement =
            self.0.prepare("SELECT digest, tap, verdict, detail, bytes, receipt FROM kept_aside ORDER BY digest")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            visit(row)?;
        }
        Ok(())
    }

    pub(crate) fn insert_evidence(&self, proof: &SlotProof) -> Result<(), StoreError> {
        self.0
            .prepare_cached("INSERT INTO evidence (card, slot, writer, record, prover) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                proof.card.0,
                proof.slot,
                proof.writer.map(|tap| tap.to_string()),
                proof.record,
                proof.prover.to_string()
            ])?;
        Ok(())
    }

    /// Everything that is proven of one record of one card.
    pub(crate) fn evidence_of_slot(&self, card: CardToken, slot: u32) -> Result<Vec<SlotProof>, StoreError> {
        self.evidence("WHERE card = ?1 AND slot = ?2 ORDER BY prover", params![card.0, slot])
    }

    /// The newest record of a card that anything proves.
    pub(crate) fn newest_record(&self, card: CardToken) -> Result<Option<[u8; 60]>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT record FROM evidence WHERE card = ?1 AND record IS NOT NULL ORDER BY slot DESC LIMIT 1",
        )?;
        Ok(statement.query_row([card.0], |row| row.get(0)).optional()?)
    }

    /// The unknown taps of a card, whatever became of them.
    pub(crate) fn unknowns_of_card(&self, card: CardToken) -> Result<Vec<Tap>, StoreError> {
        self.taps(
            "SELECT bytes FROM tap WHERE card = ?1 AND wanted_slot IS NOT NULL ORDER BY device, epoch, sequence",
            [card.0],
        )
    }

    /// Everything that one tap or action proves.
    pub(crate) fn evidence_by(&self, prover: TapId) -> Result<Vec<SlotProof>, StoreError> {
        self.evidence("WHERE prover = ?1 ORDER BY slot", [prover.to_string()])
    }

    fn evidence(&self, which: &str, parameters: impl rusqlite::Params) -> Result<Vec<SlotProof>, StoreError> {
        let sql = format!("SELECT card, slot, writer, record, prover FROM evidence {which}");
        let mut statement = self.0.prepare_cached(&sql)?;
        let mut rows = statement.query(parameters)?;
        let mut proofs = Vec::new();
        while let Some(row) = rows.next()? {
            proofs.push(SlotProof {
                card: CardToken(row.get(0)?),
                slot: row.get(1)?,
                writer: row.get::<_, Option<String>>(2)?.map(|text| parsed(&text)).transpose()?,
                record: row.get(3)?,
                prover: parsed(&row.get::<_, String>(4)?)?,
            });
        }
        Ok(proofs)
    }

    pub(crate) fn insert_finding(&self, finding: &Finding, at: Moment) -> Result<(), StoreError> {
        let previous = self.last_link("SELECT chain FROM finding ORDER BY id DESC LIMIT 1")?;
        let (severity, kind, tap) = (finding.kind.severity(), finding.kind.name(), finding.tap.to_string());
        let link = finding_link(&previous, severity, kind, &tap, &finding.detail, at);
        self.0
            .prepare_cached(
                "INSERT INTO finding (severity, kind, tap, detail, at, chain) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![severity, kind, tap, finding.detail, at.0, link])?;
        Ok(())
    }

    /// Whether a finding of this kind about this tap or step is there.
    pub(crate) fn has_finding(&self, kind: FindingKind, about: TapId) -> Result<bool, StoreError> {
        let mut statement = self.0.prepare_cached("SELECT 1 FROM finding WHERE tap = ?1 AND kind = ?2")?;
        Ok(statement.exists([about.to_string(), kind.name().to_owned()])?)
    }

    /// The first finding whose row does not continue the chain.
    pub(crate) fn broken_finding(&self) -> Result<Option<i64>, StoreError> {
        let mut statement =
            self.0.prepare("SELECT id, severity, kind, tap, detail, at, chain FROM finding ORDER BY id")?;
        let mut rows = statement.query([])?;
        let mut previous = chain::START;
        let mut number = 0;
        while let Some(row) = rows.next()? {
            number += 1;
            let id: i64 = row.get(0)?;
            let (severity, kind, tap, detail): (String, String, String, String) =
                (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
            let link = finding_link(&previous, &severity, &kind, &tap, &detail, Moment(row.get(5)?));
            if id != number || row.get::<_, [u8; 32]>(6)? != link {
                return Ok(Some(id));
            }
            previous = link;
        }
        Ok(None)
    }

    fn last_link(&self, sql: &str) -> Result<[u8; 32], StoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        Ok(statement.query_row([], |row| row.get(0)).optional()?.unwrap_or(chain::START))
    }

    /// How many rows a query of a name and a count gives for each name.
    pub(crate) fn counts(&self, what: Counted) -> Result<Vec<(String, u64)>, StoreError> {
        let mut statement = self.0.prepare_cached(match what {
            Counted::Outcomes => "SELECT outcome, count(*) FROM tap GROUP BY outcome ORDER BY outcome",
            Counted::KeptAside => "SELECT verdict, count(*) FROM kept_aside GROUP BY verdict ORDER BY verdict",
            Counted::Alarms => {
                "SELECT kind, count(*) FROM finding WHERE severity = 'alarm' GROUP BY kind ORDER BY kind"
            }
            Counted::Findings => {
                "SELECT kind, count(*) FROM finding WHERE severity = 'finding' GROUP BY kind ORDER BY kind"
            }
            Counted::Proven => "SELECT 'proven', count(*) FROM tap WHERE proven",
            Counted::Actions => {
                "SELECT kind || ' ' || step, count(*) FROM action GROUP BY kind, step ORDER BY kind, step"
            }
            Counted::ProvenActions => "SELECT 'proven', count(*) FROM action WHERE proven",
            Counted::Evidence => "SELECT 'evidence', count(*) FROM evidence",
            Counted::Entries => "SELECT 'entry', count(*) FROM entry",
        })?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Device, epoch and sequence of every tap and of every step of a desk, in order.
    pub(crate) fn sequences(&self) -> Result<Vec<(u32, u8, u32)>, StoreError> {
        let mut statement = self.0.prepare(
            "SELECT device, epoch, sequence FROM tap UNION ALL SELECT device, epoch, sequence FROM action \
             ORDER BY device, epoch, sequence",
        )?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// What [`Books::counts`] counts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Counted {
    Outcomes,
    KeptAside,
    Alarms,
    Findings,
    Proven,
    Actions,
    ProvenActions,
    Evidence,
    Entries,
}

impl TapColumns {
    /// What belongs in the row of `tap`.
    pub fn of(tap: &Tap) -> Self {
        let (outcome, names) = match tap.outcome {
            Outcome::Done => ("done", None),
            Outcome::Unknown => ("unknown", None),
            Outcome::Void => ("void", None),
            Outcome::Declined(_) => ("declined", None),
            Outcome::Confirmed { names, .. } => ("confirmed", Some(names)),
            Outcome::Voided { names } => ("voided", Some(names)),
            Outcome::Evidence => ("evidence", None),
        };
        Self {
            device: tap.id.device.number(),
            epoch: tap.id.epoch,
            sequence: tap.id.sequence,
            card: tap.card.0,
            outcome: outcome.to_owned(),
            counter: tap.transaction_mac.map(|mac| mac.counter),
            wanted_slot: wanted_slot(&Writing::of_tap(tap)),
            names: names.map(|id| id.to_string()),
        }
    }
}

fn finding_link(previous: &[u8; 32], severity: &str, kind: &str, tap: &str, detail: &str, at: Moment) -> [u8; 32] {
    let fields = [severity.as_bytes(), kind.as_bytes(), tap.as_bytes(), detail.as_bytes(), &at.0.to_be_bytes()];
    chain::link(previous, &fields)
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|error: T::Err| StoreError::Damaged(error.to_string()))
}
