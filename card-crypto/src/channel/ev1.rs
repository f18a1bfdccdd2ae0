//! EV1 secure messaging: one running IV, moved by every command and every answer.
//!
//! ```text
//! CMAC(iv, m)          CMAC whose chaining starts from the running IV; its full result is the next IV
//! command              moves the IV by CMAC(Cmd ‖ header ‖ data), in every mode; MAC appends the first 8 bytes to data
//!   Full, with data    E(iv, data ‖ CRC32(Cmd ‖ header ‖ data) ‖ 0…); the next IV is the last block; no MAC
//! answer               data ‖ first 8 bytes of CMAC(data ‖ 00), in Plain too
//!   Full, with data    E(iv, data ‖ CRC32(data ‖ 00) ‖ 0…); the next IV is the last block; no MAC
//! ```
//!
//! The sources disagree about one thing: whether a MAC is appended to Credit, Debit and LimitedCredit in mode MAC.
//! libfreefare, whose tests ran on real cards, appends it, proxmark3 did until July 2025. It is appended here.
//!
//! Sources: NXP AN0945 "MIFARE DESFire EV1 features and hints"; traces of a real EV1 card among the known answers;
//! libfreefare's tests of real cards.

use std::fmt;

use aes::{
    Aes128,
    cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};
use des::TdesEde2;

use crate::{
    channel::{Plaintext, SecureMessaging, sealed::Sealed},
    checksum::crc32,
    error::{Misbehaviour, Misuse},
    file::CommunicationMode,
    key::{DesKey, Key},
    mac::same,
    status::Status,
};

const MAC_BYTES: usize = 8;
const CHECKSUM_BYTES: usize = 4;
const BLOCK_BYTES_MAX: usize = 16;

/// What starts the padding of an incomplete last block under a CMAC.
const PADDING_START: u8 = 0x80;

/// A session that AuthenticateAES opened, as EV1 cards and all later ones speak it.
pub struct Ev1(Channel<Aes128>);

/// A session under the DES or 2K3DES key that a blank card comes with, good for taking the card to AES.
pub struct FactoryDes(Channel<TripleDes>);

impl Ev1 {
    /// The reader's end of a new session with this key.
    #[must_use]
    pub fn new(key: &Key) -> Self {
        Self(Channel::new(Aes128::new(key.expose_secret().into())))
    }

    /// The running IV, from which the next message starts.
    #[must_use]
    pub fn initialization_vector(&self) -> &[u8; 16] {
        &self.0.chained.iv
    }

    /// The reader's end in the middle of a session.
    #[must_use]
    pub fn with_initialization_vector(key: &Key, iv: [u8; 16]) -> Self {
        let mut session = Self::new(key);
        session.0.chained.iv = iv;
        session
    }
}

impl FactoryDes {
    /// The reader's end of a new session with this key.
    #[must_use]
    pub fn new(key: &DesKey) -> Self {
        Self(Channel::new(TripleDes::new(key)))
    }

    /// The running IV, from which the next message starts.
    #[must_use]
    pub fn initialization_vector(&self) -> [u8; 8] {
        std::array::from_fn(|i| self.0.chained.iv[i])
    }
}

impl Sealed for Ev1 {}

impl SecureMessaging for Ev1 {
    fn seal(&mut self, message: &Plaintext<'_>) -> Result<Vec<u8>, Misuse> {
        Ok(self.0.seal(message))
    }

    fn open(
        &mut self,
        mode: CommunicationMode,
        answer: Vec<u8>,
        data_bytes_max: usize,
    ) -> Result<Vec<u8>, Misbehaviour> {
        self.0.open(mode, answer, data_bytes_max)
    }

    fn answer_bytes_max(mode: CommunicationMode, data_bytes: usize) -> usize {
        answer_bytes_max::<Aes128>(mode, data_bytes)
    }
}

impl Sealed for FactoryDes {}

impl SecureMessaging for FactoryDes {
    fn seal(&mut self, message: &Plaintext<'_>) -> Result<Vec<u8>, Misuse> {
        Ok(self.0.seal(message))
    }

    fn open(
        &mut self,
        mode: CommunicationMode,
        answer: Vec<u8>,
        data_bytes_max: usize,
    ) -> Result<Vec<u8>, Misbehaviour> {
        self.0.open(mode, answer, data_bytes_max)
    }

