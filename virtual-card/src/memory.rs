//! What a card keeps when the field is gone.

use serde::{Deserialize, Serialize};

use crate::{
    application::Application,
    file::{Content, File},
    key::{CardKey, KeyType},
};

/// What an 8 KB card offers for applications, in bytes: a model, chips differ. A file of 7680 bytes fits beside a small
/// one: libfreefare's `mifare-desfire-create-ndef` makes both on every card of this size.
pub(crate) const CAPACITY_BYTES: usize = 7936;

/// The whole memory of a card.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// KS1 of the card level.
    pub key_settings: u8,
    /// Whether FormatPICC is refused for ever (SetConfiguration).
    #[serde(default)]
    pub is_format_disabled: bool,
    /// Whether the card shows a random identifier (SetConfiguration).
    #[serde(default)]
    pub has_random_id: bool,
    /// The historical bytes of the answer to select (SetConfiguration).
    #[serde(with = "hex")]
    pub historical_bytes: Vec<u8>,
    /// What Read_Sig answers: r ‖ s, or nothing where the chip has no signature.
    #[serde(default, with = "hex")]
    pub signature: Vec<u8>,
    /// Bytes that applications have taken; only FormatPICC gives them back.
    #[serde(default)]
    pub used_bytes: usize,
    /// The card's own key: DES, zeros, from the factory.
    pub master_key: CardKey,
    /// The key of new applications: 24 bytes and a version (SetConfiguration).
    pub default_key: DefaultKey,
    /// The key of the proximity check, number 21.
    pub proximity_key: CardKey,
    /// In the order of their creation.
    #[serde(default)]
    pub applications: Vec<Application>,
}

/// The key that new applications get.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultKey {
    /// As many of them as the key type has.
    #[serde(with = "hex")]
    pub bytes: [u8; 24],
    /// For AES keys.
    pub version: u8,
}

impl Memory {
    /// As it leaves the factory: a DES key of zeros, everything free to whoever has it, no applications, no signature.
    #[must_use]
    pub fn factory() -> Self {
        Self {
            key_settings: 0x0F,
            is_format_disabled: false,
            has_random_id: false,
            historical_bytes: vec![0x80],
            signature: vec![],
            used_bytes: 0,
            master_key: CardKey::zero(KeyType::TwoKeyTripleDes),
            default_key: DefaultKey { bytes: [0; 24], version: 0 },
            proximity_key: CardKey::zero(KeyType::Aes),
            applications: vec![],
        }
    }

    /// A factory card that got these applications.
    #[must_use]
    pub fn with_applications(applications: Vec<Application>) -> Self {
        let used_bytes = applications
            .iter()
            .map(|application| {
                let files = application.files.iter().map(File::memory_bytes);
                application.memory_bytes() + files.sum::<usize>()
            })
            .sum();
        Self { applications, used_bytes, ..Self::factory() }
    }

    pub(crate) fn free_bytes(&self) -> usize {
        CAPACITY_BYTES.saturating_sub(self.used_bytes)
    }

    /// The default key, as one of this type.
    pub(crate) fn default_key(&self, key_type: KeyType) -> CardKey {
        let DefaultKey { bytes, version } = &self.default_key;
        CardKey::new(key_type, bytes, *version).unwrap_or_else(|| CardKey::zero(key_type))
    }

    /// What is wrong with a memory that was read from a file, if anything.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let mut keys = vec![&self.master_key, &self.proximity_key];
        for application in &self.applications {
            keys.extend(&application.keys);
            keys.extend(&application.proximity_key);
            keys.extend(application.key_sets.iter().flat_map(|sets| &sets.reserve).flat_map(|set| &set.keys));
        }
        if !keys.into_iter().all(CardKey::is_whole) {
            return Some("a key is not as long as its `type` says: 16 bytes, or 24 for 3k3des");
        }
        let files = self.applications.iter().flat_map(|application| &application.files);
        files.map(|file| &file.content).find_map(|content| match content {
            Content::Records(records) => {
                let is_whole = records.committed.iter().all(|record| record.len() == records.record_length);
                let has_slots = records.slots > usize::from(records.is_cyclic) && records.record_length > 0;
                let room = records.slots.saturating_sub(usize::from(records.is_cyclic));
                let fits = records.committed.len() <= room;
                (!is_whole || !has_slots || !fits).then_some("a record file does not hold what it has room for")
            }
            Content::Value(value) => {
                let is_within = (value.lower_limit..=value.upper_limit).contains(&value.committed);
                (!is_within).then_some("a value is outside its limits")
            }
            Content::StandardData(_) | Content::BackupData(_) | Content::TransactionMac(_) => None,
        })
    }
}
