//! A reader of a few lines, so that what the tests expect is computed neither by the card nor by `card-crypto`.

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

use aes::{
    Aes128,
    cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};
use cmac::{Cmac, Mac};
use virtual_card::{CardInField, Fixture, Moment, Picc, Random, TestKeys, diversify_aes128};

pub(crate) const AID: [u8; 3] = [0x01, 0x4E, 0x48];
pub(crate) const MASTER: u8 = 0;
pub(crate) const INSPECT: u8 = 1;
pub(crate) const VALIDATE: u8 = 2;
pub(crate) const LOAD: u8 = 3;
pub(crate) const ISSUER: u8 = 1;
pub(crate) const PURSE: u8 = 2;
pub(crate) const RECORD: u8 = 3;
pub(crate) const RND_A: [u8; 16] = *b"reader challenge";
/// Monday, 23 November 2026, 08:00 in Hanoi; the service day is 9823 days after 2000-01-01.
pub(crate) const MOMENT: Moment = Moment { now: 1_795_395_600, today: 9823 };

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

pub(crate) fn keys() -> TestKeys {
    TestKeys::load(&fixtures().join("keys/test-card-keys.toml")).expect("the project's test keys")
}

pub(crate) fn fixture(name: &str) -> Fixture {
    Fixture::load(&fixtures().join(format!("cards/{name}.toml")), &keys(), MOMENT).expect("a card of the project")
}

/// Randomness that repeats: 16 times 1, 16 times 2, …
pub(crate) fn counting() -> Random {
    let mut last = 0u8;
    Box::new(move || {
        last = last.wrapping_add(1);
        [last; 16]
    })
}

pub(crate) fn card(name: &str) -> Picc {
    static FIXTURES: LazyLock<Vec<Fixture>> = LazyLock::new(|| {
        let directory = fixtures().join("cards");
        Fixture::load_directory(&directory, &keys(), MOMENT).expect("the project's cards")
    });
    let fixture = FIXTURES.iter().find(|fixture| fixture.name() == name);
    fixture.expect("a card of the project").card(counting())
}

pub(crate) fn card_key(uid: [u8; 7], number: u8) -> [u8; 16] {
    static KEYS: LazyLock<TestKeys> = LazyLock::new(keys);
    let keys = &*KEYS;
    let master = [keys.application_master, keys.inspect, keys.validate, keys.load][usize::from(number)];
    diversify_aes128(&master, &[&uid[..], &AID, &[number], b"CHAM"].concat()).expect("15 bytes")
}

pub(crate) fn wrap(instruction: u8, data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(data.len()).expect("a short command");
    let body = if data.is_empty() { vec![] } else { [&[length], data].concat() };
    [&[0x90, instruction, 0, 0][..], &body, &[0]].concat()
}

pub(crate) fn encrypt(key: [u8; 16], data: &[u8]) -> Vec<u8> {
    let mut previous = [0; 16];
    let mut enciphered = vec![];
    for block in data.chunks(16) {
        let mut mixed: [u8; 16] = std::array::from_fn(|index| block[index] ^ previous[index]);
        Aes128::new(&key.into()).encrypt_block((&mut mixed).into());
        previous = mixed;
        enciphered.extend(mixed);
    }
    enciphered
}

pub(crate) fn decrypt(key: [u8; 16], data: &[u8]) -> Vec<u8> {
    let mut previous = [0; 16];
    let mut clear = vec![];
    for block in data.chunks(16) {
        let mut mixed: [u8; 16] = block.try_into().expect("whole blocks");
        Aes128::new(&key.into()).decrypt_block((&mut mixed).into());
        clear.extend((0..16).map(|index| mixed[index] ^ previous[index]));
        previous.copy_from_slice(block);
    }
    clear
}

pub(crate) fn cmac(key: [u8; 16], message: &[u8]) -> [u8; 16] {
    let mut mac = Cmac::<Aes128>::new(&key.into());
    mac.update(message);
    mac.finalize().into_bytes().into()
}

pub(crate) fn odd_bytes(mac: [u8; 16]) -> Vec<u8> {
    mac.iter().skip(1).step_by(2).copied().collect()
}

/// A reader in a session, MAC mode throughout. Its card may leave at any time.
pub(crate) struct RawReader {
    pub(crate) field: CardInField,
    mac_key: [u8; 16],
    identifier: [u8; 4],
    counter: u16,
}

/// What the card said: data without MAC, or SW2 of a refusal, or nothing.
pub(crate) type Answer = Result<Vec<u8>, Refusal>;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Status(u8),
    Lost,
}

impl RawReader {
    pub(crate) fn new(field: CardInField) -> Self {
        Self { field, mac_key: [0; 16], identifier: [0; 4], counter: 0 }
    }

    /// A reader of this card with our application selected and a session under this key.
    pub(crate) fn authenticated(name: &str, key: u8) -> Self {
        let mut reader = Self::new(CardInField::new(card(name)));
        reader.select().expect("our card");
        reader.authenticate(key).expect("the right key");
        reader
    }

