//! One way to use keys, wherever they are kept.

use card_crypto::auth::{AuthenticationError, KeyHolder, MemoryKey, Opened};
use card_crypto::channel::SessionKeys;
use card_crypto::{Error, Key, Lost, Transport};
use transit::id::CardToken;
use zeroize::Zeroizing;

use crate::key_set::{KeySet, KeySetError};
use crate::role::KeyRole;
use crate::sam::{SamError, SamKeyStore};
use crate::sam_holder::SamHolder;

/// Master keys that a program uses and need not see: in its memory ([`KeySet`]) or in a secure access module
/// ([`SamKeyStore`]).
pub trait KeyStore {
    /// What proves one card's key to that card.
    type Holder<'a>: KeyHolder<Error = KeyStoreError>
    where
        Self: 'a;

    /// The live versions of a role, newest first; none where the store lacks the key.
    fn versions(&self, role: KeyRole) -> Vec<u8>;

    /// The holder of one card's own key, for one handshake. `rnd_a` must be unpredictable and fresh; a SAM draws its
    /// own.
    ///
    /// # Errors
    /// [`KeyStoreError`].
    fn holder(
        &mut self,
        role: KeyRole,
        version: u8,
        uid: &[u8; 7],
        rnd_a: [u8; 16],
    ) -> Result<Self::Holder<'_>, KeyStoreError>;

    /// One card's own key, to put it on the card.
    ///
    /// # Errors
    /// [`KeyStoreError`].
    fn card_key(&mut self, role: KeyRole, version: u8, uid: &[u8; 7]) -> Result<Key, KeyStoreError>;

    /// How often the key of `role` may still be used; `None` where nothing limits it. Only a SAM counts uses.
    ///
    /// # Errors
    /// [`KeyStoreError`].
    fn uses_left(&mut self, role: KeyRole) -> Result<Option<u32>, KeyStoreError>;

    /// What taps call the card.
    ///
    /// # Errors
    /// [`KeyStoreError`].
    fn token(&mut self, uid: &[u8; 7]) -> Result<CardToken, KeyStoreError>;
}

/// Why a store does not do its part. A card is never to blame for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyStoreError {
    /// The keys that it holds do not allow it.
    #[error(transparent)]
    Keys(#[from] KeySetError),
    /// The secure access module did not do it.
    #[error(transparent)]
    Sam(#[from] SamError),
}

impl KeyStore for KeySet {
    type Holder<'a> = CardKeyHolder;

    fn versions(&self, role: KeyRole) -> Vec<u8> {
        Self::versions(self, role)
    }

    fn holder(
        &mut self,
        role: KeyRole,
        version: u8,
        uid: &[u8; 7],
        rnd_a: [u8; 16],
    ) -> Result<CardKeyHolder, KeyStoreError> {
        Ok(CardKeyHolder { key: Self::card_key(self, role, version, uid)?, rnd_a: Zeroizing::new(rnd_a) })
    }

    fn card_key(&mut self, role: KeyRole, version: u8, uid: &[u8; 7]) -> Result<Key, KeyStoreError> {
        Ok(Self::card_key(self, role, version, uid)?)
    }

    fn uses_left(&mut self, _: KeyRole) -> Result<Option<u32>, KeyStoreError> {
        Ok(None)
    }

    fn token(&mut self, uid: &[u8; 7]) -> Result<CardToken, KeyStoreError> {
        Ok(Self::token(self, uid)?)
    }
}

/// One card's own key, derived in this process.
pub struct CardKeyHolder {
    key: Key,
    rnd_a: Zeroizing<[u8; 16]>,
}

impl CardKeyHolder {
    fn memory_key(&self) -> MemoryKey<'_> {
        MemoryKey::new(&self.key, *self.rnd_a)
    }
}

impl std::fmt::Debug for CardKeyHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CardKeyHolder(..)")
    }
}

/// A key in memory cannot fail.
fn of_the_card(error: AuthenticationError<std::convert::Infallible>) -> AuthenticationError<KeyStoreError> {
    match error {
        AuthenticationError::Card(error) => AuthenticationError::Card(error),
        AuthenticationError::Holder(never) => match never {},
    }
}

impl KeyHolder for CardKeyHolder {
    type Error = KeyStoreError;

    fn authenticate_aes(
        self,
        challenge: &[u8; 16],
        card: impl FnOnce(&[u8; 32]) -> Result<[u8; 16], Error>,
    ) -> Result<Key, AuthenticationError<KeyStoreError>> {
        self.memory_key().authenticate_aes(challenge, card).map_err(of_the_card)
    }

