//! Top-up: cash in, value on the card.

use card_crypto::Transport;
use key_store::KeyStore;
use transit::action::{Action, ActionKind, Step};
use transit::card::{DeskWrite, Record, record_of_load};
use transit::id::TapId;
use transit::money::Amount;

use crate::desk::{Desk, Serving, Writing};
use crate::open_action::{OpenState, open_actions};
use crate::refusal::{DeskError, Refusal};
use crate::report::{Loaded, Report};
use crate::session::{Also, Opened, Opening, Random, Session, open};

impl<K: KeyStore> Desk<K> {
    /// Takes `amount` in cash and loads it. Recorded as paid before anything is written on the card.
    ///
    /// # Errors
    /// [`DeskError`]. After `NotWritten` and `Unknown` the same card, presented again, brings it to its end.
    pub fn top_up<T: Transport>(
        &mut self,
        transport: &mut T,
        uid: &[u8],
        amount: Amount,
        serving: Serving,
        random: Random<'_>,
    ) -> Result<Report, DeskError> {
        let (uid, _) = self.token(uid)?;
        match open(transport, &uid, Also::Nothing, &mut self.keys, random)? {
            Opening::Ev1(opened) => self.top_up_on(opened, &uid, amount, serving, random),
            Opening::Ev2(opened) => self.top_up_on(opened, &uid, amount, serving, random),
        }
    }

    fn top_up_on<T: Transport, S: Session>(
        &mut self,
        opened: Opened<T, S>,
        uid: &[u8; 7],
        amount: Amount,
        serving: Serving,
        random: Random<'_>,
    ) -> Result<Report, DeskError> {
        let card = self.keys.token(uid)?;
        self.refuse_blocked(card)?;
        let paid = self.step(ActionKind::TopUp, Step::Paid, card, amount, serving)?;
        // What the card would not take is refused before the cash is taken.
        writing(&opened.record, DeskWrite { action: paid.id, at: serving.at, amount })?;
        self.check_may_load(amount, Amount::ZERO, serving.at)?;
        self.journal.append(&paid)?;
        let balance = opened.record.balance_after;
        self.finish_on(opened, &paid, serving, random)?;
        let balance_minor = balance.checked_credit(amount).unwrap_or(balance);
        Ok(Report::ToppedUp(Loaded { action: paid.id, card, amount_minor: amount, balance_minor }))
    }

    /// Gives back what was paid for a top-up or a pass and is certainly not on the card. `written` is what the clearing
    /// house knows of an unknown step, where it was asked.
    ///
    /// # Errors
    /// [`Refusal::StillUnknown`] while nobody can tell, [`Refusal::NotOpen`].
    pub fn give_back(
        &mut self,
        action: TapId,
        written: impl FnOnce(&Action) -> Option<bool>,
        serving: Serving,
    ) -> Result<Report, DeskError> {
        let open = open_actions(&self.journal.of_action(action)?).into_iter().next();
        // An issue begins with nothing paid: closing it would leave the card half made for ever.
        let is_paid =
            |first: &Action| first.step == Step::Paid && matches!(first.kind, ActionKind::TopUp | ActionKind::Sale);
        let open = open.filter(|open| is_paid(&open.first)).ok_or(Refusal::NotOpen(action))?;
        let first = open.first;
        if let OpenState::Unknown(step) = &open.state {
            let is_written = written(step).ok_or(Refusal::StillUnknown(first.id))?;
            self.resolve(&first, step, is_written, None, serving)?;
            if is_written {
                return Err(Refusal::IsWritten(first.id).into());
            }
        }
        let refunded = Action {
            names: Some(first.id),
            product: first.product,
            ..self.step(first.kind, Step::Refunded, first.card, first.amount, serving)?
        };
        self.journal.append(&refunded)?;
        Ok(Report::GivenBack { action: first.id, amount_minor: first.amount })
    }
}

/// What a load writes.
pub(crate) fn writing(read: &Record, write: DeskWrite) -> Result<Writing, DeskError> {
    let record = record_of_load(read, write).map_err(Refusal::from)?;
    Ok(Writing { credit: write.amount, debit: Amount::ZERO, issuer: None, record })
}
