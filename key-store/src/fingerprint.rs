//! Key check values: people compare keys without seeing them.

use std::fmt;

use card_crypto::Key;
use card_crypto::mac::cmac;

use crate::role::KeyRole;

/// The check value of one master key, for the protocol of a ceremony: two holders of the same key read out the same six
/// digits.
///
/// It is the first three bytes of the AES-CMAC of sixteen zero bytes (ANSI X9.24-1:2017, annex A, "CMAC-based check
/// value"), which tells nothing about what the key does to any message of a card, all of which differ from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    /// Which key.
    pub role: KeyRole,
    /// Which version of it.
    pub version: u8,
    /// Its check value.
    pub check_value: [u8; 3],
}

impl Fingerprint {
    pub(crate) fn of(role: KeyRole, version: u8, key: &Key) -> Self {
        let [one, two, three, ..] = cmac(key, &[0; 16]);
        Self { role, version, check_value: [one, two, three] }
    }
}

impl fmt::Display for Fingerprint {
    /// Such as `validate            1  9A01F3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<18} {:>3}  {}", self.role, self.version, hex::encode_upper(self.check_value))
    }
}
