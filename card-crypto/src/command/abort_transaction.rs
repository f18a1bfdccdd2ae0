//! AbortTransaction (A7): in a session always with MAC, both ways. Source: NXP AN12343, AbortTransaction.

use crate::{
    card::{Authenticated, Card, Staged},
    channel::AesMessaging,
    command::{Command, nothing},
    error::Error,
    file::CommunicationMode,
    request::Request,
    transport::Transport,
};

impl<T: Transport, S: AesMessaging> Card<T, Staged<S>> {
    /// Drops the transaction (AbortTransaction).
    ///
    /// # Errors
    /// Any [`Error`]; it ends the session. The card drops the transaction then too, at the latest when it leaves the
    /// field. [`Status::NoChanges`](crate::Status::NoChanges) when nothing was written.
    pub fn abort(mut self) -> Result<Card<T, Authenticated<S>>, Error> {
        self.run(Ok(Request::new(Command::AbortTransaction, CommunicationMode::Mac, [])), nothing)?;
        Ok(self.into_authenticated())
    }
}
