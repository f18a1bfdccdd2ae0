//! The desk: rules, keys and journal, and what every action that writes on a card has in common.
//!
//! ```text
//! open      the card under key 2                      nothing written yet
//! decide    limits, allowance, prices                 refused here, or not at all
//! paid      the cash is in the drawer                 durable ①
//! intend    the step that writes, sealed as unknown   durable ②
//! stage     credit, issuer file, record               the card forgets it all when it leaves
//! commit    verified, or unknown ③
//! conclude  the sealed step in, the intent out        durable
//! ```
//!
//! Torn before ③: the card is unchanged (void). Torn at ③, or the process died after ②: unknown, until the same card is
//! seen again and its own records decide. Cash that was paid stays in the drawer all the while, under the name of its
//! action.

use card_crypto::originality::OriginalityKey;
use card_crypto::{Card, Error, Staged, Transport};
use key_store::{KeyStore, KeyStoreError};
use transit::action::{Action, ActionKind, Step};
use transit::card::{DeskRecordError, DeskWrite, Issuer, LayoutError, RECORD_LEN, Record};
use transit::desk::Allowance;
use transit::id::{CardToken, OperatorId, TapId};
use transit::money::{Amount, Balance};
use transit::pass::PassRefusal;
use transit::tariff::Tariff;
use transit::time::{Moment, Month};

use crate::config::DenyList;
use crate::journal::{Journal, JournalError};
use crate::lint::Finding;
use crate::open_action::{OpenState, open_actions};
use crate::session::{Also, CardError, Changes, Opened, Opening, Random, Session, commit, open};

/// What a desk decides with.
#[derive(Debug)]
pub struct Rules {
    /// Whose desk it is.
    pub operator: OperatorId,
    /// The prices and the network.
    pub tariff: Tariff,
    /// The key under which the clearing house signs allowances and grants.
    pub clearing_house_public_key: [u8; 32],
    /// The keys under which chips are genuine.
    pub originality_keys: Vec<OriginalityKey>,
    /// The cards that are blocked.
    pub deny_list: DenyList,
}

/// A desk at work.
#[derive(Debug)]
pub struct Desk<K> {
    /// What it decides with.
    pub rules: Rules,
    /// The card keys.
    pub keys: K,
    /// What it has done.
    pub journal: Journal,
}

