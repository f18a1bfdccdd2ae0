//! What a card has spent in its service day and its month, and what a cap leaves of the next charge.

use crate::card::Record;
use crate::money::Amount;
use crate::tariff::Caps;
use crate::time::{Moment, Month, ServiceDay};

/// The caps at one boarding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capping {
    /// The service day that the boarding counts in: that of the boarding, or the one after it, where the card has begun
    /// that one already.
    pub day: ServiceDay,
    /// The cap of that day.
    pub of_day: Option<Cap>,
    /// The cap of its month.
    pub of_month: Option<Cap>,
}

/// A cap at one boarding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    /// The most that a card pays.
    pub limit: Amount,
    /// What it had paid before.
    pub spent: Amount,
    /// What was taken off the charge.
    pub off: Amount,
}

/// What a card has spent.
pub(super) struct Spending {
    day: ServiceDay,
    in_day: Amount,
    month: Month,
    in_month: Amount,
}

/// Days and months of a record come round again after 512 and 64. One that was written longer ago than any month lasts
/// says nothing of today's.
const FORGOTTEN_AFTER_S: u32 = 32 * 86_400;

impl Spending {
    /// What the card that holds `record` has spent in the day of a boarding on `today`, at `at`, and in its month.
    ///
    /// A card that has begun tomorrow stays in it: the clock of this validator is behind, and a day that went back and
    /// came again would be paid twice. Any other day is a new one.
    pub(super) fn at(record: &Record, today: ServiceDay, at: Moment) -> Self {
        let (day, in_day, month, in_month) = record.carried.caps;
        let is_recent = record.time.distance_s(at) < FORGOTTEN_AFTER_S;
        let tomorrow = ServiceDay(today.0.saturating_add(1));
        // Zeros are a card that has not begun any day.
        let has_begun = is_recent && record.carried.caps != (0, 0, 0, 0);
        let counted = if has_begun && day == day_code(tomorrow) { tomorrow } else { today };
        let counted_month = Month::of(counted);
        let spent = |is_same: bool, spent: u32| if is_recent && is_same { Amount::from(spent) } else { Amount::ZERO };
        Self {
            day: counted,
            in_day: spent(day == day_code(counted), in_day),
            month: counted_month,
            in_month: spent(month == month_code(counted_month), in_month),
        }
    }

    /// What `caps` leave of `charge`.
    pub(super) fn cap(&self, caps: Caps, charge: Amount) -> (Capping, Amount) {
        let (of_day, charge) = capped(caps.day, self.in_day, charge);
        let (of_month, charge) = capped(caps.month, self.in_month, charge);
        (Capping { day: self.day, of_day, of_month }, charge)
    }

    /// What was spent and turned out not to be due.
    pub(super) fn give_back(&mut self, overpaid: Amount) {
        self.in_day = self.in_day.saturating_sub(overpaid);
        self.in_month = self.in_month.saturating_sub(overpaid);
    }

    /// The fields of the next record, after `charge`.
    pub(super) fn fields(&self, charge: Amount) -> (u16, u32, u8, u32) {
        // Only what no cap limits outgrows its field; the most that fits is as much as any cap.
        let sum = |spent: Amount, most: u32| {
            let sum = spent.checked_add(charge).and_then(|sum| u32::try_from(sum.minor()).ok());
            sum.unwrap_or(most).min(most)
        };
        (day_code(self.day), sum(self.in_day, 0x000F_FFFF), month_code(self.month), sum(self.in_month, 0x003F_FFFF))
    }
}

fn capped(limit: Option<Amount>, spent: Amount, charge: Amount) -> (Option<Cap>, Amount) {
    let Some(limit) = limit else { return (None, charge) };
    let left = charge.min(limit.saturating_sub(spent));
    (Some(Cap { limit, spent, off: charge.saturating_sub(left) }), left)
}

/// A day as a record has it.
fn day_code(day: ServiceDay) -> u16 {
    day.0 % 512
}

/// A month as a record has it.
fn month_code(month: Month) -> u8 {
    u8::try_from(month.since_2000() % 64).unwrap_or_default()
}
