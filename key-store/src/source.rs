//! Where a configuration says that a program's keys are.
//!
//! ```toml
//! keys = "test-keys.toml"                                                          # test keys in the clear
//! keys = { file = "keys.sealed.toml", passphrase_credential = "keys-passphrase" }  # sealed with a passphrase
//! keys = { credential = "keys" }                                                   # opened by systemd into memory
//! keys = { sam_reader = "…", entries = { validate = 2, token = 3 } }               # in a SAM
//! ```

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use transit::config::{ConfigError, KeysClass};
use zeroize::Zeroizing;

use crate::custody::Custody;
use crate::key_file::{KeyFile, Origin};
use crate::key_set::KeySet;
use crate::passphrase::Passphrase;
use crate::role::KeyRole;
use crate::sam::SamEntries;

/// Where keys are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// In a key file. A sealed one is opened with a passphrase that systemd brings as the credential of this name.
    File {
        /// The file, relative to the configuration.
        file: PathBuf,
        /// The credential that holds the passphrase; a file in the clear needs none.
        passphrase_credential: Option<String>,
    },
    /// In a credential of this name: a key file that systemd opened into memory (`LoadCredentialEncrypted=`).
    Credential(String),
    /// In a SAM.
    Sam {
        /// The exact PC/SC name of the reader that it is in.
        reader: String,
        /// Which of its entries hold which keys.
        entries: SamEntries,
    },
}

/// What a program lends, so that its keys can be read.
pub struct KeyFiles<'a> {
    /// The configuration file, from which relative paths stand.
    pub configuration: &'a Path,
    /// The folder of the unit's credentials (`$CREDENTIALS_DIRECTORY`), where there is one.
    pub credentials: Option<&'a Path>,
    /// Reads a text file.
    pub read: &'a dyn Fn(&Path) -> io::Result<String>,
}

impl KeySource {
    /// Reads the keys of a file or a credential: of `class`, and exactly those that `custody` holds.
    ///
    /// `None` when they are in a SAM: open that with [`SamKeyStore::open`](crate::SamKeyStore::open).
    ///
    /// # Errors
    /// [`ConfigError`] with the path and what would be right.
    pub fn read(
        &self,
        files: &KeyFiles<'_>,
        class: KeysClass,
        custody: Custody,
    ) -> Result<Option<KeySet>, ConfigError> {
        let (path, origin, passphrase) = match self {
            Self::File { file, passphrase_credential } => {
                let folder = files.configuration.parent().unwrap_or(Path::new(""));
                (folder.join(file), Origin::Disk, passphrase_credential.as_deref())
            }
            Self::Credential(name) => (files.credential(name)?, Origin::Credential, None),
            Self::Sam { .. } => return Ok(None),
        };
        let refuse = |message: String| ConfigError::whole_file(&path, message);
        let text = files.text(&path)?;
        let set = match KeyFile::parse(&path, &text, origin, class)? {
            KeyFile::Plain(set) => set,
            KeyFile::Sealed(file) => {
                let credential = passphrase.ok_or_else(|| {
                    refuse(
                        "this file is sealed: name the credential with its passphrase, `passphrase_credential`".into(),
                    )
                })?;
                let passphrase = Passphrase::typed(files.text(&files.credential(credential)?)?);
                file.open(&passphrase).map_err(|error| refuse(error.to_string()))?
            }
        };
        custody.check(&set).map_err(|error| refuse(error.to_string()))?;
        Ok(Some(set))
    }
}

impl KeyFiles<'_> {
    fn credential(&self, name: &str) -> Result<PathBuf, ConfigError> {
        let refuse = |message| ConfigError::whole_file(self.configuration, message);
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Err(refuse(format!("`{name}` is no name of a credential")));
        }
        let folder = self.credentials.ok_or_else(|| {
            refuse(format!("the credential `{name}` is missing: start the program from its systemd unit"))
        })?;
        Ok(folder.join(name))
    }

    fn text(&self, path: &Path) -> Result<Zeroizing<String>, ConfigError> {
        let text = (self.read)(path).map_err(|error| ConfigError::whole_file(path, format!("cannot be read: {error}")));
        text.map(Zeroizing::new)
    }
}

impl fmt::Debug for KeyFiles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { configuration, credentials, .. } = self;
        f.debug_struct("KeyFiles")
            .field("configuration", configuration)
            .field("credentials", credentials)
            .finish_non_exhaustive()
    }
}

/// A key set is not what its place holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotForCustody {
    /// It holds a key that does not belong there.
    #[error("it holds the {role} key, which the {custody} must not have: export a file for the {custody}")]
    TooMuch {
        /// The place.
        custody: Custody,
        /// The key.
        role: KeyRole,
    },
    /// It lacks a key.
    #[error("it lacks the {role} key: export a file for the {custody}")]
    TooLittle {
        /// The place.
        custody: Custody,
        /// The key.
        role: KeyRole,
    },
}

impl Custody {
    /// Whether a set is exactly what this place holds: no key too many, none too few.
    ///
    /// # Errors
    /// [`NotForCustody`].
    pub fn check(self, set: &KeySet) -> Result<(), NotForCustody> {
        let holds = |role| self.roles().contains(&role);
        if let Some((role, _)) = set.contents().find(|(role, _)| !holds(*role)) {
            return Err(NotForCustody::TooMuch { custody: self, role });
        }
        match self.roles().iter().find(|role| set.versions(**role).is_empty()) {
            Some(&role) => Err(NotForCustody::TooLittle { custody: self, role }),
            None => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for KeySource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SourceVisitor)
    }
}

struct SourceVisitor;

const FIELDS: &[&str] = &["file", "passphrase_credential", "credential", "sam_reader", "entries"];

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = KeySource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key file's path, or a table with `file`, `credential` or `sam_reader`")
    }

    fn visit_str<E: de::Error>(self, path: &str) -> Result<KeySource, E> {
        Ok(KeySource::File { file: path.into(), passphrase_credential: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<KeySource, A::Error> {
        let (mut file, mut passphrase_credential, mut credential, mut reader, mut entries) =
            (None, None, None, None, None);
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "file" => file = Some(map.next_value()?),
                "passphrase_credential" => passphrase_credential = Some(map.next_value()?),
                "credential" => credential = Some(map.next_value()?),
                "sam_reader" => reader = Some(map.next_value()?),
                "entries" => entries = Some(map.next_value()?),
                _ => return Err(de::Error::unknown_field(&name, FIELDS)),
            }
        }
        match (file, passphrase_credential, credential, reader, entries) {
            (Some(file), passphrase_credential, None, None, None) => {
                Ok(KeySource::File { file, passphrase_credential })
            }
            (None, None, Some(name), None, None) => Ok(KeySource::Credential(name)),
            (None, None, None, Some(reader), Some(entries)) => Ok(KeySource::Sam { reader, entries }),
            _ => Err(de::Error::custom(
                "keys have one place: `file` (with `passphrase_credential` if it is sealed), `credential`, or \
                 `sam_reader` with `entries`",
            )),
        }
    }
}
