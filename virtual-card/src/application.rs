//! An application: a directory of files under its own keys.

use serde::{Deserialize, Serialize};

use crate::{
    file::File,
    key::{CardKey, KeyType},
};

/// One application of a card.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// The identifier as transmitted.
    #[serde(with = "hex")]
    pub aid: [u8; 3],
    /// KS1: what the master key is needed for, and who may change keys.
    pub key_settings: u8,
    /// What all its keys are for.
    pub key_type: KeyType,
    /// Whether every file has an identifier for ISO/IEC 7816-4 commands.
    #[serde(default)]
    pub uses_iso_file_ids: bool,
    /// Its own identifier for those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iso_file_id: Option<u16>,
    /// The name by which they select it: up to 16 bytes, or none.
    #[serde(default, with = "hex")]
    pub df_name: Vec<u8>,
    /// The application's own key for the proximity check, where it has one (KS3, EV2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proximity_key: Option<CardKey>,
    /// The active keys, numbered from 0.
    pub keys: Vec<CardKey>,
    /// Key sets beside the active one (EV2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_sets: Option<KeySets>,
    /// In the order of their creation; at most one is a Transaction MAC file.
    #[serde(default)]
    pub files: Vec<File>,
}

/// Keys in reserve: loaded at leisure, and made the active ones all at once.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeySets {
    /// The version of the active set, number 0.
    pub active_version: u8,
    /// How many sets there may be, the active one included: 2 to 16.
    pub count: u8,
    /// The length of the longest key: 16 or 24 bytes.
    pub key_length_max: u8,
    /// The key that may roll.
    pub roll_key: u8,
    /// The sets that have been initialized.
    #[serde(default)]
    pub reserve: Vec<KeySet>,
}

/// One set in reserve.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeySet {
    /// 1 to 15.
    pub number: u8,
    /// What its keys are for.
    pub key_type: KeyType,
    /// Its version; none until it is finalized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u8>,
    /// As many as the application has.
    pub keys: Vec<CardKey>,
}

impl Application {
    /// An application with AES keys of version 0, whose master key may change everything and whose list of files is free
    /// (KS1 0B).
    #[must_use]
    pub fn new(aid: [u8; 3], keys: Vec<[u8; 16]>, files: Vec<File>) -> Self {
        Self {
            aid,
            key_settings: 0x0B,
            key_type: KeyType::Aes,
            uses_iso_file_ids: false,
            iso_file_id: None,
            df_name: vec![],
            proximity_key: None,
            keys: keys.into_iter().map(|key| CardKey::aes(key, 0)).collect(),
            key_sets: None,
            files,
        }
    }

    /// The file of this number.
    #[must_use]
    pub fn file(&self, number: u8) -> Option<&File> {
        self.files.iter().find(|file| file.number == number)
    }

    /// The initialized set of this number in reserve.
    pub(crate) fn key_set(&self, number: u8) -> Option<&KeySet> {
        self.key_sets.as_ref()?.reserve.iter().find(|set| set.number == number)
    }

    pub(crate) fn key_set_mut(&mut self, number: u8) -> Option<&mut KeySet> {
        self.key_sets.as_mut()?.reserve.iter_mut().find(|set| set.number == number)
    }

    /// What it takes of the card's memory without its files, in bytes: a block, and one for every two keys of each set.
    pub(crate) fn memory_bytes(&self) -> usize {
        const BLOCK: usize = 32;
        let sets = self.key_sets.as_ref().map_or(1, |sets| usize::from(sets.count));
        BLOCK + sets * (self.keys.len() * self.key_type.length()).next_multiple_of(BLOCK)
    }
}

impl std::fmt::Debug for Application {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Application")
            .field("aid", &hex::encode_upper(self.aid))
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}
