//! Who holds which keys.

use std::fmt;
use std::str::FromStr;

use card_crypto::Key;

use crate::key_set::{KeySet, KeySetError};
use crate::role::KeyRole;

/// A place where keys are held, and so which of them it may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Custody {
    /// Makes cards, rolls their keys, moves a lost card's value: every key. A card cannot be born without its
    /// Transaction MAC key, so this is the one place beside the vault that has it; keep it in a locked room and, better,
    /// in a SAM that gives out one card's keys at a time.
    Issuer,
    /// Sells and loads: load, validate, token. Cannot make a card, change a key, or forge a Transaction MAC.
    Desk,
    /// Takes fares: validate, token. Cannot raise a balance.
    Validator,
    /// Looks: inspect, token.
    Inspector,
    /// Proves taps: Transaction MAC, token. Cannot speak to a card.
    Vault,
}

impl Custody {
    /// Every place.
    pub const ALL: [Self; 5] = [Self::Issuer, Self::Desk, Self::Validator, Self::Inspector, Self::Vault];

    /// The keys that it holds.
    #[must_use]
    pub const fn roles(self) -> &'static [KeyRole] {
        match self {
            Self::Issuer => &KeyRole::ALL,
            Self::Desk => &[KeyRole::Validate, KeyRole::Load, KeyRole::Token],
            Self::Validator => &[KeyRole::Validate, KeyRole::Token],
            Self::Inspector => &[KeyRole::Inspect, KeyRole::Token],
            Self::Vault => &[KeyRole::TransactionMac, KeyRole::Token],
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Issuer => "issuer",
            Self::Desk => "desk",
            Self::Validator => "validator",
            Self::Inspector => "inspector",
            Self::Vault => "vault",
        }
    }
}

impl fmt::Display for Custody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Custody {
    type Err = UnknownCustody;

    fn from_str(text: &str) -> Result<Self, UnknownCustody> {
        Self::ALL.into_iter().find(|custody| custody.name() == text).ok_or_else(|| UnknownCustody(text.to_owned()))
    }
}

/// No place of this name holds keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nobody called `{0}` holds keys: issuer, desk, validator, inspector and vault do")]
pub struct UnknownCustody(String);

impl KeySet {
    /// The part of the set that `custody` holds, every live version of it.
    ///
    /// # Errors
    /// [`KeySetError::NoKey`] when the set lacks a key that it must hold.
    pub fn export(&self, custody: Custody) -> Result<Self, KeySetError> {
        let mut part = Self::new(self.class());
        for &role in custody.roles() {
            self.newest(role)?;
            for version in self.versions(role) {
                part.insert(role, version, Key::new(*self.master(role, version)?.expose_secret()))?;
            }
        }
        Ok(part)
    }
}
