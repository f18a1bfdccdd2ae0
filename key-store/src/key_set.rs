//! Master keys in memory, by role and version.

use std::fmt;

use aes::Aes128Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use card_crypto::{Key, diversify_aes128};
use subtle::ConstantTimeEq;
use transit::config::KeysClass;
use transit::id::CardToken;
use zeroize::Zeroizing;

use crate::fingerprint::Fingerprint;
use crate::role::{DIVERSIFICATION_INPUT_BYTES, KeyRole};

/// How many versions of one key may be live at once.
pub const LIVE_VERSIONS: usize = 2;

/// Fills a buffer with unpredictable bytes. Whoever calls brings the randomness; nothing here draws any.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// Master keys: up to two live versions of each role, wiped when dropped, never printed.
///
/// Versions count up with each roll, 1 to 255; the highest is the newest. A key that says no version, as those of
/// plain test files, has version 0.
pub struct KeySet {
    class: KeysClass,
    /// Sorted by role, then newest first.
    keys: Vec<MasterKey>,
    signing_seed: Option<Zeroizing<[u8; 32]>>,
}

pub(crate) struct MasterKey {
    pub(crate) role: KeyRole,
    pub(crate) version: u8,
    /// Boxed, so that moving the entry leaves no copy of the key behind.
    pub(crate) key: Box<Key>,
}

/// Why a key set cannot be, or cannot do what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// The set has no key of this role.
    #[error("there is no {0} key")]
    NoKey(KeyRole),
    /// The set has keys of this role, none of this version.
    #[error("there is no {role} key of version {version}")]
    NoVersion {
        /// The role.
        role: KeyRole,
        /// The version.
        version: u8,
    },
    /// A third version cannot be live.
    #[error("two versions of the {0} key are live: retire the older one when no card needs it any more")]
    TwoLive(KeyRole),
    /// A key is there already.
    #[error("version {version} of the {role} key is there twice")]
    Twice {
        /// The role.
        role: KeyRole,
        /// The version.
        version: u8,
    },
    /// Version 255 is the last.
    #[error("the versions of the {0} key are used up: 255 is the last")]
    VersionsUsedUp(KeyRole),
    /// Only an older version can be retired.
    #[error("version {version} is the newest {role} key: only an older one can be retired")]
    Newest {
        /// The role.
        role: KeyRole,
        /// The version.
        version: u8,
    },
}

impl KeySet {
    /// A set without keys.
    #[must_use]
    pub fn new(class: KeysClass) -> Self {
        Self { class, keys: Vec::new(), signing_seed: None }
    }

    /// A new key of every role, version 1.
    #[must_use]
    pub fn generate(class: KeysClass, random: Random<'_>) -> Self {
        let mut set = Self::new(class);
        for role in KeyRole::ALL {
            set.insert(role, 1, drawn(random)).expect("a new set has room for a version of each role");
        }
        set
    }

    /// Adds a key.
    ///
    /// # Errors
    /// [`KeySetError::Twice`], [`KeySetError::TwoLive`].
    pub fn insert(&mut self, role: KeyRole, version: u8, key: Key) -> Result<(), KeySetError> {
        let live = self.versions(role);
        if live.contains(&version) {
            return Err(KeySetError::Twice { role, version });
        }
        if live.len() == LIVE_VERSIONS {
            return Err(KeySetError::TwoLive(role));
        }
        let place = self.keys.partition_point(|other| (other.role, !other.version) < (role, !version));
        self.keys.insert(place, MasterKey { role, version, key: Box::new(key) });
        Ok(())
    }

    /// Adds a new key of `role`, one version above the newest, which stays live. Returns the new version.
    ///
    /// # Errors
    /// [`KeySetError::NoKey`], [`KeySetError::TwoLive`], [`KeySetError::VersionsUsedUp`].
    pub fn roll(&mut self, role: KeyRole, random: Random<'_>) -> Result<u8, KeySetError> {
        let newest = self.newest(role)?;
        let version = newest.checked_add(1).ok_or(KeySetError::VersionsUsedUp(role))?;
        self.insert(role, version, drawn(random))?;
        Ok(version)
    }

    /// Removes an older version, once no card needs it any more.
    ///
    /// # Errors
    /// [`KeySetError::Newest`], [`KeySetError::NoVersion`].
    pub fn retire(&mut self, role: KeyRole, version: u8) -> Result<(), KeySetError> {
        if self.newest(role)? == version {
            return Err(KeySetError::Newest { role, version });
        }
        let place = self.place(role, version)?;
        self.keys.remove(place);
        Ok(())
    }

