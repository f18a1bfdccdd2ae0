//! CreateValueFile (CC). Source: NXP AN0945 and AN12343, CreateValueFile.

use crate::{
    card::{Card, Conversation},
    command::{Command, nothing},
    error::Error,
    file::{CommunicationMode, FileNumber},
    file_settings::ValueFile,
    request::Request,
    transport::Transport,
};

impl<T: Transport, C: Conversation> Card<T, C> {
    /// Makes a value file (CreateValueFile); under key 0 unless the application lets everybody.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Duplicate`](crate::Status::Duplicate) when the file is there already,
    /// [`Misuse::OutOfRange`](crate::Misuse::OutOfRange) for limits that cannot be, and any other [`Error`]; it ends the
    /// session, if there is one.
    pub fn create_value_file(&mut self, file: FileNumber, settings: &ValueFile) -> Result<(), Error> {
        let header = settings.encode(file);
        self.run(header.map(|header| Request::new(Command::CreateValueFile, CommunicationMode::Mac, header)), nothing)
    }
}
