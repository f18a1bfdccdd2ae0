//! The ledger: double entry in integer minor units, only ever added to.
//!
//! Every account says what the clearing house owes somebody. A positive posting adds to what is owed, a negative one
//! takes from it, the postings of an entry sum to 0, and an account's balance is the sum of its postings.
//!
//! | account | owed to |
//! |---|---|
//! | `cards:float` | riders, for the value on their cards; it is negative where cards were loaded before desks kept books |
//! | `suspense:unknown` | whoever the evidence names: fares of taps of which nobody knows whether the card paid |
//! | `suspense:missing` | whoever the tap names that has not come: debits that cards show |
//! | `operator:N:payable` | operator N, for rides not yet settled |
//! | `operator:N:settled` | operator N, by a statement |
//! | `desk:N:cash` | desk N; negative: the desk owes the cash that it took |
//! | `desk:N:unbacked` | nobody; negative: desk N owes what it wrote or gave back and no payment backs |
//! | `suspense:loads` | riders who paid at a desk, until their card has what they paid for |
//! | `revenue:passes` | the operators together, for passes sold; how it is shared out is no part of these books yet |
//!
//! | event | from | to |
//! |---|---|---|
//! | a proven ride | `cards:float` | `operator:N:payable` |
//! | an unknown tap | `cards:float` | `suspense:unknown` |
//! | … turns out committed | `suspense:unknown` | `operator:N:payable` |
//! | … turns out void | `suspense:unknown` | `cards:float` |
//! | a debit that a card shows and whose tap has not come when a day is closed | `cards:float` | `suspense:missing` |
//! | … its tap comes, or the card proves another in its place | `suspense:missing` | `cards:float` |
//! | a closed day | `operator:N:payable` | `operator:N:settled` |
//! | paid at a desk | `desk:N:cash` | `suspense:loads` |
//! | … issued or loaded on the card | `suspense:loads` | `cards:float` |
//! | … a pass written on the card | `suspense:loads` | `revenue:passes` |
//! | … given back, because it was not written | `suspense:loads` | `desk:N:cash` |
//! | a refund of the purse in cash | `cards:float` | `desk:N:cash` |
//! | an exchanged card: taken off the old one | `cards:float` | `suspense:loads` |
//! | … without its proof, past what its desk is believed | `desk:N:cash` | `suspense:loads` |
//! | … and put on the new one | `suspense:loads` | `cards:float` |
//! | a lost card's value put on another | moves nothing | |
//! | … without a grant for it | `desk:N:cash` | `cards:float` |
//!
//! An unknown step of a desk moves nothing: what was paid for waits in `suspense:loads` until a proven record of the card
//! names the step. Of a card that can prove nothing it counts as written once its desk says that the card took it.
//!
//! Nothing waits in `suspense:loads` that is less than nothing. What a step takes from there that its own action has not
//! brought in, the desk owes in `desk:N:unbacked`; what the action brings in later goes there first ([`split`]). So the
//! books are the same whatever order the steps come in, and one action never takes what another one's rider waits for.
//!
//! A ride at fare 0 is an entry without postings: it moves no money, and a statement counts it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use transit::action::{Action, ActionKind, Step};
use transit::card::{Profile, Record, RecordKind};
use transit::id::{DeviceId, LineNumber, OperatorId, TapId};
use transit::money::Amount;
use transit::tap::{Outcome, Tap};
use transit::tariff::Tariffs;
use transit::time::{Moment, ServiceDay};

use crate::missing::MissingDebit;

/// One event of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What happened.
    pub kind: EntryKind,
    /// The tap, or the step of a desk's action, that it is about; `None` for a settlement.
    pub tap: Option<TapId>,
    /// Who is or would be owed, or whose desk it is.
    pub operator: OperatorId,
    /// On which line; `None` for what is no ride.
    pub line: Option<LineNumber>,
    /// What the fare rests on; `None` for what is no ride.
    pub basis: Option<Basis>,
    /// The day of travel, or of the desk's action.
    pub service_day: ServiceDay,
    /// The day in whose statement it counts.
    pub settlement_day: ServiceDay,
    /// When it was entered.
    pub posted_at: Moment,
    /// The ISO 4217 code of its amounts.
    pub currency: String,
    /// What it moves: nothing, or postings that sum to 0.
    pub postings: Vec<Posting>,
}

/// What an entry adds to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// The account.
    pub account: Account,
    /// Minor units; negative takes from the account, never 0.
    pub amount: i64,
}

