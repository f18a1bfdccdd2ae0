//! A key file of either kind, and what may be loaded from where.

use std::path::Path;

use serde::Deserialize;
use transit::config::{ConfigError, KeysClass};

use crate::key_set::KeySet;
use crate::plain;
use crate::sealed::SealedKeyFile;

/// A key file, read.
#[derive(Debug)]
pub enum KeyFile {
    /// In the clear.
    Plain(KeySet),
    /// Sealed with a passphrase.
    Sealed(SealedKeyFile),
}

/// Where the text of a key file came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A disk. What lies there in the clear can only be test keys.
    Disk,
    /// A credential that systemd opened into memory for this process alone (`LoadCredentialEncrypted=`).
    Credential,
}

impl KeyFile {
    /// Reads the `text` of a key file whose keys must be of `class`.
    ///
    /// # Errors
    /// [`ConfigError`]: no key file, keys of another class, or production keys in the clear on a disk.
    pub fn parse(path: &Path, text: &str, origin: Origin, class: KeysClass) -> Result<Self, ConfigError> {
        #[derive(Deserialize)]
        struct Kind {
            format: Option<String>,
        }
        let kind: Kind = transit::config::parse(path, text)?;
        let file = match kind.format {
            Some(_) => Self::Sealed(SealedKeyFile::parse(path, text)?),
            None => Self::Plain(plain::parse(path, text)?),
        };
        if file.class() != class {
            let found = file.class();
            let message = format!("these are {found:?} keys, and the configuration lets only {class:?} keys load");
            return Err(ConfigError::whole_file(path, message));
        }
        match (&file, origin, class) {
            (Self::Plain(_), Origin::Disk, KeysClass::Production) => Err(ConfigError::whole_file(
                path,
                "production keys lie here in the clear: take them away, roll them, and keep the new ones in a sealed \
                 file, a systemd credential or a SAM (docs/keys.md)",
            )),
            (Self::Plain(_) | Self::Sealed(_), Origin::Disk | Origin::Credential, _) => Ok(file),
        }
    }

    /// The class of the keys.
    #[must_use]
    pub fn class(&self) -> KeysClass {
        match self {
            Self::Plain(set) => set.class(),
            Self::Sealed(file) => file.class(),
        }
    }
}
