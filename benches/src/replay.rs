//! A tap whose card is a recording: the same challenges on both sides give the same session, so the recorded answers
//! verify again and again, and only the host's work is left to measure.
//!
//! It works because an answer's MAC covers the answer and not the command: the validator may write another tap's number
//! into the record and still accepts the recorded "written".

use card_crypto::{
    Aid, Card, Commit, CommunicationMode, Error, FileNumber, FrameSize, Key, KeyNumber, Lost, RecordRange,
    TransactionMac, Transport, card::Authenticated, diversify_aes128,
};
use transit::card::{APPLICATION_ID, FILE_PURSE, FILE_RECORD, KEY_VALIDATE, RECORD_LEN, SYSTEM_ID};
use virtual_card::CardInField;

use crate::{
    Failure,
    bus::{Bus, MORNING, RND_A},
};

const VALIDATE: KeyNumber = KeyNumber::new(KEY_VALIDATE).expect("a key number");
const PURSE: FileNumber = FileNumber::new(FILE_PURSE).expect("a file number");
const RECORD: FileNumber = FileNumber::new(FILE_RECORD).expect("a file number");
const FARE_MINOR: u32 = 8_000;

/// The answers of an ordinary card to one purse tap.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The card.
    pub uid: [u8; 7],
    answers: Vec<Vec<u8>>,
}

/// A card that gives the recorded answers one after the other, whatever it is asked.
#[derive(Clone, Debug)]
pub struct Replay<'a> {
    answers: std::slice::Iter<'a, Vec<u8>>,
}

impl Recording {
    /// Taps an ordinary card once on `bus`.
    ///
    /// # Errors
    /// The tap fails.
    pub fn of_purse_tap(bus: &mut Bus) -> Result<Self, Failure> {
        let mut field = CardInField::new(bus.card("adult")?);
        let uid = field.card().identity().uid;
        let exchanges = bus.tap(&mut field, MORNING)?.exchanges;
        let answers: Option<_> = exchanges.into_iter().map(|exchange| exchange.answer).collect();
        Ok(Self { uid, answers: answers.ok_or("an exchange of the recorded tap has no answer")? })
    }

    /// The card, from its first answer on.
    #[must_use]
    pub fn replay(&self) -> Replay<'_> {
        Replay { answers: self.answers.iter() }
    }
}

impl Transport for Replay<'_> {
    fn exchange(&mut self, _command: &[u8]) -> Result<Vec<u8>, Lost> {
        self.answers.next().cloned().ok_or(Lost::Card)
    }
}

/// The card cryptography of one purse tap and nothing else: diversify, select, authenticate, read, debit, write,
/// commit.
///
/// # Errors
/// An answer does not verify.
pub fn purse_dialogue(recording: &Recording, master: &Key) -> Result<TransactionMac, Error> {
    let mut card = authenticated(recording, master)?;
    let record = read_newest_record(&mut card)?;
    let staged = card.stage().debit(PURSE, CommunicationMode::Mac, FARE_MINOR)?;
    match staged.write_record(RECORD, CommunicationMode::Mac, 0, &record)?.commit() {
        Commit::Done { transaction_mac, .. } => Ok(transaction_mac),
        Commit::Unknown { why } => Err(why),
    }
}

/// Diversify, select and authenticate.
///
/// # Errors
/// An answer does not verify.
pub fn authenticated<'a>(recording: &'a Recording, master: &Key) -> Result<Card<Replay<'a>, Authenticated>, Error> {
    let key = card_key(master, &recording.uid);
    let mut card = Card::new(recording.replay(), FrameSize::Bytes128);
    card.select_application(Aid(APPLICATION_ID))?;
    card.authenticate_ev2_first(VALIDATE, &key, RND_A)
}

/// Reads the newest record, with a MAC both ways.
///
/// # Errors
/// The answer does not verify.
pub fn read_newest_record<T: Transport>(card: &mut Card<T, Authenticated>) -> Result<Vec<u8>, Error> {
    let range = RecordRange { first: 0, count: 1, record_length: RECORD_BYTES };
    card.read_records(RECORD, CommunicationMode::Mac, range)
}

/// The card's own validating key.
#[must_use]
pub fn card_key(master: &Key, uid: &[u8; 7]) -> Key {
    let mut input = [0; 15];
    input[..7].copy_from_slice(uid);
    input[7..10].copy_from_slice(&APPLICATION_ID);
    input[10] = KEY_VALIDATE;
    input[11..].copy_from_slice(&SYSTEM_ID);
    diversify_aes128(master, &input).expect("15 bytes are 1 to 31")
}

const RECORD_BYTES: u32 = 60;
const _: () = assert!(RECORD_LEN == 60);