    fn answer_bytes_max(mode: CommunicationMode, data_bytes: usize) -> usize {
        answer_bytes_max::<TripleDes>(mode, data_bytes)
    }
}

impl fmt::Debug for Ev1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ev1(..)")
    }
}

impl fmt::Debug for FactoryDes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FactoryDes(..)")
    }
}

/// The messaging itself, with either cipher.
struct Channel<C> {
    chained: Chained<C>,
    subkeys: Subkeys,
}

impl<C: Cipher> Channel<C> {
    fn new(cipher: C) -> Self {
        Self { subkeys: Subkeys::of(&cipher), chained: Chained::new(cipher) }
    }

    fn seal(&mut self, message: &Plaintext<'_>) -> Vec<u8> {
        let &Plaintext { mode, instruction, header, data, checksum } = message;
        let mut body = Vec::with_capacity(header.len() + data.len() + 2 * CHECKSUM_BYTES + BLOCK_BYTES_MAX);
        body.extend_from_slice(header);
        body.extend_from_slice(data);

        if mode == CommunicationMode::Full && !data.is_empty() {
            body.extend_from_slice(&crc32(&[&[instruction], header, data]));
            body.extend_from_slice(checksum.as_slice().as_flattened());
            let enciphered_bytes = (body.len() - header.len()).next_multiple_of(C::BLOCK_BYTES);
            body.resize(header.len() + enciphered_bytes, 0);
            self.chained.encrypt(&mut body[header.len()..]);
        } else {
            let mac = self.authenticate(&[&[instruction], &body]);
            if mode == CommunicationMode::Mac && !data.is_empty() {
                body.extend_from_slice(&mac);
            }
        }
        body
    }

    /// Where the MAC is wrong or missing, the checksum is wrong, or the padding: all the same to a caller.
    fn open(
        &mut self,
        mode: CommunicationMode,
        mut answer: Vec<u8>,
        data_bytes_max: usize,
    ) -> Result<Vec<u8>, Misbehaviour> {
        if mode == CommunicationMode::Full && data_bytes_max > 0 {
            // Zeros pad, so only a length that is known beforehand tells data from padding.
            let length = data_bytes_max;
            let enciphered_bytes = (length + CHECKSUM_BYTES).next_multiple_of(C::BLOCK_BYTES);
            if answer.len() != enciphered_bytes {
                return Err(Misbehaviour::WrongMac);
            }
            self.chained.decrypt(&mut answer);
            let (data, rest) = answer.split_at(length);
            let mut expected = [0; CHECKSUM_BYTES + BLOCK_BYTES_MAX];
            expected[..CHECKSUM_BYTES].copy_from_slice(&crc32(&[data, &[Status::Ok.code()]]));
            if !same(&expected[..rest.len()], rest) {
                return Err(Misbehaviour::WrongMac);
            }
            answer.truncate(length);
            return Ok(answer);
        }

        let (data, mac) = answer.split_last_chunk::<MAC_BYTES>().ok_or(Misbehaviour::WrongMac)?;
        if !same(&self.authenticate(&[data, &[Status::Ok.code()]]), mac) {
            return Err(Misbehaviour::WrongMac);
        }
        answer.truncate(answer.len() - MAC_BYTES);
        Ok(answer)
    }

    /// The first 8 bytes of the CMAC that starts from the running IV and becomes it.
    fn authenticate(&mut self, parts: &[&[u8]]) -> [u8; MAC_BYTES] {
        let mut message = parts.concat();
        let whole_blocks = !message.is_empty() && message.len().is_multiple_of(C::BLOCK_BYTES);
        if !whole_blocks {
            message.push(PADDING_START);
            message.resize(message.len().next_multiple_of(C::BLOCK_BYTES), 0);
        }
        let subkey = if whole_blocks { &self.subkeys.whole } else { &self.subkeys.padded };
        let last = message.len() - C::BLOCK_BYTES;
        for (byte, key) in message[last..].iter_mut().zip(subkey) {
            *byte ^= key;
        }
        self.chained.encrypt(&mut message);
        std::array::from_fn(|i| self.chained.iv[i])
    }
}

/// K1 and K2 of CMAC (NIST SP 800-38B, section 6.1), of one block each.
struct Subkeys {
    whole: [u8; BLOCK_BYTES_MAX],
    padded: [u8; BLOCK_BYTES_MAX],
}

