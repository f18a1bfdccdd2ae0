//! The desk's journal: an SQLite file with one intent at most and steps that can only be added.
//!
//! Every commit is flushed (`synchronous=FULL`): a desk has time, and each step is money. The intent of a step that
//! writes on a card is durable before the card is asked to commit; what start-up finds there, because the process died,
//! becomes an unknown step.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use transit::action::{Action, SealedAction, Step};
use transit::desk::{Allowance, Ask, DeskAnswer, DeskRequest, Grant, Lost, Reply};
use transit::id::{CardToken, DeviceId, Epoch, TapId};
use transit::money::Amount;
use transit::sync::Verdict;
use transit::tap::CHAIN_START;
use transit::time::Moment;

use crate::signer::Signer;

mod migrations {
    refinery::embed_migrations!("migrations");
}

/// The journal cannot be used: nothing is done at this desk until it can.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// SQLite or the file system refused.
    #[error("the journal {} cannot be {doing}", path.display())]
    Store {
        /// The journal.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another process has it.
    #[error("another counter works with the journal {}; wait until it has ended", .0.display())]
    Busy(PathBuf),
    /// The journal is another desk's, or its content is not what this program wrote.
    #[error("the journal {} is not usable: {why}", path.display())]
    NotOurs {
        /// The journal.
        path: PathBuf,
        /// What is wrong, and the remedy.
        why: String,
    },
}

/// The journal of one desk.
#[derive(Debug)]
pub struct Journal {
    connection: Connection,
    path: PathBuf,
    device: DeviceId,
    epoch: Epoch,
    signer: Signer,
    /// Held for as long as the journal is open: one process at a time. The last field, because the file of the journal is
    /// closed before it is given back.
    _lock: Lock,
}

/// A lock that ends with its owner, although a program that is being started has a copy of the file for a moment.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Where it fails the lock ends when the last copy of the file is closed.
        let _ = self.0.unlock();
    }
}

/// A signed answer of the clearing house that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The text of the request that it answers.
    pub request: String,
    /// Its text.
    pub text: String,
    /// Its signature.
    pub signature: Vec<u8>,
}

impl Journal {
    /// Opens the journal at `path`, or creates it with `epoch`. An intent that a dead process left becomes an unknown
    /// step, which is returned.
    ///
    /// # Errors
    /// [`JournalError`]: the file cannot be opened and written, another process has it, or it is another desk's.
    pub fn open(
        path: &Path,
        device: DeviceId,
        epoch: Epoch,
        signer: Signer,
    ) -> Result<(Self, Option<Action>), JournalError> {
        let store = |doing| {
            move |source: Box<dyn std::error::Error + Send + Sync>| JournalError::Store {
                path: path.to_owned(),
                doing,
                source,
            }
        };
        let lock_path = path.with_extension("lock");
        let open_lock = || OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = Lock(open_lock().map_err(|source| store("locked")(source.into()))?);
        match lock.0.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Busy(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(store("locked")(source.into())),
        }
        let open = || {
            let connection = Connection::open(path)?;
            connection.busy_timeout(Duration::from_secs(5))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            Ok(connection)
        };
        let mut connection = open().map_err(|source: rusqlite::Error| store("opened")(source.into()))?;
        // Without grouping, the tables and the note that they are made would be two transactions: a fault between them
        // would leave a journal that no later start can open.
        migrations::migrations::runner()
            .set_grouped(true)
            .run(&mut connection)
            .map_err(|source| store("brought up to date")(source.into()))?;
        let mut journal = Self { connection, path: path.to_owned(), device, epoch, signer, _lock: lock };
        journal.claim(epoch)?;
        let adopted = journal.adopt_intent()?;
        Ok((journal, adopted))
    }

    /// Makes a new journal this desk's, or checks that it is.
    fn claim(&mut self, epoch: Epoch) -> Result<(), JournalError> {
        let device = self.device;
        let owner = self.write("opened", |transaction| {
            transaction.execute(
                "INSERT INTO journal (one, device, epoch) VALUES (1, ?1, ?2) ON CONFLICT DO NOTHING",
                params![device.number(), epoch],
            )?;
            transaction.query_row("SELECT device, epoch FROM journal", [], |row| {
                Ok((row.get::<_, u32>(0)?, row.get::<_, Epoch>(1)?))
            })
        })?;
        self.epoch = owner.1;
        if owner.0 == device.number() {
            Ok(())
        } else {
            Err(self.not_ours(format!("it is that of desk {}, and this is desk {device}", owner.0)))
        }
    }

