//! InitializeKeySet (56). Its second byte is the kind of keys: 02 is AES. Source: proxmark3; the published NXP reader
//! library headers.

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

/// Kind of keys: AES-128.
const AES: u8 = 0x02;

impl<T: Transport> Card<T, Authenticated<Ev2>> {
    /// Empties a key set other than the active one, for new AES keys (InitializeKeySet); under key 0.
    ///
    /// # Errors
    /// Any [`Error`]; it ends the session.
    pub fn initialize_key_set(&mut self, set: KeySetNumber) -> Result<(), Error> {
        let request = Request::new(Command::InitializeKeySet, CommunicationMode::Mac, [set.get(), AES]);
        self.run(Ok(request), nothing)
    }
}
