//! Debit (DC): lowers a value, in effect only after the commit. Source: NXP AN12343.

use crate::{
    command::{Command, SessionCommand, nothing},
    error::{Misbehaviour, OutOfRange},
    file::{CommunicationMode, FileNumber},
    wire::within,
};

pub(crate) struct Debit {
    file: FileNumber,
    mode: CommunicationMode,
    amount: u32,
}

impl Debit {
    /// Amounts are signed on the card and must not be negative.
    pub(crate) fn new(file: FileNumber, mode: CommunicationMode, amount: u32) -> Result<Self, OutOfRange> {
        Ok(Self { file, mode, amount: within("amount", amount, 0, i32::MAX.unsigned_abs())? })
    }
}

impl SessionCommand for Debit {
    type Answer = ();

    const COMMAND: Command = Command::Debit;

    fn mode(&self) -> CommunicationMode {
        self.mode
    }

    fn header(&self) -> impl AsRef<[u8]> {
        [self.file.get()]
    }

    fn data(&self) -> impl AsRef<[u8]> {
        self.amount.to_le_bytes()
    }

    fn answer_bytes(&self) -> usize {
        0
    }

    fn decode(&self, answer: Vec<u8>) -> Result<(), Misbehaviour> {
        nothing(&answer)
    }
}
