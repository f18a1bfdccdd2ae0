//! SelectApplication (5A): always in clear; ends the session and the transaction. Source: NXP AN12343,
//! SelectApplication.

use crate::{
    apdu::exchange_command,
    card::{Authenticated, Card, Idle},
    command::{Command, nothing},
    error::Error,
    file::Aid,
    transport::Transport,
};

impl<T: Transport> Card<T, Idle> {
    /// Selects an application (SelectApplication).
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::ApplicationNotFound`](crate::Status::ApplicationNotFound) when the card has
    /// none of this name, [`Misbehaviour::ForeignStatusWord`](crate::Misbehaviour::ForeignStatusWord) when it is no
    /// DESFire, and any other [`Error`] except misuse.
    pub fn select_application(&mut self, Aid(aid): Aid) -> Result<(), Error> {
        let answer = exchange_command(&mut self.transport, self.frame_size, Command::SelectApplication, &aid, 0)?;
        Ok(nothing(answer)?)
    }
}

impl<T: Transport, S> Card<T, Authenticated<S>> {
    /// Ends the session and selects an application (SelectApplication), in clear.
    ///
    /// # Errors
    /// As without a session.
    pub fn select_application(self, aid: Aid) -> Result<Card<T, Idle>, Error> {
        let mut card = self.into_idle();
        card.select_application(aid)?;
        Ok(card)
    }
}
