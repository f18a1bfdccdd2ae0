//! Debits that a card shows and whose taps have not come: the validator's log is late, kept back, or destroyed.
//!
//! A card's counter leaps where a transaction has not come. What its records show of that, proven ones and those that
//! validators read below them, names the tap and its amount. When a day is closed such a debit goes to `suspense:missing`,
//! by the name of its tap: the card's money has gone, and whose it is cannot be settled without the tap. It ends when the
//! tap comes and is booked as ever, or when the card proves that its record was another's. Nobody is paid by it.

use std::fmt;

use serde::Serialize;
use transit::id::{CardToken, DeviceId, OperatorId, TapId};
use transit::money::Amount;
use transit::time::{Moment, ServiceDay};

use crate::config::Config;
use crate::gaps::{Leap, leaps_of_card};
use crate::history::Shown;
use crate::ledger::{self, Stamp};
use crate::store::{Books, StoreError};

/// A debit of which a card has the record, and nobody has sent the tap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingDebit {
    /// The tap that the card names.
    pub tap: TapId,
    /// The card.
    pub card: CardToken,
    /// The number of its record on the card.
    pub slot: u32,
    /// What the card was charged.
    pub amount: Amount,
    /// When the card says that it was made, or the ride after it.
    pub at: Moment,
}

/// A debit in `suspense:missing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitingDebit {
    /// The tap that the card names.
    pub tap: String,
    /// Its validator.
    pub device: DeviceId,
    /// Whose that is.
    pub operator: OperatorId,
    /// The card.
    pub card: CardToken,
    /// What the card was charged.
    pub amount_minor: Amount,
    /// The day of travel, by the card's record.
    pub travel_day: ServiceDay,
    /// When it was booked.
    pub booked_at: Moment,
}

impl fmt::Display for WaitingDebit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tap, operator, card, travel_day, booked_at, .. } = self;
        write!(f, "{tap} of operator {}, {travel_day}, card {card}, booked {booked_at}", operator.0)
    }
}

/// Books the debits to the end of `day` that cards show and whose taps have not come; and ends those of which a card has
/// proven since that they were another's.
pub(crate) fn close(books: &Books<'_>, config: &Config, day: ServiceDay, at: Moment) -> Result<(), StoreError> {
    for (debit, operator) in books.missing_debits_open()? {
        let proofs = books.evidence_of_slot(debit.card, debit.slot)?;
        if !proofs.is_empty() && proofs.iter().all(|proof| proof.writer != Some(debit.tap)) {
            end(books, config, &debit, operator, at)?;
        }
    }
    for card in books.cards_with_leaps()? {
        for leap in leaps_of_card(books, card)? {
            book(books, config, (card, leap), day, at)?;
        }
    }
    Ok(())
}

/// Ends the wait for `tap`, which has come.
pub(crate) fn came(books: &Books<'_>, config: &Config, tap: TapId, at: Moment) -> Result<(), StoreError> {
    match books.missing_debit_open(tap)? {
        Some((debit, operator)) => end(books, config, &debit, operator, at),
        None => Ok(()),
    }
}

/// What waits in `suspense:missing`.
pub(crate) fn waiting(books: &Books<'_>, config: &Config) -> Result<Vec<WaitingDebit>, StoreError> {
    let mut waiting = Vec::new();
    for (debit, operator) in books.missing_debits_open()? {
        let entries = books.entries_of(debit.tap)?;
        waiting.push(WaitingDebit {
            tap: debit.tap.to_string(),
            device: debit.tap.device,
            operator,
            card: debit.card,
            amount_minor: debit.amount,
            travel_day: config.tariffs.calendar().service_day(debit.at),
            booked_at: entries.first().map_or(debit.at, |stored| stored.entry.posted_at),
        });
    }
    Ok(waiting)
}

fn book(
    books: &Books<'_>,
    config: &Config,
    (card, leap): (CardToken, Leap),
    day: ServiceDay,
    at: Moment,
) -> Result<(), StoreError> {
    let Some((first, last)) = leap.slots else { return Ok(()) };
    for Shown { writer: tap, slot, amount, at: made } in books.history_to(card, (first, last))?.shown() {
        let Some(operator) = config.devices.get(&tap.device).copied() else { continue };
        let is_between = first < slot && slot < last;
        let is_over = config.tariffs.calendar().service_day(made) <= day;
        if !is_between || !is_over || books.is_known(tap)? || books.is_slot_missing(card, slot, tap)? {
            continue;
        }
        let debit = MissingDebit { tap, card, slot, amount, at: made };
        books.insert_missing_debit(&debit)?;
        books.post(&ledger::missing(&debit, operator, stamp(books, config, made, at)?))?;
    }
    Ok(())
}

fn end(
    books: &Books<'_>,
    config: &Config,
    debit: &MissingDebit,
    operator: OperatorId,
    at: Moment,
) -> Result<(), StoreError> {
    books.post(&ledger::missing_ended(debit, operator, stamp(books, config, debit.at, at)?))
}

fn stamp<'a>(books: &Books<'_>, config: &'a Config, made: Moment, at: Moment) -> Result<Stamp<'a>, StoreError> {
    let closed = books.closed_days()?;
    let is_closed = |day| closed.iter().any(|(closed, _)| closed.service_day == day);
    Ok(Stamp::of(&config.tariffs, made, at, is_closed))
}
