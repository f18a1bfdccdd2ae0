//! What desks are believed of cards that prove nothing: the limits, what was booked within them, and words of desks.

use rusqlite::{OptionalExtension, params};
use transit::action::Action;
use transit::id::{CardToken, DeviceId, TapId};
use transit::money::Amount;
use transit::time::ServiceDay;

use super::{Books, StoreError};
use crate::chain;

impl Books<'_> {
    /// Notes what `desk` is believed a day from the upload `receipt` on, where that is not what was in force;
    /// `None`: without a limit.
    pub(crate) fn note_unproven_limit(
        &self,
        desk: DeviceId,
        receipt: i64,
        limit: Option<Amount>,
    ) -> Result<(), StoreError> {
        if self.unproven_limit(desk, receipt)? == Some(limit) {
            return Ok(());
        }
        let previous = self.last_link("SELECT chain FROM unproven_limit ORDER BY id DESC LIMIT 1")?;
        let minor = limit.map(Amount::minor);
        self.0
            .prepare_cached("INSERT INTO unproven_limit (desk, receipt, minor, chain) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![desk.number(), receipt, minor, limit_link(&previous, desk.number(), receipt, minor)])?;
        Ok(())
    }

    /// What `desk` was believed a day when the upload `receipt` came; `None` where the books do not say.
    pub(crate) fn unproven_limit(&self, desk: DeviceId, receipt: i64) -> Result<Option<Option<Amount>>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT minor FROM unproven_limit WHERE desk = ?1 AND receipt <= ?2 ORDER BY receipt DESC, id DESC LIMIT 1",
        )?;
        let minor: Option<Option<i64>> =
            statement.query_row(params![desk.number(), receipt], |row| row.get(0)).optional()?;
        let negative = || StoreError::Damaged("an amount is negative".to_owned());
        minor.map(|minor| minor.map(|minor| Amount::from_minor(minor).ok_or_else(negative)).transpose()).transpose()
    }

    /// The first limit whose row does not continue the chain.
    pub(crate) fn broken_unproven_limit(&self) -> Result<Option<i64>, StoreError> {
        let mut statement = self.0.prepare("SELECT id, desk, receipt, minor, chain FROM unproven_limit ORDER BY id")?;
        let mut rows = statement.query([])?;
        let (mut previous, mut expected) = (chain::START, 1);
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let link = limit_link(&previous, row.get(1)?, row.get(2)?, row.get(3)?);
            if id != expected || row.get::<_, [u8; 32]>(4)? != link {
                return Ok(Some(expected));
            }
            (previous, expected) = (link, expected + 1);
        }
        Ok(None)
    }

    /// What a desk was believed, for `day`, that cards gave up which have not proven it; `before` an entry, or all.
    pub(crate) fn unproven_given_up(
        &self,
        desk: DeviceId,
        day: ServiceDay,
        before: Option<i64>,
    ) -> Result<Amount, StoreError> {
        // A written step that is not proven, or an unknown one that was booked on a word: that is a finding.
        let mut statement = self.0.prepare_cached(
            "SELECT coalesce(-sum(posting.amount), 0) FROM entry INDEXED BY entry_given_up \
             CROSS JOIN action ON action.id = entry.tap AND action.proven = 0 \
             CROSS JOIN posting ON posting.entry = entry.id AND posting.account = 'cards:float' \
             WHERE entry.kind IN ('paid_out', 'taken_over') AND entry.settlement_day = ?1 AND action.device = ?2 \
             AND entry.id < ?3 AND (action.step = 'written' OR EXISTS (SELECT 1 FROM finding \
             WHERE finding.tap = action.id AND finding.kind = 'unproven'))",
        )?;
        let before = before.unwrap_or(i64::MAX);
        let minor = statement.query_row(params![day.to_string(), desk.number(), before], |row| row.get(0))?;
        Amount::from_minor(minor).ok_or_else(|| StoreError::Damaged(format!("unproven refunds sum to {minor}")))
    }

    /// The first upload with the desk's later word that the card took the unknown step `unknown`.
    pub(crate) fn word_about(&self, unknown: &Action) -> Result<Option<i64>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT min(receipt) FROM action INDEXED BY action_resolves WHERE resolves = ?1 AND step = 'confirmed' AND device = ?2 AND epoch = ?3 \
             AND sequence > ?4 AND card = ?5 AND kind = ?6",
        )?;
        let TapId { device, epoch, sequence } = unknown.id;
        let (id, kind) = (unknown.id.to_string(), unknown.kind.name());
        let word = params![id, device.number(), epoch, sequence, unknown.card.0, kind];
        Ok(statement.query_row(word, |row| row.get(0))?)
    }

    /// Whether anything in the books proves a record of this card.
    pub(crate) fn proves_anything(&self, card: CardToken) -> Result<bool, StoreError> {
        Ok(self.0.prepare_cached("SELECT 1 FROM evidence WHERE card = ?1")?.exists([card.0.as_slice()])?)
    }

    /// Whether the ledger has an entry about this tap or step.
    pub(crate) fn has_entry(&self, id: TapId) -> Result<bool, StoreError> {
        Ok(!self.entries_of(id)?.is_empty())
    }
}

fn limit_link(previous: &[u8; 32], desk: u32, receipt: i64, minor: Option<i64>) -> [u8; 32] {
    let minor = minor.map_or(Vec::new(), |minor| minor.to_be_bytes().to_vec());
    chain::link(previous, &[&desk.to_be_bytes(), &receipt.to_be_bytes(), &minor])
}
