//! Open actions are settled when their card is seen again: its own records say whether an unknown step is on it, and what
//! was paid and is not on it is written now.

use card_crypto::Transport;
use key_store::KeyStore;
use transit::action::{Action, ActionKind, Step};
use transit::card::{DeskWrite, RECORD_LEN, Record};
use transit::id::TapId;
use transit::money::Amount;
use transit::time::Month;

use crate::desk::{Desk, Serving};
use crate::open_action::{OpenState, open_actions};
use crate::refusal::{DeskError, Refusal};
use crate::session::{Also, CardError, Opened, Opening, Random, Session, open};

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
    /// The card did not have it; nothing is owed to anybody, and the grant of a transfer stays good.
    Undone,
    /// An exchange: its old card is empty, and its value and passes wait in the journal for a new one.
    HalfMoved,
    /// The card does not show any more whether it had it: the clearing house will tell.
    StillUnknown,
    /// The card does not have it, and the desk may not write it now: the cash waits, or is given back.
    Waits,
}

impl<K: KeyStore> Desk<K> {
    /// Brings the open actions of a card, if there are any, to their end: the card's own records say whether an unknown
    /// step is on it, and what was paid and is not on the card is written now. Costs nothing where nothing is open.
    ///
    /// # Errors
    /// [`DeskError`]; what was settled before it stays settled, and is in `resumed`.
    pub fn settle<T: Transport>(
        &mut self,
        transport: &mut T,
        uid: &[u8],
        serving: Serving,
        random: Random<'_>,
        resumed: &mut Vec<Resumed>,
    ) -> Result<(), DeskError> {
        let (uid, card) = self.token(uid)?;
        for open_action in open_actions(&self.journal.of_card(card)?) {
            let first = open_action.first;
            let staff = if serving.staff == 0 { first.staff } else { serving.staff };
            let serving = Serving { staff, ..serving };
            let settled = match open_action.state {
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
            let outcome = self.half_moved(first.id)?.unwrap_or(settled);
            resumed.push(Resumed { action: first.id, kind: first.kind, amount_minor: first.amount, outcome });
        }
        Ok(())
    }

    /// What is to be said of an exchange whose value and passes are on no card, whichever card said so.
    pub(crate) fn half_moved(&self, action: TapId) -> Result<Option<ResumedOutcome>, DeskError> {
        let open = open_actions(&self.journal.of_action(action)?);
        Ok(open.iter().any(|open| matches!(open.state, OpenState::HalfMoved(_))).then_some(ResumedOutcome::HalfMoved))
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
        if let Some(is_written) = is_written {
            self.resolve(first, step, is_written, Some(record_bytes), serving)?;
        }
        Ok(is_written)
    }

    /// Records what became of an unknown step: its card has it, or has not, by `record_read` where the card itself said so.
    pub(crate) fn resolve(
        &mut self,
        first: &Action,
        step: &Action,
        is_written: bool,
        record_read: Option<[u8; RECORD_LEN]>,
        serving: Serving,
    ) -> Result<(), DeskError> {
        let resolves = step.id;
        let outcome = if is_written { Step::Confirmed { resolves } } else { Step::Voided { resolves } };
        let resolution = Action {
            names: Some(first.id),
            record_read,
            other_card: step.other_card,
            product: first.product,
            grant: step.grant,
            ..self.step(first.kind, outcome, step.card, first.amount, serving)?
        };
        Ok(self.journal.append(&resolution)?)
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
        self.check_may_load(first.amount, first.amount, serving.at)?;
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
            (ActionKind::TopUp, ..) => crate::load::writing(&opened.record, write)?,
            // Nothing else begins with a payment that a card is to get.
            _ => return Err(Refusal::NotOpen(first.id).into()),
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
