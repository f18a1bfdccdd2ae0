//! What a desk writes on a card: the record after an action, from the record before it (pure).
//!
//! A desk's record keeps what the fare rules must not forget: the place of the last ride (`line`, `stop`) and, in
//! `journey_minutes_ago`, the whole minutes since then, so that a load between two taps neither opens the pass-back
//! window nor stretches it by more than a minute.

use super::record::later_by;
use super::{Issuer, LayoutError, PURSE_UPPER_LIMIT, Profile, Record, RecordKind};
use crate::id::{LineNumber, StopNumber, TapId};
use crate::money::{Amount, Balance};
use crate::time::Moment;

/// How many values `action_sequence` has: it counts 0 … 4,095 and then 0 again.
pub const ACTION_SEQUENCES: u16 = 4_096;

/// What a desk is about to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeskWrite {
    /// The step of the desk's action that writes it; its name goes onto the card as a tap's does.
    pub action: TapId,
    /// When.
    pub at: Moment,
    /// What is loaded, paid out, or paid for a product: 0 to 2²⁴−1 minor units.
    pub amount: Amount,
}

/// Why a desk cannot write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeskRecordError {
    /// A load, a refund or a sale of nothing.
    #[error("the amount is 0: nothing would be loaded, paid out or sold")]
    NothingToDo,
    /// The purse would hold more than a card may.
    #[error("the purse holds {balance} and takes at most {most} more minor units", balance = .balance.minor(), most = .most.minor())]
    TooMuch {
        /// What the purse holds.
        balance: Balance,
        /// The most that may be loaded.
        most: Amount,
    },
    /// The purse holds less than is to be paid out.
    #[error("the purse holds {} minor units, less than is to be paid out", .balance.minor())]
    NotEnough {
        /// What the purse holds.
        balance: Balance,
    },
    /// The card has counted all its records; it must be exchanged.
    #[error("the card has written its last record; exchange it")]
    CardUsedUp,
    /// A value does not fit the record.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// The first record of a card: `write.amount` is the value that it is issued with, 0 allowed.
///
/// # Errors
/// [`DeskRecordError`].
pub fn record_of_issue(issuer: &Issuer, write: DeskWrite) -> Result<Record, DeskRecordError> {
    let balance_after = credited(Balance::ZERO, write.amount)?;
    let record = Record {
        kind: RecordKind::Issued,
        card_sequence: 1,
        tap: Some(write.action),
        previous: None,
        time: write.at,
        line: LineNumber(0),
        stop: StopNumber(0),
        amount: write.amount,
        balance_after,
        has_pass: issuer.has_product(),
        has_profile: issuer.profile != Profile::Ordinary,
        profile: issuer.profile,
        carried: Default::default(),
        recovered: false,
    };
    fits(record)
}

/// The record of a load of `write.amount`: the purse grows by it, the action sequence advances.
///
/// # Errors
/// [`DeskRecordError`].
pub fn record_of_load(read: &Record, write: DeskWrite) -> Result<Record, DeskRecordError> {
    let balance_after = credited(read.balance_after, something(write.amount)?)?;
    let record = after(read, RecordKind::Load, write)?;
    fits(Record { balance_after, ..with_next_action(record) })
}

/// The record of a refund of `write.amount` in cash: the purse shrinks by it, the action sequence advances.
///
/// # Errors
/// [`DeskRecordError`].
pub fn record_of_refund(read: &Record, write: DeskWrite) -> Result<Record, DeskRecordError> {
    let balance_after = debited(read.balance_after, something(write.amount)?)?;
    let record = after(read, RecordKind::Refund, write)?;
    fits(Record { balance_after, ..with_next_action(record) })
}

/// The record of a product sold for `write.amount` in cash; `issuer` is the issuer file after the sale. The purse and
/// the action sequence stay.
///
/// # Errors
/// [`DeskRecordError`].
pub fn record_of_sale(read: &Record, issuer: &Issuer, write: DeskWrite) -> Result<Record, DeskRecordError> {
    something(write.amount)?;
    let record = after(read, RecordKind::Sale, write)?;
    fits(with_issuer(record, issuer))
}

/// The record of a card that takes over what another one had: `write.amount`, 0 allowed, is loaded, and `issuer` is the
/// issuer file with the products. The action sequence advances.
///
/// # Errors
/// [`DeskRecordError`].
pub fn record_of_transfer(read: &Record, issuer: &Issuer, write: DeskWrite) -> Result<Record, DeskRecordError> {
    let balance_after = credited(read.balance_after, write.amount)?;
    let record = after(read, RecordKind::Load, write)?;
    fits(Record { balance_after, ..with_issuer(with_next_action(record), issuer) })
}

