//! Settlement: from the entries of a day to what each operator is owed (pure).
//!
//! Every ride is owed whole to the operator of its validator, so nothing is divided and there is no remainder.

use std::collections::BTreeMap;

use transit::id::{LineNumber, TapId};
use transit::money::Amount;
use transit::time::ServiceDay;

use crate::ledger::Basis;
use crate::statement::{Header, Pending, Statement, StatementLine};

/// A tap that counts in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledTap {
    /// Its name.
    pub tap: TapId,
    /// On which line.
    pub line: LineNumber,
    /// What its fare rests on.
    pub basis: Basis,
    /// The day of travel.
    pub travel_day: ServiceDay,
    /// What it moves.
    pub amount: Amount,
}

/// The sums of a statement do not fit 63 bits of minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sums of a statement overflow")]
pub struct Overflow;

/// The statement of one operator's `settled` and `pending` taps, whatever their order.
///
/// # Errors
/// [`Overflow`].
pub fn statement(header: Header, settled: &[SettledTap], pending: &[SettledTap]) -> Result<Statement, Overflow> {
    let mut groups: BTreeMap<_, Vec<&SettledTap>> = BTreeMap::new();
    for tap in settled {
        groups.entry((tap.line, tap.basis.rank(), tap.travel_day, tap.amount)).or_default().push(tap);
    }
    let mut lines = Vec::new();
    for taps in groups.into_values() {
        let first = taps[0];
        lines.push(StatementLine {
            line: first.line,
            basis: first.basis,
            travel_day: first.travel_day,
            rides: count(taps.len()),
            unit_fare_minor: first.amount,
            amount_minor: sum(taps.iter().map(|tap| tap.amount))?,
            taps: names(taps.iter().map(|tap| tap.tap)),
        });
    }
    Ok(Statement {
        header,
        rides: count(settled.len()),
        amount_minor: sum(settled.iter().map(|tap| tap.amount))?,
        pending: Pending {
            rides: count(pending.len()),
            amount_minor: sum(pending.iter().map(|tap| tap.amount))?,
            taps: names(pending.iter().map(|tap| tap.tap)),
        },
        lines,
    })
}

fn count(length: usize) -> u64 {
    u64::try_from(length).expect("a length fits 64 bits")
}

fn sum(amounts: impl Iterator<Item = Amount>) -> Result<Amount, Overflow> {
    let mut total = Amount::ZERO;
    for amount in amounts {
        total = total.checked_add(amount).ok_or(Overflow)?;
    }
    Ok(total)
}

fn names(taps: impl Iterator<Item = TapId>) -> Vec<String> {
    let mut taps: Vec<_> = taps.collect();
    taps.sort();
    taps.iter().map(TapId::to_string).collect()
}
