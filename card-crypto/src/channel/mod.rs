//! Secure messaging, one file per generation: bytes to bytes.

pub mod ev1;
pub mod ev2;

pub use self::{
    ev1::{Ev1, FactoryDes},
    ev2::{Ev2, SessionKeys},
};
use crate::{
    error::{Misbehaviour, Misuse},
    file::CommunicationMode,
    transaction_mac::TransactionMac,
};

/// One end of a session, the reader's: seals commands and opens their answers, strictly in turn. The first error ends
/// the session.
pub trait SecureMessaging: sealed::Sealed {
    /// Protects a command and returns what follows its instruction byte.
    ///
    /// # Errors
    /// [`Misuse::CounterExhausted`] when the session has used up its counter.
    fn seal(&mut self, message: &Plaintext<'_>) -> Result<Vec<u8>, Misuse>;

    /// Checks the answer to the last sealed command (the data of status 00) and returns what the card said.
    ///
    /// `data_bytes_max` is how many bytes that is at most. In EV1 sessions a Full answer must have exactly so many: its
    /// padding does not tell where data end.
    ///
    /// # Errors
    /// [`Misbehaviour::WrongMac`] when a MAC is wrong or missing, or checksum or padding are wrong.
    fn open(
        &mut self,
        mode: CommunicationMode,
        answer: Vec<u8>,
        data_bytes_max: usize,
    ) -> Result<Vec<u8>, Misbehaviour>;

    /// Length of an answer at most, as it travels, that says `data_bytes`.
    fn answer_bytes_max(mode: CommunicationMode, data_bytes: usize) -> usize;
}

/// Secure messaging under AES, in which transactions are made: [`Ev1`] and [`Ev2`].
pub trait AesMessaging: SecureMessaging {
    /// What a commit proves towards a back office.
    type TransactionMac: std::fmt::Debug + PartialEq;

    /// The option that CommitTransaction is sent with, if any.
    const COMMIT_OPTION: &'static [u8];

    /// Bytes that a commit answers.
    const COMMIT_BYTES: usize;

    /// What a commit answered.
    ///
    /// # Errors
    /// [`Misbehaviour::WrongLength`] when it is not [`COMMIT_BYTES`](Self::COMMIT_BYTES) long.
    fn transaction_mac(answer: &[u8]) -> Result<Self::TransactionMac, Misbehaviour>;
}

impl AesMessaging for Ev2 {
    type TransactionMac = TransactionMac;

    /// Return the Transaction MAC; a card without a Transaction MAC file refuses it.
    const COMMIT_OPTION: &'static [u8] = &[0x01];
    const COMMIT_BYTES: usize = 12;

    fn transaction_mac(answer: &[u8]) -> Result<TransactionMac, Misbehaviour> {
        TransactionMac::decode(answer)
    }
}

impl AesMessaging for Ev1 {
    type TransactionMac = NoTransactionMac;

    const COMMIT_OPTION: &'static [u8] = &[];
    const COMMIT_BYTES: usize = 0;

    fn transaction_mac(answer: &[u8]) -> Result<NoTransactionMac, Misbehaviour> {
        crate::wire::exactly::<0>(answer).map(|[]| NoTransactionMac)
    }
}

/// In place of a Transaction MAC where there is none: nothing proves this transaction towards a back office.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTransactionMac;

/// A command before it is sealed.
#[derive(Clone, Copy, Debug)]
pub struct Plaintext<'a> {
    /// How its data travel.
    pub mode: CommunicationMode,
    /// The instruction byte.
    pub instruction: u8,
    /// The part that stays in clear and is authenticated before the data.
    pub header: &'a [u8],
    /// The part that mode Full enciphers.
    pub data: &'a [u8],
    /// The checksum of a new key, for the commands that carry one masked by an old one. It is enciphered after the data,
    /// and in EV1 sessions after the checksum of the message, which does not cover it.
    pub checksum: Option<[u8; 4]>,
}

pub(crate) mod sealed {
    pub trait Sealed {}
}
