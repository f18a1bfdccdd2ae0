//! CreateCyclicRecordFile (C0). Source: NXP AN0945 and AN12343, CreateCyclicRecordFile.

use crate::{
    card::{Card, Conversation},
    command::{Command, nothing},
    error::Error,
    file::{CommunicationMode, FileNumber},
    file_settings::RecordFile,
    request::Request,
    transport::Transport,
};

/// Records that such a file has at least.
const RECORDS_MIN: u32 = 2;

impl<T: Transport, C: Conversation> Card<T, C> {
    /// Makes a record file that overwrites its oldest record once it is full. One record is the spare: of `n` the file shows
    /// `n - 1`, so it needs at least two (CreateCyclicRecordFile);
    /// under key 0 unless the application lets everybody. It is empty at first.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Duplicate`](crate::Status::Duplicate) when the file is there already,
    /// [`Misuse::OutOfRange`](crate::Misuse::OutOfRange) for sizes that cannot be, and any other [`Error`]; it ends the
    /// session, if there is one.
    pub fn create_cyclic_record_file(&mut self, file: FileNumber, settings: &RecordFile) -> Result<(), Error> {
        let header = settings.encode(file, RECORDS_MIN);
        let request =
            header.map(|header| Request::new(Command::CreateCyclicRecordFile, CommunicationMode::Mac, header));
        self.run(request, nothing)
    }
}
