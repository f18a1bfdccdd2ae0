//! What a validator shows: a whole picture each time, the latest wins. Plain facts; the words are the screen's.
//!
//! The validator publishes one JSON object a line on a Unix socket.

use serde::{Deserialize, Serialize};

use crate::card::Profile;
use crate::money::{Amount, Balance, Currency};
use crate::time::{Moment, ServiceDay};

/// Everything on the screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Screen {
    /// Counts published screens from 1.
    pub number: u64,
    /// The main part.
    pub state: State,
    /// The network is away: taps wait to be sent.
    pub offline: bool,
    /// The name of the line.
    pub line: String,
    /// The name of the stop.
    pub stop: String,
    /// What amounts are written in.
    pub currency: Currency,
    /// The tap that this is the answer to, for whoever measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tap: Option<TapFigures>,
    /// Whether a card could be taken when this was sent, for whoever watches over validators; none before the reader
    /// was there for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card_path: Option<CardPath>,
}

/// How the way to a card has answered: PC/SC service, driver, reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardPath {
    /// How often, since the start.
    pub polls: u64,
    /// How long ago the last time, in ms.
    pub last_ago_ms: u64,
}

/// What one tap took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TapFigures {
    /// The sealed tap that holds the answer, `device-epoch-sequence`.
    pub tap: Option<String>,
    /// From the event that a card is present to this screen, in microseconds.
    pub elapsed_us: u64,
    /// Commands sent to the card and answered, until the decision.
    pub exchanges: u32,
    /// When the card was presented.
    pub at: Moment,
}

/// The main part of the screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Waiting for a card.
    Idle,
    /// Come in.
    Accepted {
        /// What was debited.
        fare: Amount,
        /// What the purse holds now.
        balance: Balance,
        /// The pass that it rode on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pass: Option<PassShown>,
        /// The profile that rides free.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        concession: Option<Profile>,
        /// A pass that ended, which is why the purse paid.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expired_pass: Option<ServiceDay>,
        /// The debit was taken by an earlier tap whose answer was lost.
        recovered: bool,
        /// The way through the gate, where journeys begin and end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        way: Option<Way>,
    },
    /// Paid moments ago; not admitted again.
    Attention {
        /// Which rule.
        reason: AttentionReason,
    },
    /// Not admitted.
    Declined {
        /// Why.
        reason: DeclineReason,
        /// What the purse holds, where it was read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        balance: Option<Balance>,
        /// What the ride costs, where it was decided.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fare: Option<Amount>,
    },
    /// The tap did not finish: the same card, once more.
    PresentAgain,
    /// The validator takes no cards.
    OutOfService {
        /// Why.
        reason: OutOfServiceReason,
    },
}

/// The way through a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// In: the rest is due at the way out.
    In,
    /// Out.
    Out,
}

/// A pass as shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassShown {
    /// Its last service day.
    pub valid_until: ServiceDay,
    /// Service days left after this one.
    pub days_left: u16,
}

/// Why a paid rider is not admitted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttentionReason {
    /// This validator let the card in.
    AlreadyPaid,
    /// Another validator at this place let the card in: use that one, or ask staff.
    UseSameGate,
    /// This validator took the fare and then lost its power: it cannot tell whether it has let the card in. Staff decides.
    PaidBeforePowerLoss,
}

/// Why a card is declined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclineReason {
    /// The purse holds less than the fare.
    NotEnough,
    /// On the deny list.
    Denied,
    /// Failed authentication or answered wrongly.
    NotGenuine,
    /// A card of another system.
    NotOurs,
    /// Ours, but its content cannot be used.
    CardUnusable,
    /// Too many taps of this card were torn.
    TooManyTorn,
}

/// Why a validator takes no cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutOfServiceReason {
    /// Starting up.
    Starting,
    /// No reader, or no PC/SC service.
    Reader,
    /// The tap log cannot be written.
    Storage,
}
