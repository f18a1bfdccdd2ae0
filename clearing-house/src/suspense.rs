//! What waits in `suspense:unknown`: the fares of taps of which nobody knows whether the card paid.
//!
//! A waiting tap is *pending* until `unknown_deadline_days` have gone by since it was booked, and *unresolved* from then
//! on. That is how a tap is looked at and no entry of the ledger: at the deadline nobody comes to be owed anything, so
//! there is nothing to move, no job that could be late, and nothing to take back when a card shows itself after a year.
//! Evidence ends an unresolved tap exactly as it ends a pending one.
//!
//! The age counts from the booking, by the clock of the clearing house: a validator's clock may be wrong, and what lay
//! in a validator without network has given no card a chance to show itself.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU16;

use serde::Serialize;
use transit::id::{DeviceId, OperatorId};
use transit::money::{Amount, Currency};
use transit::time::{Moment, ServiceDay};

use crate::clearing_house::ClearingHouse;
use crate::config::Config;
use crate::evidence::{self, Resolution, Writing};
use crate::ledger::Account;
use crate::store::{Books, PendingUnknown, StoreError};

/// How long an unknown tap is pending where the configuration does not say: a card that is used once a month has shown
/// by then what became of it.
pub const UNKNOWN_DEADLINE_DAYS: NonZeroU16 = NonZeroU16::new(30).expect("30 is not 0");

const DAY_S: u32 = 86_400;

/// What waited in suspense at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suspense {
    /// The moment.
    pub at: Moment,
    /// After how many whole days a pending tap counts as unresolved.
    pub unknown_deadline_days: NonZeroU16,
    /// The operators that have something waiting.
    pub operators: Vec<OperatorSuspense>,
    /// Everything pending.
    pub pending: Waiting,
    /// Everything unresolved.
    pub unresolved: Waiting,
    /// What the ledger's `suspense:unknown` held: pending and unresolved together.
    pub account_minor: i64,
    /// The currency of every amount.
    pub currency: Currency,
}

/// Taps that wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// How many.
    pub taps: u64,
    /// Their fares together.
    pub amount_minor: Amount,
}

/// What waits of one operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OperatorSuspense {
    /// The operator.
    pub operator: OperatorId,
    /// Its name; empty where it is not configured any more.
    pub name: String,
    /// What is pending.
    pub pending: Waiting,
    /// What is unresolved.
    pub unresolved: Waiting,
    /// The validators that have something waiting.
    pub devices: Vec<DeviceSuspense>,
}

/// What waits of one validator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceSuspense {
    /// The validator.
    pub device: DeviceId,
    /// What is pending.
    pub pending: Waiting,
    /// What is unresolved.
    pub unresolved: Waiting,
    /// The taps, in order of its log.
    pub taps: Vec<WaitingTap>,
}

/// One tap that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitingTap {
    /// Its name.
    pub tap: String,
    /// The day of travel, by its validator's clock.
    pub travel_day: ServiceDay,
    /// When it was booked.
    pub booked_at: Moment,
    /// Whole days since then.
    pub age_days: u32,
    /// Whether the deadline has passed.
    pub state: State,
    /// Its fare.
    pub amount_minor: Amount,
    /// Whether its validator says, without the card's proof, what became of it.
    pub claimed: bool,
    /// What would end it.
    pub awaits: Awaits,
}

/// Whether the deadline has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It has not.
    Pending,
    /// It has.
    Unresolved,
}

/// What would end an unknown tap, as far as is known now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Awaits {
    /// A proven tap or step of its card that reads this record or the one after it: both name who wrote this record. Or
    /// another operator's validator that read it, with proven records above.
    CardHistory {
        /// The number of the record on the card.
        record: u32,
    },
    /// Proofs of its card contradict each other or the tap: people decide.
    Decision,
    /// The record that it read cannot be used, so that no record of its card can be its own: people decide.
    NoRecord,
}

impl State {
    /// The state at `at` of a tap that was booked at `booked_at`.
    pub fn of(booked_at: Moment, at: Moment, deadline_days: NonZeroU16) -> Self {
        let deadline = u64::from(booked_at.0) + u64::from(deadline_days.get()) * u64::from(DAY_S);
        if u64::from(at.0) < deadline { Self::Pending } else { Self::Unresolved }
    }
}

impl ClearingHouse {
    /// What waited in suspense at `at`, by the entries of that time. What would end a tap is said as it is known now.
    ///
    /// # Errors
    /// [`StoreError`] where the books cannot be read.
    pub fn suspense(&mut self, at: Moment) -> Result<Suspense, StoreError> {
        let Self { store, config } = self;
        let books = store.view()?;
        suspense(&books, config, at)
    }
}

pub(crate) fn suspense(books: &Books<'_>, config: &Config, at: Moment) -> Result<Suspense, StoreError> {
    let last_entry = books.last_entry_at(at)?;
    let mut suspense = Suspense {
        at,
        unknown_deadline_days: config.unknown_deadline_days,
        operators: Vec::new(),
        pending: Waiting::default(),
        unresolved: Waiting::default(),
        account_minor: books.balance_of(Account::SuspenseUnknown, last_entry)?,
        currency: config.tariffs.currency().clone(),
    };
    for unknown in books.pending_unknowns(last_entry)? {
        let tap = waiting(books, &unknown, at, config.unknown_deadline_days)?;
        suspense.add(&unknown, tap, &config.operators)?;
    }
    Ok(suspense)
}

