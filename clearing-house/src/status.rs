//! The state of the books in numbers.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use transit::money::{Amount, Currency};

use crate::clearing_house::ClearingHouse;
use crate::store::{Books, Counted, StoreError};
use crate::unproven;

/// The state of the books in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The key that validators check acknowledgements with, in hexadecimal digits.
    pub acknowledgement_key: String,
    /// The taps in the books.
    pub taps: u64,
    /// The same by what came of them.
    pub outcomes: BTreeMap<String, u64>,
    /// The completed taps that their cards prove.
    pub transaction_macs_right: u64,
    /// The steps of desks in the books, by kind and step.
    pub actions: BTreeMap<String, u64>,
    /// Those of them that their cards prove.
    pub actions_proven: u64,
    /// Those of them that are unknown and of which no card has shown yet whether it took them, nor its desk has said so
    /// of a card that can prove nothing.
    pub actions_pending: u64,
    /// What was said of every tap and action that came: those in the books, and those kept aside, by verdict.
    pub verdicts: BTreeMap<String, u64>,
    /// Unknown taps of which no card has shown yet whether it paid.
    pub pending: PendingNow,
    /// Alarms by kind.
    pub alarms: BTreeMap<String, u64>,
    /// Findings by kind.
    pub findings: BTreeMap<String, u64>,
    /// The balances of the accounts, in minor units; they sum to 0.
    pub balances_minor: BTreeMap<String, i64>,
    /// The service days that are closed.
    pub closed_days: Vec<String>,
    /// What has come of each log of each device.
    pub coverage: Vec<Coverage>,
    /// The currency of every amount.
    pub currency: Currency,
}

/// Unknown taps that are pending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PendingNow {
    /// How many.
    pub taps: u64,
    /// Their fares together.
    pub amount_minor: Amount,
    /// How many of them their validator claims to be committed, without the card's proof.
    pub claimed: u64,
}

/// What has come of one log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// The device.
    pub device: u32,
    /// The epoch of its log.
    pub epoch: u8,
    /// The highest sequence in the books.
    pub highest: u32,
    /// How many of 1 to the highest are in the books.
    pub stored: u32,
    /// What is missing between.
    pub gaps: Vec<Gap>,
}

/// Taps of a log that are missing, though later ones came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The first missing sequence.
    pub first: u32,
    /// The last missing sequence.
    pub last: u32,
}

impl ClearingHouse {
    /// The state of the books.
    ///
    /// # Errors
    /// [`StoreError`] where they cannot be read.
    pub fn status(&mut self) -> Result<Status, StoreError> {
        let acknowledgement_key = hex::encode(self.public_key());
        let books = self.store.view()?;
        let counts = |what| Ok::<BTreeMap<_, _>, StoreError>(books.counts(what)?.into_iter().collect());
        let outcomes = counts(Counted::Outcomes)?;
        let taps = outcomes.values().sum();
        let mut verdicts = counts(Counted::KeptAside)?;
        let actions = counts(Counted::Actions)?;
        verdicts.insert("accepted".to_owned(), taps + actions.values().sum::<u64>());
        Ok(Status {
            acknowledgement_key,
            taps,
            transaction_macs_right: counts(Counted::Proven)?.values().sum(),
            actions,
            actions_proven: counts(Counted::ProvenActions)?.values().sum(),
            actions_pending: actions_pending(&books)?,
            verdicts,
            pending: pending(&books)?,
            alarms: counts(Counted::Alarms)?,
            findings: counts(Counted::Findings)?,
            balances_minor: books.balances()?.into_iter().collect(),
            closed_days: books.closed_days()?.iter().map(|(day, _)| day.service_day.to_string()).collect(),
            coverage: coverage(&books)?,
            currency: self.config.tariffs.currency().clone(),
            outcomes,
        })
    }
}

fn pending(books: &Books<'_>) -> Result<PendingNow, StoreError> {
    let mut pending = PendingNow { taps: 0, amount_minor: Amount::ZERO, claimed: 0 };
    for tap in books.pending_now()? {
        pending.taps += 1;
        pending.claimed += u64::from(!books.taps_naming(tap.tap)?.is_empty());
        pending.amount_minor = pending
            .amount_minor
            .checked_add(tap.amount)
            .ok_or_else(|| StoreError::Damaged("the pending money overflows".to_owned()))?;
    }
    Ok(pending)
}

fn actions_pending(books: &Books<'_>) -> Result<u64, StoreError> {
    let mut pending = 0;
    for action in books.unknown_actions()? {
        pending += u64::from(unproven::is_undecided(books, &action)?);
    }
    Ok(pending)
}

/// What has come of each log, and what is missing.
pub(crate) fn coverage(books: &Books<'_>) -> Result<Vec<Coverage>, StoreError> {
    let mut logs: Vec<Coverage> = Vec::new();
    for (device, epoch, sequence) in books.sequences()? {
        if logs.last().is_none_or(|log| (log.device, log.epoch) != (device, epoch)) {
            logs.push(Coverage { device, epoch, highest: 0, stored: 0, gaps: Vec::new() });
        }
        let Some(log) = logs.last_mut() else { continue };
        if sequence > log.highest + 1 {
            log.gaps.push(Gap { first: log.highest + 1, last: sequence - 1 });
        }
        log.highest = sequence;
        log.stored += 1;
    }
    Ok(logs)
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let money = |minor| self.currency.display(minor).to_string();
        writeln!(f, "Taps in the books     {}{}", self.taps, listed(&self.outcomes))?;
        writeln!(f, "Proven by their card  {}", self.transaction_macs_right)?;
        writeln!(
            f,
            "Desk actions          {} ({} proven by their card, {} pending){}",
            self.actions.values().sum::<u64>(),
            self.actions_proven,
            self.actions_pending,
            listed(&self.actions)
        )?;
        writeln!(f, "Verdicts              {}", listed(&self.verdicts).trim_start())?;
        let pending = &self.pending;
        writeln!(
            f,
            "Pending, not paid     {} with {} ({} claimed by their validator)",
            pending.taps,
            money(pending.amount_minor.minor()),
            pending.claimed
        )?;
        writeln!(f, "Alarms                {}{}", self.alarms.values().sum::<u64>(), listed(&self.alarms))?;
        writeln!(f, "Findings              {}{}", self.findings.values().sum::<u64>(), listed(&self.findings))?;
        for (account, balance) in &self.balances_minor {
            writeln!(f, "{account:<30}{:>20}", money(*balance))?;
        }
        writeln!(f, "Closed days           {}", self.closed_days.join(" "))?;
        for log in &self.coverage {
            write!(f, "Device {} epoch {}      {} of {}", log.device, log.epoch, log.stored, log.highest)?;
            for gap in &log.gaps {
                write!(f, "; missing {gap}")?;
            }
            writeln!(f)?;
        }
        writeln!(f, "Acknowledgement key   {}", self.acknowledgement_key)
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{} to {}", self.first, self.last) }
    }
}

fn listed(counts: &BTreeMap<String, u64>) -> String {
    let words: Vec<_> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    if words.is_empty() { String::new() } else { format!("  ({})", words.join(", ")) }
}
