//! CommitTransaction (C7) with option 01: the answer is the Transaction MAC counter and value.
//!
//! Always with MAC, both ways, even where every file is plain. Source: NXP AN12343, CommitTransaction.

use crate::{
    command::{Command, SessionCommand},
    error::Misbehaviour,
    file::CommunicationMode,
    transaction_mac::TransactionMac,
    wire::exactly,
};

/// Return the Transaction MAC; a card without a Transaction MAC file refuses it.
const OPTION_TRANSACTION_MAC: u8 = 0x01;

pub(crate) struct CommitTransaction;

impl SessionCommand for CommitTransaction {
    type Answer = TransactionMac;

    const COMMAND: Command = Command::CommitTransaction;

    fn mode(&self) -> CommunicationMode {
        CommunicationMode::Mac
    }

    fn header(&self) -> impl AsRef<[u8]> {
        [OPTION_TRANSACTION_MAC]
    }

    fn data(&self) -> impl AsRef<[u8]> {
        []
    }

    fn answer_bytes(&self) -> usize {
        12
    }

    fn decode(&self, answer: Vec<u8>) -> Result<TransactionMac, Misbehaviour> {
        let bytes: [u8; 12] = exactly(&answer)?;
        let (counter, value) = bytes.split_at(4);
        Ok(TransactionMac { counter: u32::from_le_bytes(exactly(counter)?), value: exactly(value)? })
    }
}
