//! ReadRecords (BB): records of a record file, oldest first, chained with additional frames.
//!
//! Source: NXP AN12343, ReadRecords.

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

/// Which records to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRange {
    /// The newest record to read, counted back from the newest of all, which is 0.
    pub first: u32,
    /// How many, from there to older ones; at least 1.
    pub count: u32,
    /// Bytes of one record, as the file was created; at least 1.
    pub record_length: u32,
}

impl<T: Transport, S: AesMessaging> Card<T, Authenticated<S>> {
    /// Reads records, oldest first, one after the other without separators (ReadRecords).
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Boundary`](crate::Status::Boundary) when there are not that many records,
    /// [`Misuse::OutOfRange`] when the range is empty or too large, and any other
    /// [`Error`]; it ends the session.
    pub fn read_records(
        &mut self,
        file: FileNumber,
        mode: CommunicationMode,
        range: RecordRange,
    ) -> Result<Vec<u8>, Error> {
        self.run(request(file, mode, range), Ok)
    }
}

impl<T: Transport> Card<T, Idle> {
    /// Reads records of a file that everybody may read (ReadRecords), in clear: nothing proves them.
    ///
    /// # Errors
    /// As in a session.
    pub fn read_records(&mut self, file: FileNumber, range: RecordRange) -> Result<Vec<u8>, Error> {
        self.run(request(file, CommunicationMode::Plain, range), Ok)
    }
}

/// A count of 0 would mean "all", whose answer could have any length; it is refused.
#[inline]
fn request(
    file: FileNumber,
    mode: CommunicationMode,
    RecordRange { first, count, record_length }: RecordRange,
) -> Result<Request<[u8; 7], [u8; 0]>, Misuse> {
    within("record count", count, 1, THREE_BYTES_MAX)?;
    let length = count.saturating_mul(record_length);
    within("length of all records", length, 1, THREE_BYTES_MAX)?;
    let header = file_header(file, three_bytes("record number", first)?, three_bytes("record count", count)?);
    let bytes = length as usize;
    Ok(Request::new(Command::ReadRecords, mode, header).answers(bytes))
}
