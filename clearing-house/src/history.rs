//! What the older records of a card tell of taps that no Transaction MAC reaches, and of those that have not come (pure).
//!
//! A Transaction MAC covers one record of a card, which names the one before. From there a card's records are followed
//! down: each names who wrote the one before it, their numbers follow each other, and the purse is in each what it was in
//! the one before, less the fare. The records below come from validators: an unknown tap was sealed with the record that
//! it read and the one that it was to write, and after a green a validator reads older ones.
//!
//! That is a validator's word, so it counts only for others. An unknown tap is confirmed where a validator of another
//! operator read its record; it is void where one that does not gain by it, or its own operator's, read another one in its
//! place. What anybody tells of itself moves nothing. More that is told never takes back what was told before, so that
//! the order of uploads decides nothing.

use transit::card::{RECORDS_KEPT, Record, RecordKind};
use transit::id::{OperatorId, TapId};
use transit::money::{Amount, Balance};
use transit::time::Moment;

/// A record of a card as a validator saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Whose validator.
    pub operator: OperatorId,
    /// The record.
    pub record: Record,
}

/// What is known of the records of one card from some number on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Records that Transaction MACs cover.
    pub proven: Vec<Record>,
    /// Records that validators saw.
    pub looks: Vec<Look>,
}

/// An unknown tap, as far as the records of its card concern it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Its name.
    pub tap: TapId,
    /// Whose validator.
    pub operator: OperatorId,
    /// What it would have charged.
    pub amount: Amount,
    /// The record that it was to write.
    pub record: Record,
}

/// Who wrote a record, as somebody tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The tap.
    pub writer: TapId,
    /// Whose validator tells it.
    pub by: OperatorId,
}

/// A debit that the records of a card show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The tap that made it.
    pub writer: TapId,
    /// The number of the record that it wrote.
    pub slot: u32,
    /// What it took.
    pub amount: Amount,
    /// When; where nobody saw its record, when the one after it was made.
    pub at: Moment,
}

/// Whether `newer` can be the record written after `older`: it names it, counts on from it, and moves the purse by its
/// amount.
pub fn follows(newer: &Record, older: &Record) -> bool {
    older.tap.is_some()
        && newer.previous == older.tap
        && older.card_sequence.checked_add(1) == Some(newer.card_sequence)
        && balance_before(newer) == Some(older.balance_after)
}

/// What was in the purse before `record` was written; `None` of a card's first.
fn balance_before(record: &Record) -> Option<Balance> {
    match record.kind {
        RecordKind::Boarding | RecordKind::TapIn | RecordKind::TapOut | RecordKind::Refund => {
            record.balance_after.checked_credit(record.amount)
        }
        RecordKind::Load => record.balance_after.checked_debit(record.amount),
        RecordKind::Sale => Some(record.balance_after),
        RecordKind::Issued => None,
    }
}

impl History {
    /// Whether another operator's validator read that `claim` is on its card.
    pub fn confirms(&self, claim: &Claim) -> bool {
        let Claim { tap, operator, amount, record } = claim;
        let unbroken = self.unbroken(record.card_sequence);
        let is_its_own = record.tap == Some(*tap) && record.amount == *amount;
        if !is_its_own || !unbroken.above.iter().any(|newer| follows(newer, record)) {
            return false;
        }
        let read = unbroken.here.iter().any(|look| look.operator != *operator && look.record == *record);
        // Named only: then the purse must fit on both sides, for the one who named it did not see the amount.
        let named = unbroken.looks_above.iter().any(|look| look.operator != *operator && follows(&look.record, record));
        read || (named && self.proven.iter().any(|older| follows(record, older)))
    }

    /// Who else than `claim` wrote the record that it was to write, as validators tell it.
    pub fn others(&self, claim: &Claim) -> Vec<Told> {
        let unbroken = self.unbroken(claim.record.card_sequence);
        let read = unbroken.here.iter().map(|look| (look.record.tap, look.operator));
        let named = unbroken.looks_above.iter().map(|look| (look.record.previous, look.operator));
        let told = read.chain(named).filter_map(|(writer, by)| Some(Told { writer: writer?, by }));
        let mut others: Vec<_> = told.filter(|told| told.writer != claim.tap).collect();
        others.sort_by_key(|told| (told.writer, told.by));
        others.dedup();
        others
    }

    /// The debits of validators between the oldest and the newest of these records, newest first, those that Transaction
    /// MACs cover before those that validators saw.
    pub fn shown(&self) -> Vec<Shown> {
        let newest = self.proven.iter().map(|record| record.card_sequence).max().unwrap_or(0);
        let mut shown = Vec::new();
        for slot in (1..=newest).rev().take_while(|slot| slot + 2 * RECORDS_KEPT > newest) {
            let unbroken = self.unbroken(slot);
            let proven = self.proven.iter().filter(|record| record.card_sequence == slot);
            let seen = unbroken.here.iter().map(|look| &look.record);
            shown.extend(proven.chain(seen).filter_map(of_record));
            // A record that nobody saw is named by the one above, and its amount is what the purse lost between.
            let unseen = |newer: &&&Record| !shown.iter().any(|debit: &Shown| Some(debit.writer) == newer.previous);
            let newer: Vec<_> = unbroken.above.iter().filter(unseen).copied().collect();
            let older = || self.proven.iter().filter(|record| record.card_sequence + 1 == slot);
            shown.extend(newer.iter().flat_map(|newer| older().filter_map(|older| between(older, newer))));
        }
        shown
    }

    /// The looks at record `number` and at the one after it, to which an unbroken row leads from a proven record.
    fn unbroken(&self, number: u32) -> Unbroken<'_> {
        let mut unbroken = Unbroken::default();
        let newest = self.proven.iter().map(|record| record.card_sequence).max().unwrap_or(0);
        for at in (number..=newest).rev() {
            let looks = self.looks.iter().filter(|look| look.record.card_sequence == at);
            let above = unbroken.next_above(self.proven.iter().filter(|record| record.card_sequence == at + 1));
            let here = looks.filter(|look| above.iter().any(|newer| follows(newer, &look.record))).collect();
            unbroken = Unbroken { looks_above: unbroken.here, above, here };
        }
        unbroken
    }
}

fn of_record(record: &Record) -> Option<Shown> {
    let is_debit = !record.is_of_desk() && record.amount > Amount::ZERO;
    let (slot, amount, at) = (record.card_sequence, record.amount, record.time);
    record.tap.filter(|_| is_debit).map(|writer| Shown { writer, slot, amount, at })
}

/// The debit of the one record between two.
fn between(older: &Record, newer: &Record) -> Option<Shown> {
    let lost = older.balance_after.minor().checked_sub(balance_before(newer)?.minor())?;
    let amount = Amount::from_minor(lost).filter(|amount| *amount > Amount::ZERO)?;
    Some(Shown { writer: newer.previous?, slot: older.card_sequence + 1, amount, at: newer.time })
}

#[derive(Debug, Default)]
struct Unbroken<'a> {
    /// The accepted records after the number, proven or seen.
    above: Vec<&'a Record>,
    /// Those of them that were seen.
    looks_above: Vec<&'a Look>,
    /// The accepted looks at the number itself.
    here: Vec<&'a Look>,
}

impl<'a> Unbroken<'a> {
    /// The accepted records of the number that was last looked at, `proven` among them.
    fn next_above(&self, proven: impl Iterator<Item = &'a Record>) -> Vec<&'a Record> {
        let mut records: Vec<&Record> = proven.collect();
        for look in &self.here {
            if !records.contains(&&look.record) {
                records.push(&look.record);
            }
        }
        records
    }
}
