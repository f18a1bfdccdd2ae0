//! The clearing house as a whole: its books and what it is told from outside.

use std::net::SocketAddr;
use std::path::Path;

use crate::config::Config;
use crate::store::{BackupError, Store, StoreError};

/// The books with the rules by which they are kept. Its verbs are beside their subject: [`receive`](Self::receive)
/// in [`ingest`](crate::ingest), [`answer`](Self::answer) in [`desk`](crate::desk), [`settle`](Self::settle) in [`closing`](crate::closing), [`verify`](Self::verify)
/// in [`verify`](crate::verify), [`status`](Self::status) in [`status`](crate::status).
#[derive(Debug)]
pub struct ClearingHouse {
    pub(crate) store: Store,
    pub(crate) config: Config,
}

impl ClearingHouse {
    /// Opens the books that `config` names, after a look at every page of them.
    ///
    /// # Errors
    /// [`StoreError`] where they cannot be opened or are damaged.
    pub fn open(config: Config) -> Result<Self, StoreError> {
        Ok(Self { store: Store::open(&config.database)?, config })
    }

    /// The same without the look: for reports.
    ///
    /// # Errors
    /// [`StoreError`] where they cannot be opened.
    pub fn open_unchecked(config: Config) -> Result<Self, StoreError> {
        Ok(Self { store: Store::open_unchecked(&config.database)?, config })
    }

    /// Writes the books as they are at one moment to the new file `path`, while others may read and write them.
    ///
    /// # Errors
    /// [`BackupError`]; no file of that name is left then.
    pub fn back_up(&self, path: &Path) -> Result<(), BackupError> {
        self.store.back_up(path)
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