/// The record of a card that gives up what it had to another one: `write.amount`, 0 allowed, leaves the purse, and
/// `issuer` is the issuer file without the products. The action sequence advances.
///
/// # Errors
/// [`DeskRecordError`].
pub fn record_of_surrender(read: &Record, issuer: &Issuer, write: DeskWrite) -> Result<Record, DeskRecordError> {
    let balance_after = debited(read.balance_after, write.amount)?;
    let record = after(read, RecordKind::Refund, write)?;
    fits(Record { balance_after, ..with_issuer(with_next_action(record), issuer) })
}

impl Record {
    /// Whether a desk wrote it.
    pub fn is_of_desk(&self) -> bool {
        match self.kind {
            RecordKind::Issued | RecordKind::Load | RecordKind::Refund | RecordKind::Sale => true,
            RecordKind::Boarding | RecordKind::TapIn | RecordKind::TapOut => false,
        }
    }

    /// The newest tap of a validator that this record still names: its own, or, where a desk wrote it, the one before.
    /// It may be a desk's action where a desk wrote both.
    pub fn last_tap(&self) -> Option<TapId> {
        if self.is_of_desk() { self.previous } else { self.tap }
    }
}

fn something(amount: Amount) -> Result<Amount, DeskRecordError> {
    if amount == Amount::ZERO { Err(DeskRecordError::NothingToDo) } else { Ok(amount) }
}

fn credited(balance: Balance, amount: Amount) -> Result<Balance, DeskRecordError> {
    let limit = i64::from(PURSE_UPPER_LIMIT);
    let after = balance.checked_credit(amount).filter(|after| after.minor() <= limit);
    after.ok_or_else(|| {
        let most = limit.saturating_sub(balance.minor()).max(0);
        DeskRecordError::TooMuch { balance, most: Amount::from_minor(most).unwrap_or(Amount::ZERO) }
    })
}

fn debited(balance: Balance, amount: Amount) -> Result<Balance, DeskRecordError> {
    let left = balance.checked_debit(amount).filter(|left| *left >= Balance::ZERO);
    left.or((amount == Amount::ZERO).then_some(balance)).ok_or(DeskRecordError::NotEnough { balance })
}

/// The record of `kind` after `read`: purse, issuer file and action sequence as they were.
fn after(read: &Record, kind: RecordKind, write: DeskWrite) -> Result<Record, DeskRecordError> {
    let card_sequence = read.card_sequence.checked_add(1).filter(|sequence| *sequence <= 0x00FF_FFFF);
    // A ride's own record is of the moment of the ride; a desk's says how long before it the ride was.
    let (rode, known) = match read.kind {
        RecordKind::Boarding | RecordKind::TapIn => (true, 0),
        RecordKind::TapOut | RecordKind::Issued => (false, 0),
        RecordKind::Load | RecordKind::Refund | RecordKind::Sale => {
            (read.line != LineNumber(0), read.carried.journey.1)
        }
    };
    let mut carried = read.carried;
    carried.journey.1 = if rode { later_by(known, read.time.distance_s(write.at)) } else { 0 };
    carried.transfer = read.transfer_at(write.at);
    Ok(Record {
        kind,
        card_sequence: card_sequence.ok_or(DeskRecordError::CardUsedUp)?,
        tap: Some(write.action),
        previous: read.tap,
        time: write.at,
        line: if rode { read.line } else { LineNumber(0) },
        stop: if rode { read.stop } else { StopNumber(0) },
        amount: write.amount,
        carried,
        recovered: false,
        ..*read
    })
}

fn with_next_action(record: Record) -> Record {
    let (sequence, remainder) = record.carried.action;
    let mut carried = record.carried;
    carried.action = (sequence.wrapping_add(1) % ACTION_SEQUENCES, remainder);
    Record { carried, ..record }
}

fn with_issuer(record: Record, issuer: &Issuer) -> Record {
    Record {
        has_pass: issuer.has_product(),
        has_profile: issuer.profile != Profile::Ordinary,
        profile: issuer.profile,
        ..record
    }
}

/// A record that cannot be written is refused here, before anything is sent to a card.
fn fits(record: Record) -> Result<Record, DeskRecordError> {
    record.encode()?;
    Ok(record)
}
