//! Uploads: a verdict for every tap, and everything that follows from it, in one database transaction.
//!
//! One bad tap never blocks the good ones of its upload. Whatever is not booked is kept aside with its bytes. The same
//! upload again, whole or in other pieces, books nothing twice.

use std::collections::{BTreeMap, BTreeSet};

use transit::id::{DeviceId, Epoch, TapId};
use transit::sync::{Acknowledgement, TAPS_PER_BATCH_MAX, TapAcknowledgement, Verdict};
use transit::tap::{CHAIN_START, Outcome, SealedTap, TAP_LEN, Tap, TapError};
use transit::time::{Moment, ServiceDay};

use crate::chain;
use crate::clearing_house::ClearingHouse;
use crate::config::{Config, TransactionMacPolicy};
use crate::evidence::{self, Resolution, SlotProof};
use crate::finding::{Finding, FindingKind, about};
use crate::journey;
use crate::ledger::{self, EntryKind, Stamp};
use crate::store::{Books, KeptAside, Receipt, StoreError};
use crate::vault::Proof;

/// The most bytes that one upload may have.
pub const UPLOAD_LEN_MAX: usize = TAPS_PER_BATCH_MAX * TAP_LEN;

/// The answer to an upload: the JSON text of an [`Acknowledgement`], and its Ed25519 signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAcknowledgement {
    /// The text.
    pub text: String,
    /// The signature over [`transit::sync::signed_bytes`] of the text.
    pub signature: [u8; 64],
}

/// Why an upload was not taken. Nothing of it is stored; it may be sent again.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// More than one upload may carry.
    #[error("an upload has at most {TAPS_PER_BATCH_MAX} taps of {TAP_LEN} bytes, and this one has {0} bytes")]
    TooLong(usize),
    /// The books refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The answer could not be written.
    #[error("the acknowledgement cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl ClearingHouse {
    /// Takes the upload `body` at the moment `at`. When this returns, what it says is durable.
    ///
    /// # Errors
    /// [`ReceiveError`]; nothing has happened then.
    pub fn receive(&mut self, body: &[u8], at: Moment) -> Result<SignedAcknowledgement, ReceiveError> {
        if body.len() > UPLOAD_LEN_MAX {
            return Err(ReceiveError::TooLong(body.len()));
        }
        let Self { store, config } = self;
        let books = store.begin()?;
        let closed_days = books.closed_days()?.into_iter().map(|(day, _)| day.service_day).collect();
        let receipt = books.next_receipt()?;
        let mut upload =
            Upload { books: &books, config, at, closed_days, receipt, adds_rows: false, newest: BTreeMap::new() };
        let taps = body.chunks(TAP_LEN).map(|bytes| upload.take(bytes)).collect::<Result<_, _>>()?;
        let adds_rows = upload.adds_rows;
        let text = serde_json::to_string(&Acknowledgement { at, taps })?;
        let signature = config.signer.sign(&text);
        // An upload that adds nothing leaves no receipt: a validator that repeats itself does not fill the disk.
        if adds_rows {
            let row = Receipt { at, acknowledgement: text.clone(), signature: signature.to_vec() };
            books.insert_receipt(receipt, &row)?;
        }
        books.commit()?;
        Ok(SignedAcknowledgement { text, signature })
    }
}

/// One upload on its way into the books.
struct Upload<'a> {
    books: &'a Books<'a>,
    config: &'a Config,
    at: Moment,
    closed_days: BTreeSet<ServiceDay>,
    receipt: i64,
    /// Something was stored that the receipt must tell of.
    adds_rows: bool,
    /// The newest tap of each log that this upload brought into, or found in, the books.
    newest: BTreeMap<(DeviceId, Epoch), u32>,
}

/// Why a tap is not booked.
struct Objection {
    verdict: Verdict,
    detail: String,
}

