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
