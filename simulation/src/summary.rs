//! The figures of a morning: `summary.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clearing_house::statement::Statement;
use serde::Serialize;
use transit::screen::{Screen, State};

use crate::Failed;

/// What a morning came to. Every money figure can be worked out by hand from the fixtures.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Riders admitted.
    pub taps_accepted: u32,
    /// Cards declined.
    pub taps_declined: u32,
    /// Riders who had paid moments ago.
    pub taps_attention: u32,
    /// Taps whose outcome was unknown at first: torn at the commit, or the power lost there.
    pub torn: u32,
    /// How many of them were found to be committed and admitted on that debit.
    pub recovered: u32,
    /// Validator cores killed.
    pub killed: u32,
    /// Taps that the clearing house has not acknowledged.
    pub unacknowledged: u32,
    /// Steps of the desk's actions that the clearing house has not acknowledged.
    pub desk_steps_unsent: u64,
    /// Steps that it keeps aside.
    pub desk_steps_kept_aside: u32,
    /// The balance of the desk's cash, in minor units: negative, what it owes.
    pub cash_of_desks_minor: i64,
    /// Rides whose Transaction MAC the vault has checked and found right.
    pub tmac_verified: u64,
    /// The audit found nothing wrong and the balances sum to zero.
    pub ledger_balanced: bool,
    /// The amount of all statements, in minor units.
    pub statement_total_minor: i64,
    /// The same by operator.
    pub statement_minor_by_operator: BTreeMap<u16, i64>,
    /// Rides on all statements.
    pub statement_rides: u64,
    /// What is still pending on all statements, in minor units.
    pub statement_pending_minor: i64,
    /// What each purse holds at the end, in minor units.
    pub purses_minor: BTreeMap<String, i64>,
    /// The digest of the settled day; of each, where the morning touches two.
    pub digest: String,
    /// Exchanges of the first purse tap.
    pub exchanges_purse: u32,
    /// From the card-present event to the published decision, in ms: the median.
    pub tap_ms_p50: f64,
    /// The longest.
    pub tap_ms_max: f64,
    #[serde(skip)]
    elapsed_us: Vec<u64>,
}

impl Summary {
    /// Counts the answer to a tap.
    pub fn count(&mut self, screen: &Screen) {
        match screen.state {
            State::Accepted { .. } => self.taps_accepted += 1,
            State::Declined { .. } => self.taps_declined += 1,
            State::Attention { .. } => self.taps_attention += 1,
            State::Idle | State::PresentAgain | State::OutOfService { .. } => {}
        }
        if let Some(figures) = &screen.tap {
            self.elapsed_us.push(figures.elapsed_us);
            self.elapsed_us.sort_unstable();
            self.tap_ms_p50 = ms(self.elapsed_us[self.elapsed_us.len() / 2]);
            self.tap_ms_max = self.elapsed_us.last().map_or(0.0, |us| ms(*us));
        }
    }

    /// Adds a statement.
    pub fn add(&mut self, statement: &Statement) {
        let amount = statement.amount_minor.minor();
        self.statement_total_minor += amount;
        *self.statement_minor_by_operator.entry(statement.header.operator.0).or_default() += amount;
        self.statement_rides += statement.rides;
        self.statement_pending_minor += statement.pending.amount_minor.minor();
    }

    /// Writes `summary.json`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Failed> {
        let text = self.to_json();
        fs::write(path, text + "\n").map_err(Failed::system(format!("writing {}", path.display())))
    }

    /// As one JSON object.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a summary is plain data")
    }
}

fn ms(us: u64) -> f64 {
    f64::from(u32::try_from(us).unwrap_or(u32::MAX)) / 1000.0
}
