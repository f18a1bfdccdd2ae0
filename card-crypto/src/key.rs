//! AES-128 keys and the numbers under which a card holds them.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// An AES-128 key. Wiped when dropped, compared in constant time, never printed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; 16]);

impl Key {
    /// A key of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The key itself, for whoever must hand it on: a card being personalised, a sealed key store.
    #[must_use]
    pub const fn expose_secret(&self) -> &[u8; 16] {
        &self.0
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// The number of a key in the selected application, 0 to 13. Number 0 is the application master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyNumber(u8);

impl KeyNumber {
    /// The application master key.
    pub const MASTER: Self = Self(0);

    /// The key number, or `None` above 13: an application has at most 14 keys.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number <= 13 { Some(Self(number)) } else { None }
    }

    /// The number as transmitted.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// The number of a key set in the selected application, 0 to 15. Number 0 is the active one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeySetNumber(u8);

impl KeySetNumber {
    /// The active key set: the one that authentications use.
    pub const ACTIVE: Self = Self(0);

    /// The key set number, or `None` above 15: an application has at most 16 key sets.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number <= 15 { Some(Self(number)) } else { None }
    }

    /// The number as transmitted.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// A two-key triple DES key; with equal halves, a single DES key. Wiped when dropped, never printed.
///
/// Only for the key that a blank card comes with: it is no protection, and this crate makes nothing with it but the way
/// to AES. The lowest bit of each byte is no part of the key (a card keeps the key's version in the first eight).
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct DesKey([u8; 16]);

impl DesKey {
    /// The key of a card as it leaves the factory: zeros.
    pub const FACTORY: Self = Self([0; 16]);

    /// A key of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The key itself.
    #[must_use]
    pub const fn expose_secret(&self) -> &[u8; 16] {
        &self.0
    }

    /// Whether both halves are the same: single DES, for which a card derives another session key.
    #[must_use]
    pub fn is_single(&self) -> bool {
        let (first, second) = self.0.split_at(8);
        let difference = first.iter().zip(second).fold(0, |bits, (first, second)| bits | (first ^ second));
        difference & !1 == 0
    }
}

impl fmt::Debug for DesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DesKey(..)")
    }
}

/// An AES key that a card is to take, and the version under which it names it.
#[derive(Clone, Copy, Debug)]
pub struct NewKey<'a> {
    /// The key.
    pub key: &'a Key,
    /// Its version: any number that the issuer likes; GetKeyVersion tells it to everybody.
    pub version: u8,
}
