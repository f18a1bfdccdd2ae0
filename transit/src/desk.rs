//! What a desk and the clearing house say to each other.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST /v1/actions` | sealed actions, one after the other | the [`Acknowledgement`](crate::sync::Acknowledgement) of an upload, signed as one of taps is |
//! | `POST /v1/desk` | the JSON text of a [`DeskRequest`], signed by the desk | the JSON text of a [`DeskAnswer`], signed by the clearing house |
//!
//! Signatures are Ed25519 and travel in the header [`SIGNATURE_HEADER`](crate::sync::SIGNATURE_HEADER) in hexadecimal
//! digits. An answer carries the SHA-256 of its request, so that an old answer cannot stand for a new one.

use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::card::Issuer;
use crate::id::{CardToken, DeviceId, Epoch, HolderReference};
use crate::money::{Amount, Balance};
use crate::time::Moment;

/// Where actions are posted.
pub const ACTIONS_PATH: &str = "/v1/actions";
/// Where desks ask.
pub const DESK_PATH: &str = "/v1/desk";
/// The most actions that one upload may carry.
pub const ACTIONS_PER_BATCH_MAX: usize = 300;
/// The most seconds that the clocks of a desk and of the clearing house may differ for a request to be answered.
pub const REQUEST_AGE_MAX_S: u32 = 600;

/// What a desk asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeskRequest {
    /// The desk.
    pub desk: DeviceId,
    /// The epoch of its log.
    pub epoch: Epoch,
    /// When it asks.
    pub at: Moment,
    /// What.
    pub ask: Ask,
}

/// The questions of a desk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// How much may I load?
    Allowance,
    /// What do the books know of this card?
    CardState {
        /// The card.
        card: CardToken,
    },
    /// Do the books know whether the card took this step of mine?
    Step {
        /// The step, `device-epoch-sequence`.
        step: String,
    },
    /// May I put the value of a lost card on this one? The lost card is blocked with the answer.
    Transfer {
        /// The card that was lost.
        lost: Lost,
        /// The card that takes over.
        card: CardToken,
    },
}

/// How a lost card is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lost {
    /// By its token.
    Card(CardToken),
    /// By the holder that its issue registered.
    Holder(HolderReference),
}

/// What the clearing house answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeskAnswer {
    /// The clearing house's time.
    pub at: Moment,
    /// SHA-256 of the text of the request, in hexadecimal digits.
    pub request: String,
    /// The answer.
    pub reply: Reply,
}

/// The answers to a desk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// How much may be loaded.
    Allowance(Allowance),
    /// What the books know of a card.
    CardState(CardState),
    /// Whether the card took a step.
    Step(StepState),
    /// A lost card's value may be put on a new one.
    Transfer(Grant),
    /// No, and why, for people.
    Refused {
        /// Why.
        why: String,
    },
}

/// How much a desk may load in one epoch of its log: a ceiling that only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowance {
    /// The desk.
    pub desk: DeviceId,
    /// The epoch of its log.
    pub epoch: Epoch,
    /// Its number; a higher one replaces a lower one.
    pub number: u32,
    /// The most that [`takes_of_allowance`](crate::action::Action::takes_of_allowance) of all steps of the epoch may
    /// come to.
    pub loads_through_minor: Amount,
    /// After this moment the desk loads nothing until it has asked again.
    pub valid_until: Moment,
}

/// What the books know of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardState {
    /// The card.
    pub card: CardToken,
    /// What its newest proven record says of the purse, or a newer one that no card proves and that lowers it; `None` where
    /// the books have none.
    pub balance_minor: Option<Balance>,
    /// When that record was written.
    pub seen: Option<Moment>,
    /// The newest issuer file that the books have of it.
    pub issuer: Option<Issuer>,
    /// It is on the deny list.
    pub blocked: bool,
    /// Taps and actions of it of which nobody knows yet whether the card took them.
    pub pending: u32,
}

/// What the books know of one step of a desk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepState {
    /// The step, `device-epoch-sequence`.
    pub step: String,
    /// Whether the card took it, by proofs of the card; `None` while there are none.
    pub written: Option<bool>,
}

/// Permission, once, to put a lost card's value and products on another card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Its number, which the transfer's steps name.
    pub number: u32,
    /// The desk that may use it.
    pub desk: DeviceId,
    /// The lost card, which is blocked.
    pub lost: CardToken,
    /// The card that takes over.
    pub card: CardToken,
    /// What is to be loaded.
    pub amount_minor: Amount,
    /// The lost card's profile and products, where the books have them.
    pub issuer: Option<Issuer>,
}

/// Why a message is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Its signature is not its sender's.
    #[error("the signature does not belong to this text and this sender")]
    Signature,
    /// No such message.
    #[error("the text is no message of this system: {0}")]
    Json(String),
    /// The answer to another request.
    #[error("this answers another request")]
    OtherRequest,
}

/// The bytes that a desk signs for a request of this text.
pub fn request_signed_bytes(text: &str) -> Vec<u8> {
    [b"cham desk request 1\0", text.as_bytes()].concat()
}

/// The bytes that the clearing house signs for an answer of this text.
pub fn answer_signed_bytes(text: &str) -> Vec<u8> {
    [b"cham desk answer 1\0", text.as_bytes()].concat()
}

/// What an answer calls the request of this text.
pub fn request_digest(text: &str) -> String {
    hex::encode(digest(&SHA256, text.as_bytes()))
}

impl DeskAnswer {
    /// The answer of this `text`, signed under the clearing house's `public_key`, to the request of `request_text`.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn open(text: &str, signature: &[u8], public_key: &[u8; 32], request_text: &str) -> Result<Self, MessageError> {
        check(public_key, &answer_signed_bytes(text), signature)?;
        let answer: Self = serde_json::from_str(text).map_err(|error| MessageError::Json(error.to_string()))?;
        if answer.request == request_digest(request_text) { Ok(answer) } else { Err(MessageError::OtherRequest) }
    }
}

impl DeskRequest {
    /// The request of this `text`. `public_key_of` gives the key of the desk that the text names; what it does not know
    /// is refused as a wrong signature is.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn open(
        text: &str,
        signature: &[u8],
        public_key_of: impl FnOnce(DeviceId) -> Option<[u8; 32]>,
    ) -> Result<Self, MessageError> {
        let request: Self = serde_json::from_str(text).map_err(|error| MessageError::Json(error.to_string()))?;
        let public_key = public_key_of(request.desk).ok_or(MessageError::Signature)?;
        check(&public_key, &request_signed_bytes(text), signature)?;
        Ok(request)
    }
}

fn check(public_key: &[u8; 32], bytes: &[u8], signature: &[u8]) -> Result<(), MessageError> {
    UnparsedPublicKey::new(&ED25519, public_key).verify(bytes, signature).map_err(|_| MessageError::Signature)
}
