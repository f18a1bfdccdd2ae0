//! Key files sealed with a passphrase.
//!
//! ```toml
//! format = "cham-sealed-keys-1"
//! class = "production"
//! keys = ["validate 1", "token 1"]
//! signing_seed = false
//! passphrase_check = "…"    # 16 bytes: tells a wrong passphrase from a damaged file
//! aes_256_gcm = "…"         # the keys in the order of `keys`, then the seed, then the tag
//!
//! [argon2id]                # RFC 9106
//! memory_kib = 65536
//! passes = 3
//! lanes = 4
//! salt = "…"                # 16 bytes, new for each sealing
//! ```
//!
//! Argon2id makes 48 bytes of passphrase and salt: the key of AES-256-GCM and the check. The salt is new each time, so
//! that a key seals one file and its nonce may be zero. Everything in the clear is authenticated with the keys: a file
//! whose class, roles, versions or parameters were changed does not open.

use std::fmt::{self, Write as _};
use std::path::Path;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use card_crypto::Key;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde::Deserialize;
use subtle::ConstantTimeEq;
use transit::config::{ConfigError, KeysClass};
use zeroize::{Zeroize, Zeroizing};

use crate::key_set::KeySet;
use crate::passphrase::Passphrase;
use crate::plain::class_name;
use crate::role::KeyRole;

/// The first line of a sealed file.
pub(crate) const FORMAT: &str = "cham-sealed-keys-1";

const KEY_BYTES: usize = 16;
const SEED_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
const CHECK_BYTES: usize = 16;
const SALT_BYTES: usize = 16;
/// The key of AES-256-GCM and the check.
const DERIVED_BYTES: usize = 32 + CHECK_BYTES;
const NONCE: [u8; 12] = [0; 12];

/// A sealed key file: what can be said of it without the passphrase, and what cannot.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedKeyFile {
    class: KeysClass,
    contents: Vec<(KeyRole, u8)>,
    has_signing_seed: bool,
    cost: PassphraseCost,
    salt: [u8; SALT_BYTES],
    check: [u8; CHECK_BYTES],
    ciphertext: Vec<u8>,
}

/// What one guess of a passphrase costs: the parameters of Argon2id (RFC 9106, section 3.1).
///
/// A file says its own, within limits: at least what OWASP asks for today (19 MiB, two passes), so that a file is
/// worth opening, and at most 256 MiB, ten passes and four lanes, so that a hostile one cannot take a device's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassphraseCost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// The cost of a passphrase is outside what a sealed file may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "argon2id takes 19456 to 262144 KiB, 2 to 10 passes and 1 to 4 lanes, not {memory_kib} KiB, {passes} and {lanes}"
)]
pub struct CostOutOfRange {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl PassphraseCost {
    /// The least that a file may cost: for tests, and for machines with little memory.
    pub const LEAST: Self = Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 };

    /// A cost.
    ///
    /// # Errors
    /// [`CostOutOfRange`].
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, CostOutOfRange> {
        let in_range = (Self::LEAST.memory_kib..=256 * 1024).contains(&memory_kib)
            && (Self::LEAST.passes..=10).contains(&passes)
            && (Self::LEAST.lanes..=4).contains(&lanes);
        if in_range {
            Ok(Self { memory_kib, passes, lanes })
        } else {
            Err(CostOutOfRange { memory_kib, passes, lanes })
        }
    }
}

impl Default for PassphraseCost {
    /// The second recommendation of RFC 9106, section 4: 64 MiB, three passes, four lanes.
    fn default() -> Self {
        Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 }
    }
}

/// Why a sealed file does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The passphrase is not the one that it was sealed with, or the parameters of its header are not.
    #[error("the passphrase is wrong (or the file's [argon2id] was changed)")]
    WrongPassphrase,
    /// The passphrase is right; the file is not what was sealed.
    #[error("the passphrase is right and the file is not what was sealed: restore it from its backup")]
    Changed,
    /// The machine cannot give what the file's parameters ask for.
    #[error("there is no memory for the file's argon2id parameters")]
    NoMemory,
}

