//! AuthenticateISO with a DES or 2K3DES key as arithmetic: what a blank card understands.
//!
//! ```text
//! card    E1 = E(K, iv 0,                RndB)
//! reader  E2 = E(K, iv E1,               RndA ‖ rotl8(RndB))
//! card    E3 = E(K, iv last block of E2, rotl8(RndA))
//! ```
//!
//! As AuthenticateAES, with blocks and challenges of 8 bytes. The session key is `RndA[0..4] ‖ RndB[0..4]`, followed by
//! `RndA[4..8] ‖ RndB[4..8]` or, where the key's halves are the same (single DES), by the same again.
//!
//! Sources: NXP AN0945 "MIFARE DESFire EV1 features and hints", AuthenticateISO; a trace of a real EV1 card among the
//! known answers.

use std::fmt;

use zeroize::Zeroizing;

use crate::{
    channel::ev1::{Chained, TripleDes},
    error::Misbehaviour,
    key::DesKey,
    mac::same,
};

/// An AuthenticateISO that the card has begun: its challenge is known, our cryptogram is ready.
pub struct IsoDes {
    cipher: Chained<TripleDes>,
    rnd_a: Zeroizing<[u8; 8]>,
    rnd_b: Zeroizing<[u8; 8]>,
    single: bool,
    cryptogram: [u8; 16],
}

impl IsoDes {
    /// Answers the card's challenge; `rnd_a` must be unpredictable and fresh for each handshake.
    #[must_use]
    pub fn respond(key: &DesKey, rnd_a: [u8; 8], challenge: &[u8; 8]) -> Self {
        let mut cipher = Chained::new(TripleDes::new(key));
        let mut rnd_b = Zeroizing::new(*challenge);
        cipher.decrypt(&mut *rnd_b);

        let mut cryptogram = [0; 16];
        let (first, second) = cryptogram.split_at_mut(8);
        first.copy_from_slice(&rnd_a);
        second.copy_from_slice(&*rnd_b);
        second.rotate_left(1);
        cipher.encrypt(&mut cryptogram);

        Self { cipher, rnd_a: Zeroizing::new(rnd_a), rnd_b, single: key.is_single(), cryptogram }
    }

    /// What the reader sends: E(K, RndA ‖ rotl8(RndB)).
    #[must_use]
    pub fn cryptogram(&self) -> &[u8; 16] {
        &self.cryptogram
    }

    /// Checks the card's last message and derives the session key.
    ///
    /// # Errors
    /// [`Misbehaviour::WrongChallenge`] when the card did not prove that it knows the key.
    pub fn open(mut self, answer: &[u8; 8]) -> Result<DesKey, Misbehaviour> {
        let mut rotated = Zeroizing::new(*answer);
        self.cipher.decrypt(&mut *rotated);
        rotated.rotate_right(1);
        if !same(self.rnd_a.as_slice(), rotated.as_slice()) {
            return Err(Misbehaviour::WrongChallenge);
        }

        let mut key = Zeroizing::new([0; 16]);
        let second_half = if self.single { 0 } else { 4 };
        key[..4].copy_from_slice(&self.rnd_a[..4]);
        key[4..8].copy_from_slice(&self.rnd_b[..4]);
        key[8..12].copy_from_slice(&self.rnd_a[second_half..second_half + 4]);
        key[12..].copy_from_slice(&self.rnd_b[second_half..second_half + 4]);
        Ok(DesKey::new(*key))
    }
}

impl fmt::Debug for IsoDes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IsoDes(..)")
    }
}
