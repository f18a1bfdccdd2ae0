//! Refund: value off the card, cash out. The cash is handed out only when the card has committed.

use card_crypto::Transport;
use key_store::KeyStore;
use transit::action::{ActionKind, Step};
use transit::card::{DeskWrite, record_of_refund};
use transit::money::{Amount, Balance};

use crate::desk::{Desk, Serving, Writing};
use crate::refusal::{DeskError, Refusal, held};
use crate::report::{Loaded, Report};
use crate::session::{Also, Opened, Opening, Random, Session, open};

impl<K: KeyStore> Desk<K> {
    /// Takes `amount` off the card, or everything that the purse holds.
    ///
    /// # Errors
    /// [`DeskError`]. After `Unknown`, no cash: the card, presented again, says whether it was debited.
    pub fn refund<T: Transport>(
        &mut self,
        transport: &mut T,
        uid: &[u8],
        amount: Option<Amount>,
        serving: Serving,
        random: Random<'_>,
    ) -> Result<Report, DeskError> {
        let (uid, _) = self.token(uid)?;
        match open(transport, &uid, Also::Nothing, &mut self.keys, random)? {
            Opening::Ev1(opened) => self.refund_on(opened, &uid, amount, serving, random),
            Opening::Ev2(opened) => self.refund_on(opened, &uid, amount, serving, random),
        }
    }

    fn refund_on<T: Transport, S: Session>(
        &mut self,
        opened: Opened<T, S>,
        uid: &[u8; 7],
        amount: Option<Amount>,
        serving: Serving,
        random: Random<'_>,
    ) -> Result<Report, DeskError> {
        let card = self.keys.token(uid)?;
        self.refuse_blocked(card)?;
        let balance = opened.record.balance_after;
        let held = held(balance)?;
        let amount = Some(amount.unwrap_or(held)).filter(|amount| *amount > Amount::ZERO).ok_or(Refusal::EmptyPurse)?;
        let step = self.step(ActionKind::Refund, Step::Unknown, card, amount, serving)?;
        let write = DeskWrite { action: step.id, at: serving.at, amount };
        let record = record_of_refund(&opened.record, write).map_err(Refusal::from)?;
        let writing = Writing { credit: Amount::ZERO, debit: amount, issuer: None, record };
        let written = self.write(opened, step, &writing, random)?;
        let balance_minor: Balance = balance.checked_debit(amount).unwrap_or(balance);
        Ok(Report::PaidOut(Loaded { action: written.id, card, amount_minor: amount, balance_minor }))
    }
}
