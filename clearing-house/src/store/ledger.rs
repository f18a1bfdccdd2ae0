//! Entries, postings, statements and closed days.

use rusqlite::{OptionalExtension, Row, params};
use transit::id::{LineNumber, OperatorId, TapId};
use transit::money::Amount;
use transit::time::{Moment, ServiceDay};

use super::{Books, ClosedDay, StoreError, parsed};
use crate::chain;
use crate::ledger::{Account, Basis, Entry, EntryKind, Posting};
use crate::settle::SettledTap;

/// An entry as it lies in the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredEntry {
    pub(crate) id: i64,
    pub(crate) entry: Entry,
    /// The link that its row has.
    pub(crate) chain: [u8; 32],
}

/// A statement as it lies in the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredStatement {
    pub(crate) operator: OperatorId,
    pub(crate) bytes: Vec<u8>,
    /// The digest that its row has.
    pub(crate) digest: [u8; 32],
}

impl StoredEntry {
    /// The link that its row must have after a row with the link `previous`.
    pub(crate) fn link_after(&self, previous: &[u8; 32]) -> Result<[u8; 32], StoreError> {
        link(previous, &self.entry)
    }
}

impl Books<'_> {
    /// Enters `entry`.
    pub(crate) fn post(&self, entry: &Entry) -> Result<(), StoreError> {
        if entry.sum() != Some(0) {
            return Err(StoreError::Unbalanced(entry.kind.name()));
        }
        let previous = self.last_link("SELECT chain FROM entry ORDER BY id DESC LIMIT 1")?;
        let basis = entry.basis.as_ref().map(basis_text).transpose()?;
        self.0
            .prepare_cached(
                "INSERT INTO entry (kind, tap, operator, line, basis, service_day, settlement_day, posted_at, \
                 currency, chain) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                entry.kind.name(),
                entry.tap.map(|tap| tap.to_string()),
                entry.operator.0,
                entry.line.map(|line| line.0),
                basis,
                entry.service_day.to_string(),
                entry.settlement_day.to_string(),
                entry.posted_at.0,
                entry.currency,
                link(&previous, entry)?
            ])?;
        let id = self.0.last_insert_rowid();
        let mut statement =
            self.0.prepare_cached("INSERT INTO posting (entry, account, amount) VALUES (?1, ?2, ?3)")?;
        for posting in &entry.postings {
            statement.execute(params![id, posting.account.to_string(), posting.amount])?;
        }
        Ok(())
    }

    /// What the action whose first step is `first` has brought in, less what was written or given back of it, by the
    /// entries `before` one, or by all.
    pub(crate) fn left_of_action(&self, first: TapId, before: Option<i64>) -> Result<i64, StoreError> {
        let mut statement = self.0.prepare_cached(
            "WITH step (id) AS (SELECT ?1 UNION ALL SELECT id FROM action WHERE names = ?1 AND device = ?2 \
             AND epoch = ?3 AND sequence > ?4) \
             SELECT coalesce(sum(posting.amount), 0) FROM step JOIN entry ON entry.tap = step.id \
             JOIN posting ON posting.entry = entry.id AND posting.account IN ('suspense:loads', ?5) \
             WHERE entry.id < ?6",
        )?;
        let TapId { device, epoch, sequence } = first;
        let unbacked = Account::DeskUnbacked(device).to_string();
        let before = before.unwrap_or(i64::MAX);
        let parameters = params![first.to_string(), device.number(), epoch, sequence, unbacked, before];
        Ok(statement.query_row(parameters, |row| row.get(0))?)
    }

    /// The first entry that tells what desks owe apart from what waits: books of before have none.
    pub(crate) fn first_unbacked(&self) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT min(entry) FROM posting WHERE account GLOB 'desk:*:unbacked'";
        Ok(self.0.query_row(sql, [], |row| row.get(0))?)
    }

    /// Visits every entry in order, with its postings.
    pub(crate) fn for_each_entry(
        &self,
        mut visit: impl FnMut(StoredEntry) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut entries = self.0.prepare(
            "SELECT id, kind, tap, operator, line, basis, service_day, settlement_day, posted_at, currency, chain \
             FROM entry ORDER BY id",
        )?;
        let mut rows = entries.query([])?;
        while let Some(row) = rows.next()? {
            visit(self.stored_entry(row)?)?;
        }
        Ok(())
    }

    /// The entries of one tap or of one step of a desk, in order.
    pub(crate) fn entries_of(&self, tap: TapId) -> Result<Vec<StoredEntry>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT id, kind, tap, operator, line, basis, service_day, settlement_day, posted_at, currency, chain \
             FROM entry WHERE tap = ?1 ORDER BY id",
        )?;
        let mut rows = statement.query([tap.to_string()])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            entries.push(self.stored_entry(row)?);
        }
        Ok(entries)
    }

    /// The settlement of `day` with `operator`.
    pub(crate) fn settlement_of(
        &self,
        operator: OperatorId,
        day: ServiceDay,
    ) -> Result<Option<StoredEntry>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT id, kind, tap, operator, line, basis, service_day, settlement_day, posted_at, currency, chain \
             FROM entry WHERE kind = 'settlement' AND operator = ?1 AND settlement_day = ?2",
        )?;
        let mut rows = statement.query(params![operator.0, day.to_string()])?;
        rows.next()?.map(|row| self.stored_entry(row)).transpose()
    }

    /// What rides that no card proves add to what `operator` is owed on `day`.
    pub(crate) fn unproven_rides(&self, operator: OperatorId, day: ServiceDay) -> Result<Amount, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT coalesce(sum(posting.amount), 0) FROM entry \
             JOIN tap ON tap.id = entry.tap AND tap.proven = 0 \
             JOIN posting ON posting.entry = entry.id AND posting.amount > 0 \
             WHERE entry.kind = 'ride' AND entry.settlement_day = ?1 AND entry.operator = ?2",
        )?;
        let minor: i64 = statement.query_row(params![day.to_string(), operator.0], |row| row.get(0))?;
        Amount::from_minor(minor).ok_or_else(|| StoreError::Damaged(format!("unproven rides sum to {minor}")))
    }

    fn stored_entry(&self, row: &Row<'_>) -> Result<StoredEntry, StoreError> {
        let id = row.get(0)?;
        let kind: String = row.get(1)?;
        let basis: Option<String> = row.get(5)?;
        let entry = Entry {
            kind: EntryKind::from_name(&kind)
                .ok_or_else(|| StoreError::Damaged(format!("entry {id} has the unknown kind `{kind}`")))?,
            tap: row.get::<_, Option<String>>(2)?.map(|text| parsed(&text)).transpose()?,
            operator: OperatorId(row.get(3)?),
            line: row.get::<_, Option<u16>>(4)?.map(LineNumber),
            basis: basis.map(|text| basis_of(&text)).transpose()?,
            service_day: parsed(&row.get::<_, String>(6)?)?,
            settlement_day: parsed(&row.get::<_, String>(7)?)?,
            posted_at: Moment(row.get(8)?),
            currency: row.get(9)?,
            postings: self.postings(id)?,
        };
        Ok(StoredEntry { id, entry, chain: row.get(10)? })
    }

    fn postings(&self, entry: i64) -> Result<Vec<Posting>, StoreError> {
        let mut statement =
            self.0.prepare_cached("SELECT account, amount FROM posting WHERE entry = ?1 ORDER BY account")?;
        let rows = statement.query_map([entry], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
        rows.map(|row| {
            let (account, amount) = row?;
            Ok(Posting { account: parsed::<Account>(&account)?, amount })
        })
        .collect()
    }

    /// The balance of every account that has postings.
    pub(crate) fn balances(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let mut statement =
            self.0.prepare_cached("SELECT account, sum(amount) FROM posting GROUP BY account ORDER BY account")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A posting that belongs to no entry.
    pub(crate) fn stray_posting(&self) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT entry FROM posting WHERE entry NOT IN (SELECT id FROM entry) LIMIT 1";
        Ok(self.0.query_row(sql, [], |row| row.get(0)).optional()?)
    }

    /// An entry about a tap or an action that is not in the books.
    pub(crate) fn stray_entry(&self) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT id FROM entry WHERE tap IS NOT NULL AND kind NOT IN ('missing', 'missing_ended') \
                   AND NOT EXISTS (SELECT 1 FROM tap WHERE tap.id = entry.tap) \
                   AND NOT EXISTS (SELECT 1 FROM action WHERE action.id = entry.tap) LIMIT 1";
        Ok(self.0.query_row(sql, [], |row| row.get(0)).optional()?)
    }

    pub(crate) fn last_entry(&self) -> Result<i64, StoreError> {
        Ok(self.0.query_row("SELECT coalesce(max(id), 0) FROM entry", [], |row| row.get(0))?)
    }

    /// What counts for `operator` in the statement of `day`: rides, and unknown taps that were confirmed.
    pub(crate) fn settled_taps(&self, operator: OperatorId, day: ServiceDay) -> Result<Vec<SettledTap>, StoreError> {
        self.settled(
            "WHERE e.kind IN ('ride', 'unknown_confirmed') AND e.settlement_day = ?1 AND e.operator = ?2",
            params![day.to_string(), operator.0],
        )
    }

    /// Unknown taps of `operator` to the end of `day` of which, as far as the entries to `last_entry` know, nobody
    /// knows whether the card paid.
    pub(crate) fn pending_taps(
        &self,
        operator: OperatorId,
        day: ServiceDay,
        last_entry: i64,
    ) -> Result<Vec<SettledTap>, StoreError> {
        self.settled(
            "WHERE e.kind = 'unknown' AND e.settlement_day <= ?1 AND e.operator = ?2 AND e.id <= ?3 \
             AND NOT EXISTS (SELECT 1 FROM entry AS ending WHERE ending.tap = e.tap AND ending.id <= ?3 \
             AND ending.kind IN ('unknown_confirmed', 'unknown_voided'))",
            params![day.to_string(), operator.0, last_entry],
        )
    }

    /// Every unknown tap that is pending now.
    pub(crate) fn pending_now(&self) -> Result<Vec<SettledTap>, StoreError> {
        self.settled(
            "WHERE e.kind = 'unknown' AND NOT EXISTS (SELECT 1 FROM entry AS ending WHERE ending.tap = e.tap \
             AND ending.kind IN ('unknown_confirmed', 'unknown_voided'))",
            [],
        )
    }

    fn settled(&self, which: &str, parameters: impl rusqlite::Params) -> Result<Vec<SettledTap>, StoreError> {
        let sql = format!(
            "SELECT e.tap, e.line, e.basis, e.service_day, \
             coalesce((SELECT sum(amount) FROM posting WHERE entry = e.id AND amount > 0), 0) FROM entry AS e {which}"
        );
        let mut statement = self.0.prepare_cached(&sql)?;
        let mut rows = statement.query(parameters)?;
        let mut taps = Vec::new();
        while let Some(row) = rows.next()? {
            taps.push(SettledTap {
                tap: parsed(&row.get::<_, String>(0)?)?,
                line: LineNumber(row.get(1)?),
                basis: basis_of(&row.get::<_, String>(2)?)?,
                travel_day: parsed(&row.get::<_, String>(3)?)?,
                amount: Amount::from_minor(row.get(4)?)
                    .ok_or_else(|| StoreError::Damaged("an amount is negative".to_owned()))?,
            });
        }
        taps.sort_by_key(|tap| tap.tap);
        Ok(taps)
    }

    /// The operators that have entries to the end of `day`.
    pub(crate) fn operators_to(&self, day: ServiceDay) -> Result<Vec<OperatorId>, StoreError> {
        let mut statement = self
            .0
            .prepare_cached("SELECT DISTINCT operator FROM entry WHERE settlement_day <= ?1 ORDER BY operator")?;
        let rows = statement.query_map([day.to_string()], |row| Ok(OperatorId(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn is_closed(&self, day: ServiceDay) -> Result<bool, StoreError> {
        let mut statement = self.0.prepare_cached("SELECT 1 FROM closed_day WHERE service_day = ?1")?;
        Ok(statement.exists([day.to_string()])?)
    }

    pub(crate) fn insert_closed_day(&self, closed: &ClosedDay) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "INSERT INTO closed_day (service_day, closed_at, last_entry, digest, seal) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                closed.service_day.to_string(),
                closed.closed_at.0,
                closed.last_entry,
                closed.digest,
                seal(closed)
            ])?;
        Ok(())
    }

    /// Every closed day in order, and whether its row is as it was written.
    pub(crate) fn closed_days(&self) -> Result<Vec<(ClosedDay, bool)>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT service_day, closed_at, last_entry, digest, seal FROM closed_day ORDER BY service_day",
        )?;
        let mut rows = statement.query([])?;
        let mut days = Vec::new();
        while let Some(row) = rows.next()? {
            let closed = ClosedDay {
                service_day: parsed(&row.get::<_, String>(0)?)?,
                closed_at: Moment(row.get(1)?),
                last_entry: row.get(2)?,
                digest: row.get(3)?,
            };
            let as_written = row.get::<_, [u8; 32]>(4)? == seal(&closed);
            days.push((closed, as_written));
        }
        Ok(days)
    }

    pub(crate) fn insert_statement(
        &self,
        day: ServiceDay,
        operator: OperatorId,
        bytes: &[u8],
        digest: &[u8; 32],
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached("INSERT INTO statement (service_day, operator, bytes, digest) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![day.to_string(), operator.0, bytes, digest])?;
        Ok(())
    }

    /// The statements of `day`, in order of the operators.
    pub(crate) fn statements(&self, day: ServiceDay) -> Result<Vec<StoredStatement>, StoreError> {
        let mut statement = self
            .0
            .prepare_cached("SELECT operator, bytes, digest FROM statement WHERE service_day = ?1 ORDER BY operator")?;
        let rows = statement.query_map([day.to_string()], |row| {
            Ok(StoredStatement { operator: OperatorId(row.get(0)?), bytes: row.get(1)?, digest: row.get(2)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A statement of a day that is not closed.
    pub(crate) fn stray_statement(&self) -> Result<Option<String>, StoreError> {
        let sql = "SELECT service_day FROM statement \
                   WHERE service_day NOT IN (SELECT service_day FROM closed_day) LIMIT 1";
        Ok(self.0.query_row(sql, [], |row| row.get(0)).optional()?)
    }
}

fn basis_text(basis: &Basis) -> Result<String, StoreError> {
    serde_json::to_string(basis).map_err(|error| StoreError::Damaged(error.to_string()))
}

fn basis_of(text: &str) -> Result<Basis, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Damaged(format!("basis `{text}`: {error}")))
}

fn link(previous: &[u8; 32], entry: &Entry) -> Result<[u8; 32], StoreError> {
    let basis = entry.basis.as_ref().map(basis_text).transpose()?.unwrap_or_default();
    let tap = entry.tap.map(|tap| tap.to_string()).unwrap_or_default();
    let line = entry.line.map(|line| line.0.to_string()).unwrap_or_default();
    let mut postings: Vec<_> =
        entry.postings.iter().map(|posting| format!("{} {}", posting.account, posting.amount)).collect();
    postings.sort();
    Ok(chain::link(
        previous,
        &[
            entry.kind.name().as_bytes(),
            tap.as_bytes(),
            &entry.operator.0.to_be_bytes(),
            line.as_bytes(),
            basis.as_bytes(),
            entry.service_day.to_string().as_bytes(),
            entry.settlement_day.to_string().as_bytes(),
            &entry.posted_at.0.to_be_bytes(),
            entry.currency.as_bytes(),
            postings.join("\n").as_bytes(),
        ],
    ))
}

fn seal(closed: &ClosedDay) -> [u8; 32] {
    chain::link(
        &chain::START,
        &[
            closed.service_day.to_string().as_bytes(),
            &closed.closed_at.0.to_be_bytes(),
            &closed.last_entry.to_be_bytes(),
            &closed.digest,
        ],
    )
}