/// Who serves, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serving {
    /// The number of the clerk. 0 is nobody in particular: what is settled then is the affair of the clerk who began it.
    pub staff: u32,
    /// The time.
    pub at: Moment,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The desk does not do it; nothing has changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The card cannot be used; it is unchanged.
    #[error(transparent)]
    Card(#[from] CardError),
    /// The card left before the commit was sent: it is unchanged. What was paid stays recorded as paid.
    #[error("the card left too early and is unchanged; lay it down again, action {action} goes on by itself")]
    NotWritten {
        /// The first step of the action.
        action: TapId,
        /// What happened.
        #[source]
        source: CardError,
    },
    /// The commit was sent and no verified answer came.
    #[error("whether the card has it is not known; lay the same card down again, action {action} goes on by itself")]
    Unknown {
        /// The first step of the action.
        action: TapId,
        /// What happened.
        #[source]
        source: Error,
    },
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Why a desk does not do what was asked; the remedy is said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The clearing house has allowed nothing yet.
    #[error("this desk has no allowance: run `counter sync` where there is a network")]
    NoAllowance,
    /// The allowance has ended.
    #[error("the allowance ended at {}: run `counter sync` where there is a network", .0.valid_until)]
    AllowanceExpired(Allowance),
    /// The allowance is used up.
    #[error(
        "the allowance is used up: {left_minor} minor units are left, {asked_minor} were asked for; run `counter sync` \
         where there is a network"
    )]
    AllowanceUsedUp {
        /// What is left, in minor units.
        left_minor: i64,
        /// What was asked for, in minor units.
        asked_minor: i64,
    },
    /// The clock went back.
    #[error("the clock says {now}, and the journal has an action of {newest}: set the clock")]
    ClockBehind {
        /// What the clock says.
        now: Moment,
        /// The newest step.
        newest: Moment,
    },
    /// The card is on the deny list, was blocked here, or its value was granted to another card.
    #[error("the card is blocked: nothing is loaded onto it or paid out; keep it and tell the control room")]
    Blocked,
    /// The purse or the card's counters do not take it.
    #[error(transparent)]
    Record(#[from] DeskRecordError),
    /// The purse holds less than its records say: the card is not as this system wrote it.
    #[error("the purse holds {purse_minor} minor units, and the record says {}: exchange the card", .record.minor())]
    PurseDiffers {
        /// What the purse holds.
        purse_minor: i64,
        /// What the record says.
        record: Balance,
    },
    /// The tariff sells no such pass.
    #[error("the tariff has no such pass: a pass for one line names a line of the tariff")]
    NoSuchPass,
    /// The pass is not sold.
    #[error(transparent)]
    Pass(#[from] PassRefusal),
    /// A profile needs its last day.
    #[error("a profile other than `ordinary` needs --profile-until, a day that is not over")]
    ProfileWithoutEnd,
    /// There is nothing to pay out.
    #[error("the purse is empty: there is nothing to pay out")]
    EmptyPurse,
    /// The action is not one of this desk's, or at its end.
    #[error("{0} is no open action of this desk; `counter status` lists those that are")]
    NotOpen(TapId),
    /// Whether the card has it is not known.
    #[error(
        "whether a card has what {0} loads is not known: lay that card down, or run `counter sync` and try again when \
         it has been seen elsewhere; until then the cash stays where it is"
    )]
    StillUnknown(TapId),
    /// The card has it.
    #[error("the clearing house knows that the card has what {0} loads: there is nothing to give back")]
    IsWritten(TapId),
    /// The chip is not genuine.
    #[error("the chip is not genuine: NXP's signature over its identifier does not hold; do not issue it")]
    NotGenuine,
    /// The card is no blank one.
    #[error("the card is not blank: {0}")]
    NotBlank(&'static str),
    /// The card that was read back is weak.
    #[error("the card is weak and must not be handed out: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Weak(Vec<Finding>),
    /// Two cards are needed, and this is the same one.
    #[error("this is the old card; lay the new one down")]
    SameCard,
    /// The cards of several exchanges are open.
    #[error("several exchanges wait for their new card; name one with --finish: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    SeveralExchanges(Vec<TapId>),
    /// An EV1 card has one key set.
    #[error("an EV1 card has one key set: exchange it for a newer one, and it gets the newest keys")]
    OneKeySet,
    /// The clearing house says no.
    #[error("the clearing house refuses: {0}")]
    ClearingHouse(String),
    /// A card has taken it, or may have.
    #[error("grant {0} is used: a card has taken its value, or may have; lay that card down to know")]
    GrantUsed(u32),
    /// The passes do not fit.
    #[error("the new card has no room for the passes of the old one; take a new card without passes")]
    NoRoomForPasses,
    /// The grant is for another card.
    #[error("the grant is for another card than this one")]
    OtherCard,
}

impl From<KeyStoreError> for DeskError {
    fn from(error: KeyStoreError) -> Self {
        Self::Card(CardError::Keys(error))
    }
}

/// An action of this desk that was brought to its end, or on its way, because its card was seen again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Resumed {
    /// Its first step.
    #[serde(serialize_with = "crate::report::id")]
    pub action: TapId,
    /// What it is.
    pub kind: ActionKind,
    /// Its amount, in minor units.
    pub amount_minor: Amount,
    /// What became of it.
    pub outcome: ResumedOutcome,
}

/// What became of an action whose card was seen again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ResumedOutcome {
    /// The card had it all along.
    Found,
    /// The card did not have it, and has it now.
    Finished,
    /// The card did not have it; nothing is owed to anybody.
    Undone,
    /// The card does not show any more whether it had it: the clearing house will tell.
    StillUnknown,
    /// The card does not have it, and the desk may not write it now: the cash waits, or is given back.
    Waits,
}

/// What an action writes, in words of the layout.
pub(crate) struct Writing {
    pub(crate) credit: Amount,
    pub(crate) debit: Amount,
    pub(crate) issuer: Option<Issuer>,
    pub(crate) record: Record,
}

