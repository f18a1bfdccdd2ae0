//! GetValue (6C): the committed value of a value file, four bytes, signed. Source: NXP AN12343.

use crate::{
    command::{Command, SessionCommand},
    error::Misbehaviour,
    file::{CommunicationMode, FileNumber},
    wire::exactly,
};

pub(crate) struct GetValue {
    pub(crate) file: FileNumber,
    pub(crate) mode: CommunicationMode,
}

impl SessionCommand for GetValue {
    type Answer = i32;

    const COMMAND: Command = Command::GetValue;

    fn mode(&self) -> CommunicationMode {
        self.mode
    }

    fn header(&self) -> impl AsRef<[u8]> {
        [self.file.get()]
    }

    fn data(&self) -> impl AsRef<[u8]> {
        []
    }

    fn answer_bytes(&self) -> usize {
        4
    }

    fn decode(&self, answer: Vec<u8>) -> Result<i32, Misbehaviour> {
        exactly(&answer).map(i32::from_le_bytes)
    }
}