    fn authenticate_ev2_first(
        self,
        challenge: &[u8; 16],
        card: impl FnOnce(&[u8; 32]) -> Result<[u8; 32], Error>,
    ) -> Result<Opened, AuthenticationError<KeyStoreError>> {
        self.memory_key().authenticate_ev2_first(challenge, card).map_err(of_the_card)
    }

    fn authenticate_ev2_non_first(
        self,
        challenge: &[u8; 16],
        card: impl FnOnce(&[u8; 32]) -> Result<[u8; 16], Error>,
    ) -> Result<SessionKeys, AuthenticationError<KeyStoreError>> {
        self.memory_key().authenticate_ev2_non_first(challenge, card).map_err(of_the_card)
    }
}

/// The keys of a program that leaves it to its configuration where they are kept.
#[derive(Debug)]
pub enum Keys {
    /// In its memory.
    InMemory(KeySet),
    /// In a secure access module.
    Sam(Box<SamKeyStore<SamTransport>>),
}

impl From<KeySet> for Keys {
    fn from(keys: KeySet) -> Self {
        Self::InMemory(keys)
    }
}

/// Whatever carries APDUs to a secure access module.
pub struct SamTransport(Box<dyn Transport + Send>);

impl SamTransport {
    /// Carries APDUs through `transport`.
    pub fn new(transport: impl Transport + Send + 'static) -> Self {
        Self(Box::new(transport))
    }
}

impl std::fmt::Debug for SamTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SamTransport(..)")
    }
}

impl Transport for SamTransport {
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Lost> {
        self.0.exchange(command)
    }
}

/// The holder of a card's key that [`Keys`] gives.
#[derive(Debug)]
pub enum KeysHolder<'a> {
    /// The key is in memory.
    InMemory(CardKeyHolder),
    /// The key is in a secure access module.
    Sam(SamHolder<'a, SamTransport>),
}

impl KeyStore for Keys {
    type Holder<'a> = KeysHolder<'a>;

    fn versions(&self, role: KeyRole) -> Vec<u8> {
        match self {
            Self::InMemory(keys) => keys.versions(role),
            Self::Sam(sam) => sam.versions(role),
        }
    }

    fn holder(
        &mut self,
        role: KeyRole,
        version: u8,
        uid: &[u8; 7],
        rnd_a: [u8; 16],
    ) -> Result<KeysHolder<'_>, KeyStoreError> {
        match self {
            Self::InMemory(keys) => keys.holder(role, version, uid, rnd_a).map(KeysHolder::InMemory),
            Self::Sam(sam) => sam.holder(role, version, uid, rnd_a).map(KeysHolder::Sam),
        }
    }

    fn card_key(&mut self, role: KeyRole, version: u8, uid: &[u8; 7]) -> Result<Key, KeyStoreError> {
        match self {
            Self::InMemory(keys) => KeyStore::card_key(keys, role, version, uid),
            Self::Sam(sam) => sam.card_key(role, version, uid),
        }
    }

    fn uses_left(&mut self, role: KeyRole) -> Result<Option<u32>, KeyStoreError> {
        match self {
            Self::InMemory(keys) => keys.uses_left(role),
            Self::Sam(sam) => sam.uses_left(role),
        }
    }

    fn token(&mut self, uid: &[u8; 7]) -> Result<CardToken, KeyStoreError> {
        match self {
            Self::InMemory(keys) => KeyStore::token(keys, uid),
            Self::Sam(sam) => sam.token(uid),
        }
    }
}

impl KeyHolder for KeysHolder<'_> {
    type Error = KeyStoreError;

    fn authenticate_aes(
        self,
        challenge: &[u8; 16],
        card: impl FnOnce(&[u8; 32]) -> Result<[u8; 16], Error>,
    ) -> Result<Key, AuthenticationError<KeyStoreError>> {
        match self {
            Self::InMemory(holder) => holder.authenticate_aes(challenge, card),
            Self::Sam(holder) => holder.authenticate_aes(challenge, card),
        }
    }

    fn authenticate_ev2_first(
        self,
        challenge: &[u8; 16],
        card: impl FnOnce(&[u8; 32]) -> Result<[u8; 32], Error>,
    ) -> Result<Opened, AuthenticationError<KeyStoreError>> {
        match self {
            Self::InMemory(holder) => holder.authenticate_ev2_first(challenge, card),
            Self::Sam(holder) => holder.authenticate_ev2_first(challenge, card),
        }
    }

    fn authenticate_ev2_non_first(
        self,
        challenge: &[u8; 16],
        card: impl FnOnce(&[u8; 32]) -> Result<[u8; 16], Error>,
    ) -> Result<SessionKeys, AuthenticationError<KeyStoreError>> {
        match self {
            Self::InMemory(holder) => holder.authenticate_ev2_non_first(challenge, card),
            Self::Sam(holder) => holder.authenticate_ev2_non_first(challenge, card),
        }
    }
}