fn waiting(
    books: &Books<'_>,
    unknown: &PendingUnknown,
    at: Moment,
    deadline_days: NonZeroU16,
) -> Result<WaitingTap, StoreError> {
    let id = unknown.tap;
    let tap = books.tap(id)?.ok_or_else(|| StoreError::Damaged(format!("tap {id} has an entry and is not there")))?;
    let writing = Writing::of_tap(&tap);
    let awaits = match evidence::wanted_slot(&writing) {
        None => Awaits::NoRecord,
        Some(record) => {
            let proven = evidence::resolve(&writing, &books.evidence_of_slot(tap.card, record)?, false);
            let is_disputed = [proven, books.told_of(&tap)?].contains(&Resolution::Disputed);
            if is_disputed { Awaits::Decision } else { Awaits::CardHistory { record } }
        }
    };
    Ok(WaitingTap {
        tap: id.to_string(),
        travel_day: unknown.travel_day,
        booked_at: unknown.booked_at,
        age_days: at.0.saturating_sub(unknown.booked_at.0) / DAY_S,
        state: State::of(unknown.booked_at, at, deadline_days),
        amount_minor: unknown.amount,
        claimed: !books.taps_naming(id)?.is_empty(),
        awaits,
    })
}

impl Suspense {
    /// Adds `tap`; taps come in order of operator and name.
    fn add(
        &mut self,
        unknown: &PendingUnknown,
        tap: WaitingTap,
        names: &BTreeMap<OperatorId, String>,
    ) -> Result<(), StoreError> {
        let (number, id) = (unknown.operator, unknown.tap.device);
        let (pending, unresolved) = (Waiting::default(), Waiting::default());
        if self.operators.last().is_none_or(|last| last.operator != number) {
            let name = names.get(&number).cloned().unwrap_or_default();
            let devices = Vec::new();
            self.operators.push(OperatorSuspense { operator: number, name, pending, unresolved, devices });
        }
        let Some(operator) = self.operators.last_mut() else { return Ok(()) };
        if operator.devices.last().is_none_or(|last| last.device != id) {
            operator.devices.push(DeviceSuspense { device: id, pending, unresolved, taps: Vec::new() });
        }
        let Some(device) = operator.devices.last_mut() else { return Ok(()) };
        let sums = match tap.state {
            State::Pending => [&mut self.pending, &mut operator.pending, &mut device.pending],
            State::Unresolved => [&mut self.unresolved, &mut operator.unresolved, &mut device.unresolved],
        };
        for sum in sums {
            sum.add(tap.amount_minor)?;
        }
        device.taps.push(tap);
        Ok(())
    }
}

impl Waiting {
    fn add(&mut self, amount: Amount) -> Result<(), StoreError> {
        self.taps += 1;
        let sum = self.amount_minor.checked_add(amount);
        self.amount_minor = sum.ok_or_else(|| StoreError::Damaged("the pending money overflows".to_owned()))?;
        Ok(())
    }
}

impl fmt::Display for Suspense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let money = |amount: Amount| self.currency.display(amount.minor()).to_string();
        let both = |pending: Waiting, unresolved: Waiting| {
            format!(
                "pending {} with {}, unresolved {} with {}",
                pending.taps,
                money(pending.amount_minor),
                unresolved.taps,
                money(unresolved.amount_minor)
            )
        };
        writeln!(f, "Suspense at {}; unresolved from {} days on", self.at, self.unknown_deadline_days)?;
        for operator in &self.operators {
            let sums = both(operator.pending, operator.unresolved);
            writeln!(f, "Operator {} {}: {sums}", operator.operator.0, operator.name)?;
            for device in &operator.devices {
                writeln!(f, "  Device {}: {}", device.device, both(device.pending, device.unresolved))?;
                for tap in &device.taps {
                    writeln!(
                        f,
                        "    {:<16} {} {:>4} days {:>14}  {:<10}  {}{}",
                        tap.tap,
                        tap.travel_day,
                        tap.age_days,
                        money(tap.amount_minor),
                        tap.state.to_string(),
                        tap.awaits,
                        if tap.claimed { "; its validator says what became of it" } else { "" }
                    )?;
                }
            }
        }
        writeln!(f, "Total: {}", both(self.pending, self.unresolved))?;
        writeln!(f, "suspense:unknown in the ledger: {}", self.currency.display(self.account_minor))
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pending => "pending",
            Self::Unresolved => "unresolved",
        })
    }
}

impl fmt::Display for Awaits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CardHistory { record } => {
                write!(f, "needs a proven tap of its card that reads record {record} or {}", record.saturating_add(1))
            }
            Self::Decision => f.write_str("its card's proofs contradict it: people decide"),
            Self::NoRecord => f.write_str("the record that it read cannot be used: people decide"),
        }
    }
}