    pub(crate) fn send(&mut self, instruction: u8, data: &[u8]) -> Answer {
        let virtual_card::field::Step::Answered(mut answer) = self.field.step(&wrap(instruction, data)) else {
            return Err(Refusal::Lost);
        };
        let status = answer.split_off(answer.len() - 2);
        assert_eq!(status[0], 0x91, "wrapped answers have SW1 91");
        match status[1] {
            0x00 | 0xAF => Ok(answer),
            other => {
                assert!(answer.is_empty(), "a refusal carries no data");
                Err(Refusal::Status(other))
            }
        }
    }

    pub(crate) fn select(&mut self) -> Answer {
        self.send(0x5A, &AID)
    }

    pub(crate) fn authenticate(&mut self, number: u8) -> Result<(), Refusal> {
        let clear = self.handshake(0x71, &[number, 0], number)?;
        self.identifier.copy_from_slice(&clear[..4]);
        self.counter = 0;
        assert_eq!(clear[4..20], [&RND_A[1..], &RND_A[..1]].concat());
        assert_eq!(clear[20..], [0; 12], "the capabilities of the card, then of the reader");
        Ok(())
    }

    pub(crate) fn authenticate_again(&mut self, number: u8) -> Result<(), Refusal> {
        let clear = self.handshake(0x77, &[number], number)?;
        assert_eq!(clear, [&RND_A[1..], &RND_A[..1]].concat());
        Ok(())
    }

    fn handshake(&mut self, instruction: u8, parameters: &[u8], number: u8) -> Result<Vec<u8>, Refusal> {
        let key = card_key(self.field.card().identity().uid, number);
        let rnd_b = decrypt(key, &self.send(instruction, parameters)?);
        let response = [&RND_A[..], &rnd_b[1..], &rnd_b[..1]].concat();
        let clear = decrypt(key, &self.send(0xAF, &encrypt(key, &response))?);
        let mixed: Vec<u8> = (0..6).map(|index| RND_A[2 + index] ^ rnd_b[index]).collect();
        let prefix = [0x5A, 0xA5, 0x00, 0x01, 0x00, 0x80];
        let vector = [&prefix, &RND_A[..2], &mixed, &rnd_b[6..], &RND_A[8..]].concat();
        self.mac_key = cmac(key, &vector);
        Ok(clear)
    }

    pub(crate) fn mac(&self, first: u8, data: &[u8]) -> Vec<u8> {
        let counter = self.counter.to_le_bytes();
        odd_bytes(cmac(self.mac_key, &[&[first], &counter[..], &self.identifier, data].concat()))
    }

    /// A command with its MAC; the answer's is checked and taken off.
    pub(crate) fn maced(&mut self, instruction: u8, data: &[u8]) -> Answer {
        let command = [data, &self.mac(instruction, data)].concat();
        let mut answer = self.send(instruction, &command)?;
        while self.has_more() {
            // An empty frame of more is no part of an answer: the card waits for the rest of the command. There is none, and
            // another command ends the wait: it is aborted.
            if answer.is_empty() {
                return self.send(0x60, &[]);
            }
            answer.extend(self.send(0xAF, &[])?);
        }
        self.counter += 1;
        let mac = answer.split_off(answer.len() - 8);
        assert_eq!(mac, self.mac(0, &answer), "the MAC of the answer to {instruction:02X}");
        Ok(answer)
    }

    /// Whether the last answer was one frame of more.
    pub(crate) fn has_more(&self) -> bool {
        let last = self.field.transcript().last().and_then(|last| last.answer.as_ref());
        last.is_some_and(|answer| answer.ends_with(&[0x91, 0xAF]))
    }

    pub(crate) fn debit(&mut self, amount: i32) -> Answer {
        self.maced(0xDC, &[&[PURSE][..], &amount.to_le_bytes()].concat())
    }

    pub(crate) fn credit(&mut self, amount: i32) -> Answer {
        self.maced(0x0C, &[&[PURSE][..], &amount.to_le_bytes()].concat())
    }

    pub(crate) fn get_value(&mut self) -> Result<i32, Refusal> {
        let value = self.maced(0x6C, &[PURSE])?;
        Ok(i32::from_le_bytes([value[0], value[1], value[2], value[3]]))
    }

    pub(crate) fn read_records(&mut self, newest: u8, count: u8) -> Answer {
        self.maced(0xBB, &[RECORD, newest, 0, 0, count, 0, 0])
    }

    pub(crate) fn write_record(&mut self, offset: u8, data: &[u8]) -> Answer {
        let length = data.len().to_le_bytes();
        self.maced(0x3B, &[&[RECORD, offset, 0, 0], &length[..3], data].concat())
    }

    /// The counter and the Transaction MAC.
    pub(crate) fn commit(&mut self) -> Answer {
        self.maced(0xC7, &[1])
    }
}
