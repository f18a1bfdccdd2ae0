//! The audit of what desks did and were answered.

use transit::action::{Action, ActionKind, SealedAction, Step};
use transit::desk::{DeskAnswer, Reply};
use transit::time::Moment;

use super::{Audit, Named, Wrong, ensure, walk};
use crate::allowance;
use crate::backing;
use crate::evidence::{self, Resolution, Writing};
use crate::finding::FindingKind;
use crate::ledger::{self, Account, Entry};
use crate::store::{ActionColumns, StoredAction, StoredAnswer, StoredEntry};
use crate::unproven;
use crate::vault::Proof;

impl Audit<'_> {
    /// Checks the steps of desks; gives how many rows of evidence they prove.
    pub(super) fn actions(&mut self) -> Result<u64, Wrong> {
        let (mut previous, mut receipt) = (None, None);
        let (mut actions, mut proven, mut proofs) = (0, 0, 0);
        walk(|wrong| {
            self.books.for_each_action(|stored| {
                wrong.note(|| {
                    let (action, sealed) = self.action_itself(&stored)?;
                    let name = Named { what: "action", id: action.id, hash: sealed.hash() };
                    self.in_chain(&name, sealed.previous_hash(), &mut previous)?;
                    let at = self.in_receipt(&name, stored.receipt, &mut receipt)?;
                    proofs += self.proves(&name, stored.proven, &Writing::of_action(&action))?;
                    self.action_entry(&action, &stored, at)?;
                    actions += 1;
                    proven += u64::from(stored.proven);
                    Ok(())
                })
            })
        })?;
        self.done.actions += actions;
        self.done.transaction_macs_right += proven;
        Ok(proofs)
    }

    fn action_itself(&self, stored: &StoredAction) -> Result<(Action, SealedAction), Wrong> {
        let name = &stored.id;
        let wrong = |error| Wrong(format!("action {name}: {error}"));
        let sealed = SealedAction::from_bytes(&stored.bytes).map_err(wrong)?;
        let action = sealed.open().map_err(wrong)?;
        ensure(action.id.to_string() == *name, || format!("action {name}: its bytes name action {}", action.id))?;
        let same = stored.columns == ActionColumns::of(&action);
        ensure(same, || format!("action {name}: a column of its row is not what its bytes say"))?;
        let desk = self.config.desks.get(&action.id.device);
        let signed = desk.is_none_or(|desk| sealed.is_signed_by(&desk.public_key));
        ensure(signed, || format!("action {name}: it is not signed by its desk"))?;
        let proven = action.step == Step::Written && self.config.vault.check_action(&action) == Proof::Right;
        ensure(proven == stored.proven, || format!("action {name}: its Transaction MAC is not as it was found"))?;
        Ok((action, sealed))
    }

    /// The entry of a step is the one that the step and the evidence give, or the word of its desk.
    fn action_entry(&self, action: &Action, row: &StoredAction, at: Moment) -> Result<(), Wrong> {
        let entries = self.books.entries_of(action.id)?;
        let name = || format!("action {}", action.id);
        let [stored] = &entries[..] else {
            ensure(entries.is_empty(), || format!("{}: the ledger has {} entries for it", name(), entries.len()))?;
            let expected = self.moves_something(action)? == Some(true) || self.lacks_its_word(action, row.receipt)?;
            return ensure(!expected, || format!("{}: the ledger has no entry for it", name()));
        };
        let word = self.word(action, row)?;
        let moves = word.is_some() || self.moves_something(action)? != Some(false);
        let expected = if moves { self.expected_action_entry(action, word, stored)? } else { None };
        ensure(expected.as_ref() == Some(&stored.entry), || {
            format!("{}: entry {} is not what it gives", name(), stored.id)
        })?;
        ensure(action.step == Step::Unknown || at == stored.entry.posted_at, || {
            format!("{}: entry {} is not of the time of its receipt", name(), stored.id)
        })
    }

    /// The upload by which a step is booked on its desk's word, where it is: no proof says so.
    fn word(&self, action: &Action, row: &StoredAction) -> Result<Option<i64>, Wrong> {
        if action.step == Step::Written && !row.proven {
            return Ok(Some(row.receipt));
        }
        if action.step == Step::Unknown && self.books.has_finding(FindingKind::Unproven, action.id)? {
            return Ok(self.books.word_about(action)?.map(|word| word.max(row.receipt)));
        }
        Ok(None)
    }

    /// Whether the ledger should have a torn step, which came with upload `receipt`, by its desk's later word, and has
    /// it not, though no alarm says why.
    fn lacks_its_word(&self, action: &Action, receipt: i64) -> Result<bool, Wrong> {
        if !unproven::waits_for_a_word(self.books, action)? {
            return Ok(false);
        }
        let Some(word) = self.books.word_about(action)? else { return Ok(false) };
        // Books of before such words counted name no limit for them.
        let counted = self.books.unproven_limit(action.id.device, word.max(receipt))?.is_some();
        Ok(counted && !self.books.has_finding(FindingKind::UnprovenExceeded, action.id)?)
    }

    /// Whether a step has an entry; `None` where proofs contradict each other, and the first may have made one.
    fn moves_something(&self, action: &Action) -> Result<Option<bool>, Wrong> {
        Ok(match action.step {
            Step::Paid | Step::Refunded | Step::Written => Some(true),
            Step::Void | Step::Confirmed { .. } | Step::Voided { .. } | Step::Done => Some(false),
            Step::Unknown => {
                let writing = Writing::of_action(action);
                let proofs = match evidence::wanted_slot(&writing) {
                    Some(slot) => self.books.evidence_of_slot(action.card, slot)?,
                    None => Vec::new(),
                };
                match evidence::resolve(&writing, &proofs, false) {
                    Resolution::Confirmed => Some(true),
                    Resolution::Pending | Resolution::Voided => Some(false),
                    Resolution::Disputed => None,
                }
            }
        })
    }

    /// `word` is the upload by which it is booked on its desk's word.
    fn expected_action_entry(
        &self,
        action: &Action,
        word: Option<i64>,
        stored: &StoredEntry,
    ) -> Result<Option<Entry>, Wrong> {
        let stamp = self.stamp(action.at, stored);
        let backed = match word {
            _ if action.kind == ActionKind::Transfer => allowance::backs(self.books, action, Some(stored.id))?,
            Some(receipt) if unproven::takes_off(action) => self.was_believed(action, receipt, stored)?,
            Some(_) | None => true,
        };
        if action.kind == ActionKind::Refund && !backed {
            return Ok(None);
        }
        let Some(whole) = ledger::of_cash(action, stamp).or_else(|| ledger::of_writing(action, backed, stamp)) else {
            return Ok(None);
        };
        let left = self.books.left_of_action(backing::first_of(action), Some(stored.id))?;
        let expected = in_order(ledger::split(whole.clone(), action.id.device, left));
        // Books of before took from what waits what it did not have.
        let whole = in_order(whole);
        if whole == stored.entry && whole != expected {
            let from = self.books.first_unbacked()?;
            return Ok(Some(if from.is_none_or(|from| stored.id < from) { whole } else { expected }));
        }
        Ok(Some(expected))
    }

    /// Whether the desk was believed, by the limit that was in force and what the ledger had before this entry.
    fn was_believed(&self, action: &Action, receipt: i64, stored: &StoredEntry) -> Result<bool, Wrong> {
        let desk = action.id.device;
        let Some(limit) = self.books.unproven_limit(desk, receipt)? else {
            // Books of before limits were noted: either booking is right.
            let account = Account::DeskCash(desk);
            let charges_desk = stored.entry.postings.iter().any(|posting| posting.account == account);
            return Ok(action.kind == ActionKind::Refund || !charges_desk);
        };
        let given_up = self.books.unproven_given_up(desk, stored.entry.settlement_day, Some(stored.id))?;
        Ok(unproven::is_believed(limit, given_up, ledger::moved(action)))
    }

    /// What desks were promised, and the deny lists that were handed out.
    pub(super) fn answers(&self) -> Result<(), Wrong> {
        for (answer, expected) in self.books.answers()?.iter().zip(1..) {
            let number = answer.number;
            ensure(number == expected, || format!("answer {expected} is missing"))?;
            let signed = self.config.signer.signed_answer(&answer.text, &answer.signature);
            ensure(signed, || format!("answer {number} is not what was signed"))?;
            ensure(says(answer)?, || format!("answer {number}: its row is not what its text says"))?;
        }
        if let Some(id) = self.books.broken_unproven_limit()? {
            return Err(Wrong(format!("unproven limit {id} was changed, or one before it removed")));
        }
        match self.books.broken_deny_list()? {
            Some(version) => Err(Wrong(format!("deny list {version} was changed, or one before it removed"))),
            None => Ok(()),
        }
    }
}

/// With its postings as the books give them.
fn in_order(mut entry: Entry) -> Entry {
    entry.postings.sort_by_key(|posting| posting.account.to_string());
    entry
}

/// Whether the columns of an answer are what its text says.
fn says(answer: &StoredAnswer) -> Result<bool, Wrong> {
    let of_row = (answer.number, answer.desk, answer.epoch, answer.lost_card);
    let opened: DeskAnswer =
        serde_json::from_str(&answer.text).map_err(|error| Wrong(format!("answer {}: {error}", answer.number)))?;
    Ok(opened.at == answer.at
        && match opened.reply {
            Reply::Allowance(allowance) => of_row == (allowance.number, allowance.desk, Some(allowance.epoch), None),
            Reply::Transfer(grant) => of_row == (grant.number, grant.desk, None, Some(grant.lost)),
            Reply::CardState(_) | Reply::Step(_) | Reply::Refused { .. } => false,
        })
}
