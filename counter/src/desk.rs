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
use card_crypto::{Card, Staged, Transport};
use key_store::{KeyRole, KeyStore};
use transit::action::{Action, ActionKind, Step};
use transit::card::{Issuer, LayoutError, Record};
use transit::id::{CardToken, OperatorId};
use transit::money::Amount;
use transit::tariff::Tariffs;
use transit::time::Moment;

use crate::config::DenyList;
use crate::journal::Journal;
use crate::open_action::{OpenState, open_actions};
use crate::refusal::{DeskError, Refusal};
use crate::session::{CardError, Changes, Opened, Random, Session, commit};

/// What a desk decides with.
#[derive(Debug)]
pub struct Rules {
    /// Whose desk it is.
    pub operator: OperatorId,
    /// The prices and the network.
    pub tariffs: Tariffs,
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
            || self.journal.grants(&self.rules.clearing_house_public_key)?.iter().any(|(_, grant)| grant.lost == card))
    }

    pub(crate) fn refuse_blocked(&self, card: CardToken) -> Result<(), DeskError> {
        if self.is_blocked(card)? { Err(Refusal::Blocked.into()) } else { Ok(()) }
    }

    /// Whether `amount` more may be loaded at `at`, with `counted` of it already among what is paid and open.
    pub(crate) fn check_may_load(&mut self, amount: Amount, counted: Amount, at: Moment) -> Result<(), DeskError> {
        self.check_allowance(amount, counted, at)?;
        self.check_load_key()
    }

    /// A SAM may limit how often the load key is used: found out before any cash is taken.
    pub(crate) fn check_load_key(&mut self) -> Result<(), DeskError> {
        if self.keys.uses_left(KeyRole::Load)? == Some(0) { Err(Refusal::LoadKeyUsedUp.into()) } else { Ok(()) }
    }

    fn check_allowance(&self, amount: Amount, counted: Amount, at: Moment) -> Result<(), DeskError> {
        let newest = self.journal.newest_at()?.unwrap_or(at);
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

    /// A step without anything that is read or written. Where the clock went back there is none: its time would lie before
    /// that of the step that it follows.
    pub(crate) fn step(
        &self,
        kind: ActionKind,
        step: Step,
        card: CardToken,
        amount: Amount,
        serving: Serving,
    ) -> Result<Action, DeskError> {
        let (now, newest) = (serving.at, self.journal.newest_at()?.unwrap_or(serving.at));
        if now.0.saturating_add(CLOCK_TOLERANCE_S) < newest.0 {
            return Err(Refusal::ClockBehind { now, newest }.into());
        }
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
            tariff_version: self.rules.tariffs.at(serving.at).version,
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
}
