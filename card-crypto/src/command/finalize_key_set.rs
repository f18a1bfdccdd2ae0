//! FinalizeKeySet (57). Source: proxmark3; the published NXP reader library headers.

use crate::{
    card::{Authenticated, Card},
    channel::Ev2,
    command::{Command, nothing},
    error::Error,
    file::CommunicationMode,
    key::KeySetNumber,
    request::Request,
    transport::Transport,
};

impl<T: Transport> Card<T, Authenticated<Ev2>> {
    /// Closes a key set and gives it a version (FinalizeKeySet); it can be rolled to from now on. Under key 0.
    ///
    /// # Errors
    /// Any [`Error`]; it ends the session.
    pub fn finalize_key_set(&mut self, set: KeySetNumber, version: u8) -> Result<(), Error> {
        let request = Request::new(Command::FinalizeKeySet, CommunicationMode::Mac, [set.get(), version]);
        self.run(Ok(request), nothing)
    }
}