/// A clock may be set back by this much, in seconds, without anybody being asked.
const CLOCK_TOLERANCE_S: u32 = 120;

impl<K: KeyStore> Desk<K> {
    /// What taps and actions call this card.
    ///
    /// # Errors
    /// [`DeskError`]: an identifier that is not ours, or keys without the token key.
    pub fn token(&mut self, uid: &[u8]) -> Result<([u8; 7], CardToken), DeskError> {
        let uid: [u8; 7] = uid.try_into().map_err(|_| CardError::ForeignIdentifier)?;
        Ok((uid, self.keys.token(&uid)?))
    }

    /// Whether a card is blocked, as far as this desk knows: by the deny list, by a clerk here, or because its value was
    /// granted to another card.
    ///
    /// # Errors
    /// [`DeskError::Journal`].
    pub fn is_blocked(&self, card: CardToken) -> Result<bool, DeskError> {
        let was_blocked = |step: &Action| step.kind == ActionKind::Block && step.card == card;
        Ok(self.rules.deny_list.contains(card)
            || self.journal.of_card(card)?.iter().any(was_blocked)
            || self.journal.grants(&self.rules.clearing_house_public_key)?.iter().any(|grant| grant.lost == card))
    }

    pub(crate) fn refuse_blocked(&self, card: CardToken) -> Result<(), DeskError> {
        if self.is_blocked(card)? { Err(Refusal::Blocked.into()) } else { Ok(()) }
    }

    /// Whether `amount` more may be loaded at `at`, with `paid` of it already counted among what is paid and open.
    pub(crate) fn check_allowance(&self, amount: Amount, counted: Amount, at: Moment) -> Result<(), DeskError> {
        let newest = self.journal.newest_at()?.unwrap_or(at);
        if at.0.saturating_add(CLOCK_TOLERANCE_S) < newest.0 {
            return Err(Refusal::ClockBehind { now: at, newest }.into());
        }
        let allowance = self.journal.allowance(&self.rules.clearing_house_public_key)?;
        let allowance = allowance.ok_or(Refusal::NoAllowance)?;
        if at.max(newest) > allowance.valid_until {
            return Err(Refusal::AllowanceExpired(allowance).into());
        }
        let paid_minor: i64 = open_actions(&self.journal.of_open_actions()?)
            .iter()
            .filter(|open| open.state == OpenState::Paid)
            .map(|open| open.first.amount.minor())
            .sum();
        let left_minor =
            allowance.loads_through_minor.minor() - self.journal.taken()?.minor() - paid_minor + counted.minor();
        if amount.minor() > left_minor {
            return Err(Refusal::AllowanceUsedUp { left_minor, asked_minor: amount.minor() }.into());
        }
        Ok(())
    }

    /// A step without anything that is read or written.
    pub(crate) fn step(
        &self,
        kind: ActionKind,
        step: Step,
        card: CardToken,
        amount: Amount,
        serving: Serving,
    ) -> Result<Action, DeskError> {
        Ok(Action {
            id: self.journal.next_id()?,
            at: serving.at,
            operator: self.rules.operator,
            staff: serving.staff,
            kind,
            step,
            names: None,
            card,
            other_card: None,
            holder: None,
            tariff_version: self.rules.tariff.version,
            amount,
            product: None,
            grant: None,
            record_read: None,
            issuer_read: None,
            credited: None,
            debited: None,
            issuer_written: None,
            record_written: None,
            transaction_mac: None,
        })
    }

    /// Writes `writing` on an opened card as the step that `template` begins; the step's name must be the next one.
    /// Returns the step as it was sealed, written.
    pub(crate) fn write<T: Transport, S: Session>(
        &mut self,
        opened: Opened<T, S>,
        template: Action,
        writing: &Writing,
        random: Random<'_>,
    ) -> Result<Action, DeskError> {
        let minor = |amount: Amount| amount.card_minor().ok_or(LayoutError::Field("amount"));
        let changes = || -> Result<Changes, LayoutError> {
            Ok(Changes {
                credit_minor: minor(writing.credit)?,
                debit_minor: minor(writing.debit)?,
                issuer: writing.issuer.map(|issuer| issuer.encode()),
                record: writing.record.encode()?,
            })
        };
        let changes = changes().map_err(|error| Refusal::Record(error.into()))?;
        let read = Action {
            record_read: Some(opened.record_bytes),
            issuer_read: opened.issuer.map(|(bytes, _)| bytes),
            ..template
        };
        self.attempt(read, &changes, |keys| opened.stage(&changes, keys, random))
    }

