//! Steps of desks' actions.
//!
//! A desk's word moves cash, because the desk answers for the cash that it says it took. It moves value of a card only
//! where the card proves it, or where nobody could gain by a lie: a load or a sale without a Transaction MAC (a card
//! that has none) is booked and found, because the desk owes what was paid for it either way. What such a card gave up,
//! by a refund or for another card, is booked up to a limit a day for each desk ([`crate::unproven`]). Past it a refund is
//! kept aside, or the later word that a torn one was taken, and what an exchange says that the old card gave up is booked
//! against the desk: its new card has the value.

use transit::action::{ACTION_LEN, Action, ActionError, ActionKind, SealedAction, Step};
use transit::id::{DeviceId, TapId};
use transit::money::Amount;
use transit::sync::{TapAcknowledgement, Verdict};

use super::{Link, Objection, Upload, acknowledge, object};
use crate::allowance;
use crate::at_desk;
use crate::backing::{self, STEPS_PER_ACTION_MAX};
use crate::chain;
use crate::config::TransactionMacPolicy;
use crate::evidence::{self, Resolution, Writing};
use crate::finding::{Finding, FindingKind, about};
use crate::ledger::{self, Entry};
use crate::store::StoreError;
use crate::unproven;
use crate::vault::Proof;

impl Upload<'_> {
    pub(super) fn take_action(&mut self, bytes: &[u8]) -> Result<TapAcknowledgement, StoreError> {
        let Ok(sealed) = SealedAction::from_bytes(bytes) else {
            let detail = format!("{} bytes at the end of the upload are no whole action of {ACTION_LEN}", bytes.len());
            let objection = Objection { verdict: Verdict::Malformed, detail, alarm: None };
            return self.keep_aside(bytes, None, chain::sha256(bytes), objection);
        };
        let (claimed, hash) = (sealed.claimed_id(), sealed.hash());
        let action = match sealed.open() {
            Ok(action) => action,
            Err(error) => {
                let verdict = if error == ActionError::Hash { Verdict::Changed } else { Verdict::Malformed };
                let detail = claimed.map_or_else(|| error.to_string(), |id| about(id, error));
                return self.keep_aside(bytes, claimed, hash, Objection { verdict, detail, alarm: None });
            }
        };
        if self.books.sealed_action(action.id)?.as_ref() == Some(&sealed) {
            self.note_newest(action.id);
            return Ok(acknowledge(claimed, hash, Verdict::Known, None));
        }
        let proof = self.config.vault.check_action(&action);
        if let Some(objection) = self.objection_to_action(&action, &sealed, proof)? {
            return self.keep_aside(bytes, claimed, hash, objection);
        }
        let warning = self.accept_action(&action, &sealed, proof)?;
        self.note_newest(action.id);
        Ok(acknowledge(claimed, hash, Verdict::Accepted, warning))
    }

    fn objection_to_action(
        &self,
        action: &Action,
        sealed: &SealedAction,
        proof: Proof,
    ) -> Result<Option<Objection>, StoreError> {
        let id = action.id;
        let desk = self.config.desks.get(&id.device);
        // Who signed comes first: what somebody else made up must not look like a desk's second log.
        if desk.is_some_and(|desk| !sealed.is_signed_by(&desk.public_key)) {
            return object(id, Verdict::SignatureWrong, "it is not signed by this desk");
        }
        let owner = desk.map(|desk| desk.operator);
        let neighbour = |id| Ok(self.books.sealed_action(id)?.map(|sealed| link(id, &sealed)));
        if let Some(objection) = self.objection_to_link(link(id, sealed), (owner, action.operator), neighbour)? {
            return Ok(Some(objection));
        }
        let first = backing::first_of(action);
        if first != id && self.books.steps_of(first)? >= STEPS_PER_ACTION_MAX {
            let why = format!("action {first} has {STEPS_PER_ACTION_MAX} steps in the books, and no desk makes more");
            self.find_once(&Finding::new(FindingKind::TooManySteps, first, format!("{id} and what follows: {why}")))?;
            return object(id, Verdict::TooManySteps, &why);
        }
        match action.step {
            Step::Written if proof == Proof::Right => {}
            Step::Written => {
                if let (Proof::Wrong(why), TransactionMacPolicy::Enforce) = (proof, self.config.transaction_mac_policy)
                {
                    return object(id, Verdict::MacWrong, why);
                }
                return self.objection_to_word(action, action);
            }
            Step::Confirmed { resolves } => {
                if let Some(unknown) = self.books.action(resolves)?
                    && unproven::confirms(action, &unknown)
                    && unproven::waits_for_a_word(self.books, &unknown)?
                {
                    return self.objection_to_word(action, &unknown);
                }
            }
            Step::Paid | Step::Unknown | Step::Void | Step::Voided { .. } | Step::Refunded | Step::Done => {}
        }
        Ok(None)
    }

    /// What is said against `word` of a desk, by which a refund was made that no card proves. What an exchange took off
    /// is booked in any case.
    fn objection_to_word(&self, word: &Action, refund: &Action) -> Result<Option<Objection>, StoreError> {
        if refund.kind != ActionKind::Refund {
            return Ok(None);
        }
        let subject = if word.id == refund.id { "it".to_owned() } else { format!("step {}", refund.id) };
        Ok(self.past_unproven_limit(refund)?.map(|why| Objection {
            verdict: Verdict::MacWrong,
            detail: about(word.id, format!("{subject} {why}")),
            alarm: Some(FindingKind::UnprovenExceeded),
        }))
    }

    /// What a desk is believed a day of cards that prove nothing; `None`: everything.
    fn unproven_limit(&self, desk: DeviceId) -> Option<Amount> {
        let limit = || self.config.desks.get(&desk).map_or(Amount::ZERO, |desk| desk.unproven_daily_limit);
        (self.config.transaction_mac_policy == TransactionMacPolicy::Enforce).then(limit)
    }

    /// Notes what decides over steps of `desk` in this upload, for the audit.
    fn note_unproven_limit(&self, desk: DeviceId) -> Result<(), StoreError> {
        self.books.note_unproven_limit(desk, self.receipt, self.unproven_limit(desk))
    }

    /// Why the desk is not believed that a card without a Transaction MAC gave this up, said of it; `None` while it is.
    fn past_unproven_limit(&self, action: &Action) -> Result<Option<String>, StoreError> {
        let desk = action.id.device;
        let limit = self.unproven_limit(desk);
        let given_up = self.books.unproven_given_up(desk, self.stamp(action.at).days.settlement, None)?;
        if unproven::is_believed(limit, given_up, ledger::moved(action)) {
            return Ok(None);
        }
        let limit = limit.map_or(0, Amount::minor);
        Ok(Some(format!(
            "carries no Transaction MAC, and desk {desk} is believed at most {limit} a day of what such cards gave up"
        )))
    }

    /// Books `action`; what comes back is a warning for the desk.
    fn accept_action(
        &mut self,
        action: &Action,
        sealed: &SealedAction,
        proof: Proof,
    ) -> Result<Option<String>, StoreError> {
        let proven = action.step == Step::Written && proof == Proof::Right;
        self.books.insert_action(action, sealed, proven, self.receipt)?;
        self.adds_rows = true;

        let mut warning = None;
        if action.step == Step::Written && !proven {
            let why = if let Proof::Wrong(why) = proof { why } else { "it carries no Transaction MAC" };
            let finding = Finding::new(FindingKind::Unproven, action.id, why);
            if self.config.transaction_mac_policy == TransactionMacPolicy::Warn {
                tracing::warn!(action = %action.id, "{}", finding.detail);
                warning = Some(finding.detail.clone());
            }
            self.find(&finding)?;
        }
        let writing = Writing::of_action(action);
        self.compare_counter(&writing, action.transaction_mac.map(|mac| mac.counter))?;
        for finding in at_desk::check(action, self.config.tariffs.of_version(action.tariff_version)) {
            self.find(&finding)?;
        }
        let stamp = self.first_stamp(action.id, action.at)?;
        if let Some(entry) = ledger::of_cash(action, stamp) {
            self.post_of_action(entry, action)?;
        }
        match action.step {
            Step::Written => self.post_writing(action, proven)?,
            Step::Unknown => {
                for proof in self.proofs_about(&writing)? {
                    self.compare_evidence(&writing, &proof)?;
                }
                self.resolve_action(action)?;
                self.book_on_word(action)?;
            }
            Step::Confirmed { resolves } => {
                if let Some(unknown) = self.books.action(resolves)? {
                    self.book_on_word(&unknown)?;
                }
            }
            Step::Voided { resolves } => self.compare_void(resolves)?,
            Step::Paid | Step::Void | Step::Refunded | Step::Done => {}
        }
        if proven {
            self.add_evidence(&writing)?;
        }
        self.check_backing(action)?;
        Ok(warning)
    }

    /// Posts what an unknown step has written, once the card shows that it took it.
    pub(super) fn resolve_action(&self, unknown: &Action) -> Result<(), StoreError> {
        let writing = Writing::of_action(unknown);
        let resolution = evidence::resolve(&writing, &self.proofs_about(&writing)?, false);
        let is_booked = self.books.has_entry(unknown.id)?;
        match resolution {
            Resolution::Confirmed if !is_booked => self.post_writing(unknown, true)?,
            Resolution::Voided if is_booked => {
                let detail = "was booked on its desk's word, and its card proves that it did not take it";
                self.find_once(&Finding::new(FindingKind::EvidenceDiffers, unknown.id, detail))?;
            }
            Resolution::Confirmed | Resolution::Voided | Resolution::Pending | Resolution::Disputed => {}
        }
        Ok(())
    }

    /// Books an unknown step of a card that can prove nothing, once its desk says that the card took it.
    fn book_on_word(&self, unknown: &Action) -> Result<(), StoreError> {
        if !unproven::waits_for_a_word(self.books, unknown)? || self.books.word_about(unknown)?.is_none() {
            return Ok(());
        }
        // In the order of the log its word is kept aside past the limit; here the word came first.
        if unknown.kind == ActionKind::Refund
            && let Some(why) = self.past_unproven_limit(unknown)?
        {
            self.note_unproven_limit(unknown.id.device)?;
            return self.find_once(&Finding::new(FindingKind::UnprovenExceeded, unknown.id, format!("it {why}")));
        }
        self.post_writing(unknown, false)?;
        let detail = "its card has never proven anything, and its desk says later that the card took this";
        self.find(&Finding::new(FindingKind::Unproven, unknown.id, detail))
    }

    /// Looks at the whole action that `step` is of, for what its steps say together. What was found before is not found
    /// again.
    pub(super) fn check_backing(&self, step: &Action) -> Result<(), StoreError> {
        let first = backing::first_of(step);
        for finding in backing::check(first, &self.books.known_steps(first)?) {
            self.find_once(&finding)?;
        }
        Ok(())
    }

    /// Finds it, where the same was not found before.
    fn find_once(&self, finding: &Finding) -> Result<(), StoreError> {
        if self.books.has_finding(finding.kind, finding.tap)? { Ok(()) } else { self.find(finding) }
    }

    /// Posts an entry about `step`, out of what its action has left.
    fn post_of_action(&self, entry: Entry, step: &Action) -> Result<(), StoreError> {
        let left = self.books.left_of_action(backing::first_of(step), None)?;
        self.books.post(&ledger::split(entry, step.id.device, left))
    }

    fn post_writing(&self, action: &Action, proven: bool) -> Result<(), StoreError> {
        let takes_off = !proven && unproven::takes_off(action);
        let doubt = if takes_off { self.past_unproven_limit(action)? } else { None };
        if !proven {
            self.note_unproven_limit(action.id.device)?;
        }
        let is_transfer = action.kind == ActionKind::Transfer;
        let backed = if is_transfer { allowance::backs(self.books, action, None)? } else { doubt.is_none() };
        if let Some(entry) = ledger::of_writing(action, backed, self.stamp(action.at)) {
            self.post_of_action(entry, action)?;
        }
        if let Some(why) = doubt {
            self.find(&Finding::new(FindingKind::UnprovenExceeded, action.id, format!("it {why}")))?;
        }
        if is_transfer && !backed {
            let detail = "a transfer without a grant for this desk, card and amount, or with one that was used before";
            self.find(&Finding::new(FindingKind::TransferUnbacked, action.id, detail))?;
        }
        let (written, ceiling) = allowance::state(self.books, action.id)?;
        if written > ceiling && action.takes_of_allowance().minor() > 0 {
            let detail = format!("wrote {} in this epoch and may write {}", written.minor(), ceiling.minor());
            self.find(&Finding::new(FindingKind::AllowanceExceeded, action.id, detail))?;
        }
        Ok(())
    }

    /// A desk says that its unknown step was not committed: the card may have proven otherwise.
    fn compare_void(&self, resolves: TapId) -> Result<(), StoreError> {
        if let Some(unknown) = self.books.action(resolves)? {
            let writing = Writing::of_action(&unknown);
            for proof in self.proofs_about(&writing)? {
                self.compare_evidence(&writing, &proof)?;
            }
        }
        Ok(())
    }
}

fn link(id: TapId, sealed: &SealedAction) -> Link {
    Link { id, previous_hash: sealed.previous_hash(), hash: sealed.hash() }
}
