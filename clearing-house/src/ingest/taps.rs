//! Taps of validators.

use transit::card::{RECORDS_KEPT, Record};
use transit::id::TapId;
use transit::money::Amount;
use transit::sync::{TapAcknowledgement, Verdict};
use transit::tap::{CHAIN_START, Outcome, SealedTap, TAP_LEN, Tap, TapError};

use super::{Link, Objection, Upload, acknowledge, object};
use crate::chain;
use crate::config::TransactionMacPolicy;
use crate::evidence::{self, Resolution, Writing};
use crate::finding::{Finding, FindingKind, about};
use crate::journey;
use crate::ledger::{self, EntryKind};
use crate::missing;
use crate::store::StoreError;
use crate::vault::Proof;

impl Upload<'_> {
    pub(super) fn take_tap(&mut self, bytes: &[u8]) -> Result<TapAcknowledgement, StoreError> {
        let Ok(sealed) = SealedTap::from_bytes(bytes) else {
            let detail = format!("{} bytes at the end of the upload are no whole tap of {TAP_LEN}", bytes.len());
            let objection = Objection { verdict: Verdict::Malformed, detail, alarm: None };
            return self.keep_aside(bytes, None, chain::sha256(bytes), objection);
        };
        let (claimed, hash) = (sealed.claimed_id(), sealed.hash());
        let tap = match sealed.open() {
            Ok(tap) => tap,
            Err(error) => {
                let verdict = if error == TapError::Hash { Verdict::Changed } else { Verdict::Malformed };
                let detail = claimed.map_or_else(|| error.to_string(), |id| about(id, error));
                return self.keep_aside(bytes, claimed, hash, Objection { verdict, detail, alarm: None });
            }
        };
        if self.books.sealed(tap.id)?.as_ref() == Some(&sealed) {
            self.note_newest(tap.id);
            return Ok(acknowledge(claimed, hash, Verdict::Known, None));
        }
        let proof = self.config.vault.check(&tap);
        if let Some(objection) = self.objection_to_tap(&tap, &sealed, proof)? {
            return self.keep_aside(bytes, claimed, hash, objection);
        }
        let warning = self.accept_tap(&tap, &sealed, proof)?;
        self.note_newest(tap.id);
        Ok(acknowledge(claimed, hash, Verdict::Accepted, warning))
    }

    fn objection_to_tap(&self, tap: &Tap, sealed: &SealedTap, proof: Proof) -> Result<Option<Objection>, StoreError> {
        let owner = self.config.devices.get(&tap.id.device).copied();
        let neighbour = |id| Ok(self.books.sealed(id)?.map(|sealed| link(id, &sealed)));
        if let Some(objection) = self.objection_to_link(link(tap.id, sealed), (owner, tap.operator), neighbour)? {
            return Ok(Some(objection));
        }
        if tap.outcome == Outcome::Done && self.config.transaction_mac_policy == TransactionMacPolicy::Enforce {
            match proof {
                Proof::Right => {}
                Proof::Missing => return self.objection_to_unproven(tap),
                Proof::Wrong(why) => return object(tap.id, Verdict::MacWrong, why),
            }
        }
        Ok(None)
    }

    /// A ride that no card can prove is paid up to a limit: an operator that made them all up would get no more.
    fn objection_to_unproven(&self, tap: &Tap) -> Result<Option<Objection>, StoreError> {
        let limit = self.config.unproven_daily_limit;
        if limit == Amount::ZERO {
            return object(tap.id, Verdict::MacWrong, "it carries no Transaction MAC");
        }
        let day = self.stamp(tap.at).days.settlement;
        let paid = self.books.unproven_rides(tap.operator, day)?;
        let within = paid.checked_add(ledger::charged(tap)).is_some_and(|sum| sum <= limit);
        if within {
            return Ok(None);
        }
        let why = format!(
            "it carries no Transaction MAC, and operator {} is paid at most {} a day for such rides",
            tap.operator.0,
            limit.minor()
        );
        object(tap.id, Verdict::MacWrong, &why)
    }

    /// Books `tap`; what comes back is a warning for the validator.
    fn accept_tap(&mut self, tap: &Tap, sealed: &SealedTap, proof: Proof) -> Result<Option<String>, StoreError> {
        let proven = tap.outcome == Outcome::Done && proof == Proof::Right;
        self.books.insert_tap(tap, sealed, proven, self.receipt)?;
        self.adds_rows = true;
        missing::came(self.books, self.config, tap.id, self.at)?;

        if tap.id.sequence == 1 && sealed.previous_hash() != CHAIN_START {
            let detail = match self.books.tap_with_hash(tap.id.device, sealed.previous_hash())? {
                Some(head) => format!("goes on from tap {head}; what its old log had after that may never come"),
                None => "goes on from a tap that is not here; what its old log had may never come".to_owned(),
            };
            self.find(&Finding::new(FindingKind::LogBegunAnew, tap.id, detail))?;
        }
        let mut warning = None;
        if tap.outcome == Outcome::Done && !proven {
            let why = if let Proof::Wrong(why) = proof { why } else { "it carries no Transaction MAC" };
            let finding = Finding::new(FindingKind::Unproven, tap.id, why);
            if self.config.transaction_mac_policy == TransactionMacPolicy::Warn {
                tracing::warn!(tap = %tap.id, "{}", finding.detail);
                warning = Some(finding.detail.clone());
            }
            self.find(&finding)?;
        }
        let writing = Writing::of_tap(tap);
        self.compare_counter(&writing, tap.transaction_mac.map(|mac| mac.counter))?;
        let redecided = journey::decide_again(tap, self.config.tariffs.of_version(tap.tariff_version));
        if tap.fare > Amount::ZERO
            && let Some(finding) =
                journey::tariff_not_in_force(tap.id, tap.at, tap.tariff_version, &self.config.tariffs)
        {
            self.find(&finding)?;
        }
        for finding in &redecided.findings {
            self.find(finding)?;
        }
        match tap.outcome {
            Outcome::Done => {
                let stamp = self.first_stamp(tap.id, tap.at)?;
                self.books.post(&ledger::ride(tap, redecided.basis, stamp))?;
            }
            Outcome::Unknown => {
                let stamp = self.first_stamp(tap.id, tap.at)?;
                self.books.post(&ledger::unknown(tap, stamp))?;
                for proof in self.proofs_about(&writing)? {
                    self.compare_evidence(&writing, &proof)?;
                }
                self.resolve_tap(tap)?;
            }
            Outcome::Voided { names } => {
                if let Some(unknown) = self.books.tap(names)? {
                    self.resolve_tap(&unknown)?;
                }
            }
            Outcome::Void | Outcome::Declined(_) | Outcome::Confirmed { .. } | Outcome::Evidence => {}
        }
        if proven {
            self.add_evidence(&writing)?;
        }
        if matches!(tap.outcome, Outcome::Unknown | Outcome::Evidence) {
            self.resolve_older(&writing)?;
        }
        Ok(warning)
    }

    /// Posts what became of an unknown tap, once something shows it.
    pub(super) fn resolve_tap(&self, unknown: &Tap) -> Result<(), StoreError> {
        let entries = self.books.entries_of(unknown.id)?;
        let pending = entries.last().is_some_and(|last| last.entry.kind == EntryKind::Unknown);
        if !pending {
            return Ok(());
        }
        let writing = Writing::of_tap(unknown);
        let claims = self.books.taps_naming(unknown.id)?;
        let voided = claims.iter().any(|claim| evidence::voids(claim, unknown));
        let resolution = match evidence::resolve(&writing, &self.proofs_about(&writing)?, voided) {
            Resolution::Pending => self.books.told_of(unknown)?,
            proven @ (Resolution::Confirmed | Resolution::Voided | Resolution::Disputed) => proven,
        };
        match resolution {
            Resolution::Confirmed => self.books.post(&ledger::unknown_confirmed(unknown, self.stamp(unknown.at))),
            Resolution::Voided => self.books.post(&ledger::unknown_voided(unknown, self.stamp(unknown.at))),
            Resolution::Pending | Resolution::Disputed => Ok(()),
        }
    }

    /// Posts what became of the unknown taps whose records the one that `writing` read may tell of.
    pub(super) fn resolve_older(&self, writing: &Writing) -> Result<(), StoreError> {
        let Some(read) = writing.read.and_then(|bytes| Record::decode(&bytes).ok()) else { return Ok(()) };
        let first = read.card_sequence.saturating_sub(RECORDS_KEPT);
        for unknown in self.books.unknowns_between(writing.card, (first, read.card_sequence.saturating_add(1)))? {
            self.resolve_tap(&unknown)?;
        }
        Ok(())
    }

    /// Whether an unknown tap or step was voided by a later look at the card.
    pub(super) fn was_voided(&self, id: TapId) -> Result<bool, StoreError> {
        let entries = self.books.entries_of(id)?;
        Ok(entries.iter().any(|stored| stored.entry.kind == EntryKind::UnknownVoided) || self.books.is_said_void(id)?)
    }
}

fn link(id: TapId, sealed: &SealedTap) -> Link {
    Link { id, previous_hash: sealed.previous_hash(), hash: sealed.hash() }
}