impl Upload<'_> {
    fn take(&mut self, bytes: &[u8]) -> Result<TapAcknowledgement, StoreError> {
        let Ok(sealed) = SealedTap::from_bytes(bytes) else {
            let detail = format!("{} bytes at the end of the upload are no whole tap of {TAP_LEN}", bytes.len());
            let objection = Objection { verdict: Verdict::Malformed, detail };
            return self.keep_aside(bytes, None, chain::sha256(bytes), objection);
        };
        let (claimed, hash) = (sealed.claimed_id(), sealed.hash());
        let tap = match sealed.open() {
            Ok(tap) => tap,
            Err(error) => {
                let verdict = if error == TapError::Hash { Verdict::Changed } else { Verdict::Malformed };
                let detail = claimed.map_or_else(|| error.to_string(), |id| about(id, error));
                return self.keep_aside(bytes, claimed, hash, Objection { verdict, detail });
            }
        };
        let stored = self.books.sealed(tap.id)?;
        if stored.as_ref() == Some(&sealed) {
            self.note_newest(tap.id);
            return Ok(acknowledge(claimed, hash, Verdict::Known, None));
        }
        let proof = self.config.vault.check(&tap);
        if let Some(objection) = self.objection(&tap, &sealed, stored.is_some(), proof)? {
            return self.keep_aside(bytes, claimed, hash, objection);
        }
        let warning = self.accept(&tap, &sealed, proof)?;
        self.note_newest(tap.id);
        Ok(acknowledge(claimed, hash, Verdict::Accepted, warning))
    }

    fn objection(
        &self,
        tap: &Tap,
        sealed: &SealedTap,
        name_taken: bool,
        proof: Proof,
    ) -> Result<Option<Objection>, StoreError> {
        let object = |verdict, why: &str| Ok(Some(Objection { verdict, detail: about(tap.id, why) }));
        match self.config.devices.get(&tap.id.device) {
            None => return object(Verdict::UnknownDevice, "this device is not registered"),
            Some(operator) if *operator != tap.operator => {
                let why = format!("registered to operator {}, and the tap says {}", operator.0, tap.operator.0);
                return object(Verdict::UnknownDevice, &why);
            }
            Some(_) => {}
        }
        let newest = self.newest.get(&(tap.id.device, tap.id.epoch)).copied().unwrap_or(0);
        if tap.id.sequence < newest {
            let why = format!("came after sequence {newest} in the same upload");
            return object(Verdict::OutOfOrder, &why);
        }
        if name_taken {
            return object(Verdict::Conflict, "another tap of this name is in the books");
        }
        if let Some(why) = self.broken_chain(tap.id, sealed)? {
            return object(Verdict::BrokenChain, why);
        }
        if tap.outcome == Outcome::Done && self.config.transaction_mac_policy == TransactionMacPolicy::Enforce {
            match proof {
                Proof::Right => {}
                Proof::Missing => return object(Verdict::MacWrong, "it carries no Transaction MAC"),
                Proof::Wrong(why) => return object(Verdict::MacWrong, why),
            }
        }
        Ok(None)
    }

    /// A neighbour that is there must fit. One that is not there yet does not block: coverage reports the gap.
    fn broken_chain(&self, id: TapId, sealed: &SealedTap) -> Result<Option<&'static str>, StoreError> {
        if id.sequence == 1 {
            if sealed.previous_hash() != CHAIN_START {
                return Ok(Some("the first tap of an epoch names a tap before it"));
            }
        } else if let Some(previous) = self.books.sealed(TapId { sequence: id.sequence - 1, ..id })?
            && previous.hash() != sealed.previous_hash()
        {
            return Ok(Some("does not continue the tap before it"));
        }
        if let Some(sequence) = id.sequence.checked_add(1)
            && let Some(next) = self.books.sealed(TapId { sequence, ..id })?
            && next.previous_hash() != sealed.hash()
        {
            return Ok(Some("the tap after it does not continue it"));
        }
        Ok(None)
    }

    fn keep_aside(
        &mut self,
        bytes: &[u8],
        claimed: Option<TapId>,
        hash: [u8; 32],
        Objection { verdict, detail }: Objection,
    ) -> Result<TapAcknowledgement, StoreError> {
        let kept =
            KeptAside { tap: claimed.map(|id| id.to_string()), verdict, detail: detail.clone(), bytes: bytes.to_vec() };
        if self.books.keep_aside(&kept, self.receipt)? {
            self.adds_rows = true;
            if let (Verdict::Conflict, Some(tap)) = (verdict, claimed) {
                tracing::error!(%tap, "ALARM: {detail}");
                let alarm = Finding { kind: FindingKind::Conflict, tap, detail: detail.clone() };
                self.books.insert_finding(&alarm, self.at)?;
            }
        }
        Ok(acknowledge(claimed, hash, verdict, Some(detail)))
    }

    /// Books `tap`; what comes back is a warning for the validator.
    fn accept(&mut self, tap: &Tap, sealed: &SealedTap, proof: Proof) -> Result<Option<String>, StoreError> {
        let proven = tap.outcome == Outcome::Done && proof == Proof::Right;
        self.books.insert_tap(tap, sealed, proven, self.receipt)?;
        self.adds_rows = true;

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
        self.compare_counter(tap)?;
        let redecided = journey::decide_again(tap, &self.config.tariff);
        for finding in &redecided.findings {
            self.find(finding)?;
        }
        match tap.outcome {
            Outcome::Done => {
                let stamp = self.stamp(tap)?;
                self.books.post(&ledger::ride(tap, redecided.basis, stamp))?;
            }
            Outcome::Unknown => {
                let stamp = self.stamp(tap)?;
                self.books.post(&ledger::unknown(tap, stamp))?;
                for proof in self.proofs_about(tap)? {
                    self.compare_evidence(tap, &proof)?;
                }
                self.resolve(tap)?;
            }
            Outcome::Voided { names } => {
                if let Some(unknown) = self.books.tap(names)? {
                    self.resolve(&unknown)?;
                }
            }
            Outcome::Void | Outcome::Declined(_) | Outcome::Confirmed { .. } | Outcome::Evidence => {}
        }
        if proven {
            for proof in evidence::proofs(tap) {
                self.add_evidence(&proof)?;
            }
        }
        Ok(warning)
    }

    fn add_evidence(&self, proof: &SlotProof) -> Result<(), StoreError> {
        let before = self.books.evidence_of_slot(proof.card, proof.slot)?;
        if let Some(other) = before.iter().find(|other| other.writer != proof.writer) {
            let writer = |proof: &SlotProof| proof.writer.map_or("a desk".to_owned(), |tap| format!("tap {tap}"));
            let (here, there) = (writer(proof), writer(other));
            let detail =
                format!("record {} of its card was written by {here}; tap {} proves {there}", proof.slot, other.prover);
            self.find(&Finding::new(FindingKind::RecordTwice, proof.prover, detail))?;
        }
        self.books.insert_evidence(proof)?;
        for unknown in self.books.unknowns_wanting(proof.card, proof.slot)? {
            self.compare_evidence(&unknown, proof)?;
            self.resolve(&unknown)?;
        }
        Ok(())
    }

    /// Posts what became of an unknown tap, once something shows it.
    fn resolve(&self, unknown: &Tap) -> Result<(), StoreError> {
        let entries = self.books.entries_of(unknown.id)?;
        let pending = matches!(&entries[..], [only] if only.entry.kind == EntryKind::Unknown);
        if !pending {
            return Ok(());
        }
        let claims = self.books.taps_naming(unknown.id)?;
        match evidence::resolve(unknown, &self.proofs_about(unknown)?, &claims) {
            Resolution::Confirmed => self.books.post(&ledger::unknown_confirmed(unknown, self.stamp_only(unknown))),
            Resolution::Voided => self.books.post(&ledger::unknown_voided(unknown, self.stamp_only(unknown))),
            Resolution::Pending | Resolution::Disputed => Ok(()),
        }
    }

    fn proofs_about(&self, unknown: &Tap) -> Result<Vec<SlotProof>, StoreError> {
        match evidence::wanted_slot(unknown) {
            Some(slot) => self.books.evidence_of_slot(unknown.card, slot),
            None => Ok(Vec::new()),
        }
    }

    fn compare_evidence(&self, unknown: &Tap, proof: &SlotProof) -> Result<(), StoreError> {
        if proof.writer != Some(unknown.id) {
            return Ok(());
        }
        if !evidence::names_amount_of(proof, unknown) {
            let detail = format!("the card has another amount for it than the tap; tap {} proves it", proof.prover);
            self.find(&Finding::new(FindingKind::EvidenceDiffers, unknown.id, detail))?;
        }
        let entries = self.books.entries_of(unknown.id)?;
        if entries.iter().any(|stored| stored.entry.kind == EntryKind::UnknownVoided) {
            let detail = format!("was voided, and tap {} proves that the card took it", proof.prover);
            self.find(&Finding::new(FindingKind::EvidenceDiffers, unknown.id, detail))?;
        }
        Ok(())
    }

    fn compare_counter(&self, tap: &Tap) -> Result<(), StoreError> {
        let Some(mac) = tap.transaction_mac else {
            return Ok(());
        };
        let taps = self.books.taps_with_counter(tap.card, mac.counter)?;
        if let Some(other) = taps.iter().find(|other| other.id != tap.id) {
            let detail = format!("transaction counter {} of its card is also that of tap {}", mac.counter, other.id);
            self.find(&Finding::new(FindingKind::CounterTwice, tap.id, detail))?;
        }
        Ok(())
    }

    /// The stamp of a tap's first entry.
    fn stamp(&self, tap: &Tap) -> Result<Stamp<'_>, StoreError> {
        let stamp = self.stamp_only(tap);
        if stamp.days.travel > self.config.tariff.calendar.service_day(self.at) {
            let detail = format!("made on {}, a day that has not begun", stamp.days.travel);
            self.find(&Finding::new(FindingKind::ClockAhead, tap.id, detail))?;
        }
        Ok(stamp)
    }

    fn stamp_only(&self, tap: &Tap) -> Stamp<'_> {
        let tariff = &self.config.tariff;
        let (travel, receipt) = (tariff.calendar.service_day(tap.at), tariff.calendar.service_day(self.at));
        let days = ledger::days(travel, receipt, |day| self.closed_days.contains(&day));
        Stamp { days, posted_at: self.at, currency: &tariff.currency.code }
    }

    fn find(&self, finding: &Finding) -> Result<(), StoreError> {
        tracing::info!(tap = %finding.tap, kind = finding.kind.name(), "{}", finding.detail);
        self.books.insert_finding(finding, self.at)
    }

    fn note_newest(&mut self, id: TapId) {
        let newest = self.newest.entry((id.device, id.epoch)).or_insert(0);
        *newest = id.sequence.max(*newest);
    }
}

fn acknowledge(claimed: Option<TapId>, hash: [u8; 32], verdict: Verdict, detail: Option<String>) -> TapAcknowledgement {
    TapAcknowledgement { tap: claimed.map(|id| id.to_string()), hash: hex::encode(hash), verdict, detail }
}
