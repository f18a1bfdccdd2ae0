//! Identifiers. Each is its own type, so that a stop cannot stand where a line is meant.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A validator or a desk: 1..=16,777,215, the 24 bits that a card's record has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct DeviceId(u32);

impl DeviceId {
    /// The largest number a card's record holds.
    pub const MAX: u32 = 0x00FF_FFFF;

    /// `None` for 0 (which means "no device" on a card) and above [`DeviceId::MAX`].
    pub const fn new(number: u32) -> Option<Self> {
        if number == 0 || number > Self::MAX { None } else { Some(Self(number)) }
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for DeviceId {
    type Error = InvalidDeviceId;

    fn try_from(number: u32) -> Result<Self, InvalidDeviceId> {
        Self::new(number).ok_or(InvalidDeviceId(number))
    }
}

impl From<DeviceId> for u32 {
    fn from(device: DeviceId) -> Self {
        device.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A device number outside 1..=16,777,215.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a device number is 1 to {max}, not {0}", max = DeviceId::MAX)]
pub struct InvalidDeviceId(pub u32);

/// One life of the log of a validator or a desk, 1..=255. A device whose log was lost or replaced starts the next epoch
/// at sequence 1.
pub type Epoch = u8;

/// The name of one tap, or of one step of a desk's action: the device that made it, the epoch of that device's log, and
/// its place in the log (1, 2, 3 …, without a gap). Written as `device-epoch-sequence`, such as `12-1-4711`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TapId {
    /// The validator or the desk.
    pub device: DeviceId,
    /// The epoch of its log.
    pub epoch: Epoch,
    /// The place in that log, from 1.
    pub sequence: u32,
}

impl fmt::Display for TapId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.device, self.epoch, self.sequence)
    }
}

impl FromStr for TapId {
    type Err = InvalidTapId;

    fn from_str(text: &str) -> Result<Self, InvalidTapId> {
        let invalid = || InvalidTapId(text.to_owned());
        let mut parts = text.split('-');
        let mut next = || parts.next().and_then(|part| part.parse::<u32>().ok()).ok_or_else(invalid);
        let id = Self {
            device: DeviceId::new(next()?).ok_or_else(invalid)?,
            epoch: Epoch::try_from(next()?).map_err(|_| invalid())?,
            sequence: next()?,
        };
        if parts.next().is_some() { Err(invalid()) } else { Ok(id) }
    }
}

/// A text that names no tap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no tap; a tap is written device-epoch-sequence, such as 12-1-4711")]
pub struct InvalidTapId(pub String);

/// A transport operator, who is owed the fares of its validators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperatorId(pub u16);

/// A line (a GTFS route).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LineNumber(pub u16);

/// A stop, numbered within its line's city from 1; 0 means "no stop" on a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StopNumber(pub u16);

/// Who a card is registered to, as the operator's register of holders numbers them: 1 or more. Nothing else about a
/// person enters this system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HolderReference(pub NonZeroU64);

/// What a tap record calls a card: the UID enciphered under the token key. Whoever lacks that key can tell that two
/// taps are of one card, but not of which.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CardToken(pub [u8; 16]);

impl fmt::Display for CardToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for CardToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CardToken({self})")
    }
}

impl FromStr for CardToken {
    type Err = InvalidCardToken;

    fn from_str(text: &str) -> Result<Self, InvalidCardToken> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidCardToken(text.to_owned()))?;
        Ok(Self(bytes))
    }
}

impl Serialize for CardToken {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CardToken {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that is no card token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no card token; a token is 32 hexadecimal digits")]
pub struct InvalidCardToken(pub String);
