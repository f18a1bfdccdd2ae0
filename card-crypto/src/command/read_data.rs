//! ReadData (BD): a stretch of a data file, chained with additional frames. Source: NXP AN12343, ReadData.

use crate::{
    command::{Command, SessionCommand},
    error::{Misbehaviour, OutOfRange},
    file::{CommunicationMode, FileNumber},
    wire::{THREE_BYTES_MAX, file_header, three_bytes, within},
};

pub(crate) struct ReadData {
    header: [u8; 7],
    mode: CommunicationMode,
    length: u32,
}

impl ReadData {
    /// A length of 0 would mean "to the end of the file", whose answer could have any length; it is refused.
    pub(crate) fn new(file: FileNumber, mode: CommunicationMode, offset: u32, length: u32) -> Result<Self, OutOfRange> {
        within("length", length, 1, THREE_BYTES_MAX)?;
        let header = file_header(file, three_bytes("offset", offset)?, three_bytes("length", length)?);
        Ok(Self { header, mode, length })
    }
}

impl SessionCommand for ReadData {
    type Answer = Vec<u8>;

    const COMMAND: Command = Command::ReadData;

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
