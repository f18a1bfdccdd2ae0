//! AuthenticateAES (EV1) as arithmetic: bytes in, bytes out, randomness passed in.
//!
//! ```text
//! card    E1 = E(K, iv 0,                RndB)
//! reader  E2 = E(K, iv E1,               RndA ‖ rotl8(RndB))
//! card    E3 = E(K, iv last block of E2, rotl8(RndA))
//! ```
//!
//! CBC whose IV is chained through the whole handshake, which is where it differs from EV2. The session key is
//! `RndA[0..4] ‖ RndB[0..4] ‖ RndA[12..16] ‖ RndB[12..16]`.
//!
//! Sources: NXP AN0945 "MIFARE DESFire EV1 features and hints", AuthenticateAES; traces of real EV1 cards among the
//! known answers.

use std::fmt;

use aes::{
    Aes128,
    cipher::{BlockCipherDecrypt, KeyInit},
};
use zeroize::Zeroizing;

use crate::{
    cbc::{cbc_decrypt, cbc_encrypt},
    error::Misbehaviour,
    key::Key,
    mac::same,
};

/// An AuthenticateAES that the card has begun: its challenge is known, our cryptogram is ready.
pub struct Aes {
    cipher: Aes128,
    rnd_a: Zeroizing<[u8; 16]>,
    rnd_b: Zeroizing<[u8; 16]>,
    iv: [u8; 16],
    cryptogram: [u8; 32],
}

impl Aes {
    /// Answers the card's challenge; `rnd_a` must be unpredictable and fresh for each handshake.
    #[must_use]
    pub fn respond(key: &Key, rnd_a: [u8; 16], challenge: &[u8; 16]) -> Self {
        let cipher = Aes128::new(key.expose_secret().into());
        let mut rnd_b = Zeroizing::new(*challenge);
        cipher.decrypt_block((&mut *rnd_b).into());

        let mut cryptogram = [0; 32];
        let (first, second) = cryptogram.split_at_mut(16);
        first.copy_from_slice(&rnd_a);
        second.copy_from_slice(&*rnd_b);
        second.rotate_left(1);
        let mut iv = *challenge;
        cbc_encrypt(&cipher, &mut iv, &mut cryptogram);

        Self { cipher, rnd_a: Zeroizing::new(rnd_a), rnd_b, iv, cryptogram }
    }

    /// What the reader sends: E(K, RndA ‖ rotl8(RndB)).
    #[must_use]
    pub fn cryptogram(&self) -> &[u8; 32] {
        &self.cryptogram
    }

    /// Checks the card's last message and derives the session key.
    ///
    /// # Errors
    /// [`Misbehaviour::WrongChallenge`] when the card did not prove that it knows the key.
    pub fn open(mut self, answer: &[u8; 16]) -> Result<Key, Misbehaviour> {
        let mut rotated = Zeroizing::new(*answer);
        cbc_decrypt(&self.cipher, &mut self.iv, &mut *rotated);
        rotated.rotate_right(1);
        if !same(self.rnd_a.as_slice(), rotated.as_slice()) {
            return Err(Misbehaviour::WrongChallenge);
        }

        let mut key = Zeroizing::new([0; 16]);
        key[..4].copy_from_slice(&self.rnd_a[..4]);
        key[4..8].copy_from_slice(&self.rnd_b[..4]);
        key[8..12].copy_from_slice(&self.rnd_a[12..]);
        key[12..].copy_from_slice(&self.rnd_b[12..]);
        Ok(Key::new(*key))
    }
}

impl fmt::Debug for Aes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aes(..)")
    }
}
