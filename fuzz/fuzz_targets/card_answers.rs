//! Any answers to the reader's side: no command panics, and in a session no data comes out of an answer that was
//! changed on its way.
#![no_main]

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::sync::LazyLock;

use card_crypto::{
    AesMessaging, Aid, Authenticated, Card, Commit, CommunicationMode, Conversation, DesKey, Error, FileNumber,
    FrameSize, Idle, Key, KeyNumber, Lost, NewKey, RecordRange, Staged, Transport, diversify_aes128,
};
use fuzz::counting;
use libfuzzer_sys::{arbitrary::Unstructured, fuzz_target};
use virtual_card::{CardInField, Fixture, Moment, TestKeys};

const AID: Aid = Aid([0x01, 0x4E, 0x48]);
const VALIDATE: KeyNumber = KeyNumber::new(2).expect("below 14");
const ISSUER: FileNumber = FileNumber::new(1).expect("below 32");
const PURSE: FileNumber = FileNumber::new(2).expect("below 32");
const RECORD: FileNumber = FileNumber::new(3).expect("below 32");
const RND_A: [u8; 16] = *b"reader challenge";

/// A reader's question for the next frame of an answer.
const MORE: [u8; 5] = [0x90, 0xAF, 0x00, 0x00, 0x00];

static CARD: LazyLock<(Fixture, Key)> = LazyLock::new(|| {
    let fixtures = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures"));
    let keys = TestKeys::load(&fixtures.join("keys/test-card-keys.toml")).expect("the test keys");
    let moment = Moment { now: 1_795_395_600, today: 9823 };
    let fixture = Fixture::load(&fixtures.join("cards/adult.toml"), &keys, moment).expect("a card");
    let input = [&fixture.identity().uid[..], &AID.0, &[VALIDATE.get()], b"CHAM"].concat();
    let key = diversify_aes128(&Key::new(keys.validate), &input).expect("15 bytes");
    (fixture, key)
});

/// A card whose answers somebody changes: what is done to each comes from the fuzzer.
struct Between<'a, 'b> {
    card: CardInField,
    input: &'b RefCell<Unstructured<'a>>,
    has_changed: &'b Cell<bool>,
    sent: Message,
    heard: Message,
}

/// An answer as far as it is known, put together from its frames. How a message is cut into frames is proved by nothing
/// and changes nothing: whoever cuts it elsewhere has not changed it.
#[derive(Default, PartialEq, Eq)]
struct Message {
    data: Vec<u8>,
    /// The last frame's; `None` while more is to come.
    status: Option<u8>,
}

impl Message {
    fn add(&mut self, frame: &[u8]) {
        // What comes after the last frame is no part of it.
        if self.status.is_some() {
            return;
        }
        match frame {
            [data @ .., 0x91, 0xAF] => self.data.extend_from_slice(data),
            [data @ .., 0x91, status] => {
                self.data.extend_from_slice(data);
                self.status = Some(*status);
            }
            _ => {
                self.data.extend_from_slice(frame);
                self.status = Some(0xFF);
            }
        }
    }
}

impl Transport for Between<'_, '_> {
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Lost> {
        let mut answer = self.card.exchange(command)?;
        if command != MORE {
            self.judge();
            (self.sent, self.heard) = Default::default();
        }
        let mut input = self.input.borrow_mut();
        self.sent.add(&answer);
        match input.arbitrary().unwrap_or(0u8) {
            // Something else altogether.
            0xC0..=0xFE => {
                let length = input.arbitrary_len::<u8>().unwrap_or(0).min(300);
                answer = input.bytes(length).map(<[u8]>::to_vec).unwrap_or_default();
            }
            // One byte.
            0x80..=0xBF => {
                let at: u8 = input.arbitrary().unwrap_or(0);
                let length = answer.len();
                answer[usize::from(at) % length] ^= input.arbitrary().unwrap_or(0u8);
            }
            0xFF => return Err(Lost::Card),
            0x00..=0x7F => {}
        }
        self.heard.add(&answer);
        // A frame that says that more is to come is judged with the rest, if the reader asks for it.
        if self.heard.status.is_some() {
            self.judge();
        }
        Ok(answer)
    }
}

