//! Keys on a card: their types and versions.

use serde::{Deserialize, Serialize};

/// The cryptography that a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyType {
    /// DES and 2K3DES: a DES key is one with equal halves.
    #[serde(rename = "2k3des")]
    TwoKeyTripleDes,
    /// 3K3DES.
    #[serde(rename = "3k3des")]
    ThreeKeyTripleDes,
    /// AES-128.
    Aes,
}

impl KeyType {
    /// How long such a key is, in bytes.
    #[must_use]
    pub const fn length(self) -> usize {
        match self {
            Self::TwoKeyTripleDes | Self::Aes => 16,
            Self::ThreeKeyTripleDes => 24,
        }
    }

    /// The two uppermost bits of KS2, and of the key number where the card's own key changes its type.
    pub(crate) const fn bits(self) -> u8 {
        match self {
            Self::TwoKeyTripleDes => 0x00,
            Self::ThreeKeyTripleDes => 0x40,
            Self::Aes => 0x80,
        }
    }

    pub(crate) const fn from_bits(byte: u8) -> Option<Self> {
        match byte & 0xC0 {
            0x00 => Some(Self::TwoKeyTripleDes),
            0x40 => Some(Self::ThreeKeyTripleDes),
            0x80 => Some(Self::Aes),
            _ => None,
        }
    }
}

/// A key of a card.
///
/// It can be shown and saved: cards in memory protect nothing.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CardKey {
    #[serde(rename = "type")]
    key_type: KeyType,
    #[serde(with = "hex")]
    bytes: Vec<u8>,
    #[serde(default)]
    aes_version: u8,
}

impl CardKey {
    /// An AES-128 key.
    #[must_use]
    pub fn aes(key: [u8; 16], version: u8) -> Self {
        Self { key_type: KeyType::Aes, bytes: key.to_vec(), aes_version: version }
    }

    /// A key as it leaves the factory: zeros, version 0.
    #[must_use]
    pub fn zero(key_type: KeyType) -> Self {
        Self { key_type, bytes: vec![0; key_type.length()], aes_version: 0 }
    }

    /// A key of this type from at least as many bytes as it has. `None` when there are fewer. `version` is that of an
    /// AES key: the other types have theirs in the key.
    #[must_use]
    pub fn new(key_type: KeyType, bytes: &[u8], version: u8) -> Option<Self> {
        let aes_version = if key_type == KeyType::Aes { version } else { 0 };
        let bytes = bytes.get(..key_type.length())?.to_vec();
        Some(Self { key_type, bytes, aes_version })
    }

    /// What it is for.
    #[must_use]
    pub const fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// The key.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The version: a byte of its own with AES, otherwise the parity bits of the first eight bytes, the first byte's most
    /// significant. Seen by libfreefare on real cards.
    #[must_use]
    pub fn version(&self) -> u8 {
        match self.key_type {
            KeyType::Aes => self.aes_version,
            KeyType::TwoKeyTripleDes | KeyType::ThreeKeyTripleDes => {
                self.bytes.iter().take(8).fold(0, |version, byte| version << 1 | byte & 1)
            }
        }
    }

    /// An AES key as a block.
    pub(crate) fn as_aes(&self) -> Option<[u8; 16]> {
        if self.key_type == KeyType::Aes { self.bytes.as_slice().try_into().ok() } else { None }
    }

    /// Whether both halves of a 2K3DES key are one DES key, whatever its version bits.
    pub(crate) fn is_single_des(&self) -> bool {
        let halves = self.bytes.split_at(8);
        self.key_type == KeyType::TwoKeyTripleDes && halves.0.iter().zip(halves.1).all(|(a, b)| a >> 1 == b >> 1)
    }

    /// Whether the bytes are as many as the type has: a saved key may be wrong.
    pub(crate) fn is_whole(&self) -> bool {
        self.bytes.len() == self.key_type.length()
    }
}

impl std::fmt::Debug for CardKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("CardKey").field("key_type", &self.key_type).finish_non_exhaustive()
    }
}
