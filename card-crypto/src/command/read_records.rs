//! ReadRecords (BB): records of a record file, oldest first, chained with additional frames.
//!
//! Source: NXP AN12343, ReadRecords.

use crate::{
    command::{Command, SessionCommand},
    error::{Misbehaviour, OutOfRange},
    file::{CommunicationMode, FileNumber},
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

pub(crate) struct ReadRecords {
    header: [u8; 7],
    mode: CommunicationMode,
    length: u32,
}

impl ReadRecords {
    /// A count of 0 would mean "all", whose answer could have any length; it is refused.
    pub(crate) fn new(file: FileNumber, mode: CommunicationMode, range: RecordRange) -> Result<Self, OutOfRange> {
        let RecordRange { first, count, record_length } = range;
        within("record count", count, 1, THREE_BYTES_MAX)?;
        let length = count.saturating_mul(record_length);
        within("length of all records", length, 1, THREE_BYTES_MAX)?;
        let header = file_header(file, three_bytes("record number", first)?, three_bytes("record count", count)?);
        Ok(Self { header, mode, length })
    }
}

impl SessionCommand for ReadRecords {
    type Answer = Vec<u8>;

    const COMMAND: Command = Command::ReadRecords;

    fn mode(&self) -> CommunicationMode {
        self.mode
    }

    fn header(&self) -> impl AsRef<[u8]> {
        self.header
    }

    fn data(&self) -> impl AsRef<[u8]> {
        []
    }

    fn answer_bytes(&self) -> usize {
        self.length as usize
    }

    fn decode(&self, answer: Vec<u8>) -> Result<Vec<u8>, Misbehaviour> {
        Ok(answer)
    }
}
