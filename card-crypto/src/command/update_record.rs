//! UpdateRecord (DB): into a record that is there already, chained with additional frames. EV1 cards do not have it.
//!
//! Source: NXP AN12343, UpdateRecord.

use crate::{
    card::{Card, Staged},
    channel::AesMessaging,
    command::{Command, nothing},
    error::{Error, Misuse},
    file::{CommunicationMode, FileNumber},
    request::Request,
    transport::Transport,
    wire::{three_bytes, write_header},
};

impl<T: Transport, S: AesMessaging> Card<T, Staged<S>> {
    /// Writes into a record that is there already, counted back from the newest, which is 0 (UpdateRecord).
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Boundary`](crate::Status::Boundary) when there is no such record or the data do
    /// not fit it, [`Misuse::OutOfRange`] when there are none or too many, and any other [`Error`]. Nothing of the
    /// transaction takes effect then.
    pub fn update_record(
        mut self,
        file: FileNumber,
        mode: CommunicationMode,
        record_number: u32,
        offset: u32,
        data: &[u8],
    ) -> Result<Self, Error> {
        let request = header(file, record_number, offset, data);
        self.run(request.map(|header| Request::new(Command::UpdateRecord, mode, header).data(data)), nothing)?;
        Ok(self)
    }
}

fn header(file: FileNumber, record_number: u32, offset: u32, data: &[u8]) -> Result<[u8; 10], Misuse> {
    let [file, a, b, c, d, e, f] = write_header(file, offset, data)?;
    let [low, middle, high] = three_bytes("record number", record_number)?;
    Ok([file, low, middle, high, a, b, c, d, e, f])
}
