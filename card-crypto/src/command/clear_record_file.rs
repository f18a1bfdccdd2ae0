//! ClearRecordFile (EB): removes all records, in effect only after the commit. Source: NXP AN0945 and AN12343,
//! ClearRecordFile.

use crate::{
    card::{Card, Staged},
    channel::AesMessaging,
    command::{Command, nothing},
    error::Error,
    file::{CommunicationMode, FileNumber},
    request::Request,
    transport::Transport,
};

impl<T: Transport, S: AesMessaging> Card<T, Staged<S>> {
    /// Removes all records of a file (ClearRecordFile). Needs the right to read and write. No record can be written into
    /// the file before the commit.
    ///
    /// # Errors
    /// Any [`Error`]. Nothing of the transaction takes effect then.
    pub fn clear_record_file(mut self, file: FileNumber) -> Result<Self, Error> {
        self.run(Ok(Request::new(Command::ClearRecordFile, CommunicationMode::Mac, [file.get()])), nothing)?;
        Ok(self)
    }
}
