//! The five authentications: what the card challenges, and what it answers.

use crate::{
    cipher::{Cipher, rotated},
    crypto::{BLOCK, Block, decrypt_cbc, encrypt_cbc},
    d40_messaging::D40,
    ev1_messaging::Ev1,
    ev2_messaging::Ev2,
    instruction,
    key::{CardKey, KeyType},
    picc::{Outcome, Picc, Reply},
    session::{Messaging, Session},
    status::Status,
};

/// The initialisation vector of EV2 is zero in each message, not chained as in EV1.
const ZERO: Block = [0; BLOCK];

/// An authentication whose second half is awaited.
pub(crate) struct Challenge {
    method: Method,
    key_number: u8,
    key: CardKey,
    rnd_b: Vec<u8>,
}

enum Method {
    D40,
    /// The vector after the card's first message.
    Ev1(Vec<u8>),
    /// The reader's capabilities, padded with zeros, to be echoed.
    Ev2First([u8; 6]),
    /// The session to be continued.
    Ev2NonFirst(Ev2),
}

impl Picc {
    /// `0A KeyNo` (D40), `1A KeyNo` (EV1 with DES keys) and `AA KeyNo` (EV1 with AES). The session is over, the
    /// transaction is not: libfreefare's suite writes under one key, authenticates another and commits.
    pub(crate) fn authenticate(&mut self, instruction: u8, data: &[u8]) -> Outcome {
        let &[key_number] = data else { return Err(Status::Length) };
        self.session = None;
        let key = self.key(key_number)?;
        let key_fits = match instruction {
            instruction::AUTHENTICATE => key.key_type() == KeyType::TwoKeyTripleDes,
            instruction::AUTHENTICATE_ISO => key.key_type() != KeyType::Aes,
            _ => key.key_type() == KeyType::Aes,
        };
        if !key_fits {
            return Err(Status::Authentication);
        }
        let random = (self.random)();
        let rnd_b = match key.key_type() {
            KeyType::TwoKeyTripleDes => random[..8].to_vec(),
            KeyType::ThreeKeyTripleDes | KeyType::Aes => random.to_vec(),
        };
        let cipher = Cipher::new(&key);
        let mut vector = cipher.zero();
        let answer = cipher.encrypt_cbc(&mut vector, &rnd_b);
        let method = if instruction == instruction::AUTHENTICATE { Method::D40 } else { Method::Ev1(vector) };
        Ok(Reply::Challenge(Challenge { method, key_number, key, rnd_b }, answer))
    }

    /// `71 KeyNo LenCap PCDcap2`: AN12343 table 16.
    ///
    /// A new session is a new transaction here; public sources do not say whether a card keeps the old one.
    pub(crate) fn authenticate_ev2_first(&mut self, data: &[u8]) -> Outcome {
        let [key_number, length, given @ ..] = data else { return Err(Status::Length) };
        let mut capabilities = [0; 6];
        if given.len() != usize::from(*length) || given.len() > capabilities.len() {
            return Err(Status::Length);
        }
        capabilities[..given.len()].copy_from_slice(given);
        self.end_session();
        self.challenge_ev2(*key_number, Method::Ev2First(capabilities))
    }

    /// `77 KeyNo`: AN12196 table 23. It needs a session and changes its key within the same transaction.
    pub(crate) fn authenticate_ev2_non_first(&mut self, data: &[u8]) -> Outcome {
        let &[key_number] = data else { return Err(Status::Length) };
        match self.session.take() {
            Some(Session { messaging: Messaging::Ev2(ev2), .. }) => {
                self.challenge_ev2(key_number, Method::Ev2NonFirst(ev2))
            }
            _ => Err(Status::PermissionDenied),
        }
    }

    fn challenge_ev2(&mut self, key_number: u8, method: Method) -> Outcome {
        let key = self.key(key_number)?;
        let aes = key.as_aes().ok_or(Status::Authentication)?;
        let rnd_b = (self.random)();
        let answer = encrypt_cbc(&aes, ZERO, &rnd_b);
        Ok(Reply::Challenge(Challenge { method, key_number, key, rnd_b: rnd_b.to_vec() }, answer))
    }

