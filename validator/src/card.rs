//! A card of ours in whichever session its chip speaks: EV2 and EV3 in one of their own, EV1 in the older one.
//!
//! An EV1 chip has no Transaction MAC, so that nothing proves its taps towards the clearing house.

use card_crypto::{
    AesMessaging, Card, Commit, CommunicationMode, Error, FileNumber, KeySetNumber, RecordRange, TransactionMac,
    Transport,
    card::{Authenticated, Staged},
    channel::{Ev1, Ev2},
};
use transit::card::{FILE_ISSUER, FILE_PURSE, FILE_RECORD, ISSUER_LEN, RECORD_LEN};

const ISSUER: FileNumber = FileNumber::new(FILE_ISSUER).expect("a file number");
const PURSE: FileNumber = FileNumber::new(FILE_PURSE).expect("a file number");
const RECORD: FileNumber = FileNumber::new(FILE_RECORD).expect("a file number");
const MODE: CommunicationMode = CommunicationMode::Mac;
const ISSUER_BYTES: u32 = 64;
const RECORD_BYTES: u32 = 60;
const _: () = assert!(ISSUER_LEN == 64 && RECORD_LEN == 60, "lengths as commands carry them");

/// An authenticated card.
#[derive(Debug)]
pub enum OpenCard<T> {
    /// An EV2 or EV3 chip.
    Ev2(Card<T, Authenticated<Ev2>>),
    /// An EV1 chip.
    Ev1(Card<T, Authenticated<Ev1>>),
}

/// A card with a debit and a record staged.
#[derive(Debug)]
pub enum StagedCard<T> {
    /// An EV2 or EV3 chip.
    Ev2(Card<T, Staged<Ev2>>),
    /// An EV1 chip.
    Ev1(Card<T, Staged<Ev1>>),
}

/// What became of a transaction.
#[derive(Debug)]
pub enum Committed<T> {
    /// The card proved to this validator that it took effect.
    Done {
        /// The card; its session goes on.
        card: OpenCard<T>,
        /// The card's proof towards the clearing house, where the chip has one.
        transaction_mac: Option<TransactionMac>,
    },
    /// It may or may not have taken effect.
    Unknown,
}

/// Rolls a card to the keys that a desk laid in its spare key set (RollKeySet): all of them change at once. Torn at it, the
/// next tap tries both versions.
///
/// # Errors
/// [`Error`], such as a card whose spare set holds nothing yet, or that left.
pub fn roll_keys<T: Transport>(card: Card<T, Authenticated<Ev2>>) -> Result<(), Error> {
    const SPARE: KeySetNumber = KeySetNumber::new(1).expect("a key set number");
    card.roll_key_set(SPARE).map(drop)
}

impl<T: Transport> OpenCard<T> {
    /// Reads `count` records from the `first` newest on, oldest first.
    ///
    /// # Errors
    /// Any [`Error`]; it ends the session.
    pub fn read_records(&mut self, first: u32, count: u32) -> Result<Vec<u8>, Error> {
        let range = RecordRange { first, count, record_length: RECORD_BYTES };
        match self {
            Self::Ev2(card) => card.read_records(RECORD, MODE, range),
            Self::Ev1(card) => card.read_records(RECORD, MODE, range),
        }
    }

    /// Reads the issuer file.
    ///
    /// # Errors
    /// Any [`Error`]; it ends the session.
    pub fn read_issuer(&mut self) -> Result<Vec<u8>, Error> {
        match self {
            Self::Ev2(card) => card.read_data(ISSUER, MODE, 0, ISSUER_BYTES),
            Self::Ev1(card) => card.read_data(ISSUER, MODE, 0, ISSUER_BYTES),
        }
    }

    /// Debits `fare_minor` (nothing at 0) and writes `record`; neither counts before the commit.
    ///
    /// # Errors
    /// [`Error`]: the card dropped what was staged.
    pub fn stage(self, fare_minor: u32, record: &[u8; RECORD_LEN]) -> Result<StagedCard<T>, Error> {
        Ok(match self {
            Self::Ev2(card) => StagedCard::Ev2(stage(card, fare_minor, record)?),
            Self::Ev1(card) => StagedCard::Ev1(stage(card, fare_minor, record)?),
        })
    }
}

/// The same in either session.
fn stage<T: Transport, S: AesMessaging>(
    card: Card<T, Authenticated<S>>,
    fare_minor: u32,
    record: &[u8; RECORD_LEN],
) -> Result<Card<T, Staged<S>>, Error> {
    let mut staged = card.stage();
    if fare_minor > 0 {
        staged = staged.debit(PURSE, MODE, fare_minor)?;
    }
    staged.write_record(RECORD, MODE, 0, record)
}

impl<T: Transport> StagedCard<T> {
    /// Commits: from here the card may be charged, and only a verified answer says that it was.
    pub fn commit(self) -> Committed<T> {
        match self {
            Self::Ev2(staged) => match staged.commit() {
                Commit::Done { card, transaction_mac } => {
                    Committed::Done { card: OpenCard::Ev2(card), transaction_mac: Some(transaction_mac) }
                }
                Commit::Unknown { .. } => Committed::Unknown,
            },
            Self::Ev1(staged) => match staged.commit() {
                Commit::Done { card, .. } => Committed::Done { card: OpenCard::Ev1(card), transaction_mac: None },
                Commit::Unknown { .. } => Committed::Unknown,
            },
        }
    }

    /// Gives up what is staged. The commit was not sent, so the card is unchanged whatever it answers.
    pub fn give_up(self) {
        match self {
            Self::Ev2(staged) => drop(staged.abort()),
            Self::Ev1(staged) => drop(staged.abort()),
        }
    }
}
