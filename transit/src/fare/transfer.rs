//! The transfer chain of a card: which boarding began it, how many are in it, what they paid.

use crate::card::Record;
use crate::money::Amount;
use crate::tariff::{Line, TransferRule};
use crate::time::Moment;

/// A boarding that is a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Its number among the transfers of its chain, from 1.
    pub number: u8,
    /// Whole minutes since the first boarding of the chain.
    pub minutes_ago: u16,
    /// What the chain had paid before it.
    pub paid: Amount,
    /// What was taken off its own fare.
    pub off: Amount,
}

/// The chain as a record has it.
pub(super) struct Chain {
    minutes_ago: u16,
    boardings: u8,
    paid: Amount,
}

/// The most that a record holds as paid in a chain: 20 bits. Only a chain of discounts comes near, which does not ask.
const PAID_MAX: u32 = 0x000F_FFFF;

impl Chain {
    /// The chain of the card that holds `record`, at `at`.
    pub(super) fn at(record: &Record, at: Moment) -> Self {
        let (minutes_ago, boardings, paid) = record.transfer_at(at);
        Self { minutes_ago, boardings, paid: Amount::from(paid) }
    }

    /// Takes one more boarding in, or begins anew with it; what it pays is told afterwards.
    pub(super) fn board(&mut self, rule: &TransferRule, single_fare: Amount) -> Option<Transfer> {
        let is_transfer = (1..=rule.most_transfers).contains(&self.boardings) && self.minutes_ago < rule.window_minutes;
        if !is_transfer {
            *self = Self { minutes_ago: 0, boardings: 1, paid: Amount::ZERO };
            return None;
        }
        let off = rule.off(single_fare, self.paid);
        let transfer = Transfer { number: self.boardings, minutes_ago: self.minutes_ago, paid: self.paid, off };
        self.boardings += 1;
        Some(transfer)
    }

    /// What the boarding that was taken in last is, now that its whole fare is known and `paid` is what it has paid.
    pub(super) fn boarded(&self, rule: &TransferRule, single_fare: Amount, paid: Amount) -> Option<Transfer> {
        let number = self.boardings.checked_sub(1).filter(|number| *number > 0)?;
        let paid = self.paid.saturating_sub(paid);
        let off = rule.off(single_fare, paid);
        Some(Transfer { number, minutes_ago: self.minutes_ago, paid, off })
    }

    /// What the boarding that was taken in last has paid too much.
    pub(super) fn give_back(&mut self, overpaid: Amount) {
        self.paid = self.paid.saturating_sub(overpaid);
    }

    /// The boarding that was taken in last was none.
    pub(super) fn leave(&mut self) {
        self.boardings = self.boardings.saturating_sub(1);
        if self.boardings == 0 {
            *self = Self { minutes_ago: 0, boardings: 0, paid: Amount::ZERO };
        }
    }

    /// The boarding that was taken in last paid this much.
    pub(super) fn pay(&mut self, charge: Amount) {
        self.paid = self.paid.checked_add(charge).unwrap_or(self.paid);
    }

    /// The fields of the next record.
    pub(super) fn fields(&self) -> (u16, u8, u32) {
        let paid = u32::try_from(self.paid.minor()).unwrap_or(PAID_MAX).min(PAID_MAX);
        (self.minutes_ago, self.boardings, paid)
    }
}

/// The rule for boardings of `line`, where there is one.
pub(super) fn rule_for<'a>(rule: Option<&'a TransferRule>, line: &Line) -> Option<&'a TransferRule> {
    rule.filter(|rule| rule.is_for(line.number))
}
