//! Debits that cards show and whose taps have not come.

use rusqlite::{Row, params};
use transit::card::RECORDS_KEPT;
use transit::id::{CardToken, OperatorId, TapId};
use transit::money::Amount;
use transit::time::Moment;

use super::{Books, StoreError, parsed};
use crate::history::History;
use crate::missing::MissingDebit;

const COLUMNS: &str = "SELECT missing_debit.tap, card, slot, minor, at, operator FROM missing_debit \
                       JOIN entry ON entry.tap = missing_debit.tap AND entry.kind = 'missing'";
const OPEN: &str = "NOT EXISTS (SELECT 1 FROM entry AS ending WHERE ending.tap = missing_debit.tap \
                    AND ending.kind = 'missing_ended')";

impl Books<'_> {
    pub(crate) fn insert_missing_debit(&self, debit: &MissingDebit) -> Result<(), StoreError> {
        let MissingDebit { tap, card, slot, amount, at } = debit;
        self.0
            .prepare_cached("INSERT INTO missing_debit (tap, card, slot, minor, at) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![tap.to_string(), card.0, slot, amount.minor(), at.0])?;
        Ok(())
    }

    /// Every one that was ever booked, and whose it is, in order of the taps' names.
    pub(crate) fn missing_debits(&self) -> Result<Vec<(MissingDebit, OperatorId)>, StoreError> {
        self.debits(&format!("{COLUMNS} ORDER BY missing_debit.tap"), [])
    }

    /// Those whose tap has not come, and whose they are, in order of the taps' names.
    pub(crate) fn missing_debits_open(&self) -> Result<Vec<(MissingDebit, OperatorId)>, StoreError> {
        self.debits(&format!("{COLUMNS} WHERE {OPEN} ORDER BY missing_debit.tap"), [])
    }

    /// The one of this tap, where it waits.
    pub(crate) fn missing_debit_open(&self, tap: TapId) -> Result<Option<(MissingDebit, OperatorId)>, StoreError> {
        let sql = format!("{COLUMNS} WHERE missing_debit.tap = ?1 AND {OPEN}");
        Ok(self.debits(&sql, [tap.to_string()])?.pop())
    }

    /// Whether this tap was booked as missing before, or another one waits for the same record.
    pub(crate) fn is_slot_missing(&self, card: CardToken, slot: u32, tap: TapId) -> Result<bool, StoreError> {
        let sql = format!("SELECT 1 FROM missing_debit WHERE tap = ?3 OR (card = ?1 AND slot = ?2 AND {OPEN})");
        Ok(self.0.prepare_cached(&sql)?.exists(params![card.0, slot, tap.to_string()])?)
    }

    /// How many entries are about missing taps, and about their ends.
    pub(crate) fn missing_entries(&self) -> Result<(u64, u64), StoreError> {
        let sql = "SELECT count(*) FILTER (WHERE kind = 'missing'), count(*) FILTER (WHERE kind = 'missing_ended') \
                   FROM entry WHERE kind IN ('missing', 'missing_ended')";
        let count = |row: &Row<'_>, at| row.get::<_, i64>(at).map(i64::unsigned_abs);
        Ok(self.0.query_row(sql, [], |row| Ok((count(row, 0)?, count(row, 1)?)))?)
    }

    /// Whether a tap or a step of this name is in the books.
    pub(crate) fn is_known(&self, id: TapId) -> Result<bool, StoreError> {
        Ok(self.sealed(id)?.is_some() || self.sealed_action(id)?.is_some())
    }

    /// What is known of the records of `card` from `first` to `last`, as far down as a card keeps them.
    pub(crate) fn history_to(&self, card: CardToken, (first, last): (u32, u32)) -> Result<History, StoreError> {
        self.history(card, last.saturating_sub(RECORDS_KEPT).max(first.saturating_add(1)))
    }

    fn debits(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<(MissingDebit, OperatorId)>, StoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        let mut rows = statement.query(parameters)?;
        let mut debits = Vec::new();
        while let Some(row) = rows.next()? {
            let amount = Amount::from_minor(row.get(3)?);
            let debit = MissingDebit {
                tap: parsed(&row.get::<_, String>(0)?)?,
                card: CardToken(row.get(1)?),
                slot: row.get(2)?,
                amount: amount.ok_or_else(|| StoreError::Damaged("an amount is negative".to_owned()))?,
                at: Moment(row.get(4)?),
            };
            debits.push((debit, OperatorId(row.get(5)?)));
        }
        Ok(debits)
    }
}