    /// Whether the keys are for tests or guard money.
    #[must_use]
    pub fn class(&self) -> KeysClass {
        self.class
    }

    /// The live versions of a role, newest first.
    #[must_use]
    pub fn versions(&self, role: KeyRole) -> Vec<u8> {
        self.keys.iter().filter(|key| key.role == role).map(|key| key.version).collect()
    }

    /// The newest version of a role.
    ///
    /// # Errors
    /// [`KeySetError::NoKey`].
    pub fn newest(&self, role: KeyRole) -> Result<u8, KeySetError> {
        self.keys.iter().find(|key| key.role == role).map(|key| key.version).ok_or(KeySetError::NoKey(role))
    }

    /// The roles and versions that are there, newest first within a role.
    pub fn contents(&self) -> impl Iterator<Item = (KeyRole, u8)> + '_ {
        self.keys.iter().map(|key| (key.role, key.version))
    }

    /// How each key can be compared over the telephone.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        self.keys.iter().map(|key| Fingerprint::of(key.role, key.version, &key.key)).collect()
    }

    /// A master key itself, for whoever must hand it on, such as to a SAM that is being loaded.
    ///
    /// # Errors
    /// [`KeySetError::NoVersion`].
    pub fn master(&self, role: KeyRole, version: u8) -> Result<&Key, KeySetError> {
        Ok(&self.keys[self.place(role, version)?].key)
    }

    /// One card's own key.
    ///
    /// # Errors
    /// [`KeySetError::NoVersion`]; [`KeySetError::NoKey`] for the token key, which no card holds.
    pub fn card_key(&self, role: KeyRole, version: u8, uid: &[u8; 7]) -> Result<Key, KeySetError> {
        let input = role.diversification_input(uid).ok_or(KeySetError::NoKey(role))?;
        Ok(diversified(self.master(role, version)?, &input))
    }

    /// What taps call the card: the UID and nine zero bytes, enciphered as one block with the newest token key.
    ///
    /// # Errors
    /// [`KeySetError::NoKey`].
    pub fn token(&self, uid: &[u8; 7]) -> Result<CardToken, KeySetError> {
        let key = self.master(KeyRole::Token, self.newest(KeyRole::Token)?)?;
        let mut block = [0; 16];
        block[..7].copy_from_slice(uid);
        let mut block = block.into();
        Aes128Enc::new(key.expose_secret().into()).encrypt_block(&mut block);
        Ok(CardToken(block.into()))
    }

    /// The seed of the Ed25519 key that the program signs with, where its key file has one. It is no card key: a
    /// ceremony neither shares nor rolls it.
    #[must_use]
    pub fn signing_seed(&self) -> Option<&[u8; 32]> {
        self.signing_seed.as_deref()
    }

    /// The same set with the seed of a signing key, copied to where it is wiped.
    #[must_use]
    pub fn with_signing_seed(mut self, seed: &[u8; 32]) -> Self {
        self.signing_seed.insert(Zeroizing::default()).copy_from_slice(seed);
        self
    }

    pub(crate) fn keys(&self) -> &[MasterKey] {
        &self.keys
    }

    fn place(&self, role: KeyRole, version: u8) -> Result<usize, KeySetError> {
        let found = self.keys.iter().position(|key| (key.role, key.version) == (role, version));
        found.ok_or(KeySetError::NoVersion { role, version })
    }
}

fn diversified(master: &Key, input: &[u8; DIVERSIFICATION_INPUT_BYTES]) -> Key {
    diversify_aes128(master, input).expect("15 bytes are within the 31 of AN10922")
}

fn drawn(random: Random<'_>) -> Key {
    let mut bytes = Zeroizing::new([0; 16]);
    random(bytes.as_mut_slice());
    Key::new(*bytes)
}

impl PartialEq for KeySet {
    /// Compares keys in constant time.
    fn eq(&self, other: &Self) -> bool {
        let seeds = match (&self.signing_seed, &other.signing_seed) {
            (Some(one), Some(other)) => one.ct_eq(other.as_slice()).into(),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let same = |(one, other): (&MasterKey, &MasterKey)| {
            (one.role, one.version) == (other.role, other.version) && one.key == other.key
        };
        seeds
            && self.class == other.class
            && self.keys.len() == other.keys.len()
            && self.keys.iter().zip(&other.keys).map(same).fold(true, |all, same| all & same)
    }
}

impl Eq for KeySet {}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let contents: Vec<String> = self.contents().map(|(role, version)| format!("{role} {version}")).collect();
        f.debug_struct("KeySet").field("class", &self.class).field("keys", &contents).finish_non_exhaustive()
    }
}
