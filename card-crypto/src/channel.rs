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
    auth::{cbc_decrypt, cbc_encrypt},
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

/// One end of a session, the reader's: seals commands, opens answers, counts them.
///
/// Strictly in turn: each [`seal`](Self::seal) is followed by one [`open`](Self::open) of the answer, and the first
/// error ends the session.
pub struct Channel {
    cipher: Aes128,
    mac: ScheduledMac,
    transaction_identifier: [u8; 4],
    counter: u16,
}

impl Channel {
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

    /// Protects a command and returns what follows its instruction byte: header, data (enciphered in
    /// [`Full`](CommunicationMode::Full)), MAC (except in [`Plain`](CommunicationMode::Plain)).
    ///
    /// The counter advances here, in every mode, so that no counter value serves two commands.
    ///
    /// # Errors
    /// [`Misuse::CounterExhausted`] when the counter cannot advance: authenticate again.
    pub fn seal(
        &mut self,
        mode: CommunicationMode,
        instruction: u8,
        header: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, Misuse> {
        let counter_after = self.counter.checked_add(1).ok_or(Misuse::CounterExhausted)?;

        let mut body = Vec::with_capacity(header.len() + data.len() + BLOCK_BYTES + MAC_BYTES);
        body.extend_from_slice(header);
        body.extend_from_slice(data);
        if mode == CommunicationMode::Full && !data.is_empty() {
            body.push(PADDING_START);
            body.resize(header.len() + (data.len() + 1).next_multiple_of(BLOCK_BYTES), 0);
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

    /// Checks the answer to the last sealed command (the data of status 00) and returns what the card said.
    ///
    /// # Errors
    /// [`Misbehaviour::WrongMac`] when a MAC is wrong or missing, or the padding under it is wrong.
    pub fn open(&mut self, mode: CommunicationMode, mut answer: Vec<u8>) -> Result<Vec<u8>, Misbehaviour> {
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

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("counter", &self.counter).finish_non_exhaustive()
    }
}

/// Length of an answer at most, as it travels, that says `data_bytes`.
pub(crate) const fn answer_bytes_max(mode: CommunicationMode, data_bytes: usize) -> usize {
    match mode {
        CommunicationMode::Plain => data_bytes,
        CommunicationMode::Full if data_bytes > 0 => (data_bytes + 1).next_multiple_of(BLOCK_BYTES) + MAC_BYTES,
        CommunicationMode::Mac | CommunicationMode::Full => data_bytes + MAC_BYTES,
    }
}

/// Where the padding starts, if there is one and it lies in the last block.
fn unpadded_length(plain: &[u8]) -> Option<usize> {
    let length = plain.iter().rposition(|&byte| byte != 0)?;
    (plain[length] == PADDING_START && plain.len() - length <= BLOCK_BYTES).then_some(length)
}
