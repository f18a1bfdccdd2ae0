//! What has not come: taps that a device's log lacks, and transactions that a card counted and nobody uploaded.
//!
//! A log counts 1, 2, 3 … without a gap, so that a missing sequence is a tap that was made and has not come. A card's
//! transaction counter goes up by one with each commit, so that a value between two proven ones that nothing in the
//! books has is a transaction that some device made: also where that device's whole log was lost. One missing tap may
//! stand on both boards, and their sums are not to be added up.
//!
//! **Money at risk.** Nobody knows what a missing tap charged. The likely amount is the median of what the booked rides
//! of the same log, or of the same card, charged (rides at 0 count; of two middle ones the lower), times the number
//! missing. The highest is the highest of these charges and of the tariff's fares, times the number missing. Where
//! nothing is booked the highest fare is both. What desks make is no fare; their allowance bounds it.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use transit::id::{CardToken, DeviceId, Epoch, TapId};
use transit::money::{Amount, Currency};
use transit::time::Moment;

use crate::clearing_house::ClearingHouse;
use crate::config::Config;
use crate::missing::{self, WaitingDebit};
use crate::status::{Coverage, Gap, coverage};
use crate::store::{Books, StoreError, Uncounted};

/// What has not come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gaps {
    /// What logs lack, in order of the devices.
    pub devices: Vec<DeviceGap>,
    /// What cards counted and nobody uploaded, in order of the cards' tokens.
    pub cards: Vec<CardGap>,
    /// The debits of these that records of cards show: they wait in `suspense:missing`. In order of the taps' names.
    pub debits: Vec<WaitingDebit>,
    /// All of `devices` together.
    pub of_devices: Missing,
    /// All of `cards` together.
    pub of_cards: Missing,
    /// The currency of every amount.
    pub currency: Currency,
}

/// A sum over one board.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// How many gaps.
    pub gaps: u64,
    /// How many taps or transactions are missing in them.
    pub missing: u64,
    /// What they may have charged.
    pub at_risk: AtRisk,
}

/// What missing taps may have charged; at most what 63 bits hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct AtRisk {
    /// The median charge, times the number missing.
    pub likely_minor: Amount,
    /// The highest charge, times the number missing.
    pub highest_minor: Amount,
}

/// Sequences that are missing in a log though later ones came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceGap {
    /// The validator or the desk.
    pub device: DeviceId,
    /// The epoch of its log.
    pub epoch: Epoch,
    /// The first missing sequence.
    pub first: u32,
    /// The last missing sequence.
    pub last: u32,
    /// How many are missing.
    pub missing: u32,
    /// Since when it is known: the first later tap of the log came then.
    pub since: Moment,
    /// When the tap before the gap was made, by the device's clock; `None` where the log begins with the gap.
    pub made_after: Option<Moment>,
    /// When the tap after the gap was made, by the device's clock.
    pub made_before: Moment,
    /// What the missing taps may have charged; `None` for a desk.
    pub at_risk: Option<AtRisk>,
}

/// Transactions that a card counted between two proven ones and that are not in the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CardGap {
    /// The card.
    pub card: CardToken,
    /// The first counter value between the two.
    pub first: u32,
    /// The last counter value between the two.
    pub last: u32,
    /// How many of these are missing: torn taps that the card confirmed, and what is booked without proof, are not.
    pub missing: u32,
    /// The proven tap or step before.
    pub after: String,
    /// The proven tap or step behind.
    pub before: String,
    /// Since when it is known: the later of the two came then.
    pub since: Moment,
    /// Taps and steps that the card names as those that wrote on it between the two, and that have not come.
    pub named: Vec<String>,
    /// What the missing transactions may have charged, if all of them were rides.
    pub at_risk: AtRisk,
}

impl AtRisk {
    /// What `missing` taps may have charged. `charges` are those of booked rides, each with how often and from the
    /// smallest; `highest_fare` is the highest of the tariff.
    pub fn of(charges: &[(Amount, u64)], highest_fare: Amount, missing: u32) -> Self {
        let rides: u64 = charges.iter().map(|(_, times)| times).sum();
        let mut before = 0;
        let median = charges.iter().find(|(_, times)| {
            before += times;
            2 * before >= rides
        });
        let (median, highest) = match (median, charges.last()) {
            (Some((median, _)), Some((highest, _))) => (*median, highest_fare.max(*highest)),
            _ => (highest_fare, highest_fare),
        };
        let times = |amount: Amount| saturated(amount.minor().saturating_mul(i64::from(missing)));
        Self { likely_minor: times(median), highest_minor: times(highest) }
    }

    fn add(&mut self, other: Self) {
        let sum = |one: Amount, other: Amount| saturated(one.minor().saturating_add(other.minor()));
        self.likely_minor = sum(self.likely_minor, other.likely_minor);
        self.highest_minor = sum(self.highest_minor, other.highest_minor);
    }
}

