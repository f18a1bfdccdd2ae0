//! Block: a card onto the deny list. It does not need the card: it is likely in somebody else's hand.

use key_store::KeyStore;
use transit::action::{ActionKind, Step};
use transit::id::CardToken;
use transit::money::Amount;

use crate::desk::{Desk, Serving};
use crate::refusal::DeskError;
use crate::report::Report;

impl<K: KeyStore> Desk<K> {
    /// Records that the card is to be blocked; the next sync carries it to the clearing house.
    ///
    /// # Errors
    /// [`DeskError::Journal`]; [`Refusal::ClockBehind`](crate::refusal::Refusal::ClockBehind).
    pub fn block(&mut self, card: CardToken, serving: Serving) -> Result<Report, DeskError> {
        let step = self.step(ActionKind::Block, Step::Done, card, Amount::ZERO, serving)?;
        self.journal.append(&step)?;
        Ok(Report::Blocked { action: step.id, card })
    }
}
