//! What can go wrong, by who is to blame.

use crate::{command::Command, status::Status, transport::Lost};

/// Why a command did not succeed. Every one of them ends the session: authenticate again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No answer came. Present the card again.
    #[error("no answer came")]
    Lost(#[source] Lost),
    /// The card, or someone who stands in front of it, refused. A refusal is not authenticated.
    #[error("the card refused {command} with status {status}")]
    Refused {
        /// What was refused.
        command: Command,
        /// Why, in the card's words.
        status: Status,
    },
    /// The answer is not one that a genuine card gives. Do not trust this card.
    #[error("the card broke the protocol")]
    Misbehaved(#[source] Misbehaviour),
    /// The caller asked for what cannot be. Nothing was sent.
    #[error("the card was used wrongly")]
    Misused(#[source] Misuse),
}

/// How an answer differs from what a genuine card gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misbehaviour {
    /// The MAC does not belong to this answer, or what it protects is padded wrongly. The two are not told apart, so
    /// that the difference helps no forger.
    #[error("the MAC of the answer is wrong")]
    WrongMac,
    /// The answer has a length that the command does not allow.
    #[error("the answer has {actual} bytes where {expected} belong")]
    WrongLength {
        /// Bytes that belong there.
        expected: usize,
        /// Bytes that came.
        actual: usize,
    },
    /// The answer says something that does not exist.
    #[error("the answer names a {what} that does not exist")]
    Unintelligible {
        /// What it should have named.
        what: &'static str,
    },
    /// The card did not prove that it knows the key.
    #[error("the card does not know the key")]
    WrongChallenge,
    /// The card's echo of the reader's capabilities is not what the reader sent.
    #[error("the card echoed other reader capabilities than were sent")]
    WrongCapabilities,
    /// A frame came where the protocol has none: data inside a command's chain, the end of a chain too early, or an
    /// additional frame without data.
    #[error("a frame came where the protocol has none")]
    UnexpectedFrame,
    /// The status word is not that of a wrapped native command; the card is likely no DESFire.
    #[error("the status word {sw1:02X}{sw2:02X} is not one of DESFire")]
    ForeignStatusWord {
        /// First status byte.
        sw1: u8,
        /// Second status byte.
        sw2: u8,
    },
}

/// What the caller did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// An earlier error ended this session.
    #[error("the session ended with an earlier error")]
    SessionOver,
    /// The key that opened the session is changed with `change_own_key`, which ends the session.
    #[error("the key that opened the session cannot be changed like another; use change_own_key")]
    KeyInUse,
    /// The value that a file is to start with is outside its limits.
    #[error("the first value of the file is outside its limits")]
    ValueOutsideLimits,
    /// The session has used up its 16-bit command counter.
    #[error("the command counter is used up")]
    CounterExhausted,
    /// A length, offset, count or amount outside what the command can carry.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
}

/// A length, offset, count or amount outside what the command can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is outside {least}..={most}")]
pub struct OutOfRange {
    /// Which parameter.
    pub what: &'static str,
    /// The least that it may be.
    pub least: u32,
    /// The most that it may be.
    pub most: u32,
}

impl From<Lost> for Error {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

impl From<Misbehaviour> for Error {
    fn from(misbehaviour: Misbehaviour) -> Self {
        Self::Misbehaved(misbehaviour)
    }
}

impl From<Misuse> for Error {
    fn from(misuse: Misuse) -> Self {
        Self::Misused(misuse)
    }
}
