//! The block ciphers of DESFire behind one face: CBC with a running vector, CMAC that starts from it, and the checksums.
//!
//! Sources: libfreefare, whose suite ran on real cards; NIST SP 800-38B for CMAC.

use aes::{
    Aes128,
    cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};
use des::TdesEde3;

use crate::key::{CardKey, KeyType};

/// A key ready for use.
pub(crate) enum Cipher {
    TripleDes(Box<TdesEde3>),
    Aes(Box<Aes128>),
}

impl Cipher {
    pub(crate) fn new(key: &CardKey) -> Self {
        match key.key_type() {
            KeyType::Aes => {
                let mut bytes = [0; 16];
                bytes.copy_from_slice(key.bytes());
                Self::Aes(Box::new(Aes128::new(&bytes.into())))
            }
            KeyType::TwoKeyTripleDes | KeyType::ThreeKeyTripleDes => {
                let mut bytes = [0; 24];
                // The third key of 2K3DES is the first again.
                for (byte, &given) in bytes.iter_mut().zip(key.bytes().iter().cycle()) {
                    *byte = given;
                }
                Self::TripleDes(Box::new(TdesEde3::new(&bytes.into())))
            }
        }
    }

    pub(crate) const fn block_length(&self) -> usize {
        match self {
            Self::TripleDes(_) => 8,
            Self::Aes(_) => 16,
        }
    }

    /// Zeros: the vector of a fresh session.
    pub(crate) fn zero(&self) -> Vec<u8> {
        vec![0; self.block_length()]
    }

    fn encrypt_block(&self, block: &[u8]) -> Vec<u8> {
        match self {
            Self::TripleDes(cipher) => {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(block);
                let mut block = bytes.into();
                cipher.encrypt_block(&mut block);
                block.to_vec()
            }
            Self::Aes(cipher) => {
                let mut bytes = [0; 16];
                bytes.copy_from_slice(block);
                let mut block = bytes.into();
                cipher.encrypt_block(&mut block);
                block.to_vec()
            }
        }
    }

    fn decrypt_block(&self, block: &[u8]) -> Vec<u8> {
        match self {
            Self::TripleDes(cipher) => {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(block);
                let mut block = bytes.into();
                cipher.decrypt_block(&mut block);
                block.to_vec()
            }
            Self::Aes(cipher) => {
                let mut bytes = [0; 16];
                bytes.copy_from_slice(block);
                let mut block = bytes.into();
                cipher.decrypt_block(&mut block);
                block.to_vec()
            }
        }
    }

    /// CBC without padding; the vector becomes the last enciphered block. Callers bring whole blocks.
    pub(crate) fn encrypt_cbc(&self, vector: &mut Vec<u8>, plain: &[u8]) -> Vec<u8> {
        let mut enciphered = vec![];
        for block in plain.chunks_exact(self.block_length()) {
            *vector = self.encrypt_block(&xor(block, vector));
            enciphered.extend_from_slice(vector);
        }
        enciphered
    }

    /// The inverse of [`encrypt_cbc`](Self::encrypt_cbc).
    pub(crate) fn decrypt_cbc(&self, vector: &mut Vec<u8>, enciphered: &[u8]) -> Vec<u8> {
        let mut plain = vec![];
        for block in enciphered.chunks_exact(self.block_length()) {
            plain.extend(xor(&self.decrypt_block(block), vector));
            block.clone_into(vector);
        }
        plain
    }

    /// What a D40 reader, which only ever deciphers, made of `plain`: block by block the deciphered xor of plain and the
    /// block before, from a vector of zeros.
    pub(crate) fn undo_decrypting_sender(&self, sent: &[u8]) -> Vec<u8> {
        let mut vector = self.zero();
        let mut plain = vec![];
        for block in sent.chunks_exact(self.block_length()) {
            plain.extend(xor(&self.encrypt_block(block), &vector));
            block.clone_into(&mut vector);
        }
        plain
    }

    /// The whole CMAC, started from the running vector and leaving it there.
    pub(crate) fn cmac(&self, vector: &mut Vec<u8>, message: &[u8]) -> Vec<u8> {
        let length = self.block_length();
        let first_subkey = doubled(&self.encrypt_block(&self.zero()));
        let mut padded = message.to_vec();
        let is_padded = message.is_empty() || !message.len().is_multiple_of(length);
        if is_padded {
            padded.push(0x80);
            padded.resize(padded.len().next_multiple_of(length), 0);
        }
        let subkey = if is_padded { doubled(&first_subkey) } else { first_subkey };
        let last = padded.len() - length;
        for (byte, mask) in padded[last..].iter_mut().zip(subkey) {
            *byte ^= mask;
        }
        self.encrypt_cbc(vector, &padded);
        vector.clone()
    }
}

/// Multiplication by x, the step between CMAC subkeys (NIST SP 800-38B sections 5.3 and 6.1).
fn doubled(block: &[u8]) -> Vec<u8> {
    let reduction = if block.len() == 8 { 0x1B } else { 0x87 };
    let carries = block.iter().skip(1).map(|next| next >> 7).chain([0]);
    let mut doubled: Vec<u8> = block.iter().zip(carries).map(|(byte, carry)| byte << 1 | carry).collect();
    if block[0] >> 7 == 1
        && let Some(last) = doubled.last_mut()
    {
        *last ^= reduction;
    }
    doubled
}

pub(crate) fn xor(one: &[u8], other: &[u8]) -> Vec<u8> {
    one.iter().zip(other).map(|(a, b)| a ^ b).collect()
}

pub(crate) fn rotated(random: &[u8]) -> Vec<u8> {
    let mut rotated = random.to_vec();
    rotated.rotate_left(1);
    rotated
}

/// CRC32 of EV1 and EV2: IEEE 802.3 without the final complement, least significant byte first.
pub(crate) fn crc32(parts: &[&[u8]]) -> [u8; 4] {
    const POLYNOMIAL: u32 = 0xEDB8_8320;
    let mut crc = u32::MAX;
    for byte in parts.iter().copied().flatten() {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
        }
    }
    crc.to_le_bytes()
}

/// CRC16 of D40: ISO/IEC 14443-3 type A, least significant byte first.
pub(crate) fn crc16(data: &[u8]) -> [u8; 2] {
    const POLYNOMIAL: u16 = 0x8408;
    let mut crc = 0x6363;
    for byte in data {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
        }
    }
    crc.to_le_bytes()
}
