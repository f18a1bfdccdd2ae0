//! AuthenticateEV2First and AuthenticateEV2NonFirst as arithmetic: bytes in, bytes out, randomness passed in.
//!
//! ```text
//! card    E(K, RndB)
//! reader  E(K, RndA ‖ rotl8(RndB))
//! card    E(K, TI ‖ rotl8(RndA) ‖ PDcap2 ‖ PCDcap2)    after EV2First
//!         E(K, rotl8(RndA))                            after EV2NonFirst
//! ```
//!
//! CBC, with a zero IV in each of the three. Sources: NXP AN12343, table 16; NXP AN12196, sections 5.6, 5.10 and 5.14.

use std::fmt;

use aes::{
    Aes128,
    cipher::{BlockCipherDecrypt, KeyInit},
};
use zeroize::Zeroizing;

use crate::{
    cbc::{cbc_decrypt, cbc_encrypt},
    channel::SessionKeys,
    error::Misbehaviour,
    key::Key,
    mac::{ScheduledMac, same},
    wire::exactly,
};

/// An AuthenticateEV2First that the card has begun: its challenge is known, our cryptogram is ready.
#[derive(Debug)]
pub struct Ev2First(Begun);

/// An AuthenticateEV2NonFirst that the card has begun: its challenge is known, our cryptogram is ready.
#[derive(Debug)]
pub struct Ev2NonFirst(Begun);

/// An AuthenticateEV2First that succeeded.
#[derive(Debug)]
pub struct Opened {
    /// The keys of this session.
    pub keys: SessionKeys,
    /// The transaction identifier (TI), the name of this session in every MAC.
    pub transaction_identifier: [u8; 4],
    /// What the card can do (PDcap2).
    pub card_capabilities: [u8; 6],
}

impl Ev2First {
    /// Answers the card's challenge.
    ///
    /// `rnd_a` must be unpredictable and fresh for each handshake: it is what stops a recording of an earlier session
    /// from passing as the card.
    #[must_use]
    pub fn respond(key: &Key, rnd_a: [u8; 16], challenge: &[u8; 16]) -> Self {
        Self(Begun::respond(key, rnd_a, challenge))
    }

    /// What the reader sends: E(K, RndA ‖ rotl8(RndB)).
    #[must_use]
    pub fn cryptogram(&self) -> &[u8; 32] {
        &self.0.cryptogram
    }

    /// Checks the card's last message and derives the session keys.
    ///
    /// `capabilities_sent` are the reader's capabilities (PCDcap2) as sent with the first frame, 0 to 6 bytes; the card
    /// must echo them filled up with zeros.
    ///
    /// # Errors
    /// [`Misbehaviour::WrongChallenge`] when the card did not prove that it knows the key,
    /// [`Misbehaviour::WrongCapabilities`] when its echo is not what was sent, which is what a downgrade looks like.
    pub fn open(mut self, answer: &[u8; 32], capabilities_sent: &[u8]) -> Result<Opened, Misbehaviour> {
        let mut plain = Zeroizing::new(*answer);
        cbc_decrypt(&self.0.cipher, &mut [0; 16], &mut *plain);
        let transaction_identifier = exactly(&plain[..4])?;
        let (rnd_a, card_capabilities, echo) = (&plain[4..20], exactly(&plain[20..26])?, &plain[26..]);

        self.0.check(rnd_a)?;
        let (echoed, filled) = echo.split_at_checked(capabilities_sent.len()).ok_or(Misbehaviour::WrongCapabilities)?;
        if echoed != capabilities_sent || filled.iter().any(|&byte| byte != 0) {
            return Err(Misbehaviour::WrongCapabilities);
        }
        Ok(Opened { keys: self.0.session_keys(), transaction_identifier, card_capabilities })
    }
}

impl Ev2NonFirst {
    /// Answers the card's challenge; `rnd_a` must be unpredictable and fresh for each handshake.
    #[must_use]
    pub fn respond(key: &Key, rnd_a: [u8; 16], challenge: &[u8; 16]) -> Self {
        Self(Begun::respond(key, rnd_a, challenge))
    }

    /// What the reader sends: E(K, RndA ‖ rotl8(RndB)).
    #[must_use]
    pub fn cryptogram(&self) -> &[u8; 32] {
        &self.0.cryptogram
    }

    /// Checks the card's last message and derives the next session keys; transaction identifier and counter go on.
    ///
    /// # Errors
    /// [`Misbehaviour::WrongChallenge`] when the card did not prove that it knows the key.
    pub fn open(mut self, answer: &[u8; 16]) -> Result<SessionKeys, Misbehaviour> {
        let mut rnd_a = Zeroizing::new(*answer);
        self.0.cipher.decrypt_block((&mut *rnd_a).into());
        self.0.check(&*rnd_a)?;
        Ok(self.0.session_keys())
    }
}

/// What both handshakes have in common.
struct Begun {
    cipher: Aes128,
    mac: ScheduledMac,
    rnd_a: Zeroizing<[u8; 16]>,
    rnd_b: Zeroizing<[u8; 16]>,
    cryptogram: [u8; 32],
}

impl Begun {
    fn respond(key: &Key, rnd_a: [u8; 16], challenge: &[u8; 16]) -> Self {
        let cipher = Aes128::new(key.expose_secret().into());
        let mut rnd_b = Zeroizing::new(*challenge);
        cipher.decrypt_block((&mut *rnd_b).into());

        let mut cryptogram = [0; 32];
        let (first, second) = cryptogram.split_at_mut(16);
        first.copy_from_slice(&rnd_a);
        second.copy_from_slice(&*rnd_b);
        second.rotate_left(1);
        cbc_encrypt(&cipher, &mut [0; 16], &mut cryptogram);

        Self { cipher, mac: ScheduledMac::new(key), rnd_a: Zeroizing::new(rnd_a), rnd_b, cryptogram }
    }

    /// Whether the card turned our challenge by one byte.
    fn check(&self, rotated: &[u8]) -> Result<(), Misbehaviour> {
        let mut expected = self.rnd_a.clone();
        expected.rotate_left(1);
        if same(expected.as_slice(), rotated) { Ok(()) } else { Err(Misbehaviour::WrongChallenge) }
    }

    fn session_keys(&mut self) -> SessionKeys {
        SessionKeys { encryption: self.session_key([0xA5, 0x5A]), authentication: self.session_key([0x5A, 0xA5]) }
    }

    /// CMAC over SV1 (label A55A) or SV2 (label 5AA5).
    fn session_key(&mut self, label: [u8; 2]) -> Key {
        let (a, b) = (&self.rnd_a, &self.rnd_b);
        let mut vector = Zeroizing::new([0; 32]);
        vector[..2].copy_from_slice(&label);
        vector[2..6].copy_from_slice(&[0x00, 0x01, 0x00, 0x80]);
        vector[6..8].copy_from_slice(&a[..2]);
        for i in 0..6 {
            vector[8 + i] = a[2 + i] ^ b[i];
        }
        vector[14..24].copy_from_slice(&b[6..]);
        vector[24..].copy_from_slice(&a[8..]);
        self.mac.update(&*vector);
        Key::new(self.mac.finish())
    }
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}