/// The kinds of entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A rider was admitted, and the card paid.
    Ride,
    /// A tap of which nobody knows whether the card paid.
    Unknown,
    /// An unknown tap turned out committed.
    UnknownConfirmed,
    /// An unknown tap turned out void.
    UnknownVoided,
    /// A closed day's statement.
    Settlement,
    /// A rider paid at a desk.
    Paid,
    /// What was paid is in a card's purse.
    Loaded,
    /// What was paid is a pass on a card.
    Sold,
    /// A desk paid value of a card out.
    PaidOut,
    /// A desk gave back what was paid and not written.
    PaidBack,
    /// A desk took value off a card that is exchanged.
    TakenOver,
    /// A desk put a lost card's value on another.
    Transferred,
    /// A debit that a card shows, and whose tap has not come.
    Missing,
    /// The tap of such a debit came, or the card proves that it was another's.
    MissingEnded,
}

const KINDS: [(EntryKind, &str); 14] = [
    (EntryKind::Ride, "ride"),
    (EntryKind::Unknown, "unknown"),
    (EntryKind::UnknownConfirmed, "unknown_confirmed"),
    (EntryKind::UnknownVoided, "unknown_voided"),
    (EntryKind::Settlement, "settlement"),
    (EntryKind::Paid, "paid"),
    (EntryKind::Loaded, "loaded"),
    (EntryKind::Sold, "sold"),
    (EntryKind::PaidOut, "paid_out"),
    (EntryKind::PaidBack, "paid_back"),
    (EntryKind::TakenOver, "taken_over"),
    (EntryKind::Transferred, "transferred"),
    (EntryKind::Missing, "missing"),
    (EntryKind::MissingEnded, "missing_ended"),
];

impl EntryKind {
    /// Its name in the books.
    pub fn name(self) -> &'static str {
        KINDS[self as usize].1
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        KINDS.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }
}

/// What the fare of a ride rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The line's flat fare.
    FlatFare,
    /// The fare of a route of the line's length.
    RouteLength,
    /// The price of a journey from stop to stop: its tap-in or its tap-out.
    Journey,
    /// A time of day at which the fare is another.
    TimeBand,
    /// A profile that pays less.
    Discount(Profile),
    /// A transfer, which costs less than a ride alone.
    Transfer,
    /// A cap that left less than the fare, or nothing.
    Cap,
    /// A pass.
    Pass,
    /// A profile that rides free.
    FreeProfile(Profile),
    /// An unknown tap that the card's evidence confirmed.
    RecoveredUnknown,
    /// What the validator charged; the tariff at hand does not explain it.
    AsCharged,
}

impl Basis {
    /// Its place among the lines of a statement.
    pub fn rank(self) -> (u8, u8) {
        match self {
            Self::FlatFare => (0, 0),
            Self::RouteLength => (1, 0),
            Self::Journey => (2, 0),
            Self::TimeBand => (3, 0),
            Self::Discount(profile) => (4, profile as u8),
            Self::Transfer => (5, 0),
            Self::Cap => (6, 0),
            Self::Pass => (7, 0),
            Self::FreeProfile(profile) => (8, profile as u8),
            Self::RecoveredUnknown => (9, 0),
            Self::AsCharged => (10, 0),
        }
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FlatFare => f.write_str("flat fare"),
            Self::RouteLength => f.write_str("by route length"),
            Self::Journey => f.write_str("by journey"),
            Self::TimeBand => f.write_str("time of day"),
            Self::Discount(profile) => write!(f, "discount: {}", profile_name(*profile)),
            Self::Transfer => f.write_str("transfer"),
            Self::Cap => f.write_str("cap"),
            Self::Pass => f.write_str("pass"),
            Self::FreeProfile(profile) => write!(f, "free profile: {}", profile_name(*profile)),
            Self::RecoveredUnknown => f.write_str("recovered unknown"),
            Self::AsCharged => f.write_str("as charged"),
        }
    }
}

fn profile_name(profile: Profile) -> &'static str {
    match profile {
        Profile::Ordinary => "ordinary",
        Profile::Student => "student",
        Profile::IndustrialZoneWorker => "industrial zone worker",
        Profile::SixtyPlus => "sixty plus",
        Profile::UnderSix => "under six",
        Profile::Merit => "merit",
        Profile::PoorHousehold => "poor household",
        Profile::Disabled => "disabled",
    }
}

