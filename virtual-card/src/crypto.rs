//! AES-128 and CMAC as a DESFire card uses them.

use aes::{
    Aes128,
    cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};
use cmac::{Cmac, Mac};

pub(crate) const BLOCK: usize = 16;

/// An AES block, key, random number or initialisation vector.
pub(crate) type Block = [u8; BLOCK];

/// Derives a card's own AES-128 key from a master key.
///
/// `input` is 1 to 31 bytes that name the card and the key. `None` when it is empty or longer.
///
/// Source: AN10922 section 2.2.
#[must_use]
pub fn diversify_aes128(master: &[u8; 16], input: &[u8]) -> Option<[u8; 16]> {
    const DIVERSIFICATION_CONSTANT: u8 = 0x01;
    if input.is_empty() || input.len() > 2 * BLOCK - 1 {
        return None;
    }
    let mut message = [0; 2 * BLOCK];
    message[0] = DIVERSIFICATION_CONSTANT;
    message[1..=input.len()].copy_from_slice(input);
    let padded = input.len() < 2 * BLOCK - 1;
    if padded {
        message[input.len() + 1] = 0x80;
    }
    // A CMAC over always two blocks: unlike plain CMAC, a short input is padded to 32 bytes, not to 16.
    let first_subkey = doubled(encrypt_block(master, [0; BLOCK]));
    let subkey = if padded { doubled(first_subkey) } else { first_subkey };
    for (byte, mask) in message[BLOCK..].iter_mut().zip(subkey) {
        *byte ^= mask;
    }
    let mut key = [0; BLOCK];
    key.copy_from_slice(&encrypt_cbc(master, [0; BLOCK], &message)[BLOCK..]);
    Some(key)
}

/// Multiplication by x in GF(2^128), the step between CMAC subkeys (NIST SP 800-38B section 6.1).
fn doubled(block: Block) -> Block {
    let number = u128::from_be_bytes(block);
    let reduction = if number >> 127 == 1 { 0x87 } else { 0 };
    ((number << 1) ^ reduction).to_be_bytes()
}

/// The whole 16-byte AES-CMAC.
pub(crate) fn cmac(key: &Block, message: &[u8]) -> Block {
    let mut mac = Cmac::<Aes128>::new(key.into());
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// The 8-byte MAC of EV2 secure messaging and of the Transaction MAC: bytes 1, 3, … 15 of the CMAC (AN12343 section 6).
pub(crate) fn truncated_cmac(key: &Block, message: &[u8]) -> [u8; 8] {
    let whole = cmac(key, message);
    std::array::from_fn(|index| whole[2 * index + 1])
}

pub(crate) fn encrypt_block(key: &Block, block: Block) -> Block {
    let mut block = block.into();
    Aes128::new(key.into()).encrypt_block(&mut block);
    block.into()
}

/// AES-CBC without padding; a rest shorter than a block is dropped, so callers check the length.
pub(crate) fn encrypt_cbc(key: &Block, initial: Block, plain: &[u8]) -> Vec<u8> {
    let cipher = Aes128::new(key.into());
    let mut chained = initial;
    let (blocks, _) = plain.as_chunks::<BLOCK>();
    blocks
        .iter()
        .flat_map(|block| {
            let mut block = xor(block, &chained).into();
            cipher.encrypt_block(&mut block);
            chained = block.into();
            chained
        })
        .collect()
}

/// The inverse of [`encrypt_cbc`].
pub(crate) fn decrypt_cbc(key: &Block, initial: Block, enciphered: &[u8]) -> Vec<u8> {
    let cipher = Aes128::new(key.into());
    let mut chained = initial;
    let (blocks, _) = enciphered.as_chunks::<BLOCK>();
    blocks
        .iter()
        .flat_map(|block| {
            let mut clear = (*block).into();
            cipher.decrypt_block(&mut clear);
            let clear = xor(&clear.into(), &chained);
            chained = *block;
            clear
        })
        .collect()
}

fn xor(one: &Block, other: &Block) -> Block {
    std::array::from_fn(|index| one[index] ^ other[index])
}
