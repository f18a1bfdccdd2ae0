//! The key ceremony: files, paper and people around the functions of `key-store`.
//!
//! Secrets come from prompts and go to sealed files and to paper, never to the command line, to a log, or in the clear
//! to a disk. A file is never overwritten, but for a roll or a retirement, which writes the new file whole before it takes the old
//! one's place.

use std::fs::File;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use key_store::{
    Custody, Fingerprint, KeyFile, KeyRole, KeySet, KeySetError, OpenError, Origin, PaperError, PassphraseCost,
    SealedKeyFile, Share, ShareError, combine, split,
};
use tempfile::{NamedTempFile, PersistError};
use transit::config::{ConfigError, KeysClass};
use zeroize::Zeroizing;

use crate::config::text;
use crate::prompt::{self, NoPassphrase, Prompt};
use crate::signer::Signer;

/// Why a step of a ceremony was not made.
#[derive(Debug, thiserror::Error)]
pub enum CeremonyError {
    /// A file cannot be read, or is no key file.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// The file is there already.
    #[error("{} is there already; keys are never overwritten: name another file", .0.display())]
    Exists(PathBuf),
    /// The file cannot be written.
    #[error("{} cannot be written", path.display())]
    NotWritten {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Standard input or output fails.
    #[error("what is typed or printed does not come through")]
    Terminal(#[source] io::Error),
    /// No passphrase.
    #[error(transparent)]
    Passphrase(#[from] NoPassphrase),
    /// The sealed file does not open.
    #[error("{} does not open", path.display())]
    NotOpened {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: OpenError,
    },
    /// The keys in the clear cannot take part.
    #[error("{} is not sealed: a ceremony works on sealed files", .0.display())]
    NotSealed(PathBuf),
    /// The set lacks a key, or has too many versions of it.
    #[error(transparent)]
    Keys(#[from] KeySetError),
    /// Shares do not fit together.
    #[error(transparent)]
    Shares(#[from] ShareError),
    /// What was typed is no share.
    #[error("share {number}, as typed, is no share")]
    Paper {
        /// Which one, from 1, in the order of typing.
        number: usize,
        /// Why not.
        #[source]
        source: PaperError,
    },
}

/// A source of unpredictable bytes.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// The keys in a file of either kind.
///
/// # Errors
/// [`CeremonyError`]: no key file of this class, or it does not open.
pub fn open_keys(path: &Path, class: KeysClass, prompt: &mut Prompt) -> Result<KeySet, CeremonyError> {
    let contents = Zeroizing::new(text(path)?);
    match KeyFile::parse(path, &contents, origin_of(path), class)? {
        KeyFile::Plain(keys) => Ok(keys),
        KeyFile::Sealed(sealed) => open_sealed(path, &sealed, prompt),
    }
}

/// What systemd opened for this process lies in its credentials directory, in memory.
fn origin_of(path: &Path) -> Origin {
    match std::env::var_os("CREDENTIALS_DIRECTORY") {
        Some(folder) if path.starts_with(&folder) => Origin::Credential,
        Some(_) | None => Origin::Disk,
    }
}

fn open_sealed(path: &Path, sealed: &SealedKeyFile, prompt: &mut Prompt) -> Result<KeySet, CeremonyError> {
    let passphrase = prompt.passphrase(&format!("Passphrase of {}: ", path.display()))?;
    sealed.open(&passphrase).map_err(|source| CeremonyError::NotOpened { path: path.to_owned(), source })
}

fn read_sealed(path: &Path, prompt: &mut Prompt) -> Result<KeySet, CeremonyError> {
    let contents = Zeroizing::new(text(path)?);
    // Test keys in the clear say no format, and the message about them is better than one about a missing field.
    if let Ok(KeyFile::Plain(_)) = KeyFile::parse(path, &contents, Origin::Disk, KeysClass::Test) {
        return Err(CeremonyError::NotSealed(path.to_owned()));
    }
    open_sealed(path, &SealedKeyFile::parse(path, &contents)?, prompt)
}

/// Draws a key of every role and seals them.
///
/// # Errors
/// [`CeremonyError`].
pub fn generate(
    out: &Path,
    class: KeysClass,
    prompt: &mut Prompt,
    random: Random<'_>,
) -> Result<Vec<Fingerprint>, CeremonyError> {
    refuse_existing(out)?;
    let keys = KeySet::generate(class, random);
    seal_new(out, &keys, prompt, random)?;
    Ok(keys.fingerprints())
}

/// The text of each paper share.
///
/// # Errors
/// [`CeremonyError`].
pub fn split_keys(
    path: &Path,
    (needed, shares): (u8, u8),
    prompt: &mut Prompt,
    random: Random<'_>,
) -> Result<Vec<Zeroizing<String>>, CeremonyError> {
    let keys = read_sealed(path, prompt)?;
    Ok(split(&keys, needed, shares, random)?.iter().map(Share::to_paper).collect())
}

/// Reads paper shares from `input` until they suffice, and seals the keys.
///
/// # Errors
/// [`CeremonyError`].
pub fn combine_keys(
    input: &mut impl BufRead,
    out: &Path,
    prompt: &mut Prompt,
    random: Random<'_>,
) -> Result<Vec<Fingerprint>, CeremonyError> {
    refuse_existing(out)?;
    let mut shares: Vec<Share> = Vec::new();
    let keys = loop {
        if prompt::somebody_types() {
            prompt::tell(&format!("Type share {} line by line, then an empty line:", shares.len() + 1));
        }
        let number = shares.len() + 1;
        let typed = prompt::share(input).map_err(CeremonyError::Terminal)?;
        let Some(typed) = typed else { break combine(&shares)? };
        let share = Share::from_paper(&typed).map_err(|source| CeremonyError::Paper { number, source })?;
        let needed = usize::from(share.heading().needed);
        shares.push(share);
        if shares.len() >= needed {
            break combine(&shares)?;
        }
    };
    seal_new(out, &keys, prompt, random)?;
    Ok(keys.fingerprints())
}

/// Seals the part of the keys that `custody` holds into a new file. One for a desk, an issuer or the vault gets a signing
/// key of its own, whose public half comes back too: the clearing house lists those of desks, and validators and desks
/// are told the clearing house's.
///
/// # Errors
/// [`CeremonyError`].
pub fn export(
    path: &Path,
    custody: Custody,
    out: &Path,
    prompt: &mut Prompt,
    random: Random<'_>,
) -> Result<(Vec<Fingerprint>, Option<[u8; 32]>), CeremonyError> {
    refuse_existing(out)?;
    let mut part = read_sealed(path, prompt)?.export(custody)?;
    let mut public_key = None;
    if matches!(custody, Custody::Desk | Custody::Issuer | Custody::Vault) {
        let mut seed = Zeroizing::new([0; 32]);
        random(seed.as_mut_slice());
        public_key = Some(Signer::from_seed(&seed).public_key());
        part = part.with_signing_seed(&seed);
    }
    seal_new(out, &part, prompt, random)?;
    Ok((part.fingerprints(), public_key))
}

/// Adds a new version of a key to a sealed file. The passphrase that opened the file seals it again.
///
/// # Errors
/// [`CeremonyError`].
pub fn roll(
    path: &Path,
    role: KeyRole,
    prompt: &mut Prompt,
    random: Random<'_>,
) -> Result<Vec<Fingerprint>, CeremonyError> {
    change(path, prompt, random, |keys, random| keys.roll(role, random).map(drop))
}

/// Removes an older version of a key from a sealed file. The passphrase that opened the file seals it again.
///
/// # Errors
/// [`CeremonyError`].
pub fn retire(
    path: &Path,
    role: KeyRole,
    version: u8,
    prompt: &mut Prompt,
    random: Random<'_>,
) -> Result<Vec<Fingerprint>, CeremonyError> {
    change(path, prompt, random, |keys, _| keys.retire(role, version))
}

/// Changes the keys of a sealed file; the new file is whole before it takes the old one's place.
fn change(
    path: &Path,
    prompt: &mut Prompt,
    random: Random<'_>,
    change: impl FnOnce(&mut KeySet, Random<'_>) -> Result<(), KeySetError>,
) -> Result<Vec<Fingerprint>, CeremonyError> {
    let not_opened = |source| CeremonyError::NotOpened { path: path.to_owned(), source };
    let sealed = SealedKeyFile::parse(path, &Zeroizing::new(text(path)?))?;
    let passphrase = prompt.passphrase(&format!("Passphrase of {}: ", path.display()))?;
    let mut keys = sealed.open(&passphrase).map_err(not_opened)?;
    change(&mut keys, random)?;
    let mut salt = [0; 16];
    random(&mut salt);
    let changed = SealedKeyFile::seal(&keys, &passphrase, PassphraseCost::default(), salt).map_err(not_opened)?;
    write_whole(path, &changed, |file| file.persist(path).map(drop))?;
    Ok(keys.fingerprints())
}

/// The check values of the keys in a file of either kind and class.
///
/// # Errors
/// [`CeremonyError`].
pub fn show(path: &Path, prompt: &mut Prompt) -> Result<Vec<Fingerprint>, CeremonyError> {
    let contents = Zeroizing::new(text(path)?);
    let parse = |class| KeyFile::parse(path, &contents, origin_of(path), class);
    let file = match parse(KeysClass::Test) {
        Err(_) => parse(KeysClass::Production)?,
        test => test?,
    };
    Ok(match file {
        KeyFile::Plain(keys) => keys.fingerprints(),
        KeyFile::Sealed(sealed) => open_sealed(path, &sealed, prompt)?.fingerprints(),
    })
}

fn refuse_existing(path: &Path) -> Result<(), CeremonyError> {
    if path.exists() { Err(CeremonyError::Exists(path.to_owned())) } else { Ok(()) }
}

fn seal_new(path: &Path, keys: &KeySet, prompt: &mut Prompt, random: Random<'_>) -> Result<(), CeremonyError> {
    let passphrase = prompt.new_passphrase(&format!("A new passphrase for {}: ", path.display()))?;
    let mut salt = [0; 16];
    random(&mut salt);
    let sealed = SealedKeyFile::seal(keys, &passphrase, PassphraseCost::default(), salt)
        .map_err(|source| CeremonyError::NotOpened { path: path.to_owned(), source })?;
    write_whole(path, &sealed, |file| file.persist_noclobber(path).map(drop))
}

/// Readable by its owner alone, whole or not at all. A crash leaves at most a file beside it that nobody reads: sealed,
/// and under a name that is drawn anew each time, so that it stands in nobody's way.
fn write_whole(
    path: &Path,
    sealed: &SealedKeyFile,
    take_place: impl FnOnce(NamedTempFile) -> Result<(), PersistError>,
) -> Result<(), CeremonyError> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    };
    let write = || {
        let mut file = tempfile::Builder::new().prefix(".keys-").suffix(".unfinished").tempfile_in(folder)?;
        file.write_all(sealed.to_text().as_bytes())?;
        file.as_file().sync_all()?;
        take_place(file)?;
        // The name is durable with its folder.
        File::open(folder)?.sync_all()
    };
    write().map_err(|source| {
        if source.kind() == io::ErrorKind::AlreadyExists {
            CeremonyError::Exists(path.to_owned())
        } else {
            CeremonyError::NotWritten { path: path.to_owned(), source }
        }
    })
}