/// An account of the ledger, written as in the table of this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// Value held for riders.
    CardsFloat,
    /// Fares of unknown taps.
    SuspenseUnknown,
    /// Debits that cards show, of taps that have not come.
    SuspenseMissing,
    /// Owed to an operator, not yet settled.
    Payable(OperatorId),
    /// Owed to an operator by a statement.
    Settled(OperatorId),
    /// Cash of a desk: negative where the desk owes it.
    DeskCash(DeviceId),
    /// What a desk wrote or gave back and no payment backs: never positive.
    DeskUnbacked(DeviceId),
    /// What riders paid at desks and their cards do not have yet.
    SuspenseLoads,
    /// Passes sold.
    RevenuePasses,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CardsFloat => f.write_str("cards:float"),
            Self::SuspenseUnknown => f.write_str("suspense:unknown"),
            Self::SuspenseMissing => f.write_str("suspense:missing"),
            Self::Payable(operator) => write!(f, "operator:{}:payable", operator.0),
            Self::Settled(operator) => write!(f, "operator:{}:settled", operator.0),
            Self::DeskCash(desk) => write!(f, "desk:{desk}:cash"),
            Self::DeskUnbacked(desk) => write!(f, "desk:{desk}:unbacked"),
            Self::SuspenseLoads => f.write_str("suspense:loads"),
            Self::RevenuePasses => f.write_str("revenue:passes"),
        }
    }
}

impl FromStr for Account {
    type Err = InvalidAccount;

    fn from_str(text: &str) -> Result<Self, InvalidAccount> {
        let invalid = || InvalidAccount(text.to_owned());
        let account = match text.split(':').collect::<Vec<_>>()[..] {
            ["cards", "float"] => Self::CardsFloat,
            ["suspense", "unknown"] => Self::SuspenseUnknown,
            ["suspense", "missing"] => Self::SuspenseMissing,
            ["operator", number, "payable"] => Self::Payable(OperatorId(number.parse().map_err(|_| invalid())?)),
            ["operator", number, "settled"] => Self::Settled(OperatorId(number.parse().map_err(|_| invalid())?)),
            ["desk", number, account] => {
                let desk = number.parse().ok().and_then(DeviceId::new).ok_or_else(invalid)?;
                match account {
                    "cash" => Self::DeskCash(desk),
                    "unbacked" => Self::DeskUnbacked(desk),
                    _ => return Err(invalid()),
                }
            }
            ["suspense", "loads"] => Self::SuspenseLoads,
            ["revenue", "passes"] => Self::RevenuePasses,
            _ => return Err(invalid()),
        };
        Ok(account)
    }
}

/// A text that names no account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no account")]
pub struct InvalidAccount(pub String);

/// What a tap says its card was charged.
///
/// A completed tap charged what its debit named, which is what the Transaction MAC covers; an unknown one would have
/// charged its fare.
pub fn charged(tap: &Tap) -> Amount {
    match tap.outcome {
        Outcome::Done => tap.debited.unwrap_or(Amount::ZERO),
        Outcome::Unknown => tap.fare,
        Outcome::Void
        | Outcome::Declined(_)
        | Outcome::Confirmed { .. }
        | Outcome::Voided { .. }
        | Outcome::Evidence => Amount::ZERO,
    }
}

/// When and in which currency an entry is made.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// The day of travel or of the desk's action, and the day in whose statement it counts.
    pub days: Days,
    /// When it is entered.
    pub posted_at: Moment,
    /// The ISO 4217 code of its amounts.
    pub currency: &'a str,
}

impl<'a> Stamp<'a> {
    /// Of what was made at `made` and is entered at `at`, where `is_closed` tells which days are closed.
    pub fn of(tariffs: &'a Tariffs, made: Moment, at: Moment, is_closed: impl FnMut(ServiceDay) -> bool) -> Self {
        let day = |moment| tariffs.calendar().service_day(moment);
        Self { days: days(day(made), day(at), is_closed), posted_at: at, currency: &tariffs.currency().code }
    }
}

/// A ride for which the card paid.
pub fn ride(tap: &Tap, basis: Basis, stamp: Stamp<'_>) -> Entry {
    of_tap(EntryKind::Ride, tap, basis, stamp, Account::CardsFloat, Account::Payable(tap.operator))
}

/// A tap of which nobody knows whether the card paid.
pub fn unknown(tap: &Tap, stamp: Stamp<'_>) -> Entry {
    of_tap(EntryKind::Unknown, tap, Basis::RecoveredUnknown, stamp, Account::CardsFloat, Account::SuspenseUnknown)
}

