//! Steps of desks' actions.
//!
//! A desk's word moves cash, because the desk answers for the cash that it says it took. It moves value of a card only
//! where the card proves it, or where nobody could gain by a lie: a load or a sale without a Transaction MAC (a card
//! that has none) is booked and found, because the desk owes what was paid for it either way. What such a card gave up,
//! by a refund or for another card, is booked up to a limit a day for each desk. Past it a refund is kept aside, and
//! what an exchange says that the old card gave up is booked against the desk: its new card has the value.

use transit::action::{ACTION_LEN, Action, ActionError, ActionKind, SealedAction, Step};
use transit::id::TapId;
use transit::money::Amount;
use transit::sync::{TapAcknowledgement, Verdict};

use super::{Link, Objection, Upload, acknowledge, object};
use crate::allowance;
use crate::at_desk;
use crate::backing;
use crate::chain;
use crate::config::TransactionMacPolicy;
use crate::evidence::{self, Resolution, Writing};
use crate::finding::{Finding, FindingKind, about};
use crate::ledger;
use crate::store::StoreError;
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
        if action.step == Step::Written && self.config.transaction_mac_policy == TransactionMacPolicy::Enforce {
            match proof {
                Proof::Right => {}
                Proof::Missing if action.kind == ActionKind::Refund => {
                    if let Some(why) = self.past_unproven_limit(action)? {
                        let alarm = Some(FindingKind::UnprovenExceeded);
                        return Ok(Some(Objection { verdict: Verdict::MacWrong, detail: about(id, why), alarm }));
                    }
                }
                Proof::Missing => {}
                Proof::Wrong(why) => return object(id, Verdict::MacWrong, why),
            }
        }
        Ok(None)
    }

    /// Why the desk is not believed that a card without a Transaction MAC gave this up; `None` while it is.
    fn past_unproven_limit(&self, action: &Action) -> Result<Option<String>, StoreError> {
        let desk = action.id.device;
        let limit = self.config.desks.get(&desk).map_or(Amount::ZERO, |desk| desk.unproven_daily_limit);
        let day = self.stamp(action.at).days.settlement;
        let given_up = self.books.unproven_given_up(desk, day)?.checked_add(ledger::moved(action));
        if limit > Amount::ZERO && given_up.is_some_and(|given_up| given_up <= limit) {
            return Ok(None);
        }
        let limit = limit.minor();
        Ok(Some(format!(
            "it carries no Transaction MAC, and desk {desk} is believed at most {limit} a day of what such cards gave up"
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
        for finding in at_desk::check(action, &self.config.tariff) {
            self.find(&finding)?;
        }
        let stamp = self.first_stamp(action.id, action.at)?;
        if let Some(entry) = ledger::of_cash(action, stamp) {
            self.books.post(&entry)?;
        }
        match action.step {
            Step::Written => self.post_writing(action, proven)?,
            Step::Unknown => {
                for proof in self.proofs_about(&writing)? {
                    self.compare_evidence(&writing, &proof)?;
                }
                self.resolve_action(action)?;
            }
            Step::Voided { resolves } => self.compare_void(resolves)?,
            Step::Paid | Step::Void | Step::Confirmed { .. } | Step::Refunded | Step::Done => {}
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
        if resolution == Resolution::Confirmed && self.books.entries_of(unknown.id)?.is_empty() {
            self.post_writing(unknown, true)?;
        }
        Ok(())
    }

    /// Looks at the whole action that `step` is of, for what its steps say together. What was found before is not found
    /// again.
    pub(super) fn check_backing(&self, step: &Action) -> Result<(), StoreError> {
        let first = backing::first_of(step);
        for finding in backing::check(first, &self.books.known_steps(first)?) {
            if !self.books.has_finding(&finding)? {
                self.find(&finding)?;
            }
        }
        Ok(())
    }

    fn post_writing(&self, action: &Action, proven: bool) -> Result<(), StoreError> {
        let is_surrender = action.kind == ActionKind::Exchange && action.gives_up();
        let enforced = self.config.transaction_mac_policy == TransactionMacPolicy::Enforce;
        let doubt = if is_surrender && !proven && enforced { self.past_unproven_limit(action)? } else { None };
        let is_transfer = action.kind == ActionKind::Transfer;
        let backed = if is_transfer { allowance::backs(self.books, action, None)? } else { doubt.is_none() };
        if let Some(entry) = ledger::of_writing(action, backed, self.stamp(action.at)) {
            self.books.post(&entry)?;
        }
        if let Some(why) = doubt {
            self.find(&Finding::new(FindingKind::UnprovenExceeded, action.id, why))?;
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

    /// Whether its desk says of an unknown step that it was not committed.
    pub(super) fn was_void_step(&self, id: TapId) -> Result<bool, StoreError> {
        let looks = self.books.actions_resolving(id)?;
        Ok(looks.iter().any(|look| matches!(look.step, Step::Voided { .. }) && look.id.device == id.device))
    }
}

fn link(id: TapId, sealed: &SealedAction) -> Link {
    Link { id, previous_hash: sealed.previous_hash(), hash: sealed.hash() }
}
