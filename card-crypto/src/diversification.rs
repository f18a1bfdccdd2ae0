//! One key per card, derived from a master key that no card holds.

use aes::{
    Aes128Enc, Block,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use zeroize::Zeroizing;

use crate::key::Key;

/// The diversification input is empty or longer than 31 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a diversification input has 1 to 31 bytes, this one has {length}")]
pub struct InvalidDiversificationInput {
    /// Bytes given.
    pub length: usize,
}

/// Derives a card's AES-128 key from a master key.
///
/// `input` is 1 to 31 bytes that name the card and the key's purpose, such as UID, AID, key number and a name of the
/// system. What belongs in it, and in which byte order, is the issuer's choice for the life of the cards.
///
/// Always two blocks: for an input of up to 15 bytes it is not the same as a CMAC of `01 ‖ input`.
///
/// Source: NXP AN10922 "Symmetric key diversifications" rev 2.2, section 2.2 (AES-128).
///
/// # Errors
/// [`InvalidDiversificationInput`] when the input has no bytes or more than 31.
pub fn diversify_aes128(master: &Key, input: &[u8]) -> Result<Key, InvalidDiversificationInput> {
    const DIVERSIFICATION_CONSTANT: u8 = 0x01;

    let length = input.len();
    if !(1..=31).contains(&length) {
        return Err(InvalidDiversificationInput { length });
    }

    let mut message = [0; 32];
    message[0] = DIVERSIFICATION_CONSTANT;
    message[1..=length].copy_from_slice(input);
    let padded = length < 31;
    if padded {
        message[length + 1] = 0x80;
    }

    let cipher = Aes128Enc::new(master.expose_secret().into());
    let mut subkey = Zeroizing::new([0; 16]);
    encrypt(&cipher, &mut subkey);
    double(&mut subkey);
    if padded {
        double(&mut subkey);
    }

    let (first, last) = message.split_at(16);
    let mut state = Zeroizing::new([0; 16]);
    xor(&mut state, first);
    encrypt(&cipher, &mut state);
    xor(&mut state, last);
    xor(&mut state, &*subkey);
    encrypt(&cipher, &mut state);
    Ok(Key::new(*state))
}

fn encrypt(cipher: &Aes128Enc, bytes: &mut [u8; 16]) {
    let block: &mut Block = bytes.into();
    cipher.encrypt_block(block);
}

fn xor(state: &mut [u8; 16], other: &[u8]) {
    for (byte, other) in state.iter_mut().zip(other) {
        *byte ^= other;
    }
}

/// Multiplication by x in GF(2^128), without a branch on the secret (NIST SP 800-38B, section 6.1).
fn double(block: &mut [u8; 16]) {
    let value = u128::from_be_bytes(*block);
    let carry = value >> 127;
    *block = ((value << 1) ^ (carry * 0x87)).to_be_bytes();
}
