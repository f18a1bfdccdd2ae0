//! Keys in a secure access module: MIFARE SAM AV3 in a PC/SC reader of its own.
//!
//! The SAM takes part in each handshake and gives out the keys of the session; a master key never leaves it. A tap
//! costs four exchanges with it: SAM_EncipherOfflineData for the card's token, SAM_AuthenticatePICC twice and
//! SAM_DumpSessionKey.
//!
//! | role | entry of the SAM | its settings |
//! |---|---|---|
//! | all but the token key | class PICC, AES-128, versions A to C | "allow dump session key" on, "mandatory key diversification" on, "keep IV" off; "allow dump secret key" only where cards are made |
//! | token | class OfflineCrypto, AES-128 | "allow dump secret key" off, "keep IV" off |
//!
//! [`SamKeyStore::open`] refuses entries that are set otherwise. SAM AV2 knows no EV2 handshake and is refused.

use std::fmt;

use card_crypto::{Key, Lost, Transport};
use serde::Deserialize;
use transit::id::CardToken;
use zeroize::Zeroizing;

use crate::key_set::KeySetError;
use crate::role::KeyRole;
use crate::sam_command::{CONDITIONS_OF_USE, Failure, SamCommand};
use crate::sam_holder::SamHolder;
use crate::sam_key_entry::KeyEntry;
use crate::store::{KeyStore, KeyStoreError};

/// Which entry of the SAM's key table, 00 to 7F, holds which role. All versions of a role are in one entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SamEntries {
    /// [`KeyRole::CardMaster`].
    pub card_master: Option<u8>,
    /// [`KeyRole::ApplicationMaster`].
    pub application_master: Option<u8>,
    /// [`KeyRole::Inspect`].
    pub inspect: Option<u8>,
    /// [`KeyRole::Validate`].
    pub validate: Option<u8>,
    /// [`KeyRole::Load`].
    pub load: Option<u8>,
    /// [`KeyRole::TransactionMac`].
    pub transaction_mac: Option<u8>,
    /// [`KeyRole::Token`].
    pub token: Option<u8>,
}

impl SamEntries {
    /// The entry of a role, where the SAM holds it.
    #[must_use]
    pub const fn of(&self, role: KeyRole) -> Option<u8> {
        match role {
            KeyRole::CardMaster => self.card_master,
            KeyRole::ApplicationMaster => self.application_master,
            KeyRole::Inspect => self.inspect,
            KeyRole::Validate => self.validate,
            KeyRole::Load => self.load,
            KeyRole::TransactionMac => self.transaction_mac,
            KeyRole::Token => self.token,
        }
    }
}

/// Why a SAM does not do its part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SamError {
    /// No answer came.
    #[error("the SAM does not answer")]
    Lost(#[source] Lost),
    /// It refused a command.
    #[error("the SAM refused {command} with status {status:04X}{}", remedy(*status))]
    Refused {
        /// The command, in NXP's words.
        command: &'static str,
        /// SW1 SW2.
        status: u16,
    },
    /// It answered with another number of bytes than the command has.
    #[error("the SAM answered {command} with {found} bytes where {expected} belong")]
    Length {
        /// The command.
        command: &'static str,
        /// Bytes that belong there.
        expected: usize,
        /// Bytes that came.
        found: usize,
    },
    /// It is no SAM that can do this.
    #[error("this is no SAM in AV3 mode (its version ends with {mode:02X}): an AV2 knows no EV2 cards")]
    NotAv3 {
        /// The last byte of its version.
        mode: u8,
    },
    /// A key entry is set up wrongly.
    #[error("entry {entry:02X} of the SAM, the {role} key: {problem}")]
    Entry {
        /// The role that it should hold.
        role: KeyRole,
        /// The entry.
        entry: u8,
        /// What is wrong and what would be right.
        problem: &'static str,
    },
}

fn remedy(status: u16) -> &'static str {
    match status {
        CONDITIONS_OF_USE => ": the key's usage counter may have reached its limit; have the limit raised",
        0x6982 | 0x6782 => ": it may want a host authentication first, which this program does not do",
        0x6A82 => ": it has no such key version",
        _ => "",
    }
}

impl From<Failure> for SamError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Lost(lost) => Self::Lost(lost),
            Failure::Refused { command, status } => Self::Refused { command, status },
            Failure::Length { command, expected, found } => Self::Length { command, expected, found },
        }
    }
}

/// A secure access module behind a transport of its own.
pub struct SamKeyStore<T> {
    transport: T,
    keys: Vec<SamKey>,
    /// Whether the token key is active in its logical channel.
    token_is_active: bool,
}

#[derive(Debug, Clone)]
struct SamKey {
    role: KeyRole,
    entry: u8,
    /// Newest first.
    versions: Vec<u8>,
    usage_counter: Option<u8>,
}

