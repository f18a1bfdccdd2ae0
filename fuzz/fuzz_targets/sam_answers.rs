//! Any answers of a SAM, while a card is authenticated through it: no panic, and a session that answers is the card's own.
#![no_main]

use std::cell::RefCell;
use std::path::Path;
use std::sync::LazyLock;

use card_crypto::{
    AesMessaging, Aid, Authenticated, Card, CommunicationMode, FileNumber, FrameSize, KeyNumber, Lost, RecordRange,
    Transport,
};
use fuzz::counting;
use key_store::{KeyRole, KeyStore, SamEntries, SamKeyStore};
use libfuzzer_sys::{arbitrary::Unstructured, fuzz_target};
use virtual_card::sam::{KeyEntry, Sam};
use virtual_card::{CardInField, Fixture, Moment, TestKeys};

const AID: Aid = Aid([0x01, 0x4E, 0x48]);
const VALIDATE: KeyNumber = KeyNumber::new(2).expect("below 14");
const RECORD: FileNumber = FileNumber::new(3).expect("below 32");
const VERSION: u8 = 1;
const ENTRIES: SamEntries = SamEntries {
    card_master: None,
    application_master: None,
    inspect: None,
    validate: Some(0x12),
    load: None,
    transaction_mac: None,
    token: Some(0x20),
};

static CARD: LazyLock<(Fixture, TestKeys)> = LazyLock::new(|| {
    let fixtures = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures"));
    let keys = TestKeys::load(&fixtures.join("keys/test-card-keys.toml")).expect("the test keys");
    let moment = Moment { now: 1_795_395_600, today: 9823 };
    (Fixture::load(&fixtures.join("cards/adult.toml"), &keys, moment).expect("a card"), keys)
});

/// A SAM whose answers somebody changes: what is done to each comes from the fuzzer.
struct Between<'a, 'b> {
    sam: Sam,
    input: &'b RefCell<Unstructured<'a>>,
}

impl Transport for Between<'_, '_> {
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Lost> {
        let mut answer = self.sam.exchange(command)?;
        let mut input = self.input.borrow_mut();
        match input.arbitrary().unwrap_or(0u8) {
            // As it was.
            0x00..=0x7F => {}
            // One byte.
            0x80..=0xBF => {
                let (at, length) = (input.arbitrary().unwrap_or(0u8), answer.len());
                answer[usize::from(at) % length] ^= input.arbitrary().unwrap_or(0u8);
            }
            // Cut short.
            0xC0..=0xCF => answer.truncate(usize::from(input.arbitrary().unwrap_or(0u8))),
            // Something else altogether.
            0xD0..=0xFE => {
                let length = input.arbitrary_len::<u8>().unwrap_or(0).min(300);
                answer = input.bytes(length).map(<[u8]>::to_vec).unwrap_or_default();
            }
            0xFF => return Err(Lost::Card),
        }
        Ok(answer)
    }
}

fuzz_target!(|bytes: &[u8]| {
    let input = RefCell::new(Unstructured::new(bytes));
    let (fixture, keys) = &*CARD;
    let handshake = input.borrow_mut().arbitrary::<bool>().unwrap_or(false);
    let mut sam = Sam::new(counting());
    sam.load(0x12, KeyEntry::picc(&[(VERSION, keys.validate)]));
    sam.load(0x20, KeyEntry::offline_crypto(&[(VERSION, keys.token)]));
    let Ok(mut store) = SamKeyStore::open(Between { sam, input: &input }, &ENTRIES) else { return };
    let uid = fixture.identity().uid;
    let _ = store.token(&uid);
    let Ok(holder) = store.holder(KeyRole::Validate, VERSION, &uid, *b"reader challenge") else { return };

    let mut card = Card::new(CardInField::new(fixture.card(counting())), FrameSize::Bytes128);
    card.select_application(AID).expect("nobody changes what the card says");
    if handshake {
        drop(card.authenticate_ev2_first_by(VALIDATE, holder).map(newest_record));
    } else {
        drop(card.authenticate_aes_by(VALIDATE, holder).map(newest_record));
    }
});

fn newest_record<T: Transport, S: AesMessaging>(mut card: Card<T, Authenticated<S>>) {
    let newest = RecordRange { first: 0, count: 1, record_length: 60 };
    let record = card.read_records(RECORD, CommunicationMode::Mac, newest);
    assert!(record.map_or(true, |record| record.len() == 60), "a record that the card did not send");
}