/// What is missing between two proven transactions of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leap {
    /// The proven one before.
    pub after: TapId,
    /// The proven one behind.
    pub before: TapId,
    /// The counters of the two.
    pub counters: (u32, u32),
    /// The numbers of the records that the two wrote, where both are known.
    pub slots: Option<(u32, u32)>,
    /// How many transactions between the two are not in the books; never 0.
    pub missing: u32,
}

/// A transaction of a card that is in the books with its counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transaction {
    /// The tap or step.
    pub id: TapId,
    /// The card's transaction counter after it.
    pub counter: u32,
    /// The number of the record that it wrote, where that is proven.
    pub slot: Option<u32>,
    /// Whether the card proves it.
    pub proven: bool,
}

/// The leaps of one card. `transactions` are in order of their counters; `torn_slots` are the numbers of the records
/// that were written by what is in the books without a counter, such as a torn tap that the card confirmed.
///
/// Only proven counters bound a leap: what anybody can make up opens none.
pub fn leaps(transactions: &[Transaction], torn_slots: &BTreeSet<u32>) -> Vec<Leap> {
    let proven: Vec<_> = transactions.iter().filter(|transaction| transaction.proven).collect();
    let leap = |pair: &[&Transaction]| {
        let [after, before] = pair else { return None };
        let within = |counter: u32| after.counter < counter && counter < before.counter;
        let unproven: BTreeSet<_> = transactions.iter().map(|other| other.counter).filter(|it| within(*it)).collect();
        let slots = after.slot.zip(before.slot);
        let torn =
            slots.map_or(0, |(first, last)| torn_slots.iter().filter(|slot| first < **slot && **slot < last).count());
        let accounted = u32::try_from(unproven.len() + torn).unwrap_or(u32::MAX);
        let missing = before.counter.saturating_sub(after.counter).saturating_sub(1).saturating_sub(accounted);
        let counters = (after.counter, before.counter);
        (missing > 0).then_some(Leap { after: after.id, before: before.id, counters, slots, missing })
    };
    proven.windows(2).filter_map(leap).collect()
}

impl ClearingHouse {
    /// What has not come, as far as the books know now.
    ///
    /// # Errors
    /// [`StoreError`] where the books cannot be read.
    pub fn gaps(&mut self) -> Result<Gaps, StoreError> {
        let Self { store, config } = self;
        let books = store.view()?;
        gaps(&books, config)
    }
}

pub(crate) fn gaps(books: &Books<'_>, config: &Config) -> Result<Gaps, StoreError> {
    let highest_fare = config.tariffs.highest_fare();
    let mut gaps = Gaps {
        devices: Vec::new(),
        cards: Vec::new(),
        debits: missing::waiting(books, config)?,
        of_devices: Missing::default(),
        of_cards: Missing::default(),
        currency: config.tariffs.currency().clone(),
    };
    for log in coverage(books)?.iter().filter(|log| !log.gaps.is_empty()) {
        gaps.devices.extend(of_log(books, log, highest_fare)?);
    }
    for card in books.cards_with_leaps()? {
        gaps.cards.extend(of_card(books, card, highest_fare)?);
    }
    for gap in &gaps.devices {
        gaps.of_devices.add(gap.missing, gap.at_risk);
    }
    for gap in &gaps.cards {
        gaps.of_cards.add(gap.missing, Some(gap.at_risk));
    }
    Ok(gaps)
}

fn of_log(books: &Books<'_>, log: &Coverage, highest_fare: Amount) -> Result<Vec<DeviceGap>, StoreError> {
    let device = DeviceId::new(log.device)
        .ok_or_else(|| StoreError::Damaged(format!("{} is no number of a device", log.device)))?;
    let charges = if books.is_desk(device)? { None } else { Some(books.charges_of_log(log.device, log.epoch)?) };
    let at = |sequence| made_at(books, TapId { device, epoch: log.epoch, sequence });
    let mut later = books.receipts_of_log(log.device, log.epoch)?.into_iter().peekable();
    let mut first_receipt = i64::MAX;
    let mut gaps = Vec::new();
    for Gap { first, last } in log.gaps.iter().rev().copied() {
        while let Some((_, receipt)) = later.next_if(|(sequence, _)| *sequence > last) {
            first_receipt = first_receipt.min(receipt);
        }
        let missing = last - first + 1;
        gaps.push(DeviceGap {
            device,
            epoch: log.epoch,
            first,
            last,
            missing,
            since: books.receipt_at(first_receipt)?,
            made_after: if first > 1 { Some(at(first - 1)?) } else { None },
            made_before: at(last + 1)?,
            at_risk: charges.as_ref().map(|charges| AtRisk::of(charges, highest_fare, missing)),
        });
    }
    gaps.reverse();
    Ok(gaps)
}

