//! What a master key is for, and how one card's key is derived from it.

use std::fmt;
use std::str::FromStr;

use transit::card::{
    APPLICATION_ID, KEY_APPLICATION_MASTER, KEY_INSPECT, KEY_LOAD, KEY_TRANSACTION_MAC, KEY_VALIDATE, SYSTEM_ID,
};

/// What a master key is for. Each right on a card has a key of its own, so that a program holds no more than it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyRole {
    /// Key 0 of the PICC: creates and deletes applications, formats the card.
    CardMaster,
    /// Key 0 of our application: its files, its keys, its key sets.
    ApplicationMaster,
    /// Key 1: reads the record.
    Inspect,
    /// Key 2: reads, debits and writes records; raises nothing.
    Validate,
    /// Key 3: credits the purse and writes the issuer file.
    Load,
    /// The key of the Transaction MAC file.
    TransactionMac,
    /// Turns UIDs into card tokens; no card holds it.
    Token,
}

impl KeyRole {
    /// Every role, in the order in which files and lists name them.
    pub const ALL: [Self; 7] = [
        Self::CardMaster,
        Self::ApplicationMaster,
        Self::Inspect,
        Self::Validate,
        Self::Load,
        Self::TransactionMac,
        Self::Token,
    ];

    /// Its name in files and on paper.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CardMaster => "card_master",
            Self::ApplicationMaster => "application_master",
            Self::Inspect => "inspect",
            Self::Validate => "validate",
            Self::Load => "load",
            Self::TransactionMac => "transaction_mac",
            Self::Token => "token",
        }
    }

    /// Its number on the card: 0 to 3 of the PICC or the application, 0F for the Transaction MAC. `None` for the token
    /// key, which no card holds.
    #[must_use]
    pub const fn key_number(self) -> Option<u8> {
        match self {
            Self::CardMaster => Some(CARD_MASTER),
            Self::ApplicationMaster => Some(KEY_APPLICATION_MASTER),
            Self::Inspect => Some(KEY_INSPECT),
            Self::Validate => Some(KEY_VALIDATE),
            Self::Load => Some(KEY_LOAD),
            Self::TransactionMac => Some(KEY_TRANSACTION_MAC),
            Self::Token => None,
        }
    }

    /// What goes into AN10922 with the master key to give one card's own key: UID ‖ AID ‖ key number ‖ `CHAM`. The AID
    /// of the card master is 000000, that of the PICC. `None` for the token key.
    #[must_use]
    pub fn diversification_input(self, uid: &[u8; 7]) -> Option<[u8; DIVERSIFICATION_INPUT_BYTES]> {
        const PICC: [u8; 3] = [0; 3];
        let number = self.key_number()?;
        let aid = if self == Self::CardMaster { PICC } else { APPLICATION_ID };
        let mut input = [0; DIVERSIFICATION_INPUT_BYTES];
        input[..7].copy_from_slice(uid);
        input[7..10].copy_from_slice(&aid);
        input[10] = number;
        input[11..].copy_from_slice(&SYSTEM_ID);
        Some(input)
    }

    /// The byte that stands for it in sealed files and shares; 0 is none.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::CardMaster => 1,
            Self::ApplicationMaster => 2,
            Self::Inspect => 3,
            Self::Validate => 4,
            Self::Load => 5,
            Self::TransactionMac => 6,
            Self::Token => 7,
        }
    }

    pub(crate) fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.code() == code)
    }
}

/// The number of the PICC's only key.
const CARD_MASTER: u8 = 0;

/// UID (7), AID (3), key number (1), system id (4).
pub const DIVERSIFICATION_INPUT_BYTES: usize = 15;

impl fmt::Display for KeyRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for KeyRole {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// No key of this name is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no key `{0}`: a key is card_master, application_master, inspect, validate, load, transaction_mac or token"
)]
pub struct UnknownRole(String);
