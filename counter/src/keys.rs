//! The desk's keys, from where its configuration says that they are.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use card_crypto::originality::{InvalidOriginalityKey, OriginalityKey};
use key_store::store::SamTransport;
use key_store::{KeySet, KeySource, Keys, SamError, SamKeyStore};
use reader::{NoCard, SamSlot};
use transit::config::ConfigError;

use crate::ceremony::{CeremonyError, open_keys};
use crate::config::DeskConfig;
use crate::prompt::Prompt;
use crate::signer::Signer;

/// Why a desk has no keys.
#[derive(Debug, thiserror::Error)]
pub enum NoKeys {
    /// The key file does not open.
    #[error(transparent)]
    File(#[from] CeremonyError),
    /// The SAM's reader is not there.
    #[error("the reader of the SAM cannot be used")]
    Reader(#[from] NoCard),
    /// The SAM is not set up.
    #[error("the SAM cannot be used")]
    Sam(#[from] SamError),
    /// The desk cannot sign.
    #[error(
        "the keys hold no signing key: `counter keys export --to desk` makes a file with one; with a SAM, name such a \
         file as `signing_key`"
    )]
    NoSigningKey,
    /// The test originality key is no point.
    #[error("test_originality_key in {}", .0.display())]
    OriginalityKey(PathBuf, #[source] InvalidOriginalityKey),
}

/// The card keys and the signing key that the configuration at `path` names.
///
/// # Errors
/// [`NoKeys`].
pub fn load(path: &Path, config: &DeskConfig, prompt: &mut Prompt) -> Result<(Keys, Signer), NoKeys> {
    let from_files = |source: &KeySource, prompt: &mut Prompt| -> Result<Option<KeySet>, NoKeys> {
        let file = match source {
            KeySource::File { file, passphrase_credential: None } => path.parent().unwrap_or(Path::new("")).join(file),
            KeySource::File { file, passphrase_credential: Some(name) } => {
                // The credential holds the passphrase: as if it were typed.
                let file = path.parent().unwrap_or(Path::new("")).join(file);
                let mut typed = Prompt::from_file(&credential(path, name)?).map_err(CeremonyError::from)?;
                return Ok(Some(open_keys(&file, config.keys_class, &mut typed)?));
            }
            KeySource::Credential(name) => credential(path, name)?,
            KeySource::Sam { .. } => return Ok(None),
        };
        Ok(Some(open_keys(&file, config.keys_class, prompt)?))
    };
    let signer_of = |keys: &KeySet| keys.signing_seed().map(Signer::from_seed).ok_or(NoKeys::NoSigningKey);
    if let KeySource::Sam { reader, entries } = &config.keys {
        let signing = config.signing_key.as_ref().ok_or(NoKeys::NoSigningKey)?;
        let signer = signer_of(&from_files(signing, prompt)?.ok_or(NoKeys::NoSigningKey)?)?;
        let slot = SamSlot::new(reader, Duration::from_millis(config.limits.exchange_deadline_ms))?;
        let sam = SamKeyStore::open(SamTransport::new(slot), entries)?;
        return Ok((Keys::Sam(Box::new(sam)), signer));
    }
    let keys = from_files(&config.keys, prompt)?.ok_or(NoKeys::NoSigningKey)?;
    let signer = signer_of(&keys)?;
    Ok((Keys::InMemory(keys), signer))
}

fn credential(path: &Path, name: &str) -> Result<PathBuf, CeremonyError> {
    let folder = env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
        let why = format!("the credential `{name}` is missing: start the program from its systemd unit");
        ConfigError::whole_file(path, why)
    })?;
    Ok(Path::new(&folder).join(name))
}

/// The keys under which chips are genuine: NXP's, and in class `test` the one that the configuration adds.
///
/// # Errors
/// [`NoKeys::OriginalityKey`].
pub fn originality_keys(path: &Path, config: &DeskConfig) -> Result<Vec<OriginalityKey>, NoKeys> {
    let mut keys = OriginalityKey::nxp_desfire();
    if let Some(digits) = &config.test_originality_key {
        let refuse = |error| NoKeys::OriginalityKey(path.to_owned(), error);
        let mut point = [0; 57];
        hex::decode_to_slice(digits, &mut point).map_err(|_| refuse(InvalidOriginalityKey))?;
        keys.push(OriginalityKey::new(&point).map_err(refuse)?);
    }
    Ok(keys)
}
