//! What goes wrong with one presentation of a card.

use std::fmt;

/// The exchanges of a tap that pays from the purse, by their numbers: Select is 1, AuthenticateEV2First takes 2 and 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchange {
    /// The second half of AuthenticateEV2First.
    Authenticate = 3,
    /// ReadRecords.
    ReadRecords = 4,
    /// Debit.
    Debit = 5,
    /// WriteRecord.
    WriteRecord = 6,
    /// CommitTransaction.
    Commit = 7,
}

/// The moment at which a validator loses its power. The card loses its own with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerLoss {
    /// The record is being read: nothing is in the log.
    BeforeIntent,
    /// The intent is durable, the commit is not sent.
    AfterIntent,
    /// The card has committed, the outcome is not in the log.
    BeforeOutcome,
    /// The outcome is on the disk and the green was shown.
    AfterOutcome,
    /// The answer was shown, and the disk has kept what an fsync has covered alone: the outcome follows with the next
    /// intent, or once no card comes.
    BeforeSync,
}

/// What goes wrong with one presentation. A fault whose exchange or step the tap does not come to goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The card leaves the field before it acts.
    LostBefore(Exchange),
    /// The card acts, and leaves the field with its answer.
    LostAfter(Exchange),
    /// A bit of the answer is another.
    Mutated(Exchange),
    /// The card leaves the field within the answer to the command of this number, of which so many bytes arrive.
    CutInAnswer(u32, usize),
    /// The answer to the command of this number is another, which follows from a seed.
    Distorted(u32, u64),
    /// The validator's power goes, and comes back.
    PowerLost(PowerLoss),
    /// The log does not take the intent.
    IntentWriteFails,
    /// The log does not take the tap that ends the intent.
    OutcomeWriteFails,
    /// The log takes no tap at all.
    TapWriteFails,
    /// Nothing goes wrong with the tap; then the validator's log is gone for good, before anything of it was uploaded.
    LogDestroyed,
}

impl Fault {
    /// Every fault after which nothing may be lost, made up or given away.
    pub const ALL: &[Self] = &[
        Self::None,
        Self::LostBefore(Exchange::Authenticate),
        Self::LostAfter(Exchange::Authenticate),
        Self::LostBefore(Exchange::ReadRecords),
        Self::LostAfter(Exchange::ReadRecords),
        Self::LostBefore(Exchange::Debit),
        Self::LostAfter(Exchange::Debit),
        Self::LostBefore(Exchange::WriteRecord),
        Self::LostAfter(Exchange::WriteRecord),
        Self::LostBefore(Exchange::Commit),
        Self::LostAfter(Exchange::Commit),
        Self::Mutated(Exchange::ReadRecords),
        Self::Mutated(Exchange::Debit),
        Self::Mutated(Exchange::Commit),
        Self::PowerLost(PowerLoss::BeforeIntent),
        Self::PowerLost(PowerLoss::AfterIntent),
        Self::PowerLost(PowerLoss::BeforeOutcome),
        Self::PowerLost(PowerLoss::AfterOutcome),
        Self::PowerLost(PowerLoss::BeforeSync),
        Self::IntentWriteFails,
        Self::OutcomeWriteFails,
        Self::TapWriteFails,
        Self::LogDestroyed,
    ];

    /// What leaves a debit whose rider may have been admitted, what leaves one whose rider was not, and none.
    pub const UNSYNCED: &[Self] =
        &[Self::None, Self::LostAfter(Exchange::Commit), Self::PowerLost(PowerLoss::BeforeSync)];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no fault"),
            Self::LostBefore(exchange) => write!(f, "lost before {exchange:?}"),
            Self::LostAfter(exchange) => write!(f, "lost after {exchange:?}"),
            Self::Mutated(exchange) => write!(f, "answer of {exchange:?} mutated"),
            Self::CutInAnswer(number, bytes) => write!(f, "lost {bytes} bytes into answer {number}"),
            Self::Distorted(number, seed) => write!(f, "answer {number} distorted by {seed}"),
            Self::PowerLost(moment) => write!(f, "power lost {moment:?}"),
            Self::IntentWriteFails => f.write_str("intent write fails"),
            Self::OutcomeWriteFails => f.write_str("outcome write fails"),
            Self::TapWriteFails => f.write_str("tap write fails"),
            Self::LogDestroyed => f.write_str("log destroyed"),
        }
    }
}
