//! The handshakes as arithmetic, and who holds the key that they prove.
//!
//! A reader with the key in its memory hands a [`MemoryKey`] (the methods of [`Card`](crate::Card) that take a
//! [`Key`] do so for it); one whose keys lie in a secure access module implements [`KeyHolder`] for it.

mod aes;
mod des;
mod ev2;

use std::{convert::Infallible, fmt};

pub use self::{
    aes::Aes,
    des::IsoDes,
    ev2::{Ev2First, Ev2NonFirst, Opened},
};
use zeroize::Zeroizing;

use crate::{channel::SessionKeys, error::Error, key::Key};

/// Whoever holds one AES key and proves it to a card, once: a key in memory, or a secure access module.
///
/// Each method is given the card's challenge E(K, RndB) and `card`, which sends the reader's cryptogram
/// E(K, RndA ‖ rotl8(RndB)) to the card and returns the card's last message. The holder checks that message and gives
/// out the keys of the session; the key itself never leaves it. It brings its own RndA, unpredictable and fresh, and
/// is used up by one handshake so that no RndA serves two.
pub trait KeyHolder: Sized {
    /// What can go wrong on the holder's side, apart from the card.
    type Error;

    /// AuthenticateAES: the IV is chained through the whole handshake. Returns SesAuthKey.
    ///
    /// # Errors
    /// What the card did wrong, or what the holder could not do.
    fn authenticate_aes(
        self,
        challenge: &[u8; 16],
        card: impl FnOnce(&[u8; 32]) -> Result<[u8; 16], Error>,
    ) -> Result<Key, AuthenticationError<Self::Error>>;

    /// AuthenticateEV2First, without reader capabilities (PCDcap2 all zeros).
    ///
    /// # Errors
    /// What the card did wrong, or what the holder could not do.
    fn authenticate_ev2_first(
        self,
        challenge: &[u8; 16],
        card: impl FnOnce(&[u8; 32]) -> Result<[u8; 32], Error>,
    ) -> Result<Opened, AuthenticationError<Self::Error>>;

    /// AuthenticateEV2NonFirst.
    ///
    /// # Errors
    /// What the card did wrong, or what the holder could not do.
    fn authenticate_ev2_non_first(
        self,
        challenge: &[u8; 16],
        card: impl FnOnce(&[u8; 32]) -> Result<[u8; 16], Error>,
    ) -> Result<SessionKeys, AuthenticationError<Self::Error>>;
}

/// Why an authentication by a [`KeyHolder`] failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticationError<E> {
    /// The card is to blame, or what stands between it and the reader.
    #[error(transparent)]
    Card(#[from] Error),
    /// The holder of the key could not do its part; the card is not to blame.
    #[error("the holder of the key failed")]
    Holder(#[source] E),
}

impl AuthenticationError<Infallible> {
    /// The card's error: a key in memory has none of its own.
    pub(crate) fn into_card_error(self) -> Error {
        match self {
            Self::Card(error) => error,
            Self::Holder(never) => match never {},
        }
    }
}

/// A key in this process's memory, and the challenge that its one handshake uses.
pub struct MemoryKey<'a> {
    key: &'a Key,
    rnd_a: Zeroizing<[u8; 16]>,
}

/// The challenge is one half of the session's keys.
impl fmt::Debug for MemoryKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryKey(..)")
    }
}

impl<'a> MemoryKey<'a> {
    /// The key and a challenge, which must be unpredictable and fresh.
    #[must_use]
    pub fn new(key: &'a Key, rnd_a: [u8; 16]) -> Self {
        Self { key, rnd_a: Zeroizing::new(rnd_a) }
    }
}

impl KeyHolder for MemoryKey<'_> {
    type Error = Infallible;

    fn authenticate_aes(
        self,
        challenge: &[u8; 16],
        card: impl FnOnce(&[u8; 32]) -> Result<[u8; 16], Error>,
    ) -> Result<Key, AuthenticationError<Infallible>> {
        let handshake = Aes::respond(self.key, *self.rnd_a, challenge);
        let proof = card(handshake.cryptogram())?;
        Ok(handshake.open(&proof).map_err(Error::from)?)
    }

    fn authenticate_ev2_first(
        self,
        challenge: &[u8; 16],
        card: impl FnOnce(&[u8; 32]) -> Result<[u8; 32], Error>,
    ) -> Result<Opened, AuthenticationError<Infallible>> {
        let handshake = Ev2First::respond(self.key, *self.rnd_a, challenge);
        let proof = card(handshake.cryptogram())?;
        Ok(handshake.open(&proof, &[]).map_err(Error::from)?)
    }

    fn authenticate_ev2_non_first(
        self,
        challenge: &[u8; 16],
        card: impl FnOnce(&[u8; 32]) -> Result<[u8; 16], Error>,
    ) -> Result<SessionKeys, AuthenticationError<Infallible>> {
        let handshake = Ev2NonFirst::respond(self.key, *self.rnd_a, challenge);
        let proof = card(handshake.cryptogram())?;
        Ok(handshake.open(&proof).map_err(Error::from)?)
    }
}