impl SealedKeyFile {
    /// Seals `set`. `salt` must be unpredictable and new for each call.
    ///
    /// # Errors
    /// [`OpenError::NoMemory`].
    pub fn seal(
        set: &KeySet,
        passphrase: &Passphrase,
        cost: PassphraseCost,
        salt: [u8; SALT_BYTES],
    ) -> Result<Self, OpenError> {
        let mut file = Self {
            class: set.class(),
            contents: set.contents().collect(),
            has_signing_seed: set.signing_seed().is_some(),
            cost,
            salt,
            check: [0; CHECK_BYTES],
            ciphertext: Vec::new(),
        };
        let derived = file.derive(passphrase)?;
        file.check = derived.check;

        let mut secrets = Zeroizing::new(Vec::with_capacity(file.secret_bytes() + TAG_BYTES));
        for key in set.keys() {
            secrets.extend_from_slice(key.key.expose_secret());
        }
        secrets.extend_from_slice(set.signing_seed().map_or(&[], |seed| seed.as_slice()));
        derived.seal(&file.header(), &mut secrets);
        // From here on these bytes are no secret any more.
        file.ciphertext.extend_from_slice(&secrets);
        Ok(file)
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, passphrase: &Passphrase) -> Result<KeySet, OpenError> {
        let derived = self.derive(passphrase)?;
        if !bool::from(derived.check.ct_eq(&self.check)) {
            return Err(OpenError::WrongPassphrase);
        }
        let mut secrets = Zeroizing::new(self.ciphertext.clone());
        let opened = derived.open(&self.header(), &mut secrets).ok_or(OpenError::Changed)?;

        let mut set = KeySet::new(self.class);
        let (keys, seed) = opened.split_at_checked(self.contents.len() * KEY_BYTES).ok_or(OpenError::Changed)?;
        for (&(role, version), key) in self.contents.iter().zip(keys.as_chunks::<KEY_BYTES>().0) {
            set.insert(role, version, Key::new(*key)).map_err(|_| OpenError::Changed)?;
        }
        match <&[u8; SEED_BYTES]>::try_from(seed) {
            Ok(seed) if self.has_signing_seed => Ok(set.with_signing_seed(seed)),
            Err(_) if !self.has_signing_seed && seed.is_empty() => Ok(set),
            Ok(_) | Err(_) => Err(OpenError::Changed),
        }
    }

    /// The class of the keys; sealed with them.
    #[must_use]
    pub fn class(&self) -> KeysClass {
        self.class
    }

    /// The roles and versions of its keys, newest first within a role.
    pub fn contents(&self) -> impl Iterator<Item = (KeyRole, u8)> + '_ {
        self.contents.iter().copied()
    }

    /// The text of the file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let write = |text: &mut String| -> fmt::Result {
            let contents: Vec<String> =
                self.contents.iter().map(|(role, version)| format!("\"{role} {version}\"")).collect();
            writeln!(text, "format = \"{FORMAT}\"")?;
            writeln!(text, "class = \"{}\"", class_name(self.class))?;
            writeln!(text, "keys = [{}]", contents.join(", "))?;
            writeln!(text, "signing_seed = {}", self.has_signing_seed)?;
            writeln!(text, "passphrase_check = \"{}\"", hex::encode(self.check))?;
            writeln!(text, "aes_256_gcm = \"{}\"", hex::encode(&self.ciphertext))?;
            let PassphraseCost { memory_kib, passes, lanes } = self.cost;
            writeln!(text, "\n[argon2id]\nmemory_kib = {memory_kib}\npasses = {passes}\nlanes = {lanes}")?;
            writeln!(text, "salt = \"{}\"", hex::encode(self.salt))
        };
        write(&mut text).expect("a string takes what is written to it");
        text
    }

    /// Reads the text of a file; opens nothing.
    ///
    /// # Errors
    /// [`ConfigError`] with `path`, the line where one is to blame, and what would be right.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let file: FileText = transit::config::parse(path, text)?;
        let refuse = |message: String| ConfigError::whole_file(path, message);
        if file.format != FORMAT {
            return Err(refuse(format!("`format` is \"{FORMAT}\"; this program knows no other")));
        }
        let mut contents = Vec::with_capacity(file.keys.len());
        for key in &file.keys {
            let (role, version) = key.split_once(' ').unwrap_or((key, ""));
            let role = role.parse().map_err(|error| refuse(format!("`keys`: {error}")))?;
            let version = version.parse();
            let version = version.map_err(|_| refuse(format!("`keys`: `{key}` is a role, a space and a version")))?;
            contents.push((role, version));
        }
        let Argon2idText { memory_kib, passes, lanes, salt } = file.argon2id;
        let cost = PassphraseCost::new(memory_kib, passes, lanes).map_err(|error| refuse(error.to_string()))?;
        let sealed = Self {
            class: file.class,
            contents,
            has_signing_seed: file.signing_seed,
            cost,
            salt,
            check: file.passphrase_check,
            ciphertext: file.aes_256_gcm,
        };
        let (expected, found) = (sealed.secret_bytes() + TAG_BYTES, sealed.ciphertext.len());
        if found != expected {
            return Err(refuse(format!("`aes_256_gcm` has {found} bytes; keys and tag have {expected}")));
        }
        Ok(sealed)
    }

    fn secret_bytes(&self) -> usize {
        self.contents.len() * KEY_BYTES + if self.has_signing_seed { SEED_BYTES } else { 0 }
    }

    /// Everything in the clear that must not be changed, in one unambiguous run of bytes.
    fn header(&self) -> Vec<u8> {
        let mut header = FORMAT.as_bytes().to_vec();
        header.extend([class_code(self.class), u8::from(self.has_signing_seed)]);
        for parameter in [self.cost.memory_kib, self.cost.passes, self.cost.lanes] {
            header.extend(parameter.to_be_bytes());
        }
        header.extend(self.salt);
        header.extend(self.check);
        for &(role, version) in &self.contents {
            header.extend([role.code(), version]);
        }
        header
    }

    fn derive(&self, passphrase: &Passphrase) -> Result<Derived, OpenError> {
        let blocks = self.cost.parameters().block_count();
        let mut memory = Vec::new();
        memory.try_reserve_exact(blocks).map_err(|_| OpenError::NoMemory)?;
        memory.resize(blocks, Block::default());
        let derived = Derived::new(passphrase, &self.salt, self.cost, &mut memory);
        memory.iter_mut().for_each(Zeroize::zeroize);
        Ok(derived)
    }
}