    /// Intends, stages and commits the step that `template` begins; the step's name must be the next one. Returns the
    /// step as it was sealed, written.
    pub(crate) fn attempt<T: Transport, S: Session>(
        &mut self,
        template: Action,
        changes: &Changes,
        stage: impl FnOnce(&mut K) -> Result<Card<T, Staged<S>>, CardError>,
    ) -> Result<Action, DeskError> {
        let first = template.names.unwrap_or(template.id);
        let some = |minor: u32| (minor > 0).then(|| Amount::from(minor));
        let step = Action {
            step: Step::Unknown,
            credited: some(changes.credit_minor),
            debited: some(changes.debit_minor),
            issuer_written: changes.issuer,
            record_written: Some(changes.record),
            ..template
        };
        self.journal.intend(&step)?;
        let staged = match stage(&mut self.keys) {
            Ok(staged) => staged,
            Err(source) => {
                self.journal.conclude(&Action { step: Step::Void, ..step })?;
                return Err(DeskError::NotWritten { action: first, source });
            }
        };
        match commit(staged) {
            Ok(transaction_mac) => {
                let written = Action { step: Step::Written, transaction_mac, ..step };
                self.journal.conclude(&written)?;
                Ok(written)
            }
            Err(source) => {
                self.journal.conclude(&step)?;
                Err(DeskError::Unknown { action: first, source })
            }
        }
    }

    /// Brings the open actions of a card, if there are any, to their end: the card's own records say whether an unknown
    /// step is on it, and what was paid and is not on the card is written now. Costs nothing where nothing is open.
    ///
    /// # Errors
    /// [`DeskError`]; what was settled before it stays settled.
    pub fn settle<T: Transport>(
        &mut self,
        transport: &mut T,
        uid: &[u8],
        serving: Serving,
        random: Random<'_>,
    ) -> Result<Vec<Resumed>, DeskError> {
        let (uid, card) = self.token(uid)?;
        let mut resumed = Vec::new();
        for open_action in open_actions(&self.journal.of_card(card)?) {
            let first = open_action.first;
            let staff = if serving.staff == 0 { first.staff } else { serving.staff };
            let serving = Serving { staff, ..serving };
            let outcome = match open_action.state {
                // An issue finds out for itself how far the card is; an exchange waits for its new card.
                _ if first.kind == ActionKind::Issue => continue,
                OpenState::HalfMoved(_) => continue,
                OpenState::Paid if first.card == card => self.finish_now(transport, &uid, &first, serving, random)?,
                OpenState::Unknown(step) if step.card == card => {
                    match self.look(transport, &uid, &first, &step, serving, random)? {
                        Some(true) => ResumedOutcome::Found,
                        None => ResumedOutcome::StillUnknown,
                        Some(false) if first.step == Step::Paid => {
                            self.finish_now(transport, &uid, &first, serving, random)?
                        }
                        Some(false) => ResumedOutcome::Undone,
                    }
                }
                OpenState::Paid | OpenState::Unknown(_) => continue,
            };
            resumed.push(Resumed { action: first.id, kind: first.kind, amount_minor: first.amount, outcome });
        }
        Ok(resumed)
    }