/// An unknown tap that turned out committed.
pub fn unknown_confirmed(tap: &Tap, stamp: Stamp<'_>) -> Entry {
    let (from, to) = (Account::SuspenseUnknown, Account::Payable(tap.operator));
    of_tap(EntryKind::UnknownConfirmed, tap, Basis::RecoveredUnknown, stamp, from, to)
}

/// An unknown tap that turned out void.
pub fn unknown_voided(tap: &Tap, stamp: Stamp<'_>) -> Entry {
    let (from, to) = (Account::SuspenseUnknown, Account::CardsFloat);
    of_tap(EntryKind::UnknownVoided, tap, Basis::RecoveredUnknown, stamp, from, to)
}

/// A debit that a card shows, and whose tap has not come.
pub fn missing(debit: &MissingDebit, operator: OperatorId, stamp: Stamp<'_>) -> Entry {
    of_missing(EntryKind::Missing, debit, operator, stamp, (Account::CardsFloat, Account::SuspenseMissing))
}

/// The end of that: its tap came, or the card proves that it was another's.
pub fn missing_ended(debit: &MissingDebit, operator: OperatorId, stamp: Stamp<'_>) -> Entry {
    of_missing(EntryKind::MissingEnded, debit, operator, stamp, (Account::SuspenseMissing, Account::CardsFloat))
}

/// What a step of a desk's action moves on the card: what its credit or debit named, or, where neither is part of it,
/// its amount.
pub fn moved(action: &Action) -> Amount {
    let record = action.record_written.and_then(|bytes| Record::decode(&bytes).ok());
    let issued = record.is_some_and(|record| record.kind == RecordKind::Issued);
    match action.kind {
        ActionKind::Block => Amount::ZERO,
        ActionKind::Sale => action.amount,
        // Made with value on it; but a credit, which the Transaction MAC covers, is what the card has.
        ActionKind::Issue => action.credited.unwrap_or(action.amount),
        ActionKind::TopUp | ActionKind::Transfer | ActionKind::Exchange if issued => {
            action.credited.unwrap_or(action.amount)
        }
        ActionKind::Refund | ActionKind::Exchange if action.gives_up() => action.debited.unwrap_or(Amount::ZERO),
        ActionKind::Refund => Amount::ZERO,
        ActionKind::TopUp | ActionKind::Transfer | ActionKind::Exchange => action.credited.unwrap_or(Amount::ZERO),
    }
}

/// What a step of a desk's action does in the books by itself: cash that was taken or given back.
pub fn of_cash(action: &Action, stamp: Stamp<'_>) -> Option<Entry> {
    let desk = Account::DeskCash(action.id.device);
    let (kind, from, to) = match action.step {
        Step::Paid => (EntryKind::Paid, desk, Account::SuspenseLoads),
        Step::Refunded => (EntryKind::PaidBack, Account::SuspenseLoads, desk),
        Step::Written | Step::Unknown | Step::Void | Step::Confirmed { .. } | Step::Voided { .. } | Step::Done => {
            return None;
        }
    };
    Some(of_action(kind, action, stamp, movement(from, to, action.amount)))
}

/// What a step of a desk's action does in the books once the card has it. `backed` says whether a grant allows a
/// transfer, and whether the old card of an exchange is believed to have given up its value: otherwise the desk owes the
/// value that it made.
pub fn of_writing(action: &Action, backed: bool, stamp: Stamp<'_>) -> Option<Entry> {
    let desk = Account::DeskCash(action.id.device);
    let (kind, from, to) = match action.kind {
        ActionKind::Issue | ActionKind::TopUp => (EntryKind::Loaded, Account::SuspenseLoads, Account::CardsFloat),
        ActionKind::Sale => (EntryKind::Sold, Account::SuspenseLoads, Account::RevenuePasses),
        ActionKind::Refund => (EntryKind::PaidOut, Account::CardsFloat, desk),
        ActionKind::Exchange if action.gives_up() => {
            let from = if backed { Account::CardsFloat } else { desk };
            (EntryKind::TakenOver, from, Account::SuspenseLoads)
        }
        ActionKind::Exchange => (EntryKind::Loaded, Account::SuspenseLoads, Account::CardsFloat),
        ActionKind::Transfer if backed => {
            return Some(of_action(EntryKind::Transferred, action, stamp, Vec::new()));
        }
        ActionKind::Transfer => (EntryKind::Transferred, desk, Account::CardsFloat),
        ActionKind::Block => return None,
    };
    Some(of_action(kind, action, stamp, movement(from, to, moved(action))))
}

