//! AbortTransaction (A7): always with MAC, both ways. Source: NXP AN12343, AbortTransaction.

use crate::{
    command::{Command, SessionCommand, nothing},
    error::Misbehaviour,
    file::CommunicationMode,
};

pub(crate) struct AbortTransaction;

impl SessionCommand for AbortTransaction {
    type Answer = ();

    const COMMAND: Command = Command::AbortTransaction;

    fn mode(&self) -> CommunicationMode {
        CommunicationMode::Mac
    }

    fn header(&self) -> impl AsRef<[u8]> {
        []
    }

    fn data(&self) -> impl AsRef<[u8]> {
        []
    }

    fn answer_bytes(&self) -> usize {
        0
    }

    fn decode(&self, answer: Vec<u8>) -> Result<(), Misbehaviour> {
        nothing(&answer)
    }
}
