//! What is needed to see what has not come: receipts along a log, counters along a card, and what rides charged.

use rusqlite::params;
use transit::id::{CardToken, DeviceId, Epoch, TapId};
use transit::money::Amount;
use transit::time::Moment;

use super::{Books, StoreError, parsed};
use crate::gaps::Transaction;

/// A record that no tap or step with a counter wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uncounted {
    /// By one in the books, or by a desk of before desks had names.
    Booked,
    /// By one that has not come.
    Missing(TapId),
}

impl Books<'_> {
    pub(crate) fn receipt_at(&self, id: i64) -> Result<Moment, StoreError> {
        let mut statement = self.0.prepare_cached("SELECT at FROM receipt WHERE id = ?1")?;
        Ok(Moment(statement.query_row([id], |row| row.get(0))?))
    }

    /// The sequences of one log from the last to the first, each with its receipt.
    pub(crate) fn receipts_of_log(&self, device: u32, epoch: Epoch) -> Result<Vec<(u32, i64)>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT sequence, receipt FROM tap WHERE device = ?1 AND epoch = ?2 UNION ALL \
             SELECT sequence, receipt FROM action WHERE device = ?1 AND epoch = ?2 ORDER BY sequence DESC",
        )?;
        let rows = statement.query_map(params![device, epoch], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether a device has made steps of desks.
    pub(crate) fn is_desk(&self, device: DeviceId) -> Result<bool, StoreError> {
        Ok(self.0.prepare_cached("SELECT 1 FROM action WHERE device = ?1")?.exists([device.number()])?)
    }

    /// What the rides of one log charged, each amount with how often, from the smallest.
    pub(crate) fn charges_of_log(&self, device: u32, epoch: Epoch) -> Result<Vec<(Amount, u64)>, StoreError> {
        self.charges("tap.device = ?1 AND tap.epoch = ?2", params![device, epoch])
    }

    /// What the rides of one card charged, each amount with how often, from the smallest.
    pub(crate) fn charges_of_card(&self, card: CardToken) -> Result<Vec<(Amount, u64)>, StoreError> {
        self.charges("tap.card = ?1 AND tap.counter IS NOT NULL", params![card.0])
    }

    fn charges(&self, which: &str, parameters: impl rusqlite::Params) -> Result<Vec<(Amount, u64)>, StoreError> {
        let sql = format!(
            // The second condition on the kind is that of the index: without it SQLite reads every entry.
            "SELECT coalesce((SELECT sum(amount) FROM posting WHERE entry = entry.id AND amount > 0), 0) AS charged, \
             count(*) FROM tap JOIN entry ON entry.tap = tap.id AND entry.kind = 'ride' \
             AND entry.kind IN ('ride', 'unknown') WHERE {which} \
             GROUP BY charged ORDER BY charged"
        );
        let mut statement = self.0.prepare_cached(&sql)?;
        let mut rows = statement.query(parameters)?;
        let mut charges = Vec::new();
        while let Some(row) = rows.next()? {
            let charged = Amount::from_minor(row.get(0)?);
            let charged = charged.ok_or_else(|| StoreError::Damaged("an amount is negative".to_owned()))?;
            charges.push((charged, row.get::<_, i64>(1)?.unsigned_abs()));
        }
        Ok(charges)
    }

    /// The cards whose transaction counters in the books do not follow each other.
    pub(crate) fn cards_with_leaps(&self) -> Result<Vec<CardToken>, StoreError> {
        let mut statement = self.0.prepare(
            "SELECT DISTINCT card FROM (SELECT card, counter, \
             lag(counter) OVER (PARTITION BY card ORDER BY counter) AS before FROM \
             (SELECT card, counter FROM tap WHERE counter IS NOT NULL UNION ALL \
             SELECT card, counter FROM action WHERE counter IS NOT NULL)) WHERE counter > before + 1 ORDER BY card",
        )?;
        let rows = statement.query_map([], |row| Ok(CardToken(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Everything of a card that has a transaction counter, in order of the counters, each with its receipt.
    pub(crate) fn transactions_of_card(&self, card: CardToken) -> Result<Vec<(Transaction, i64)>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT id, counter, proven, receipt, \
             (SELECT max(slot) FROM evidence WHERE prover = both.id AND writer = both.id) FROM \
             (SELECT id, counter, proven, receipt FROM tap WHERE card = ?1 AND counter IS NOT NULL UNION ALL \
             SELECT id, counter, proven, receipt FROM action WHERE card = ?1 AND counter IS NOT NULL) AS both \
             ORDER BY counter, id",
        )?;
        let mut rows = statement.query([card.0])?;
        let mut transactions = Vec::new();
        while let Some(row) = rows.next()? {
            let id = parsed(&row.get::<_, String>(0)?)?;
            let transaction = Transaction { id, counter: row.get(1)?, proven: row.get(2)?, slot: row.get(4)? };
            transactions.push((transaction, row.get(3)?));
        }
        Ok(transactions)
    }

    /// The records of a card that evidence names and that nothing with a transaction counter wrote.
    pub(crate) fn uncounted(&self, card: CardToken) -> Result<Vec<(u32, Uncounted)>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT DISTINCT slot, writer, \
             writer IS NULL OR EXISTS (SELECT 1 FROM tap WHERE tap.id = writer) \
             OR EXISTS (SELECT 1 FROM action WHERE action.id = writer) FROM evidence WHERE card = ?1 \
             AND NOT EXISTS (SELECT 1 FROM tap WHERE tap.id = writer AND tap.counter IS NOT NULL) \
             AND NOT EXISTS (SELECT 1 FROM action WHERE action.id = writer AND action.counter IS NOT NULL) \
             ORDER BY slot, writer",
        )?;
        let mut rows = statement.query([card.0])?;
        let mut uncounted = Vec::new();
        while let Some(row) = rows.next()? {
            let writer: Option<String> = row.get(1)?;
            let what = match writer {
                Some(writer) if !row.get::<_, bool>(2)? => Uncounted::Missing(parsed(&writer)?),
                Some(_) | None => Uncounted::Booked,
            };
            uncounted.push((row.get(0)?, what));
        }
        Ok(uncounted)
    }
}