impl Subkeys {
    fn of<C: Cipher>(cipher: &C) -> Self {
        let mut zero = [0; BLOCK_BYTES_MAX];
        cipher.encrypt_block(&mut zero[..C::BLOCK_BYTES]);
        let whole = double::<C>(zero);
        Self { whole, padded: double::<C>(whole) }
    }
}

/// Multiplication by x in the field of the cipher's blocks, without a branch on the secret.
fn double<C: Cipher>(block: [u8; BLOCK_BYTES_MAX]) -> [u8; BLOCK_BYTES_MAX] {
    let value = u128::from_be_bytes(block);
    let carry = value >> 127;
    let reduction = u128::from(C::REDUCTION) << (8 * (BLOCK_BYTES_MAX - C::BLOCK_BYTES));
    ((value << 1) ^ (carry * reduction)).to_be_bytes()
}

impl Drop for Subkeys {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.whole.zeroize();
        self.padded.zeroize();
    }
}

/// A block cipher and its running IV.
pub(crate) struct Chained<C> {
    cipher: C,
    /// Of the block's length; zeros follow.
    iv: [u8; BLOCK_BYTES_MAX],
}

impl<C: Cipher> Chained<C> {
    pub(crate) fn new(cipher: C) -> Self {
        Self { cipher, iv: [0; BLOCK_BYTES_MAX] }
    }

    /// CBC in place over whole blocks; the IV moves to the last ciphertext block.
    pub(crate) fn encrypt(&mut self, bytes: &mut [u8]) {
        for block in bytes.chunks_exact_mut(C::BLOCK_BYTES) {
            for (byte, chained) in block.iter_mut().zip(&self.iv) {
                *byte ^= chained;
            }
            self.cipher.encrypt_block(block);
            self.iv[..C::BLOCK_BYTES].copy_from_slice(block);
        }
    }

    /// The inverse of [`encrypt`](Self::encrypt).
    pub(crate) fn decrypt(&mut self, bytes: &mut [u8]) {
        for block in bytes.chunks_exact_mut(C::BLOCK_BYTES) {
            let mut ciphertext = [0; BLOCK_BYTES_MAX];
            ciphertext[..C::BLOCK_BYTES].copy_from_slice(block);
            self.cipher.decrypt_block(block);
            for (byte, chained) in block.iter_mut().zip(&self.iv) {
                *byte ^= chained;
            }
            self.iv = ciphertext;
        }
    }
}

/// What AES and triple DES have in common here.
pub(crate) trait Cipher {
    const BLOCK_BYTES: usize;
    /// The constant of the field in which CMAC doubles (NIST SP 800-38B, section 5.3).
    const REDUCTION: u8;

    /// Enciphers exactly one block.
    fn encrypt_block(&self, block: &mut [u8]);
    /// Deciphers exactly one block.
    fn decrypt_block(&self, block: &mut [u8]);
}

impl Cipher for Aes128 {
    const BLOCK_BYTES: usize = 16;
    const REDUCTION: u8 = 0x87;

    fn encrypt_block(&self, block: &mut [u8]) {
        BlockCipherEncrypt::encrypt_block(self, block.try_into().expect("one block of AES has 16 bytes"));
    }

    fn decrypt_block(&self, block: &mut [u8]) {
        BlockCipherDecrypt::decrypt_block(self, block.try_into().expect("one block of AES has 16 bytes"));
    }
}

/// Two-key triple DES; with equal halves, single DES.
pub(crate) struct TripleDes(TdesEde2);

impl TripleDes {
    pub(crate) fn new(key: &DesKey) -> Self {
        Self(TdesEde2::new(key.expose_secret().into()))
    }
}

impl Cipher for TripleDes {
    const BLOCK_BYTES: usize = 8;
    const REDUCTION: u8 = 0x1B;

    fn encrypt_block(&self, block: &mut [u8]) {
        self.0.encrypt_block(block.try_into().expect("one block of DES has 8 bytes"));
    }

    fn decrypt_block(&self, block: &mut [u8]) {
        self.0.decrypt_block(block.try_into().expect("one block of DES has 8 bytes"));
    }
}

fn answer_bytes_max<C: Cipher>(mode: CommunicationMode, data_bytes: usize) -> usize {
    match mode {
        CommunicationMode::Full if data_bytes > 0 => (data_bytes + CHECKSUM_BYTES).next_multiple_of(C::BLOCK_BYTES),
        CommunicationMode::Plain | CommunicationMode::Mac | CommunicationMode::Full => data_bytes + MAC_BYTES,
    }
}
