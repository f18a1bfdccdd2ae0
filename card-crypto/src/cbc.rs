//! Cipher block chaining of AES, in place.

use aes::{
    Aes128, Block,
    cipher::{BlockCipherDecrypt, BlockCipherEncrypt},
};

/// CBC in place over whole blocks; `iv` is left at the last ciphertext block.
#[inline]
pub(crate) fn cbc_encrypt(cipher: &Aes128, iv: &mut [u8; 16], bytes: &mut [u8]) {
    let (blocks, _) = bytes.as_chunks_mut::<16>();
    for block in blocks {
        for (byte, chained) in block.iter_mut().zip(&*iv) {
            *byte ^= chained;
        }
        cipher.encrypt_block(block.into());
        *iv = *block;
    }
}

/// The inverse of [`cbc_encrypt`].
#[inline]
pub(crate) fn cbc_decrypt(cipher: &Aes128, iv: &mut [u8; 16], bytes: &mut [u8]) {
    let (blocks, _) = bytes.as_chunks_mut::<16>();
    for block in blocks {
        let ciphertext = *block;
        let block: &mut Block = block.into();
        cipher.decrypt_block(block);
        for (byte, chained) in block.iter_mut().zip(&*iv) {
            *byte ^= chained;
        }
        *iv = ciphertext;
    }
}
