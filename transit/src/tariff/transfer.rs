//! Transfers: what a boarding costs that follows another one closely.

use serde::Deserialize;

use super::{Line, Tariff};
use crate::id::LineNumber;
use crate::money::Amount;

/// The most transfers that the 4 bits of a card's record count, the first boarding aside.
const TRANSFERS_MAX: u8 = 14;

/// The longest window: a day.
const WINDOW_MAX_MINUTES: u16 = 1_440;

/// The most that a card's record holds as paid in a chain: 20 bits.
const PAID_MAX_MINOR: i64 = 0x000F_FFFF;

/// The rule for boardings that follow each other. The first of them begins a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferRule {
    /// A boarding less than this many minutes after the first of its chain is a transfer: 1 to 1440.
    pub window_minutes: u16,
    /// How many transfers a chain has at most: 1 to 14.
    pub most_transfers: u8,
    /// What a transfer costs.
    pub fare: TransferFare,
    /// The lines that the rule is for, in order; empty for all.
    pub lines: Vec<LineNumber>,
}

/// What a transfer costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferFare {
    /// Nothing.
    Free,
    /// Its own fare less this much.
    Discount(Amount),
    /// What its own fare is more than what the chain has paid: the whole chain costs its highest fare.
    HighestFare,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TransferEntry {
    window_minutes: u16,
    most_transfers: u8,
    fare: TransferKind,
    discount_minor: Option<Amount>,
    #[serde(default)]
    lines: Vec<LineNumber>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TransferKind {
    Free,
    Discount,
    HighestFare,
}

impl TransferRule {
    /// Whether it is for boardings of `line`.
    pub fn is_for(&self, line: LineNumber) -> bool {
        self.lines.is_empty() || self.lines.contains(&line)
    }

    /// What is taken off a transfer's own fare, given what its chain has paid.
    pub fn off(&self, single_fare: Amount, paid: Amount) -> Amount {
        match self.fare {
            TransferFare::Free => single_fare,
            TransferFare::Discount(discount) => discount.min(single_fare),
            TransferFare::HighestFare => paid.min(single_fare),
        }
    }

    /// Whether what chains pay fits a card's record.
    pub(super) fn check_amounts(&self, tariff: &Tariff) -> Result<(), String> {
        if self.fare == TransferFare::HighestFare && tariff.highest_fare().minor() > PAID_MAX_MINOR {
            return Err(format!(
                "with transfers at the highest fare a boarding costs at most {PAID_MAX_MINOR} minor units, as a card's \
                 record holds, not {}",
                tariff.highest_fare().minor()
            ));
        }
        Ok(())
    }
}

impl TransferEntry {
    pub(super) fn checked(self, lines: &[Line]) -> Result<TransferRule, String> {
        if !(1..=WINDOW_MAX_MINUTES).contains(&self.window_minutes) {
            return Err(format!("`window_minutes` is 1 to {WINDOW_MAX_MINUTES}, not {}", self.window_minutes));
        }
        if !(1..=TRANSFERS_MAX).contains(&self.most_transfers) {
            return Err(format!("`most_transfers` is 1 to {TRANSFERS_MAX}, not {}", self.most_transfers));
        }
        let fare = match (self.fare, self.discount_minor) {
            (TransferKind::Free, None) => TransferFare::Free,
            (TransferKind::HighestFare, None) => TransferFare::HighestFare,
            (TransferKind::Discount, Some(discount)) if discount > Amount::ZERO => TransferFare::Discount(discount),
            (TransferKind::Discount, _) => {
                return Err("a transfer with fare = \"discount\" needs a `discount_minor` of 1 or more".to_owned());
            }
            (TransferKind::Free | TransferKind::HighestFare, Some(_)) => {
                return Err("`discount_minor` goes with fare = \"discount\" only".to_owned());
            }
        };
        let mut of_lines = self.lines;
        of_lines.sort_unstable();
        if let Some(missing) = of_lines.iter().find(|number| lines.iter().all(|line| line.number != **number)) {
            return Err(format!("transfers are for line {}, which has no [[line]] entry", missing.0));
        }
        let (window_minutes, most_transfers) = (self.window_minutes, self.most_transfers);
        Ok(TransferRule { window_minutes, most_transfers, fare, lines: of_lines })
    }
}
