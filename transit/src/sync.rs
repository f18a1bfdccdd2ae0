//! The upload: sealed taps up, one signed answer down.
//!
//! The body of an upload is the sealed taps, one after the other, nothing else: `POST /v1/taps`,
//! `application/octet-stream`. The answer is the JSON text of an [`Acknowledgement`]; the header
//! [`SIGNATURE_HEADER`] carries the clearing house's Ed25519 signature of [`signed_bytes`] of that text, so that the
//! process that holds the log can check the answer though another process fetched it. Desks upload their actions the
//! same way and get the same answer ([`crate::desk`]).

use serde::{Deserialize, Serialize};

use crate::time::Moment;

/// Where taps are posted.
pub const TAPS_PATH: &str = "/v1/taps";
/// The header that carries the signature, in hexadecimal digits.
pub const SIGNATURE_HEADER: &str = "cham-signature";
/// The most taps that one upload may carry.
pub const TAPS_PER_BATCH_MAX: usize = 500;

/// What the clearing house says of each tap of an upload, in the order of the upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// The clearing house's time.
    pub at: Moment,
    /// One for each tap.
    pub taps: Vec<TapAcknowledgement>,
}

/// What the clearing house says of one tap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TapAcknowledgement {
    /// The tap's name as its bytes give it, `device-epoch-sequence`; `None` where they give none.
    pub tap: Option<String>,
    /// The tap's own hash, in hexadecimal digits: these bytes are meant and no others.
    pub hash: String,
    /// What became of it.
    pub verdict: Verdict,
    /// For people: what is wrong, naming device and sequence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What became of an uploaded tap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Stored and booked.
    Accepted,
    /// Was there already, the same bytes.
    Known,
    /// Another tap of this name was there already: kept aside, alarm.
    Conflict,
    /// Does not continue its device's chain of hashes: kept aside.
    BrokenChain,
    /// Came after a later tap of the same device in the same upload: kept aside; to be sent again.
    OutOfOrder,
    /// The card's Transaction MAC does not belong to this transaction: kept aside.
    MacWrong,
    /// Its bytes were changed after sealing: kept aside.
    Changed,
    /// No sealed tap at all: kept aside.
    Malformed,
    /// From a device that is not registered: kept aside.
    UnknownDevice,
    /// Not signed by the desk that it names: kept aside.
    SignatureWrong,
    /// One more step of an action than a desk can make: kept aside, alarm.
    TooManySteps,
}

impl Verdict {
    /// The clearing house holds the bytes, one way or the other: the device need not send them again.
    pub fn is_final(self) -> bool {
        self != Self::OutOfOrder
    }

    /// Its name, as in the JSON text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Known => "known",
            Self::Conflict => "conflict",
            Self::BrokenChain => "broken_chain",
            Self::OutOfOrder => "out_of_order",
            Self::MacWrong => "mac_wrong",
            Self::Changed => "changed",
            Self::Malformed => "malformed",
            Self::UnknownDevice => "unknown_device",
            Self::SignatureWrong => "signature_wrong",
            Self::TooManySteps => "too_many_steps",
        }
    }

    /// The tap is in the books.
    pub fn is_booked(self) -> bool {
        matches!(self, Self::Accepted | Self::Known)
    }
}

/// The bytes that the clearing house signs for an acknowledgement of this text.
pub fn signed_bytes(acknowledgement: &str) -> Vec<u8> {
    [b"cham acknowledgement 1\0", acknowledgement.as_bytes()].concat()
}
