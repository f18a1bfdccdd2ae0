//! EV2 secure messaging: bytes to bytes.
//!
//! ```text
//! MAC of a command   Cmd ‖ CmdCtr     ‖ TI ‖ header ‖ data        data as sent, enciphered or not
//! MAC of an answer   00  ‖ CmdCtr + 1 ‖ TI ‖ data
//! IV of a command    E(SesAuthENC, A5 5A ‖ TI ‖ CmdCtr     ‖ 0…)
//! IV of an answer    E(SesAuthENC, 5A A5 ‖ TI ‖ CmdCtr + 1 ‖ 0…)
//! ```
//!
//! Sources: NXP AN12343, tables 23 to 26; NXP AN12196, sections 5.8 and 5.12.

use std::fmt;

use aes::{
    Aes128,
    cipher::{BlockCipherEncrypt, KeyInit},
};

use crate::{
    cbc::{cbc_decrypt, cbc_encrypt},
    channel::{Plaintext, SecureMessaging, sealed::Sealed},
    error::{Misbehaviour, Misuse},
    file::CommunicationMode,
    key::Key,
    mac::{ScheduledMac, same},
    status::Status,
};

const MAC_BYTES: usize = 8;
const BLOCK_BYTES: usize = 16;

/// What starts the padding of enciphered data; zeros follow, up to a whole block (ISO 9797-1, method 2).
const PADDING_START: u8 = 0x80;

const COMMAND_IV: [u8; 2] = [0xA5, 0x5A];
const ANSWER_IV: [u8; 2] = [0x5A, 0xA5];

/// The two keys of a session.
#[derive(Debug, PartialEq, Eq)]
pub struct SessionKeys {
    /// SesAuthENC: enciphers.
    pub encryption: Key,
    /// SesAuthMAC: authenticates.
    pub authentication: Key,
}

/// A session that AuthenticateEV2First opened, as EV2 cards and all later ones speak it.
pub struct Ev2 {
    cipher: Aes128,
    mac: ScheduledMac,
    transaction_identifier: [u8; 4],
    counter: u16,
}

impl Ev2 {
    /// A channel whose next command uses this command counter; it is 0 after AuthenticateEV2First.
    #[must_use]
    pub fn new(keys: &SessionKeys, transaction_identifier: [u8; 4], counter: u16) -> Self {
        Self {
            cipher: Aes128::new(keys.encryption.expose_secret().into()),
            mac: ScheduledMac::new(&keys.authentication),
            transaction_identifier,
            counter,
        }
    }

    /// Goes on under the keys of an AuthenticateEV2NonFirst; transaction identifier and counter stay.
    pub(crate) fn go_on_with(&mut self, keys: &SessionKeys) {
        *self = Self::new(keys, self.transaction_identifier, self.counter);
    }

    /// The MAC over `first ‖ counter ‖ TI ‖ body`, where `first` is the instruction of a command or status 00.
    fn authenticate(&mut self, first: u8, body: &[u8]) -> [u8; MAC_BYTES] {
        let [low, high] = self.counter.to_le_bytes();
        let [a, b, c, d] = self.transaction_identifier;
        self.mac.update(&[first, low, high, a, b, c, d]);
        self.mac.update(body);
        self.mac.finish_truncated()
    }

    fn initialization_vector(&self, label: [u8; 2]) -> [u8; BLOCK_BYTES] {
        let mut iv = [0; BLOCK_BYTES];
        iv[..2].copy_from_slice(&label);
        iv[2..6].copy_from_slice(&self.transaction_identifier);
        iv[6..8].copy_from_slice(&self.counter.to_le_bytes());
        self.cipher.encrypt_block((&mut iv).into());
        iv
    }
}

impl Sealed for Ev2 {}

impl SecureMessaging for Ev2 {
    /// The counter advances here, in every mode, so that no counter value serves two commands.
    fn seal(&mut self, message: &Plaintext<'_>) -> Result<Vec<u8>, Misuse> {
        let &Plaintext { mode, instruction, header, data, checksum } = message;
        let counter_after = self.counter.checked_add(1).ok_or(Misuse::CounterExhausted)?;

        let mut body = Vec::with_capacity(header.len() + data.len() + 2 * BLOCK_BYTES + MAC_BYTES);
        body.extend_from_slice(header);
        body.extend_from_slice(data);
        if let Some(checksum) = checksum {
            body.extend_from_slice(&checksum);
        }
        if mode == CommunicationMode::Full && body.len() > header.len() {
            body.push(PADDING_START);
            let enciphered_bytes = (body.len() - header.len()).next_multiple_of(BLOCK_BYTES);
            body.resize(header.len() + enciphered_bytes, 0);
            let mut iv = self.initialization_vector(COMMAND_IV);
            cbc_encrypt(&self.cipher, &mut iv, &mut body[header.len()..]);
        }
        if mode != CommunicationMode::Plain {
            let mac = self.authenticate(instruction, &body);
            body.extend_from_slice(&mac);
        }

        self.counter = counter_after;
        Ok(body)
    }

    fn open(&mut self, mode: CommunicationMode, mut answer: Vec<u8>, _: usize) -> Result<Vec<u8>, Misbehaviour> {
        if mode == CommunicationMode::Plain {
            return Ok(answer);
        }

        let (data, mac) = answer.split_last_chunk::<MAC_BYTES>().ok_or(Misbehaviour::WrongMac)?;
        if !same(&self.authenticate(Status::Ok.code(), data), mac) {
            return Err(Misbehaviour::WrongMac);
        }
        answer.truncate(answer.len() - MAC_BYTES);

        if mode == CommunicationMode::Full && !answer.is_empty() {
            if !answer.len().is_multiple_of(BLOCK_BYTES) {
                return Err(Misbehaviour::WrongMac);
            }
            let mut iv = self.initialization_vector(ANSWER_IV);
            cbc_decrypt(&self.cipher, &mut iv, &mut answer);
            let length = unpadded_length(&answer).ok_or(Misbehaviour::WrongMac)?;
            answer.truncate(length);
        }
        Ok(answer)
    }

    fn answer_bytes_max(mode: CommunicationMode, data_bytes: usize) -> usize {
        match mode {
            CommunicationMode::Plain => data_bytes,
            CommunicationMode::Full if data_bytes > 0 => (data_bytes + 1).next_multiple_of(BLOCK_BYTES) + MAC_BYTES,
            CommunicationMode::Mac | CommunicationMode::Full => data_bytes + MAC_BYTES,
        }
    }
}

impl fmt::Debug for Ev2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ev2").field("counter", &self.counter).finish_non_exhaustive()
    }
}

/// Where the padding starts, if there is one and it lies in the last block.
fn unpadded_length(plain: &[u8]) -> Option<usize> {
    let length = plain.iter().rposition(|&byte| byte != 0)?;
    (plain[length] == PADDING_START && plain.len() - length <= BLOCK_BYTES).then_some(length)
}