    /// The second half of all: the reader has shown that it holds the key, now the card does.
    pub(crate) fn authenticate_second(&mut self, challenge: Challenge, data: &[u8]) -> Outcome {
        let Challenge { method, key_number, key, rnd_b } = challenge;
        if data.len() != 2 * rnd_b.len() {
            return Err(Status::Length);
        }
        let cipher = Cipher::new(&key);
        let (messaging, answer) = match method {
            Method::D40 => {
                let rnd_a = response(&cipher.undo_decrypting_sender(data), &rnd_b)?;
                let answer = cipher.encrypt_cbc(&mut cipher.zero(), &rotated(&rnd_a));
                (Messaging::D40(D40::new(&session_key(&key, &rnd_a, &rnd_b)?)), answer)
            }
            Method::Ev1(mut vector) => {
                let rnd_a = response(&cipher.decrypt_cbc(&mut vector, data), &rnd_b)?;
                let answer = cipher.encrypt_cbc(&mut vector, &rotated(&rnd_a));
                (Messaging::Ev1(Ev1::new(&session_key(&key, &rnd_a, &rnd_b)?)), answer)
            }
            Method::Ev2First(capabilities) => {
                const CARD_CAPABILITIES: [u8; 6] = [0; 6];
                let (key, rnd_a, rnd_b) = ev2_parts(&key, data, &rnd_b)?;
                let random = (self.random)();
                let identifier = [random[0], random[1], random[2], random[3]];
                let rotated = rotated(&rnd_a);
                let answer = [&identifier[..], &rotated, &CARD_CAPABILITIES, &capabilities].concat();
                let ev2 = Ev2::first(&key, &rnd_a, &rnd_b, identifier);
                (Messaging::Ev2(ev2), encrypt_cbc(&key, ZERO, &answer))
            }
            Method::Ev2NonFirst(ev2) => {
                let (key, rnd_a, rnd_b) = ev2_parts(&key, data, &rnd_b)?;
                let answer = encrypt_cbc(&key, ZERO, &rotated(&rnd_a));
                (Messaging::Ev2(ev2.rekeyed(&key, &rnd_a, &rnd_b)), answer)
            }
        };
        self.session = Some(Session { key_number, messaging });
        Ok(Reply::Whole(answer))
    }

    /// The key of this number at the selected level; the card level has one.
    fn key(&self, number: u8) -> Result<CardKey, Status> {
        let key = match self.application() {
            Ok(application) => application.keys.get(usize::from(number)),
            Err(_) => Some(&self.memory.master_key).filter(|_| number == 0),
        };
        key.cloned().ok_or(Status::NoSuchKey)
    }
}

/// RndA, if the reader has sent RndB rotated behind it.
fn response(clear: &[u8], rnd_b: &[u8]) -> Result<Vec<u8>, Status> {
    let (rnd_a, shown) = clear.split_at_checked(rnd_b.len()).ok_or(Status::Length)?;
    if shown == rotated(rnd_b) { Ok(rnd_a.to_vec()) } else { Err(Status::Authentication) }
}

fn ev2_parts(key: &CardKey, data: &[u8], rnd_b: &[u8]) -> Result<(Block, Block, Block), Status> {
    let key = key.as_aes().ok_or(Status::Authentication)?;
    let rnd_a = response(&decrypt_cbc(&key, ZERO, data), rnd_b)?;
    let block = |bytes: &[u8]| Block::try_from(bytes).map_err(|_| Status::Length);
    Ok((key, block(&rnd_a)?, block(rnd_b)?))
}

/// The session key of D40 and EV1: parts of both random numbers, as many as the key type needs.
///
/// A published trace of a real EV1 (sotechcllc/RFDoorLock) for DES, 2K3DES and AES; libfreefare for 3K3DES.
fn session_key(key: &CardKey, rnd_a: &[u8], rnd_b: &[u8]) -> Result<CardKey, Status> {
    let starts: &[usize] = match key.key_type() {
        KeyType::TwoKeyTripleDes if key.is_single_des() => &[0, 0],
        KeyType::TwoKeyTripleDes => &[0, 4],
        KeyType::ThreeKeyTripleDes => &[0, 6, 12],
        KeyType::Aes => &[0, 12],
    };
    let parts = starts.iter().flat_map(|&start| [&rnd_a[start..start + 4], &rnd_b[start..start + 4]]);
    let bytes: Vec<u8> = parts.flatten().copied().collect();
    CardKey::new(key.key_type(), &bytes, 0).ok_or(Status::Length)
}
