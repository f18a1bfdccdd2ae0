//! The card keys of a validator: key 2 (validate), and the token key that names cards in taps. It has no key that could
//! raise a balance, and none that could check a Transaction MAC.

use std::fs;
use std::path::Path;
use std::time::Duration;

use key_store::{Custody, KeyFiles, KeyRole, KeySource, KeyStore, Keys, SamKeyStore, SamTransport};
use reader::SamSlot;
use transit::config::{ConfigError, KeysClass};

/// Reads the keys that the configuration at `path` names: a key file, a credential in the folder `credentials`, or a
/// SAM, which is asked what it holds.
///
/// # Errors
/// [`ConfigError`]: keys of another class than `class`, keys that a validator must not have, or none.
pub fn load(
    path: &Path,
    source: &KeySource,
    credentials: Option<&Path>,
    class: KeysClass,
    exchange_deadline: Duration,
) -> Result<Keys, ConfigError> {
    let files = KeyFiles { configuration: path, credentials, read: &|path| fs::read_to_string(path) };
    if let Some(set) = source.read(&files, class, Custody::Validator)? {
        return Ok(set.into());
    }
    let KeySource::Sam { reader, entries } = source else {
        return Err(ConfigError::whole_file(path, "keys are in a file, in a credential or in a SAM"));
    };
    let refuse = |why: String| ConfigError::whole_file(path, format!("the SAM in \"{reader}\": {why}"));
    for role in KeyRole::ALL {
        match (entries.of(role).is_some(), Custody::Validator.roles().contains(&role)) {
            (true, false) => return Err(refuse(format!("a validator must not have the {role} key; remove its entry"))),
            (false, true) => return Err(refuse(format!("name the entry of the {role} key"))),
            (true, true) | (false, false) => {}
        }
    }
    let slot = SamSlot::new(reader, exchange_deadline).map_err(|error| refuse(error.to_string()))?;
    let sam = SamKeyStore::open(SamTransport::new(slot), entries).map_err(|error| refuse(error.to_string()))?;
    Ok(Keys::Sam(Box::new(sam)))
}

/// The live versions of the validate key, newest first.
pub(crate) fn versions(keys: &Keys) -> Vec<u8> {
    keys.versions(KeyRole::Validate)
}