fn made_at(books: &Books<'_>, id: TapId) -> Result<Moment, StoreError> {
    if let Some(tap) = books.tap(id)? {
        return Ok(tap.at);
    }
    let action = books.action(id)?.map(|action| action.at);
    action.ok_or_else(|| StoreError::Damaged(format!("{id} is in its log and not in the books")))
}

/// The leaps of one card.
pub(crate) fn leaps_of_card(books: &Books<'_>, card: CardToken) -> Result<Vec<Leap>, StoreError> {
    let transactions: Vec<_> =
        books.transactions_of_card(card)?.into_iter().map(|(transaction, _)| transaction).collect();
    Ok(leaps(&transactions, &torn_slots(&books.uncounted(card)?)))
}

fn torn_slots(uncounted: &[(u32, Uncounted)]) -> BTreeSet<u32> {
    uncounted.iter().filter(|(_, what)| *what == Uncounted::Booked).map(|(slot, _)| *slot).collect()
}

fn of_card(books: &Books<'_>, card: CardToken, highest_fare: Amount) -> Result<Vec<CardGap>, StoreError> {
    let (transactions, receipts): (Vec<_>, Vec<_>) = books.transactions_of_card(card)?.into_iter().unzip();
    let uncounted = books.uncounted(card)?;
    let found = leaps(&transactions, &torn_slots(&uncounted));
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let charges = books.charges_of_card(card)?;
    let receipt_of = |id| {
        let position = transactions.iter().position(|transaction| transaction.id == id);
        position.and_then(|position| receipts.get(position)).copied().unwrap_or(0)
    };
    let gap = |leap: Leap| {
        let named = uncounted.iter().filter_map(|(slot, what)| match (what, leap.slots) {
            (Uncounted::Missing(id), Some((first, last))) if first < *slot && *slot < last => Some(id.to_string()),
            _ => None,
        });
        Ok(CardGap {
            card,
            first: leap.counters.0 + 1,
            last: leap.counters.1 - 1,
            missing: leap.missing,
            after: leap.after.to_string(),
            before: leap.before.to_string(),
            since: books.receipt_at(receipt_of(leap.after).max(receipt_of(leap.before)))?,
            named: named.collect(),
            at_risk: AtRisk::of(&charges, highest_fare, leap.missing),
        })
    };
    found.into_iter().map(gap).collect()
}

impl Missing {
    fn add(&mut self, missing: u32, at_risk: Option<AtRisk>) {
        self.gaps += 1;
        self.missing += u64::from(missing);
        self.at_risk.add(at_risk.unwrap_or_default());
    }
}

/// `minor`, which was never negative.
fn saturated(minor: i64) -> Amount {
    Amount::from_minor(minor).unwrap_or(Amount::ZERO)
}

impl fmt::Display for Gaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let money = |at_risk: AtRisk| {
            let one = |amount: Amount| self.currency.display(amount.minor()).to_string();
            format!("{} likely, {} at most", one(at_risk.likely_minor), one(at_risk.highest_minor))
        };
        writeln!(f, "Taps that logs lack: {} in {} gap(s)", self.of_devices.missing, self.of_devices.gaps)?;
        for gap in &self.devices {
            let made_after = gap.made_after.map_or("the log's beginning".to_owned(), |at| at.to_string());
            writeln!(
                f,
                "  Device {} epoch {}: {} ({}), known since {}, made between {made_after} and {}; {}",
                gap.device,
                gap.epoch,
                Gap { first: gap.first, last: gap.last },
                gap.missing,
                gap.since,
                gap.made_before,
                gap.at_risk.map_or("a desk, bounded by its allowance".to_owned(), money)
            )?;
        }
        writeln!(f, "  Together: {}", money(self.of_devices.at_risk))?;
        writeln!(f, "Transactions that cards counted: {} in {} gap(s)", self.of_cards.missing, self.of_cards.gaps)?;
        for gap in &self.cards {
            writeln!(
                f,
                "  Card {}: {} of counters {}, between {} and {}, known since {}{}; {}",
                gap.card,
                gap.missing,
                Gap { first: gap.first, last: gap.last },
                gap.after,
                gap.before,
                gap.since,
                if gap.named.is_empty() { String::new() } else { format!(", the card names {}", gap.named.join(" ")) },
                money(gap.at_risk)
            )?;
        }
        writeln!(f, "  Together: {}", money(self.of_cards.at_risk))?;
        if !self.debits.is_empty() {
            writeln!(f, "Of these in suspense:missing, because their cards show them: {}", self.debits.len())?;
        }
        for debit in &self.debits {
            writeln!(f, "  {debit}; {}", self.currency.display(debit.amount_minor.minor()))?;
        }
        Ok(())
    }
}
