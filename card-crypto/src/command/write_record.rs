//! WriteRecord (3B): into the one record that the transaction adds, chained with additional frames.
//!
//! Source: NXP AN12343, WriteRecord.

use crate::{
    command::{Command, SessionCommand, nothing},
    error::{Misbehaviour, OutOfRange},
    file::{CommunicationMode, FileNumber},
    wire::{THREE_BYTES_MAX, file_header, three_bytes, within},
};

pub(crate) struct WriteRecord<'a> {
    header: [u8; 7],
    mode: CommunicationMode,
    data: &'a [u8],
}

impl<'a> WriteRecord<'a> {
    pub(crate) fn new(
        file: FileNumber,
        mode: CommunicationMode,
        offset: u32,
        data: &'a [u8],
    ) -> Result<Self, OutOfRange> {
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        within("length", length, 1, THREE_BYTES_MAX)?;
        let header = file_header(file, three_bytes("offset", offset)?, three_bytes("length", length)?);
        Ok(Self { header, mode, data })
    }
}

impl SessionCommand for WriteRecord<'_> {
    type Answer = ();

    const COMMAND: Command = Command::WriteRecord;

    fn mode(&self) -> CommunicationMode {
        self.mode
    }

    fn header(&self) -> impl AsRef<[u8]> {
        self.header
    }

    fn data(&self) -> impl AsRef<[u8]> {
        self.data
    }

    fn answer_bytes(&self) -> usize {
        0
    }

    fn decode(&self, answer: Vec<u8>) -> Result<(), Misbehaviour> {
        nothing(&answer)
    }
}
