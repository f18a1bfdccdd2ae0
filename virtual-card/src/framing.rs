//! Native commands wrapped into ISO 7816-4, and answers cut into frames.
//!
//! `90 CMD 00 00 [Lc data] 00` in, `data 91 status` out. Sources: libfreefare and proxmark3, which agree.

use std::collections::VecDeque;

use crate::{instruction, status::Status};

/// The longest frame that a card takes and sends, with its protocol bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameSize {
    /// DESFire EV1.
    Bytes64,
    /// DESFire EV2.
    Bytes128,
    /// DESFire EV3.
    Bytes256,
}

impl FrameSize {
    /// The frame size of this many bytes, where there is one.
    #[must_use]
    pub const fn from_bytes(bytes: u16) -> Option<Self> {
        match bytes {
            64 => Some(Self::Bytes64),
            128 => Some(Self::Bytes128),
            256 => Some(Self::Bytes256),
            _ => None,
        }
    }

    /// How many bytes it is.
    #[must_use]
    pub const fn bytes(self) -> u16 {
        match self {
            Self::Bytes64 => 64,
            Self::Bytes128 => 128,
            Self::Bytes256 => 256,
        }
    }

    /// Data bytes that fit beside the command or status byte and four protocol bytes (PCB, CID, CRC).
    pub(crate) const fn data_length_max(self) -> usize {
        match self {
            Self::Bytes64 => 64 - 5,
            Self::Bytes128 => 128 - 5,
            Self::Bytes256 => 256 - 5,
        }
    }
}

/// A native command taken out of its wrapping.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Command<'a> {
    pub(crate) instruction: u8,
    pub(crate) data: &'a [u8],
}

/// Why an APDU is no wrapped native command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unwrappable {
    /// The class byte is 00: a command of ISO/IEC 7816-4.
    Iso7816,
    /// The first byte is a native command, not wrapped at all.
    Native,
    /// The class byte is another: answered with 6E00.
    Class,
    /// The lengths do not add up.
    Length,
    /// P1, P2 or Le is not 0.
    Parameter,
}

pub(crate) fn unwrap(apdu: &[u8]) -> Result<Command<'_>, Unwrappable> {
    let (instruction, rest) = match apdu {
        [0x90, instruction, 0, 0, rest @ ..] => (*instruction, rest),
        [0x90, _, _, _, ..] => return Err(Unwrappable::Parameter),
        [0x90, ..] | [] => return Err(Unwrappable::Length),
        [0x00, ..] => return Err(Unwrappable::Iso7816),
        [instruction, ..] if instruction::is_name(*instruction) => return Err(Unwrappable::Native),
        _ => return Err(Unwrappable::Class),
    };
    let (data, expected_length) = match rest {
        [expected_length] => (&[][..], *expected_length),
        [length, data @ .., expected_length] if *length > 0 && data.len() == usize::from(*length) => {
            (data, *expected_length)
        }
        _ => return Err(Unwrappable::Length),
    };
    if expected_length != 0 {
        return Err(Unwrappable::Parameter);
    }
    Ok(Command { instruction, data })
}

pub(crate) fn wrap(mut data: Vec<u8>, status: Status) -> Vec<u8> {
    data.extend([0x91, status.byte()]);
    data
}

/// Cuts an answer into frames; an empty answer is one empty frame.
pub(crate) fn frames(data: &[u8], size: FrameSize) -> VecDeque<Vec<u8>> {
    if data.is_empty() {
        return VecDeque::from([vec![]]);
    }
    data.chunks(size.data_length_max()).map(<[u8]>::to_vec).collect()
}
