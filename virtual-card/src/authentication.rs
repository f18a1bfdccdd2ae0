//! AuthenticateEV2First and AuthenticateEV2NonFirst.

use crate::{
    crypto::{BLOCK, Block, decrypt_cbc, encrypt_cbc},
    picc::{Picc, Reply},
    session::Session,
    status::Status,
};

/// The initialisation vector is zero in each message, not chained as in EV1.
const ZERO: Block = [0; BLOCK];

/// An authentication whose second half is awaited.
pub(crate) struct Challenge {
    method: Method,
    key_number: u8,
    key: Block,
    rnd_b: Block,
}

enum Method {
    /// The reader's capabilities, padded with zeros, to be echoed.
    First([u8; 6]),
    /// The session to be continued.
    NonFirst(Session),
}

impl Picc {
    /// `71 KeyNo LenCap PCDcap2`: AN12343 table 16.
    ///
    /// A new session is a new transaction here; public sources do not say whether a card keeps the old one.
    pub(crate) fn authenticate_ev2_first(&mut self, data: &[u8]) -> Result<Reply, Status> {
        let [key_number, length, given @ ..] = data else { return Err(Status::Length) };
        let mut capabilities = [0; 6];
        if given.len() != usize::from(*length) || given.len() > capabilities.len() {
            return Err(Status::Length);
        }
        capabilities[..given.len()].copy_from_slice(given);
        self.end_session();
        self.challenge(*key_number, Method::First(capabilities))
    }

    /// `77 KeyNo`: AN12196 table 23. It needs a session and changes its key within the same transaction.
    pub(crate) fn authenticate_ev2_non_first(&mut self, data: &[u8]) -> Result<Reply, Status> {
        let [key_number] = data else { return Err(Status::Length) };
        let session = self.session.take().ok_or(Status::PermissionDenied)?;
        self.challenge(*key_number, Method::NonFirst(session))
    }

    fn challenge(&mut self, key_number: u8, method: Method) -> Result<Reply, Status> {
        let keys = self.application().map_or(&[][..], |application| &application.keys);
        let key = *keys.get(usize::from(key_number)).ok_or(Status::NoSuchKey)?;
        let rnd_b = (self.random)();
        let answer = encrypt_cbc(&key, ZERO, &rnd_b);
        Ok(Reply::Challenge(Challenge { method, key_number, key, rnd_b }, answer))
    }

    /// The second half of both: the reader has shown that it holds the key, now the card does.
    pub(crate) fn authenticate_second(&mut self, challenge: Challenge, data: &[u8]) -> Result<Reply, Status> {
        let Challenge { method, key_number, key, rnd_b } = challenge;
        if data.len() != 2 * BLOCK {
            return Err(Status::Length);
        }
        let clear = decrypt_cbc(&key, ZERO, data);
        let (rnd_a, response) = clear.split_first_chunk::<BLOCK>().ok_or(Status::Length)?;
        if response != rotated(&rnd_b) {
            return Err(Status::Authentication);
        }
        let mut answer = vec![];
        self.session = Some(match method {
            Method::First(capabilities) => {
                const CARD_CAPABILITIES: [u8; 6] = [0; 6];
                let random = (self.random)();
                let identifier = [random[0], random[1], random[2], random[3]];
                answer.extend(identifier);
                answer.extend(rotated(rnd_a));
                answer.extend(CARD_CAPABILITIES);
                answer.extend(capabilities);
                Session::first(key_number, &key, rnd_a, &rnd_b, identifier)
            }
            Method::NonFirst(session) => {
                answer.extend(rotated(rnd_a));
                session.rekeyed(key_number, &key, rnd_a, &rnd_b)
            }
        });
        Ok(Reply::Whole(encrypt_cbc(&key, ZERO, &answer)))
    }
}

fn rotated(random: &Block) -> Block {
    let mut rotated = *random;
    rotated.rotate_left(1);
    rotated
}
