//! What may be done with an application's keys, files and settings, as CreateApplication, ChangeKeySettings and
//! GetKeySettings state it.
//!
//! Source: NXP AN0945 and AN12343, key settings; proxmark3 and the Go client dumacp/smartcard for what EV2 added.

use crate::{
    error::{Misbehaviour, OutOfRange},
    key::KeyNumber,
    wire::within,
};

/// The rules of a key table (KS1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeySettings {
    /// Key 0 may be changed. Once false, it is for ever.
    pub master_key_changeable: bool,
    /// Files (or, of the card, applications) and settings may be listed without key 0. Better left false.
    pub free_listing: bool,
    /// Files (or applications) may be created and deleted without key 0. Better left false.
    pub free_create_delete: bool,
    /// These settings may be changed, under key 0. Once false, it is for ever.
    pub settings_changeable: bool,
    /// Which key may change keys other than 0. Of no meaning for the card's own key.
    pub change_key: ChangeKeyRight,
}

/// Which key may change the keys of an application, other than key 0, which only itself can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKeyRight {
    /// This one; key 0 is the usual choice.
    Key(KeyNumber),
    /// Each key changes itself.
    Same,
    /// None: the keys stay what they are.
    Frozen,
}

impl KeySettings {
    /// What a key table starts with: everything may be changed, nothing is listed or created without key 0, which alone
    /// changes the others.
    pub const CLOSED: Self = Self {
        master_key_changeable: true,
        free_listing: false,
        free_create_delete: false,
        settings_changeable: true,
        change_key: ChangeKeyRight::Key(KeyNumber::MASTER),
    };

    /// The settings as transmitted.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        let right = match self.change_key {
            ChangeKeyRight::Key(number) => number.get() & 0x0F,
            ChangeKeyRight::Same => 0x0E,
            ChangeKeyRight::Frozen => 0x0F,
        };
        right << 4
            | (self.settings_changeable as u8) << 3
            | (self.free_create_delete as u8) << 2
            | (self.free_listing as u8) << 1
            | self.master_key_changeable as u8
    }

    /// The settings of this byte.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        let change_key = match (KeyNumber::new(byte >> 4), byte >> 4) {
            (Some(number), _) => ChangeKeyRight::Key(number),
            (None, 0x0E) => ChangeKeyRight::Same,
            (None, _) => ChangeKeyRight::Frozen,
        };
        Self {
            master_key_changeable: byte & 0x01 != 0,
            free_listing: byte & 0x02 != 0,
            free_create_delete: byte & 0x04 != 0,
            settings_changeable: byte & 0x08 != 0,
            change_key,
        }
    }
}

/// The kind of an application's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// DES or two-key triple DES.
    Des,
    /// Three-key triple DES.
    TripleDes,
    /// AES-128: the only one that this crate makes.
    Aes,
}

/// What GetKeySettings answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTable {
    /// The rules.
    pub settings: KeySettings,
    /// How many keys there are.
    pub number_of_keys: u8,
    /// Their kind.
    pub kind: KeyKind,
    /// What later cards add about key sets, as it came.
    pub other: Vec<u8>,
}

impl KeyTable {
    pub(crate) fn decode(answer: &[u8]) -> Result<Self, Misbehaviour> {
        let &[settings, keys, ref other @ ..] = answer else {
            return Err(Misbehaviour::WrongLength { expected: 2, actual: answer.len() });
        };
        let kind = match keys >> 6 {
            0b00 => KeyKind::Des,
            0b01 => KeyKind::TripleDes,
            0b10 => KeyKind::Aes,
            _ => return Err(Misbehaviour::Unintelligible { what: "kind of keys" }),
        };
        let settings = KeySettings::from_byte(settings);
        Ok(Self { settings, number_of_keys: keys & 0x0F, kind, other: other.to_vec() })
    }
}

/// An application to be made: its keys are AES.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplicationSettings<'a> {
    /// The rules of its keys.
    pub key_settings: KeySettings,
    /// How many keys it has, 1 to 14; all of them are the card's default key at first.
    pub number_of_keys: u8,
    /// Several sets of keys, of EV2 and later cards.
    pub key_sets: Option<KeySets>,
    /// Its name for ISO 7816-4 selection, if it is to have one.
    pub iso_name: Option<IsoName<'a>>,
    /// Each of its files has an ISO file identifier; each must then be given one.
    pub iso_file_ids: bool,
}

/// The name of an application for ISO 7816-4 selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsoName<'a> {
    /// The ISO file identifier, unique on the card.
    pub file_id: u16,
    /// The DF name, 1 to 16 bytes, unique on the card; or none.
    pub df_name: &'a [u8],
}

/// Several sets of keys, of which one is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySets {
    /// How many, 2 to 16.
    pub count: u8,
    /// The version of the first, active one.
    pub active_version: u8,
    /// The key that may roll to another set.
    pub roll_key: KeyNumber,
}

/// KS2: AES keys.
const AES_KEYS: u8 = 0x80;
/// KS2: files have ISO file identifiers.
const ISO_FILE_IDS: u8 = 0x20;
/// KS2: KS3 follows.
const MORE_SETTINGS: u8 = 0x10;
/// KS3: there are several key sets.
const KEY_SETS: u8 = 0x01;
/// The longest key of a key set, in bytes: AES-128.
const KEY_BYTES_MAX: u8 = 16;

impl ApplicationSettings<'_> {
    /// What follows the AID in CreateApplication.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, OutOfRange> {
        within("number of keys", self.number_of_keys.into(), 1, 14)?;
        let mut bytes = vec![self.key_settings.to_byte(), AES_KEYS | self.number_of_keys];
        if self.iso_file_ids {
            bytes[1] |= ISO_FILE_IDS;
        }
        if let Some(KeySets { count, active_version, roll_key }) = self.key_sets {
            within("number of key sets", count.into(), 2, 16)?;
            bytes[1] |= MORE_SETTINGS;
            bytes.extend_from_slice(&[KEY_SETS, active_version, count, KEY_BYTES_MAX, roll_key.get()]);
        }
        if let Some(IsoName { file_id, df_name }) = self.iso_name {
            within("length of the DF name", u32::try_from(df_name.len()).unwrap_or(u32::MAX), 0, 16)?;
            bytes.extend_from_slice(&file_id.to_le_bytes());
            bytes.extend_from_slice(df_name);
        }
        Ok(bytes)
    }
}
