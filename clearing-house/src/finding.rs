//! What people must look at. A finding changes no money by itself.

use std::fmt;

use transit::id::TapId;

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// The tap, or the step of a desk's action, that showed it.
    pub tap: TapId,
    /// For people: what does not fit, naming device and sequence.
    pub detail: String,
}

impl Finding {
    /// A finding about `tap`, which its detail names.
    pub fn new(kind: FindingKind, tap: TapId, detail: impl fmt::Display) -> Self {
        Self { kind, tap, detail: about(tap, detail) }
    }
}

/// A sentence for people about one tap.
pub(crate) fn about(tap: TapId, detail: impl fmt::Display) -> String {
    format!("device {} epoch {} sequence {}: {detail}", tap.device, tap.epoch, tap.sequence)
}

/// The kinds of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// Two taps, or two actions, of one name: a device lost its count, or somebody makes taps up. An alarm.
    Conflict,
    /// A completed tap that was booked though its card does not prove it.
    Unproven,
    /// The fare decision, run again, comes to another result than the validator.
    DecisionDiffers,
    /// The fare decision could not be run again: another tariff version, or an unreadable card file.
    Undecidable,
    /// The validator, or the desk, decided by another version of the tariff than the one in force at the time.
    TariffNotInForce,
    /// The debit is not the fare.
    ChargeDiffers,
    /// Two taps are proven to have written one record of one card: a copied card.
    RecordTwice,
    /// One transaction counter of one card belongs to two taps: a copied card.
    CounterTwice,
    /// The card's evidence of an unknown tap names another amount than the tap.
    EvidenceDiffers,
    /// The tap was made on a service day that has not begun: its clock runs ahead.
    ClockAhead,
    /// A desk has loaded or sold more than it was allowed. An alarm.
    AllowanceExceeded,
    /// A transfer without a grant for this desk, card and amount, or with one that was used before. An alarm.
    TransferUnbacked,
    /// A desk's step does not add up: record, amount, credit, debit and issuer file say different things.
    ActionDiffers,
    /// A desk wrote value, or gave cash back, that nothing which was paid backs. An alarm.
    Unbacked,
    /// A desk's action was at its end and has another one: written or given back twice, or both. An alarm.
    EndedTwice,
    /// A card got more than the step says: a larger credit, or a pass below its price. An alarm.
    MoreThanSaid,
    /// A desk says of more value in a day than it is believed that cards without a Transaction MAC gave it up. An
    /// alarm.
    UnprovenExceeded,
    /// An action has as many steps as a desk can make, and more came. An alarm.
    TooManySteps,
    /// A validator's log was damaged and begun anew: taps of its log before may never come. An alarm.
    LogBegunAnew,
}

const NAMES: [&str; 19] = [
    "conflict",
    "unproven",
    "decision_differs",
    "undecidable",
    "tariff_not_in_force",
    "charge_differs",
    "record_twice",
    "counter_twice",
    "evidence_differs",
    "clock_ahead",
    "allowance_exceeded",
    "transfer_unbacked",
    "action_differs",
    "unbacked",
    "ended_twice",
    "more_than_said",
    "unproven_exceeded",
    "too_many_steps",
    "log_begun_anew",
];

impl FindingKind {
    /// Its name in the books.
    pub fn name(self) -> &'static str {
        NAMES[self as usize]
    }

    /// `alarm` where somebody must look now, `finding` otherwise.
    pub fn severity(self) -> &'static str {
        match self {
            Self::Conflict
            | Self::AllowanceExceeded
            | Self::TransferUnbacked
            | Self::Unbacked
            | Self::EndedTwice
            | Self::MoreThanSaid
            | Self::UnprovenExceeded
            | Self::TooManySteps
            | Self::LogBegunAnew => "alarm",
            Self::Unproven
            | Self::DecisionDiffers
            | Self::Undecidable
            | Self::TariffNotInForce
            | Self::ChargeDiffers
            | Self::RecordTwice
            | Self::CounterTwice
            | Self::EvidenceDiffers
            | Self::ClockAhead
            | Self::ActionDiffers => "finding",
        }
    }
}
