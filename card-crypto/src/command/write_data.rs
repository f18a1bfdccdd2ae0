//! WriteData (3D): a stretch of a data file, chained with additional frames. Source: NXP AN12343, WriteData.

use crate::{
    card::{Authenticated, Card, Staged},
    channel::AesMessaging,
    command::{Command, nothing},
    error::{Error, Misuse},
    file::{CommunicationMode, FileNumber},
    request::Request,
    transport::Transport,
    wire::write_header,
};

impl<T: Transport, S: AesMessaging> Card<T, Staged<S>> {
    /// Writes into a backup data file from `offset` (WriteData). What is written into a standard data file takes effect at
    /// once, whatever becomes of the transaction.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Boundary`](crate::Status::Boundary) when the data do not fit the file,
    /// [`Misuse::OutOfRange`] when there are none or too many, and any other [`Error`]. Nothing of the transaction takes
    /// effect then.
    pub fn write_data(
        mut self,
        file: FileNumber,
        mode: CommunicationMode,
        offset: u32,
        data: &[u8],
    ) -> Result<Self, Error> {
        self.run(request(file, mode, offset, data), nothing)?;
        Ok(self)
    }
}

impl<T: Transport, S: AesMessaging> Card<T, Authenticated<S>> {
    /// Writes into a **standard** data file from `offset` (WriteData), which takes effect at once. Torn, the file may hold
    /// anything. (For a backup data file it would be the start of a transaction: [`stage`](Card::stage) that.)
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Boundary`](crate::Status::Boundary) when the data do not fit the file,
    /// [`Misuse::OutOfRange`] when there are none or too many, and any other [`Error`]; it ends the session.
    pub fn write_standard_data(
        &mut self,
        file: FileNumber,
        mode: CommunicationMode,
        offset: u32,
        data: &[u8],
    ) -> Result<(), Error> {
        self.run(request(file, mode, offset, data), nothing)
    }
}

fn request(
    file: FileNumber,
    mode: CommunicationMode,
    offset: u32,
    data: &[u8],
) -> Result<Request<[u8; 7], &[u8]>, Misuse> {
    Ok(Request::new(Command::WriteData, mode, write_header(file, offset, data)?).data(data))
}
