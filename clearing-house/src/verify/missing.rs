//! Debits that cards show and whose taps have not come.

use super::{Audit, Wrong, ensure};
use crate::ledger::{self, Account, EntryKind};
use crate::missing::MissingDebit;
use crate::store::StoredEntry;

impl Audit<'_> {
    /// Each is shown by its card, is booked once as that, and ends no later than its tap comes; what waits is their money.
    pub(super) fn missing(&self) -> Result<(), Wrong> {
        let (mut begun, mut ended, mut waits) = (0, 0, 0_i64);
        for (debit, _) in self.books.missing_debits()? {
            let name = debit.tap;
            let history = self.books.history(debit.card, debit.slot)?;
            let is_shown = history
                .shown()
                .iter()
                .any(|shown| (shown.writer, shown.slot, shown.amount) == (debit.tap, debit.slot, debit.amount));
            ensure(is_shown, || format!("missing tap {name}: no record of its card shows what was booked"))?;
            let entries = self.books.entries_of(debit.tap)?;
            for stored in &entries {
                self.missing_entry(&debit, stored)?;
            }
            let has = |kind| entries.iter().any(|stored| stored.entry.kind == kind);
            let is_over = has(EntryKind::MissingEnded);
            ensure(has(EntryKind::Missing), || format!("missing tap {name}: the ledger has nothing of it"))?;
            let has_come = self.books.is_known(debit.tap)?;
            ensure(is_over || !has_come, || format!("missing tap {name}: it has come, and its money still waits"))?;
            begun += 1;
            ended += u64::from(is_over);
            waits += if is_over { 0 } else { debit.amount.minor() };
        }
        let found = self.books.missing_entries()?;
        ensure(found == (begun, ended), || {
            format!("the ledger has {found:?} entries about missing taps, and cards show {:?}", (begun, ended))
        })?;
        let balances = self.books.balances()?;
        let account = Account::SuspenseMissing.to_string();
        let balance = balances.iter().find(|(name, _)| *name == account).map_or(0, |(_, balance)| *balance);
        ensure(balance == waits, || format!("{account} has {balance}, and the missing taps {waits}"))
    }

    fn missing_entry(&self, debit: &MissingDebit, stored: &StoredEntry) -> Result<(), Wrong> {
        let (operator, stamp) = (stored.entry.operator, self.stamp(debit.at, stored));
        let mut expected = if stored.entry.kind == EntryKind::Missing {
            ledger::missing(debit, operator, stamp)
        } else if stored.entry.kind == EntryKind::MissingEnded {
            ledger::missing_ended(debit, operator, stamp)
        } else {
            return Ok(());
        };
        expected.postings.sort_by_key(|posting| posting.account.to_string());
        let id = stored.id;
        ensure(stored.entry == expected, || format!("missing tap {}: entry {id} is not what its card shows", debit.tap))
    }
}
