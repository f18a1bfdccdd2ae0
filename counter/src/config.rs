//! The configuration file of a desk, read once at start. Unknown keys and missing files are refused with the path and
//! the line.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use key_store::KeySource;
use serde::Deserialize;
use transit::config::{ConfigError, KeysClass};
use transit::id::{CardToken, DeviceId, Epoch, OperatorId};
use transit::tariff::{TariffPaths, Tariffs};

use crate::words::Language;

/// What a desk is told. Paths are relative to the configuration file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeskConfig {
    /// This desk. Desks and validators share the numbers of devices.
    pub device: DeviceId,
    /// Whose desk it is.
    pub operator: OperatorId,
    /// The exact PC/SC name of the contactless reader.
    pub reader: String,
    /// The language of what is said to people: `vi` or `en`.
    #[serde(default)]
    pub language: Language,
    /// The tariff file, or a list of them: each version from its first service day on.
    pub tariff: TariffPaths,
    /// The deny list, as `clearing-house deny-list` writes it; without one only what this desk blocked itself is blocked.
    pub deny_list: Option<PathBuf>,
    /// Where the card keys are: a key file, a credential of systemd, or a SAM.
    pub keys: KeySource,
    /// Which class of keys may load: test keys and real keys cannot both.
    pub keys_class: KeysClass,
    /// The sealed key file, or the credential, that holds the seed of the desk's signing key, where the card keys are in
    /// a SAM. A key file of a desk holds both.
    pub signing_key: Option<KeySource>,
    /// The desk's journal, created where there is none.
    pub journal: PathBuf,
    /// The epoch that a newly created journal begins with. A journal that was lost is followed by the next epoch.
    #[serde(default = "default_epoch")]
    pub epoch: Epoch,
    /// The clearing house, such as `http://127.0.0.1:8480`.
    pub clearing_house: String,
    /// The Ed25519 key of the clearing house, 64 hexadecimal digits.
    #[serde(with = "hex::serde")]
    pub clearing_house_public_key: [u8; 32],
    /// In class `test` alone: the public key, an uncompressed secp224r1 point of 114 hexadecimal digits, under which
    /// test cards pass for genuine chips.
    pub test_originality_key: Option<String>,
    /// The names of the clerks by their numbers, for receipts.
    #[serde(default)]
    pub staff: BTreeMap<String, String>,
    /// Times and limits.
    #[serde(default)]
    pub limits: Limits,
}

/// Times and limits of a desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// How long one answer of a card may take, in ms. A card formats its memory in one exchange when it is issued.
    pub exchange_deadline_ms: u64,
    /// How long to wait for a card, in s.
    pub card_wait_s: u64,
    /// How long one request to the clearing house may take, in ms.
    pub request_deadline_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { exchange_deadline_ms: 2_000, card_wait_s: 60, request_deadline_ms: 10_000 }
    }
}

fn default_epoch() -> Epoch {
    1
}

impl DeskConfig {
    /// Reads the configuration at `path`.
    ///
    /// # Errors
    /// [`ConfigError`] with the path, the line where one is to blame, and what would be right.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = transit::config::parse(path, &text(path)?)?;
        let refuse = |message: &str| Err(ConfigError::whole_file(path, message));
        let folder = path.parent().unwrap_or(Path::new(""));
        config.journal = folder.join(&config.journal);
        config.tariff = config.tariff.within(folder);
        if let Some(named) = &mut config.deny_list {
            *named = folder.join(&*named);
        }
        if config.epoch == 0 {
            return refuse("epoch is 1 to 255");
        }
        if config.test_originality_key.is_some() && config.keys_class != KeysClass::Test {
            return refuse("test_originality_key is for keys_class = \"test\" alone: remove it");
        }
        if let Some(number) = config.staff.keys().find(|number| number.parse::<u32>().is_err()) {
            return refuse(&format!("[staff] names clerks by number, such as 7 = \"Nguyễn Thị Hoa\", not `{number}`"));
        }
        Ok(config)
    }

    /// The versions of the tariff that the configuration names.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn tariffs(&self) -> Result<Tariffs, ConfigError> {
        self.tariff.read(text)
    }

    /// The deny list that the configuration names, empty where it names none.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn deny_list(&self) -> Result<DenyList, ConfigError> {
        let Some(path) = &self.deny_list else { return Ok(DenyList::default()) };
        let DenyListFile { mut cards, .. } = transit::config::parse(path, &text(path)?)?;
        cards.sort_unstable();
        Ok(DenyList(cards))
    }

    /// The name of a clerk; `None` where the configuration names others and not this one.
    pub fn clerk(&self, number: u32) -> Option<&str> {
        self.staff.get(&number.to_string()).map(String::as_str)
    }
}

/// Blocked cards, by token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DenyList(Vec<CardToken>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DenyListFile {
    /// A desk's steps name no version of it.
    #[serde(rename = "version")]
    _version: u32,
    cards: Vec<CardToken>,
}

impl DenyList {
    /// Whether the card is on it.
    pub fn contains(&self, card: CardToken) -> bool {
        self.0.binary_search(&card).is_ok()
    }
}

/// The text of a file.
///
/// # Errors
/// [`ConfigError`] where it cannot be read.
pub fn text(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|error| ConfigError::whole_file(path, format!("cannot be read: {error}")))
}
