//! GetKeyVersion (64). Source: NXP AN0945, GetKeyVersion; proxmark3 and liblogicalaccess for key sets.

use crate::{
    card::{Authenticated, Card, Conversation},
    channel::Ev2,
    command::Command,
    error::{Error, Misbehaviour},
    file::CommunicationMode,
    key::{KeyNumber, KeySetNumber},
    request::Request,
    transport::Transport,
    wire::exactly,
};

/// Added to the key number: the number of a key set follows.
const OF_KEY_SET: u8 = 0x40;

impl<T: Transport, C: Conversation> Card<T, C> {
    /// The version of a key of the selected application, or of the card's key 0 (GetKeyVersion). Everybody may ask.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::NoSuchKey`](crate::Status::NoSuchKey), and any other [`Error`]; it ends the
    /// session, if there is one.
    pub fn get_key_version(&mut self, number: KeyNumber) -> Result<u8, Error> {
        let request = Request::new(Command::GetKeyVersion, CommunicationMode::Mac, [number.get()]);
        self.run(Ok(request.answers(1)), version)
    }
}

impl<T: Transport> Card<T, Authenticated<Ev2>> {
    /// The version of a key of one key set (GetKeyVersion).
    ///
    /// # Errors
    /// As [`get_key_version`](Self::get_key_version).
    pub fn get_key_version_of_set(&mut self, set: KeySetNumber, number: KeyNumber) -> Result<u8, Error> {
        let header = [number.get() | OF_KEY_SET, set.get()];
        let request = Request::new(Command::GetKeyVersion, CommunicationMode::Mac, header);
        self.run(Ok(request.answers(1)), version)
    }
}

fn version(answer: Vec<u8>) -> Result<u8, Misbehaviour> {
    exactly(&answer).map(|[version]| version)
}
