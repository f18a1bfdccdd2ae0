//! The records of a card that proven taps cover, and those that validators saw.

use rusqlite::params;
use transit::card::{RECORD_LEN, RECORDS_KEPT, Record};
use transit::id::{CardToken, TapId};
use transit::tap::Tap;

use super::{Books, StoreError};
use crate::evidence::{Resolution, Writing, wanted_slot};
use crate::history::{Claim, History, Look};
use crate::ledger::charged;

/// As far up as a card keeps records: nobody has seen an older one below a newer.
const RECORDS_ABOVE: u32 = RECORDS_KEPT;

impl Books<'_> {
    /// What is known of the records of `card` from the one before `number` on.
    pub(crate) fn history(&self, card: CardToken, number: u32) -> Result<History, StoreError> {
        let (first, last) = (number.saturating_sub(1), number.saturating_add(RECORDS_ABOVE));
        let mut statement = self.0.prepare_cached(
            "SELECT DISTINCT record FROM evidence WHERE card = ?1 AND slot BETWEEN ?2 AND ?3 AND record IS NOT NULL",
        )?;
        let rows = statement.query_map(params![card.0, first, last], |row| row.get::<_, [u8; RECORD_LEN]>(0))?;
        let mut history = History::default();
        for bytes in rows {
            history.proven.extend(Record::decode(&bytes?).ok());
        }
        for tap in self
            .unknowns_between(card, (first, last.saturating_add(1)))?
            .iter()
            .chain(&self.older_records(card, (first, last))?)
        {
            for bytes in [tap.record_read, tap.record_written].into_iter().flatten() {
                let look = Record::decode(&bytes).ok().map(|record| Look { operator: tap.operator, record });
                history.looks.extend(look.filter(|look| !history.looks.contains(look)));
            }
        }
        Ok(history)
    }

    /// What validators tell of an unknown tap: disputed where both is told.
    pub(crate) fn told_of(&self, unknown: &Tap) -> Result<Resolution, StoreError> {
        let written = unknown.record_written.and_then(|bytes| Record::decode(&bytes).ok());
        let Some(record) =
            written.filter(|record| wanted_slot(&Writing::of_tap(unknown)) == Some(record.card_sequence))
        else {
            return Ok(Resolution::Pending);
        };
        let history = self.history(unknown.card, record.card_sequence)?;
        let claim = Claim { tap: unknown.id, operator: unknown.operator, amount: charged(unknown), record };
        let mut is_void = false;
        for told in history.others(&claim) {
            let gains_nothing =
                || Ok::<_, StoreError>(self.tap(told.writer)?.is_some_and(|writer| writer.operator != told.by));
            is_void = is_void || told.by == claim.operator || gains_nothing()?;
        }
        Ok(match (history.confirms(&claim), is_void) {
            (true, true) => Resolution::Disputed,
            (true, false) => Resolution::Confirmed,
            (false, true) => Resolution::Voided,
            (false, false) => Resolution::Pending,
        })
    }

    /// The unknown taps that were to write one of these records, whatever became of them.
    pub(crate) fn unknowns_between(&self, card: CardToken, (first, last): (u32, u32)) -> Result<Vec<Tap>, StoreError> {
        self.taps(
            "SELECT bytes FROM tap WHERE card = ?1 AND wanted_slot BETWEEN ?2 AND ?3 ORDER BY device, epoch, sequence",
            params![card.0, first, last],
        )
    }

    /// The last upload of before validators were believed of others' taps; 0 where there was none.
    pub(crate) fn told_after(&self) -> Result<i64, StoreError> {
        let mut statement = self.0.prepare_cached("SELECT coalesce(max(receipt), 0) FROM told_after")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// Whether the unknown tap of this name was posted.
    pub(crate) fn is_confirmed(&self, unknown: TapId) -> Result<bool, StoreError> {
        let mut statement =
            self.0.prepare_cached("SELECT 1 FROM entry WHERE tap = ?1 AND kind = 'unknown_confirmed'")?;
        Ok(statement.exists([unknown.to_string()])?)
    }

    /// The taps of older records that hold one of these, each sealed right after a proven tap of the card.
    fn older_records(&self, card: CardToken, (first, last): (u32, u32)) -> Result<Vec<Tap>, StoreError> {
        // Such a tap has the record before the one that it read as well.
        let bytes = |number: u32| number.min(0x00FF_FFFF).to_be_bytes()[1..].to_vec();
        self.taps(
            "SELECT bytes FROM tap WHERE card = ?1 AND outcome = 'evidence' AND substr(bytes, 80, 3) BETWEEN ?2 AND ?3 \
             AND EXISTS (SELECT 1 FROM tap AS before WHERE before.device = tap.device AND before.epoch = tap.epoch \
             AND before.sequence = tap.sequence - 1 AND before.card = tap.card AND before.proven) \
             ORDER BY device, epoch, sequence",
            params![card.0, bytes(first), bytes(last.saturating_add(1))],
        )
    }
}
