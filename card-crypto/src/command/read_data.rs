//! ReadData (BD): a stretch of a data file, chained with additional frames. Source: NXP AN12343, ReadData.

use crate::{
    card::{Authenticated, Card, Idle},
    channel::AesMessaging,
    command::Command,
    error::{Error, Misuse},
    file::{CommunicationMode, FileNumber},
    request::Request,
    transport::Transport,
    wire::{THREE_BYTES_MAX, file_header, three_bytes, within},
};

impl<T: Transport, S: AesMessaging> Card<T, Authenticated<S>> {
    /// Reads `length` bytes of a data file from `offset` (ReadData).
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Boundary`](crate::Status::Boundary) when the file is shorter,
    /// [`Misuse::OutOfRange`] when the length is 0 or needs more than three bytes, and any
    /// other [`Error`]; it ends the session.
    pub fn read_data(
        &mut self,
        file: FileNumber,
        mode: CommunicationMode,
        offset: u32,
        length: u32,
    ) -> Result<Vec<u8>, Error> {
        self.run(request(file, mode, offset, length), Ok)
    }
}

impl<T: Transport> Card<T, Idle> {
    /// Reads `length` bytes from `offset` of a data file that everybody may read (ReadData), in clear: nothing proves
    /// them.
    ///
    /// # Errors
    /// As in a session.
    pub fn read_data(&mut self, file: FileNumber, offset: u32, length: u32) -> Result<Vec<u8>, Error> {
        self.run(request(file, CommunicationMode::Plain, offset, length), Ok)
    }
}

/// A length of 0 would mean "to the end of the file", whose answer could have any length; it is refused.
#[inline]
fn request(
    file: FileNumber,
    mode: CommunicationMode,
    offset: u32,
    length: u32,
) -> Result<Request<[u8; 7], [u8; 0]>, Misuse> {
    within("length", length, 1, THREE_BYTES_MAX)?;
    let header = file_header(file, three_bytes("offset", offset)?, three_bytes("length", length)?);
    let bytes = length as usize;
    Ok(Request::new(Command::ReadData, mode, header).answers(bytes))
}