impl Between<'_, '_> {
    fn judge(&self) {
        self.has_changed.set(self.has_changed.get() || self.heard != self.sent);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let input = RefCell::new(Unstructured::new(bytes));
    let has_changed = Cell::new(false);
    let (fixture, key) = &*CARD;
    let field = CardInField::new(fixture.card(counting()));
    let transport = Between {
        card: field,
        input: &input,
        has_changed: &has_changed,
        sent: Message::default(),
        heard: Message::default(),
    };
    let next = || input.borrow_mut().arbitrary::<u8>().unwrap_or(0);
    let size = [FrameSize::Bytes64, FrameSize::Bytes128, FrameSize::Bytes256][usize::from(next() % 3)];
    let mut card = Card::new(transport, size);
    let session = next();
    if session < 0x80 {
        let _ = card.select_application(AID);
        in_clear(card, next);
        return;
    }
    if card.select_application(AID).is_err() {
        return;
    }
    // What is in clear may be changed by anybody; from here on nothing may.
    has_changed.set(false);
    match session % 3 {
        0 => drop(card.authenticate_ev2_first(VALIDATE, key, RND_A).map(|card| in_session(card, next, &has_changed))),
        1 => drop(card.authenticate_aes(VALIDATE, key, RND_A).map(|card| in_session(card, next, &has_changed))),
        _ => drop(card.authenticate_iso(&DesKey::FACTORY, *b"8 bytes!").map(|mut card| ask(&mut card, next()))),
    }
});

/// Commands of every conversation.
fn ask<T: Transport, C: Conversation>(card: &mut Card<T, C>, which: u8) -> Result<(), Error> {
    match which % 8 {
        0 => card.get_version().map(|_| ()),
        1 => card.free_memory().map(|_| ()),
        2 => card.get_application_ids().map(|_| ()),
        3 => card.get_key_settings().map(|_| ()),
        4 => card.get_key_version(VALIDATE).map(|_| ()),
        5 => card.get_file_ids().map(|_| ()),
        6 => [ISSUER, PURSE, RECORD].into_iter().try_for_each(|file| card.get_file_settings(file).map(|_| ())),
        _ => card.delete_file(ISSUER),
    }
}

fn in_clear<T: Transport>(mut card: Card<T, Idle>, next: impl Fn() -> u8) {
    let range = RecordRange { first: 0, count: 1, record_length: 60 };
    for _ in 0..4 {
        // Whatever comes back: it is an answer or an error.
        let _ = match next() % 6 {
            0 => card.get_df_names().map(|_| ()),
            1 => card.get_value(PURSE).map(|_| ()),
            2 => card.read_data(ISSUER, 0, 64).map(|_| ()),
            3 => card.read_records(RECORD, range).map(|_| ()),
            4 => card.read_signature().map(|_| ()),
            _ => ask(&mut card, next()),
        };
    }
    if let Ok(mut card) = card.prepare_proximity_check() {
        let _ = card.proximity_check(b"8 rounds");
        let _ = card.verify_proximity_check(&Key::new([0; 16]));
    }
}

/// The mode of a command; in clear nothing is proved, so that is not asked for.
fn mode(choice: u8) -> CommunicationMode {
    if choice & 1 == 0 { CommunicationMode::Mac } else { CommunicationMode::Full }
}

fn in_session<T: Transport, S: AesMessaging>(
    mut card: Card<T, Authenticated<S>>,
    next: impl Fn() -> u8,
    has_changed: &Cell<bool>,
) {
    assert!(!has_changed.get(), "a handshake whose answers were changed");
    let range = RecordRange { first: 0, count: 1, record_length: 60 };
    let key = NewKey { key: &Key::new([1; 16]), version: 1 };
    for _ in 0..4 {
        let result = match next() % 7 {
            0 => card.get_card_uid().map(|_| ()),
            1 => card.get_value(PURSE, mode(next())).map(|_| ()),
            2 => card.read_data(ISSUER, mode(next()), 0, 64).map(|_| ()),
            3 => card.read_records(RECORD, mode(next()), range).map(|_| ()),
            4 => card.change_key(KeyNumber::MASTER, &Key::new([2; 16]), key),
            5 => card.write_standard_data(ISSUER, mode(next()), 0, &[3; 64]),
            _ => ask(&mut card, next()),
        };
        match result {
            Ok(()) => assert!(!has_changed.get(), "data from an answer that was changed"),
            Err(_) => return,
        }
    }
    let Ok(card) = write(card.stage(), next) else { return };
    assert!(!has_changed.get(), "a step of a transaction whose answer was changed");
    if let Commit::Done { .. } = card.commit() {
        assert!(!has_changed.get(), "a commit whose answer was changed");
    }
}

fn write<T: Transport, S: AesMessaging>(
    mut card: Card<T, Staged<S>>,
    next: impl Fn() -> u8,
) -> Result<Card<T, Staged<S>>, Error> {
    for _ in 0..3 {
        card = match next() % 7 {
            0 => card.debit(PURSE, mode(next()), 1)?,
            1 => card.credit(PURSE, mode(next()), 1)?,
            2 => card.limited_credit(PURSE, mode(next()), 1)?,
            3 => card.write_record(RECORD, mode(next()), 0, &[4; 60])?,
            4 => card.update_record(RECORD, mode(next()), 0, 0, &[5; 60])?,
            5 => card.write_data(ISSUER, mode(next()), 0, &[6; 64])?,
            _ => card.clear_record_file(RECORD)?,
        };
    }
    Ok(card)
}
