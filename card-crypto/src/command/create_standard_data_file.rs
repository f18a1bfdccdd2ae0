//! CreateStandardDataFile (CD). Source: NXP AN0945 and AN12343, CreateStdDataFile.

use crate::{
    card::{Card, Conversation},
    command::{Command, nothing},
    error::Error,
    file::{CommunicationMode, FileNumber},
    file_settings::DataFile,
    request::Request,
    transport::Transport,
};

impl<T: Transport, C: Conversation> Card<T, C> {
    /// Makes a data file whose writes take effect at once, transaction or not (CreateStandardDataFile); under key 0 unless the
    /// application lets everybody. It is zeros at first.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Duplicate`](crate::Status::Duplicate) when the file is there already,
    /// [`Misuse::OutOfRange`](crate::Misuse::OutOfRange) for a size that cannot be, and any other [`Error`]; it ends the
    /// session, if there is one.
    pub fn create_standard_data_file(&mut self, file: FileNumber, settings: &DataFile) -> Result<(), Error> {
        let header = settings.encode(file);
        self.run(
            header.map(|header| Request::new(Command::CreateStandardDataFile, CommunicationMode::Mac, header)),
            nothing,
        )
    }
}