impl<T: Transport> SamKeyStore<T> {
    /// Asks the SAM what it is and how the `entries` are set.
    ///
    /// # Errors
    /// [`SamError`]: it is no SAM AV3, or an entry is set up wrongly.
    pub fn open(mut transport: T, entries: &SamEntries) -> Result<Self, SamError> {
        const AV3: u8 = 0xA3;
        let version = SamCommand::get_version().exchange(&mut transport)?;
        let mode = version.last().copied().unwrap_or_default();
        if mode != AV3 {
            return Err(SamError::NotAv3 { mode });
        }
        let mut keys = Vec::new();
        for role in KeyRole::ALL {
            let Some(entry) = entries.of(role) else { continue };
            let found = SamCommand::get_key_entry(entry).exchange(&mut transport)?;
            let found = KeyEntry::of_bytes(&found).map_err(|problem| SamError::Entry { role, entry, problem })?;
            found.check(role).map_err(|problem| SamError::Entry { role, entry, problem })?;
            keys.push(SamKey { role, entry, versions: found.versions(), usage_counter: found.usage_counter });
        }
        Ok(Self { transport, keys, token_is_active: false })
    }

    fn key(&self, role: KeyRole) -> Result<&SamKey, KeySetError> {
        self.keys.iter().find(|key| key.role == role).ok_or(KeySetError::NoKey(role))
    }

    /// The SAM's name of a key of a card.
    fn name(&self, role: KeyRole, version: u8) -> Result<(u8, u8), KeySetError> {
        let key = self.key(role)?;
        if key.versions.contains(&version) {
            Ok((key.entry, version))
        } else {
            Err(KeySetError::NoVersion { role, version })
        }
    }

    fn enciphered(&mut self, block: &[u8; 16]) -> Result<CardToken, SamError> {
        let answer = SamCommand::encipher_offline_data(block).exchange(&mut self.transport)?;
        let found = answer.len();
        let token = answer.as_slice().try_into();
        token.map(CardToken).map_err(|_| SamError::Length { command: "SAM_EncipherOfflineData", expected: 16, found })
    }

    fn activate_token_key(&mut self) -> Result<(), KeyStoreError> {
        let newest = self.key(KeyRole::Token)?.versions.first().copied();
        let name = self.name(KeyRole::Token, newest.ok_or(KeySetError::NoKey(KeyRole::Token))?)?;
        SamCommand::activate_offline_key(name).exchange(&mut self.transport).map_err(SamError::from)?;
        self.token_is_active = true;
        Ok(())
    }
}

impl<T: Transport> KeyStore for SamKeyStore<T> {
    type Holder<'a>
        = SamHolder<'a, T>
    where
        T: 'a;

    fn versions(&self, role: KeyRole) -> Vec<u8> {
        self.key(role).map(|key| key.versions.clone()).unwrap_or_default()
    }

    fn holder(
        &mut self,
        role: KeyRole,
        version: u8,
        uid: &[u8; 7],
        _: [u8; 16],
    ) -> Result<SamHolder<'_, T>, KeyStoreError> {
        let name = self.name(role, version)?;
        let input = role.diversification_input(uid).ok_or(KeySetError::NoKey(role))?;
        Ok(SamHolder::new(&mut self.transport, name, input))
    }

    fn card_key(&mut self, role: KeyRole, version: u8, uid: &[u8; 7]) -> Result<Key, KeyStoreError> {
        let name = self.name(role, version)?;
        let input = role.diversification_input(uid).ok_or(KeySetError::NoKey(role))?;
        let dump =
            SamCommand::dump_secret_key(name, &input).exchange_anew(&mut self.transport).map_err(SamError::from)?;
        Ok(key_at("SAM_DumpSecretKey", &dump, 0)?)
    }

    /// Asks the SAM with SAM_GetKUCEntry, where the entry names a usage counter.
    fn uses_left(&mut self, role: KeyRole) -> Result<Option<u32>, KeyStoreError> {
        let Some(counter) = self.key(role)?.usage_counter else { return Ok(None) };
        let entry = SamCommand::get_kuc_entry(counter).exchange_anew(&mut self.transport).map_err(SamError::from)?;
        let number = |at: usize| entry.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
        Ok(number(0).zip(number(6)).map(|(limit, value)| limit.saturating_sub(value)))
    }

    fn token(&mut self, uid: &[u8; 7]) -> Result<CardToken, KeyStoreError> {
        let mut block = Zeroizing::new([0; 16]);
        block[..7].copy_from_slice(uid);
        if self.token_is_active {
            match self.enciphered(&block) {
                Ok(token) => return Ok(token),
                // The SAM was powered down in between, and the key is not active any more.
                Err(SamError::Refused { .. }) => self.token_is_active = false,
                Err(error) => return Err(error.into()),
            }
        }
        self.activate_token_key()?;
        Ok(self.enciphered(&block)?)
    }
}

impl<T> fmt::Debug for SamKeyStore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SamKeyStore").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// A key in what the SAM dumped.
pub(crate) fn key_at(command: &'static str, dump: &[u8], at: usize) -> Result<Key, SamError> {
    let bytes = dump.get(at..).and_then(<[u8]>::first_chunk);
    let (expected, found) = (at + 16, dump.len());
    bytes.map(|bytes| Key::new(*bytes)).ok_or(SamError::Length { command, expected, found })
}