    fn adopt_intent(&mut self) -> Result<Option<Action>, JournalError> {
        let intent: Option<Vec<u8>> =
            self.read(|connection| connection.query_row("SELECT sealed FROM intent", [], |row| row.get(0)).optional())?;
        let Some(intent) = intent else { return Ok(None) };
        let action = self.opened(&intent)?;
        self.conclude(&action)?;
        Ok(Some(action))
    }

    /// Whose journal it is.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// Its epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The desk's key.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The name that the next step will have.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn next_id(&self) -> Result<TapId, JournalError> {
        Ok(self.id(self.last()?.0 + 1))
    }

    /// Appends a step; durable when it returns. Its name must be [`Journal::next_id`].
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn append(&mut self, action: &Action) -> Result<(), JournalError> {
        self.conclude(action)
    }

    /// Records the intent of a step that writes on a card, sealed as unknown; durable when it returns. Its name must be
    /// [`Journal::next_id`].
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn intend(&mut self, action: &Action) -> Result<(), JournalError> {
        let unknown = Action { step: Step::Unknown, transaction_mac: None, ..action.clone() };
        let sealed = self.seal(&unknown)?;
        self.write("written", |transaction| {
            transaction.execute("INSERT INTO intent (one, sealed) VALUES (1, ?1)", [sealed.as_bytes().as_slice()])?;
            Ok(())
        })
    }

    /// Appends a step and removes the intent, in one transaction; durable when it returns.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn conclude(&mut self, action: &Action) -> Result<(), JournalError> {
        let sealed = self.seal(action)?;
        let first = action.names.unwrap_or(action.id).sequence;
        self.write("written", |transaction| {
            transaction.execute(
                "INSERT INTO step (sequence, sealed, first, kind, step, card, takes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    action.id.sequence,
                    sealed.as_bytes().as_slice(),
                    first,
                    action.kind.name(),
                    action.step.name(),
                    action.card.0.as_slice(),
                    action.takes_of_allowance().minor()
                ],
            )?;
            transaction.execute("DELETE FROM intent", [])?;
            Ok(())
        })
    }

    /// Every step of every action that has a step about this card, in order.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn of_card(&self, card: CardToken) -> Result<Vec<Action>, JournalError> {
        self.steps(
            "SELECT sealed FROM step WHERE first IN (SELECT first FROM step WHERE card = ?1) ORDER BY sequence",
            params![card.0.as_slice()],
        )
    }

    /// Every step of the action whose first step this is, or one of whose steps it is, in order.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn of_action(&self, id: TapId) -> Result<Vec<Action>, JournalError> {
        if id.device != self.device || id.epoch != self.epoch {
            return Ok(Vec::new());
        }
        self.steps(
            "SELECT sealed FROM step WHERE first = (SELECT first FROM step WHERE sequence = ?1) ORDER BY sequence",
            params![id.sequence],
        )
    }

    /// Every step of every action that may be open, in order: those whose last step is no end, and exchanges, whose old
    /// card is not their end.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn of_open_actions(&self) -> Result<Vec<Action>, JournalError> {
        // SQLite takes the columns of the row with the greatest sequence.
        self.steps(
            "SELECT sealed FROM step WHERE first IN (
                 SELECT first FROM (SELECT first, step, kind, max(sequence) FROM step GROUP BY first)
                 WHERE step NOT IN ('written', 'confirmed', 'refunded', 'done') OR kind = 'exchange')
             ORDER BY sequence",
            [],
        )
    }

    /// Every step, in order.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn all(&self) -> Result<Vec<Action>, JournalError> {
        self.steps("SELECT sealed FROM step ORDER BY sequence", [])
    }

    /// What the clearing house said of a step.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn verdict(&self, id: TapId) -> Result<Option<String>, JournalError> {
        self.read(|connection| {
            connection
                .query_row("SELECT verdict FROM acknowledgement WHERE sequence = ?1", [id.sequence], |row| row.get(0))
                .optional()
        })
    }

    /// What all steps take of the allowance together; one that was found not to be on its card takes nothing.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn taken(&self) -> Result<Amount, JournalError> {
        let sum: i64 = self.read(|connection| {
            connection.query_row(
                "SELECT coalesce(sum(takes), 0) FROM step WHERE takes > 0 AND NOT (step = 'unknown' AND coalesce(
                     (SELECT later.step FROM step AS later
                      WHERE later.first = step.first AND later.sequence > step.sequence
                        AND later.step IN ('voided', 'confirmed')
                      ORDER BY later.sequence LIMIT 1), '') = 'voided')",
                [],
                |row| row.get(0),
            )
        })?;
        Amount::from_minor(sum).ok_or_else(|| self.not_ours("its loads come to less than nothing".to_owned()))
    }

    /// When the newest step was made.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn newest_at(&self) -> Result<Option<Moment>, JournalError> {
        let newest = self.steps("SELECT sealed FROM step ORDER BY sequence DESC LIMIT 1", [])?;
        Ok(newest.first().map(|action| action.at))
    }

    /// Steps that the clearing house has not taken yet, the oldest first, at most `count`: as they are sent.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn unsent(&self, count: usize) -> Result<Vec<SealedAction>, JournalError> {
        let sealed: Vec<Vec<u8>> = self.read(|connection| {
            let mut statement = connection.prepare(
                "SELECT sealed FROM step LEFT JOIN acknowledgement USING (sequence)
                 WHERE verdict IS NULL OR verdict = 'out_of_order' ORDER BY sequence LIMIT ?1",
            )?;
            statement.query_map([i64::try_from(count).unwrap_or(i64::MAX)], |row| row.get(0))?.collect()
        })?;
        sealed.iter().map(|bytes| self.sealed(bytes)).collect()
    }

    /// How many steps there are, and how many of them the clearing house has not taken yet.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn counts(&self) -> Result<(u32, u32), JournalError> {
        self.read(|connection| {
            connection.query_row(
                "SELECT count(*), count(*) FILTER (WHERE verdict IS NULL OR verdict = 'out_of_order')
                 FROM step LEFT JOIN acknowledgement USING (sequence)",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })
    }

    /// Notes what the clearing house said of a step, where the hash is that step's.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn acknowledge(&mut self, verdicts: &[(u32, [u8; 32], Verdict)]) -> Result<u32, JournalError> {
        self.write("written", |transaction| {
            // The hash lies before the signature, at the end of the sealed bytes.
            let mut insert = transaction.prepare(
                "INSERT INTO acknowledgement (sequence, verdict)
                 SELECT sequence, ?2 FROM step WHERE sequence = ?1 AND substr(sealed, -96, 32) = ?3
                 ON CONFLICT (sequence) DO UPDATE SET verdict = excluded.verdict",
            )?;
            let mut noted = 0;
            for (sequence, hash, verdict) in verdicts {
                noted += u32::from(insert.execute(params![sequence, verdict.name(), hash.as_slice()])? > 0);
            }
            Ok(noted)
        })
    }

    /// Keeps an answer of the clearing house: an allowance or a grant.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn keep(&mut self, kind: AnswerKind, number: u32, answer: &KeptAnswer) -> Result<(), JournalError> {
        self.write("written", |transaction| {
            transaction.execute(
                "INSERT INTO answer (kind, number, request, text, signature) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO NOTHING",
                params![kind.name(), number, answer.request, answer.text, answer.signature],
            )?;
            Ok(())
        })
    }

    /// The newest allowance of this desk and this epoch that the clearing house signed; `None` where there is none.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn allowance(&self, public_key: &[u8; 32]) -> Result<Option<Allowance>, JournalError> {
        let ours = |(_, reply)| match reply {
            Reply::Allowance(allowance) => Some(allowance),
            Reply::CardState(_) | Reply::Step(_) | Reply::Transfer(_) | Reply::Refused { .. } => None,
        };
        let kept = self.answers(AnswerKind::Allowance, public_key)?;
        Ok(kept
            .into_iter()
            .filter_map(ours)
            .filter(|allowance| (allowance.desk, allowance.epoch) == (self.device, self.epoch))
            .max_by_key(|allowance| allowance.number))
    }

    /// The grants of this desk that the clearing house signed, each with how the lost card was named when it was asked
    /// for.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn grants(&self, public_key: &[u8; 32]) -> Result<Vec<(Option<Lost>, Grant)>, JournalError> {
        let lost = |request: &str| match serde_json::from_str::<DeskRequest>(request).ok()?.ask {
            Ask::Transfer { lost, .. } => Some(lost),
            Ask::Allowance | Ask::CardState { .. } | Ask::Step { .. } => None,
        };
        let ours = |(request, reply): (String, Reply)| match reply {
            Reply::Transfer(grant) if grant.desk == self.device => Some((lost(&request), grant)),
            Reply::Transfer(_) | Reply::Allowance(_) | Reply::CardState(_) | Reply::Step(_) | Reply::Refused { .. } => {
                None
            }
        };
        Ok(self.answers(AnswerKind::Grant, public_key)?.into_iter().filter_map(ours).collect())
    }

    /// The replies that are kept and their requests, each checked against its signature; one that does not hold is as if
    /// it were not there.
    fn answers(&self, kind: AnswerKind, public_key: &[u8; 32]) -> Result<Vec<(String, Reply)>, JournalError> {
        let kept: Vec<KeptAnswer> = self.read(|connection| {
            let mut statement =
                connection.prepare("SELECT request, text, signature FROM answer WHERE kind = ?1 ORDER BY number")?;
            let kept = |row: &rusqlite::Row<'_>| {
                Ok(KeptAnswer { request: row.get(0)?, text: row.get(1)?, signature: row.get(2)? })
            };
            statement.query_map([kind.name()], kept)?.collect()
        })?;
        let open = |kept: KeptAnswer| {
            let answer = DeskAnswer::open(&kept.text, &kept.signature, public_key, &kept.request).ok()?;
            Some((kept.request, answer.reply))
        };
        Ok(kept.into_iter().filter_map(open).collect())
    }

    /// Checks the whole chain: sequence, hashes, signatures.
    ///
    /// # Errors
    /// [`JournalError::NotOurs`] names the first step that is wrong.
    pub fn verify(&self) -> Result<(), JournalError> {
        let public_key = self.signer.public_key();
        let sealed: Vec<Vec<u8>> = self.read(|connection| {
            let mut statement = connection.prepare("SELECT sealed FROM step ORDER BY sequence")?;
            statement.query_map([], |row| row.get(0))?.collect()
        })?;
        let mut previous = CHAIN_START;
        for (bytes, sequence) in sealed.iter().zip(1..) {
            let sealed = self.sealed(bytes)?;
            let action = self.opened(bytes)?;
            if action.id != self.id(sequence) || sealed.previous_hash() != previous || !sealed.is_signed_by(&public_key)
            {
                return Err(self.not_ours(format!("step {} does not follow the one before it", action.id)));
            }
            previous = sealed.hash();
        }
        Ok(())
    }

    fn id(&self, sequence: u32) -> TapId {
        TapId { device: self.device, epoch: self.epoch, sequence }
    }

    /// The sequence and the hash of the newest step.
    fn last(&self) -> Result<(u32, [u8; 32]), JournalError> {
        let last: Option<(u32, Vec<u8>)> = self.read(|connection| {
            connection
                .query_row("SELECT sequence, sealed FROM step ORDER BY sequence DESC LIMIT 1", [], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()
        })?;
        match last {
            Some((sequence, bytes)) => Ok((sequence, self.sealed(&bytes)?.hash())),
            None => Ok((0, CHAIN_START)),
        }
    }

    fn seal(&self, action: &Action) -> Result<SealedAction, JournalError> {
        let (last, hash) = self.last()?;
        if action.id != self.id(last + 1) {
            let why = format!("step {} was to be written where {} is next", action.id, self.id(last + 1));
            return Err(self.not_ours(why));
        }
        action.seal(&hash, |bytes| self.signer.sign(bytes)).map_err(|error| self.not_ours(error.to_string()))
    }

    fn steps(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<Action>, JournalError> {
        let sealed: Vec<Vec<u8>> = self.read(|connection| {
            let mut statement = connection.prepare(sql)?;
            statement.query_map(parameters, |row| row.get(0))?.collect()
        })?;
        sealed.iter().map(|bytes| self.opened(bytes)).collect()
    }

    fn sealed(&self, bytes: &[u8]) -> Result<SealedAction, JournalError> {
        SealedAction::from_bytes(bytes).map_err(|error| self.not_ours(format!("a step in it is damaged: {error}")))
    }

    fn opened(&self, bytes: &[u8]) -> Result<Action, JournalError> {
        self.sealed(bytes)?.open().map_err(|error| self.not_ours(format!("a step in it is damaged: {error}")))
    }

    fn not_ours(&self, why: String) -> JournalError {
        JournalError::NotOurs { path: self.path.clone(), why }
    }

    fn read<A>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<A>) -> Result<A, JournalError> {
        read(&self.connection).map_err(|source| self.failed("read", source))
    }

    fn write<A>(
        &mut self,
        doing: &'static str,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<A>,
    ) -> Result<A, JournalError> {
        let run = || {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let written = write(&transaction)?;
            transaction.commit()?;
            Ok(written)
        };
        let written: rusqlite::Result<A> = run();
        written.map_err(|source| self.failed(doing, source))
    }

    fn failed(&self, doing: &'static str, source: rusqlite::Error) -> JournalError {
        JournalError::Store { path: self.path.clone(), doing, source: Box::new(source) }
    }
}

/// What kind of answer is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// An allowance.
    Allowance,
    /// A grant.
    Grant,
}

impl AnswerKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Allowance => "allowance",
            Self::Grant => "grant",
        }
    }
}
