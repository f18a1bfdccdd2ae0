//! GetValue (6C): the committed value of a value file. Source: NXP AN12343, GetValue.

use crate::{
    card::{Authenticated, Card, Idle},
    channel::AesMessaging,
    command::Command,
    error::{Error, Misbehaviour},
    file::{CommunicationMode, FileNumber},
    request::Request,
    transport::Transport,
    wire::exactly,
};

impl<T: Transport, S: AesMessaging> Card<T, Authenticated<S>> {
    /// Reads the committed value of a value file (GetValue); what a transaction has done to it does not show.
    ///
    /// # Errors
    /// Any [`Error`]; it ends the session.
    pub fn get_value(&mut self, file: FileNumber, mode: CommunicationMode) -> Result<i32, Error> {
        self.run(Ok(request(file, mode)), decode)
    }
}

impl<T: Transport> Card<T, Idle> {
    /// Reads the value of a value file that everybody may read (GetValue), in clear: nothing proves it.
    ///
    /// # Errors
    /// Any [`Error`].
    pub fn get_value(&mut self, file: FileNumber) -> Result<i32, Error> {
        self.run(Ok(request(file, CommunicationMode::Plain)), decode)
    }
}

fn request(file: FileNumber, mode: CommunicationMode) -> Request<[u8; 1], [u8; 0]> {
    Request::new(Command::GetValue, mode, [file.get()]).answers(4)
}

fn decode(answer: Vec<u8>) -> Result<i32, Misbehaviour> {
    Ok(i32::from_le_bytes(exactly(&answer)?))
}
