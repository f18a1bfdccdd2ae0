//! Master keys: where they are kept, who holds which, and the ceremony that makes them.
//!
//! Nothing here does input or output, reads a clock or draws a random number: whoever calls reads the files, brings
//! the randomness and carries the APDUs.
//!
//! ```
//! use key_store::{Custody, KeySet, Passphrase, PassphraseCost, SealedKeyFile, combine, split};
//! use transit::config::KeysClass;
//!
//! # let mut next = 1_u8;
//! # let mut random = |bytes: &mut [u8]| bytes.fill_with(|| { next = next.wrapping_mul(5).wrapping_add(3); next });
//! # let passphrase = Passphrase::new("five words drawn by lot".to_owned().into())?;
//! # let salt = [7; 16];
//! let keys = KeySet::generate(KeysClass::Test, &mut random);
//! let shares = split(&keys, 3, 5, &mut random)?; // `to_paper`, and to five people
//! let desk = keys.export(Custody::Desk)?;
//! let file = SealedKeyFile::seal(&desk, &passphrase, PassphraseCost::LEAST, salt)?; // `to_text`, and to the desk
//!
//! assert!(combine(&shares[1..4])? == keys);
//! assert!(file.open(&passphrase)? == desk);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod custody;
pub mod fingerprint;
pub mod key_file;
pub mod key_set;
pub mod paper;
pub mod passphrase;
mod plain;
pub mod role;
pub mod sam;
mod sam_command;
mod sam_holder;
mod sam_key_entry;
pub mod sealed;
pub mod share;
pub mod source;
pub mod store;

pub use custody::Custody;
pub use fingerprint::Fingerprint;
pub use key_file::{KeyFile, Origin};
pub use key_set::{KeySet, KeySetError, LIVE_VERSIONS, Random};
pub use paper::PaperError;
pub use passphrase::Passphrase;
pub use role::KeyRole;
pub use sam::{SamEntries, SamError, SamKeyStore};
pub use sam_holder::SamHolder;
pub use sealed::{OpenError, PassphraseCost, SealedKeyFile};
pub use share::{Share, ShareError, combine, split};
pub use source::{KeyFiles, KeySource};
pub use store::{KeyStore, KeyStoreError, Keys, KeysHolder, SamTransport};
