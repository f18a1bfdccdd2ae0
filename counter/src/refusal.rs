//! Why a desk does not do something, by who is to blame; each says what to do.

use card_crypto::Error;
use key_store::KeyStoreError;
use transit::card::DeskRecordError;
use transit::desk::Allowance;
use transit::id::TapId;
use transit::money::{Amount, Balance};
use transit::pass::PassRefusal;
use transit::time::Moment;

use crate::journal::JournalError;
use crate::lint::Finding;
use crate::session::CardError;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The desk does not do it; nothing of it was begun.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The card cannot be used; it is unchanged.
    #[error(transparent)]
    Card(#[from] CardError),
    /// The card left, or the keys did not do their part, before the commit was sent: the card is unchanged. What was paid
    /// stays recorded as paid.
    #[error(
        "{} and is unchanged; lay it down again, action {action} goes on by itself",
        if source.is_lost() { "the card left too early" } else { "the card could not be written" }
    )]
    NotWritten {
        /// The first step of the action.
        action: TapId,
        /// What happened.
        #[source]
        source: CardError,
    },
    /// The commit was sent and no verified answer came.
    #[error("whether the card has it is not known; lay the same card down again, action {action} goes on by itself")]
    Unknown {
        /// The first step of the action.
        action: TapId,
        /// What happened.
        #[source]
        source: Error,
    },
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Why a desk does not do what was asked; the remedy is said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The clearing house has allowed nothing yet.
    #[error("this desk has no allowance: run `counter sync` where there is a network")]
    NoAllowance,
    /// The allowance has ended.
    #[error("the allowance ended at {}: run `counter sync` where there is a network", .0.valid_until)]
    AllowanceExpired(Allowance),
    /// The allowance is used up.
    #[error(
        "the allowance is used up: {left_minor} minor units are left, {asked_minor} were asked for; run `counter sync` \
         where there is a network"
    )]
    AllowanceUsedUp {
        /// What is left, in minor units.
        left_minor: i64,
        /// What was asked for, in minor units.
        asked_minor: i64,
    },
    /// The SAM's usage counter of the load key is at its limit.
    #[error(
        "the load key in the SAM is used up: have the limit of its usage counter raised; nothing was loaded and no cash \
         is to be taken"
    )]
    LoadKeyUsedUp,
    /// The clock went back.
    #[error("the clock says {now}, and the journal has an action of {newest}: set the clock")]
    ClockBehind {
        /// What the clock says.
        now: Moment,
        /// The newest step.
        newest: Moment,
    },
    /// The card is on the deny list, was blocked here, or its value was granted to another card.
    #[error("the card is blocked: nothing is loaded onto it or paid out; keep it and tell the control room")]
    Blocked,
    /// The purse or the card's counters do not take it.
    #[error(transparent)]
    Record(#[from] DeskRecordError),
    /// The purse holds less than its records say: the card is not as this system wrote it.
    #[error("the purse holds {purse_minor} minor units, and the record says {}: exchange the card", .record.minor())]
    PurseDiffers {
        /// What the purse holds.
        purse_minor: i64,
        /// What the record says.
        record: Balance,
    },
    /// The tariff sells no such pass.
    #[error("the tariff has no such pass: a pass for one line names a line of the tariff")]
    NoSuchPass,
    /// The pass is not sold.
    #[error(transparent)]
    Pass(#[from] PassRefusal),
    /// A profile needs its last day.
    #[error("a profile other than `ordinary` needs --profile-until, a day that is not over")]
    ProfileWithoutEnd,
    /// The card is in debt.
    #[error(
        "the card owes {} minor units: load at least as much onto it with `counter top-up` first",
        .owed_minor.minor()
    )]
    Owes {
        /// How much it owes.
        owed_minor: Amount,
    },
    /// There is nothing to pay out.
    #[error("the purse is empty: there is nothing to pay out")]
    EmptyPurse,
    /// The action is not one of this desk's, or at its end.
    #[error("{0} is no open action of this desk; `counter status` lists those that are")]
    NotOpen(TapId),
    /// Whether the card has it is not known.
    #[error(
        "whether a card has what {0} loads is not known: lay that card down, or run `counter sync` and try again when \
         it has been seen elsewhere; until then the cash stays where it is"
    )]
    StillUnknown(TapId),
    /// Whether a torn new card has what an exchange moves is not known.
    #[error(
        "whether the new card that was torn away has what exchange {0} moves is not known: lay that card down, or try \
         again with `--finish {0}` when it has been seen elsewhere; until then no other card gets it"
    )]
    NewCardUnknown(TapId),
    /// The card has it.
    #[error("the clearing house knows that the card has what {0} loads: there is nothing to give back")]
    IsWritten(TapId),
    /// The chip is not genuine.
    #[error("the chip is not genuine: NXP's signature over its identifier does not hold; do not issue it")]
    NotGenuine,
    /// The card is no blank one.
    #[error("the card is not blank: {0}")]
    NotBlank(&'static str),
    /// The card that was read back is weak.
    #[error("the card is weak and must not be handed out: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Weak(Vec<Finding>),
    /// Two cards are needed, and this is the same one.
    #[error("this is the old card; lay the new one down")]
    SameCard,
    /// An EV1 card has one key set.
    #[error("an EV1 card has one key set: exchange it for a newer one, and it gets the newest keys")]
    OneKeySet,
    /// The clearing house says no.
    #[error("the clearing house refuses: {0}")]
    ClearingHouse(String),
    /// A card has taken it, or may have.
    #[error("grant {0} is used: a card has taken its value, or may have; lay that card down to know")]
    GrantUsed(u32),
    /// The passes do not fit.
    #[error("the new card has no room for the passes of the old one; take a new card without passes")]
    NoRoomForPasses,
    /// The grant is for another card.
    #[error("the grant is for another card than this one")]
    OtherCard,
}

/// What a purse holds, where it does not owe.
///
/// # Errors
/// [`Refusal::Owes`].
pub(crate) fn held(balance: Balance) -> Result<Amount, Refusal> {
    let owed = || Amount::from_minor(balance.minor().saturating_neg()).unwrap_or(Amount::ZERO);
    Amount::from_minor(balance.minor()).ok_or_else(|| Refusal::Owes { owed_minor: owed() })
}

impl From<KeyStoreError> for DeskError {
    fn from(error: KeyStoreError) -> Self {
        Self::Card(CardError::Keys(error))
    }
}