impl PassphraseCost {
    fn parameters(self) -> Params {
        Params::new(self.memory_kib, self.passes, self.lanes, Some(DERIVED_BYTES))
            .expect("the limits of a cost lie within those of Argon2")
    }
}

/// What a passphrase and a salt give.
struct Derived {
    key: LessSafeKey,
    check: [u8; CHECK_BYTES],
}

impl Derived {
    fn new(passphrase: &Passphrase, salt: &[u8; SALT_BYTES], cost: PassphraseCost, memory: &mut [Block]) -> Self {
        let mut derived = Zeroizing::new([0; DERIVED_BYTES]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, cost.parameters())
            .hash_password_into_with_memory(passphrase.as_bytes(), salt, derived.as_mut_slice(), memory)
            .expect("passphrase, salt and output have lengths that Argon2 takes");
        let (key, check) = derived.split_at(DERIVED_BYTES - CHECK_BYTES);
        let key = UnboundKey::new(&AES_256_GCM, key).expect("AES-256 takes 32 bytes");
        Self { key: LessSafeKey::new(key), check: check.try_into().expect("16 bytes are left") }
    }

    fn seal(&self, header: &[u8], secrets: &mut Vec<u8>) {
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(NONCE), Aad::from(header), secrets)
            .expect("AES-256-GCM seals a few hundred bytes");
    }

    fn open<'a>(&self, header: &[u8], secrets: &'a mut [u8]) -> Option<&'a [u8]> {
        let opened = self.key.open_in_place(Nonce::assume_unique_for_key(NONCE), Aad::from(header), secrets);
        opened.ok().map(|opened| &*opened)
    }
}

pub(crate) const fn class_code(class: KeysClass) -> u8 {
    match class {
        KeysClass::Test => 1,
        KeysClass::Production => 2,
    }
}

impl fmt::Debug for SealedKeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { class, contents, cost, .. } = self;
        f.debug_struct("SealedKeyFile")
            .field("class", class)
            .field("contents", contents)
            .field("cost", cost)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    format: String,
    class: KeysClass,
    keys: Vec<String>,
    signing_seed: bool,
    #[serde(with = "hex::serde")]
    passphrase_check: [u8; CHECK_BYTES],
    #[serde(with = "hex::serde")]
    aes_256_gcm: Vec<u8>,
    argon2id: Argon2idText,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Argon2idText {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    #[serde(with = "hex::serde")]
    salt: [u8; SALT_BYTES],
}
