//! The clearing house as a whole: its books and what it is told from outside.

use std::net::SocketAddr;

use crate::config::Config;
use crate::store::{Store, StoreError};

/// The books with the rules by which they are kept. Its verbs are beside their subject: [`receive`](Self::receive)
/// in [`ingest`](crate::ingest), [`answer`](Self::answer) in [`desk`](crate::desk), [`settle`](Self::settle) in [`closing`](crate::closing), [`verify`](Self::verify)
/// in [`verify`](crate::verify), [`status`](Self::status) in [`status`](crate::status).
#[derive(Debug)]
pub struct ClearingHouse {
    pub(crate) store: Store,
    pub(crate) config: Config,
}

impl ClearingHouse {
    /// Opens the books that `config` names.
    ///
    /// # Errors
    /// [`StoreError`] where they cannot be opened.
    pub fn open(config: Config) -> Result<Self, StoreError> {
        Ok(Self { store: Store::open(&config.database)?, config })
    }

    /// Where the configuration says that uploads are taken.
    pub fn listen(&self) -> SocketAddr {
        self.config.listen
    }

    /// What validators check acknowledgements with: an Ed25519 public key.
    pub fn public_key(&self) -> [u8; 32] {
        self.config.signer.public_key()
    }

    /// Whether the books can be read.
    pub fn is_readable(&mut self) -> bool {
        self.store.view().is_ok_and(|books| books.last_entry().is_ok())
    }
}