    /// Asks the card whether an unknown step is on it, and records the answer.
    fn look<T: Transport>(
        &mut self,
        transport: &mut T,
        uid: &[u8; 7],
        first: &Action,
        step: &Action,
        serving: Serving,
        random: Random<'_>,
    ) -> Result<Option<bool>, DeskError> {
        let (record_bytes, record, older) = match open(transport, uid, Also::Nothing, &mut self.keys, random)? {
            Opening::Ev1(opened) => read_all(opened)?,
            Opening::Ev2(opened) => read_all(opened)?,
        };
        let is_written = evidence(step, &record, &older);
        let outcome = match is_written {
            Some(true) => Step::Confirmed { resolves: step.id },
            Some(false) => Step::Voided { resolves: step.id },
            None => return Ok(None),
        };
        let resolution = Action {
            names: Some(first.id),
            record_read: Some(record_bytes),
            other_card: step.other_card,
            product: first.product,
            grant: step.grant,
            ..self.step(first.kind, outcome, step.card, first.amount, serving)?
        };
        self.journal.append(&resolution)?;
        Ok(is_written)
    }

    /// Writes what was paid and is not on the card, where the desk may.
    fn finish_now<T: Transport>(
        &mut self,
        transport: &mut T,
        uid: &[u8; 7],
        first: &Action,
        serving: Serving,
        random: Random<'_>,
    ) -> Result<ResumedOutcome, DeskError> {
        match self.finish(transport, uid, first, serving, random) {
            Ok(_) => Ok(ResumedOutcome::Finished),
            // Whatever else is done with the card goes on: the cash is safe where it is.
            Err(DeskError::Refused(_)) => Ok(ResumedOutcome::Waits),
            Err(error) => Err(error),
        }
    }

    fn finish<T: Transport>(
        &mut self,
        transport: &mut T,
        uid: &[u8; 7],
        first: &Action,
        serving: Serving,
        random: Random<'_>,
    ) -> Result<Action, DeskError> {
        self.refuse_blocked(first.card)?;
        self.check_allowance(first.amount, first.amount, serving.at)?;
        match open(transport, uid, also_for(first.kind), &mut self.keys, random)? {
            Opening::Ev1(opened) => self.finish_on(opened, first, serving, random),
            Opening::Ev2(opened) => self.finish_on(opened, first, serving, random),
        }
    }

    /// Writes what was paid on an opened card.
    pub(crate) fn finish_on<T: Transport, S: Session>(
        &mut self,
        opened: Opened<T, S>,
        first: &Action,
        serving: Serving,
        random: Random<'_>,
    ) -> Result<Action, DeskError> {
        let template = Action {
            names: Some(first.id),
            product: first.product,
            ..self.step(first.kind, Step::Unknown, first.card, first.amount, serving)?
        };
        let write = DeskWrite { action: template.id, at: serving.at, amount: first.amount };
        let writing = match (first.kind, &opened.issuer, first.product) {
            (ActionKind::Sale, Some((_, issuer)), Some(product)) => {
                let sale =
                    self.sale_of(issuer, product.kind, product.line, Month::of(product.valid_from), serving.at)?;
                crate::sale::writing(&opened.record, &sale.issuer, write)?
            }
            _ => crate::load::writing(&opened.record, write)?,
        };
        self.write(opened, template, &writing, random)
    }
}

/// What has to be read for an action of this kind.
pub(crate) fn also_for(kind: ActionKind) -> Also {
    match kind {
        ActionKind::Sale | ActionKind::Transfer | ActionKind::Exchange | ActionKind::Issue => Also::Issuer,
        ActionKind::TopUp | ActionKind::Refund | ActionKind::Block => Also::Nothing,
    }
}

type AllRecords = ([u8; RECORD_LEN], Record, Vec<Record>);

fn read_all<T: Transport, S: Session>(mut opened: Opened<T, S>) -> Result<AllRecords, CardError> {
    let older = opened.older_records()?;
    Ok((opened.record_bytes, opened.record, older))
}

/// Whether a card has an unknown step, by the records that it keeps; `None` when they no longer reach back so far.
fn evidence(step: &Action, newest: &Record, older: &[Record]) -> Option<bool> {
    let mut records = std::iter::once(newest).chain(older);
    if records.any(|record| record.tap == Some(step.id) || record.previous == Some(step.id)) {
        return Some(true);
    }
    let before = step.record_read.and_then(|bytes| Record::decode(&bytes).ok())?;
    let oldest = older.last().unwrap_or(newest);
    // Its record would have the next number after `before`: that record is here, and another's, or does not exist yet.
    (oldest.card_sequence <= before.card_sequence + 1).then_some(false)
}
