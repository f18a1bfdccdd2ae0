//! Unknown taps that were pending at a moment, and what an account held then.

use rusqlite::params;
use transit::id::{OperatorId, TapId};
use transit::money::Amount;
use transit::time::{Moment, ServiceDay};

use super::{Books, StoreError, parsed};
use crate::ledger::Account;

/// An unknown tap that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PendingUnknown {
    pub(crate) tap: TapId,
    pub(crate) operator: OperatorId,
    pub(crate) travel_day: ServiceDay,
    pub(crate) booked_at: Moment,
    pub(crate) amount: Amount,
}

impl Books<'_> {
    /// The newest entry that was there at `at`; 0 where there was none. Entries are compared by their numbers and not by
    /// their times, so that a clock that was set back tears no tap's entries apart.
    pub(crate) fn last_entry_at(&self, at: Moment) -> Result<i64, StoreError> {
        let mut statement = self.0.prepare_cached("SELECT coalesce(max(id), 0) FROM entry WHERE posted_at <= ?1")?;
        Ok(statement.query_row([at.0], |row| row.get(0))?)
    }

    /// Every unknown tap that is pending as far as the entries to `last_entry` know, in order of operator and tap.
    pub(crate) fn pending_unknowns(&self, last_entry: i64) -> Result<Vec<PendingUnknown>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT e.tap, e.operator, e.service_day, e.posted_at, \
             coalesce((SELECT sum(amount) FROM posting WHERE entry = e.id AND amount > 0), 0) FROM entry AS e \
             WHERE e.kind = 'unknown' AND e.id <= ?1 \
             AND NOT EXISTS (SELECT 1 FROM entry AS ending WHERE ending.tap = e.tap AND ending.id <= ?1 \
             AND ending.kind IN ('unknown_confirmed', 'unknown_voided'))",
        )?;
        let mut rows = statement.query([last_entry])?;
        let mut pending = Vec::new();
        while let Some(row) = rows.next()? {
            pending.push(PendingUnknown {
                tap: parsed(&row.get::<_, String>(0)?)?,
                operator: OperatorId(row.get(1)?),
                travel_day: parsed(&row.get::<_, String>(2)?)?,
                booked_at: Moment(row.get(3)?),
                amount: Amount::from_minor(row.get(4)?)
                    .ok_or_else(|| StoreError::Damaged("an amount is negative".to_owned()))?,
            });
        }
        pending.sort_by_key(|unknown| (unknown.operator, unknown.tap));
        Ok(pending)
    }

    /// What the entries to `last_entry` leave on `account`, in minor units.
    pub(crate) fn balance_of(&self, account: Account, last_entry: i64) -> Result<i64, StoreError> {
        let mut statement =
            self.0.prepare_cached("SELECT coalesce(sum(amount), 0) FROM posting WHERE account = ?1 AND entry <= ?2")?;
        Ok(statement.query_row(params![account.to_string(), last_entry], |row| row.get(0))?)
    }
}
