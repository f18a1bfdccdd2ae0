//! What taps and steps that their card does not prove say that they wrote on it.

use rusqlite::params;
use transit::action::{SealedAction, Step};
use transit::card::{RECORD_LEN, Record};
use transit::id::{CardToken, TapId};
use transit::tap::{Outcome, SealedTap, Tap};

use super::{Books, StoreError};

impl Books<'_> {
    /// The records that completed taps and written steps wrote on a card without proving it: of taps in the books, and
    /// of both where a Transaction MAC was missing or wrong and they were kept aside.
    pub(crate) fn unproven_records(&self, card: CardToken) -> Result<Vec<Record>, StoreError> {
        let booked =
            self.taps("SELECT bytes FROM tap WHERE card = ?1 AND outcome = 'done' AND proven = 0", [card.0])?;
        let mut records: Vec<_> = booked.iter().filter_map(of_tap).collect();
        let aside = self.mac_wrong(
            "SELECT bytes FROM kept_aside WHERE substr(bytes, 33, 16) = ?1 AND verdict = 'mac_wrong'",
            card,
        )?;
        records.extend(aside.iter().filter_map(|bytes| of_tap(&SealedTap::from_bytes(bytes).ok()?.open().ok()?)));
        let aside = self.mac_wrong(
            "SELECT bytes FROM kept_aside WHERE substr(bytes, 46, 16) = ?1 AND verdict = 'mac_wrong'",
            card,
        )?;
        records.extend(aside.iter().filter_map(|bytes| {
            let action = SealedAction::from_bytes(bytes).ok()?.open().ok()?;
            if action.step == Step::Written { of_writer(action.record_written, action.id) } else { None }
        }));
        Ok(records)
    }

    fn mac_wrong(&self, sql: &str, card: CardToken) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        let rows = statement.query_map(params![card.0], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn of_tap(tap: &Tap) -> Option<Record> {
    if tap.outcome == Outcome::Done { of_writer(tap.record_written, tap.id) } else { None }
}

fn of_writer(written: Option<[u8; RECORD_LEN]>, writer: TapId) -> Option<Record> {
    Record::decode(&written?).ok().filter(|record| record.tap == Some(writer))
}
