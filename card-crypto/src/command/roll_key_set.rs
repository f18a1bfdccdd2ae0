//! RollKeySet (55): another key set becomes the active one, number 0.
//!
//! Public clients authenticate anew after it; whether its answer has a MAC is nowhere said. The stricter reading is
//! taken: the answer must have one, and the session ends with it. Source: proxmark3; liblogicalaccess's tests.

use crate::{
    card::{Authenticated, Card, Idle},
    channel::Ev2,
    command::{Command, nothing},
    error::Error,
    file::CommunicationMode,
    key::KeySetNumber,
    request::Request,
    transport::Transport,
};

impl<T: Transport> Card<T, Authenticated<Ev2>> {
    /// Makes a closed key set the active one (RollKeySet) and ends the session; under the application's roll key. All keys
    /// change at once, and there is no way back to an older set.
    ///
    /// # Errors
    /// Any [`Error`]. The card has rolled or not then: authenticate with the newer keys first.
    pub fn roll_key_set(mut self, set: KeySetNumber) -> Result<Card<T, Idle>, Error> {
        self.run(Ok(Request::new(Command::RollKeySet, CommunicationMode::Mac, [set.get()])), nothing)?;
        Ok(self.into_idle())
    }
}
