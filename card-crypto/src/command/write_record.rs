//! WriteRecord (3B): into the one record that the transaction adds, chained with additional frames.
//!
//! Source: NXP AN12343, WriteRecord.

use crate::{
    card::{Card, Staged},
    channel::AesMessaging,
    command::{Command, nothing},
    error::Error,
    file::{CommunicationMode, FileNumber},
    request::Request,
    transport::Transport,
    wire::write_header,
};

impl<T: Transport, S: AesMessaging> Card<T, Staged<S>> {
    /// Writes into the one record that this transaction adds to a record file (WriteRecord).
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Boundary`](crate::Status::Boundary) when the data do not fit the record,
    /// [`Misuse::OutOfRange`](crate::Misuse::OutOfRange) when there are none or too many, and any other [`Error`].
    /// Nothing of the transaction takes effect then.
    pub fn write_record(
        mut self,
        file: FileNumber,
        mode: CommunicationMode,
        offset: u32,
        data: &[u8],
    ) -> Result<Self, Error> {
        let header = write_header(file, offset, data);
        self.run(header.map(|header| Request::new(Command::WriteRecord, mode, header).data(data)), nothing)?;
        Ok(self)
    }
}