/// The entry of a step of `desk` whose action has `left` before it: what it has brought in, less what was written or
/// given back of it. What the entry moves in `suspense:loads` moves there only while something is left, and in
/// `desk:N:unbacked` beyond.
pub fn split(mut entry: Entry, desk: DeviceId, left: i64) -> Entry {
    let Some(at) = entry.postings.iter().position(|posting| posting.account == Account::SuspenseLoads) else {
        return entry;
    };
    let after = left.saturating_add(entry.postings.remove(at).amount);
    let parts = [
        (Account::SuspenseLoads, after.max(0).saturating_sub(left.max(0))),
        (Account::DeskUnbacked(desk), after.min(0).saturating_sub(left.min(0))),
    ];
    let parts = parts.into_iter().filter(|(_, amount)| *amount != 0);
    entry.postings.extend(parts.map(|(account, amount)| Posting { account, amount }));
    entry
}

/// The settlement of a closed day with one operator.
pub fn settlement(operator: OperatorId, day: ServiceDay, amount: Amount, posted_at: Moment, currency: &str) -> Entry {
    Entry {
        kind: EntryKind::Settlement,
        tap: None,
        operator,
        line: None,
        basis: None,
        service_day: day,
        settlement_day: day,
        posted_at,
        currency: currency.to_owned(),
        postings: movement(Account::Payable(operator), Account::Settled(operator), amount),
    }
}

/// The days of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// The day of travel.
    pub travel: ServiceDay,
    /// The day in whose statement it counts.
    pub settlement: ServiceDay,
}

/// The days of an entry about a tap made on `travel`, entered on `receipt`.
///
/// It counts in its day of travel while that is open. What comes late counts in the first open day from its receipt
/// on, and so does a tap of a clock that runs ahead: a day that has not begun takes no money.
pub fn days(travel: ServiceDay, receipt: ServiceDay, mut is_closed: impl FnMut(ServiceDay) -> bool) -> Days {
    let mut settlement = travel;
    if travel > receipt || is_closed(travel) {
        settlement = receipt;
        while is_closed(settlement) && settlement.0 < u16::MAX {
            settlement.0 += 1;
        }
    }
    Days { travel, settlement }
}

impl Entry {
    /// The sum of its postings, which must be 0; `None` on overflow.
    pub fn sum(&self) -> Option<i64> {
        self.postings.iter().try_fold(0_i64, |sum, posting| sum.checked_add(posting.amount))
    }
}

fn of_tap(kind: EntryKind, tap: &Tap, basis: Basis, stamp: Stamp<'_>, from: Account, to: Account) -> Entry {
    Entry {
        kind,
        tap: Some(tap.id),
        operator: tap.operator,
        line: Some(tap.line),
        basis: Some(basis),
        service_day: stamp.days.travel,
        settlement_day: stamp.days.settlement,
        posted_at: stamp.posted_at,
        currency: stamp.currency.to_owned(),
        postings: movement(from, to, charged(tap)),
    }
}

fn of_missing(
    kind: EntryKind,
    debit: &MissingDebit,
    operator: OperatorId,
    stamp: Stamp<'_>,
    (from, to): (Account, Account),
) -> Entry {
    Entry {
        kind,
        tap: Some(debit.tap),
        operator,
        line: None,
        basis: None,
        service_day: stamp.days.travel,
        settlement_day: stamp.days.settlement,
        posted_at: stamp.posted_at,
        currency: stamp.currency.to_owned(),
        postings: movement(from, to, debit.amount),
    }
}

fn of_action(kind: EntryKind, action: &Action, stamp: Stamp<'_>, postings: Vec<Posting>) -> Entry {
    Entry {
        kind,
        tap: Some(action.id),
        operator: action.operator,
        line: None,
        basis: None,
        service_day: stamp.days.travel,
        settlement_day: stamp.days.settlement,
        posted_at: stamp.posted_at,
        currency: stamp.currency.to_owned(),
        postings,
    }
}

fn movement(from: Account, to: Account, amount: Amount) -> Vec<Posting> {
    if amount == Amount::ZERO {
        return Vec::new();
    }
    // An amount is never negative, so that its negation cannot overflow.
    vec![Posting { account: from, amount: -amount.minor() }, Posting { account: to, amount: amount.minor() }]
}
