//! The three boards in numbers: what waits in suspense, what has not come, and who is silent. `status` ends with them.

use std::fmt;

use serde::Serialize;
use transit::id::DeviceId;
use transit::money::Amount;
use transit::time::Moment;

use crate::clearing_house::ClearingHouse;
use crate::gaps::{Missing, gaps};
use crate::silence::silence;
use crate::status::Status;
use crate::store::StoreError;
use crate::suspense::{Waiting, suspense};

/// The boards in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Boards {
    /// As of when.
    pub at: Moment,
    /// Of the unknown taps that are pending, those whose deadline has passed.
    pub unresolved: Waiting,
    /// Taps that logs lack.
    pub missing_taps: Missing,
    /// Transactions that cards counted and nobody uploaded.
    pub missing_transactions: Missing,
    /// Validators that take no taps where they should.
    pub silent: Vec<DeviceId>,
}

/// The state of the books with the boards of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusAt {
    /// The state of the books.
    #[serde(flatten)]
    pub status: Status,
    /// The boards.
    pub boards: Boards,
}

impl ClearingHouse {
    /// The state of the books, and the boards at `at`.
    ///
    /// # Errors
    /// [`StoreError`] where they cannot be read.
    pub fn status_at(&mut self, at: Moment) -> Result<StatusAt, StoreError> {
        Ok(StatusAt { status: self.status()?, boards: self.boards(at)? })
    }

    /// The boards in numbers at `at`.
    ///
    /// # Errors
    /// [`StoreError`] where the books cannot be read.
    pub fn boards(&mut self, at: Moment) -> Result<Boards, StoreError> {
        let Self { store, config } = self;
        let books = store.view()?;
        let suspense = suspense(&books, config, at)?;
        let gaps = gaps(&books, config)?;
        let silence = silence(&books, config, at)?;
        Ok(Boards {
            at,
            unresolved: suspense.unresolved,
            missing_taps: gaps.of_devices,
            missing_transactions: gaps.of_cards,
            silent: silence.silent.iter().map(|silent| silent.device).collect(),
        })
    }
}

impl fmt::Display for StatusAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, boards } = self;
        let money = |amount: Amount| status.currency.display(amount.minor()).to_string();
        write!(f, "{status}")?;
        let unresolved = &boards.unresolved;
        writeln!(f, "Unresolved suspense   {} with {}", unresolved.taps, money(unresolved.amount_minor))?;
        let missing = [("Missing in logs", &boards.missing_taps), ("Missing on cards", &boards.missing_transactions)];
        for (name, missing) in missing {
            let (likely, highest) = (money(missing.at_risk.likely_minor), money(missing.at_risk.highest_minor));
            writeln!(
                f,
                "{name:<22}{} in {} gap(s), {likely} likely, {highest} at most",
                missing.missing, missing.gaps
            )?;
        }
        let silent: Vec<_> = boards.silent.iter().map(|device| format!(" {device}")).collect();
        let devices = if silent.is_empty() { String::new() } else { format!("  (device{})", silent.concat()) };
        writeln!(f, "{:<22}{}{devices}", "Silent validators", silent.len())
    }
}
