//! Uploads: a verdict for every tap and for every step of a desk, and everything that follows from it, in one database
//! transaction.
//!
//! One bad tap never blocks the good ones of its upload. Whatever is not booked is kept aside with its bytes. The same
//! upload again, whole or in other pieces, books nothing twice. What is the same for taps and for desks is here: names,
//! order, chains, evidence, findings.

use std::collections::{BTreeMap, BTreeSet};

use transit::action::ACTION_LEN;
use transit::desk::ACTIONS_PER_BATCH_MAX;
use transit::id::{DeviceId, Epoch, OperatorId, TapId};
use transit::sync::{Acknowledgement, TAPS_PER_BATCH_MAX, TapAcknowledgement, Verdict};
use transit::tap::{CHAIN_START, TAP_LEN};
use transit::time::{Moment, ServiceDay};

use crate::clearing_house::ClearingHouse;
use crate::config::Config;
use crate::evidence::{self, SlotProof, Writing};
use crate::finding::{Finding, FindingKind, about};
use crate::ledger::Stamp;
use crate::store::{Books, KeptAside, Receipt, StoreError};

mod actions;
mod taps;

/// The most bytes that one upload may have, of either kind.
pub const UPLOAD_LEN_MAX: usize = TAPS_PER_BATCH_MAX * TAP_LEN;
const _: () = assert!(ACTIONS_PER_BATCH_MAX * ACTION_LEN <= UPLOAD_LEN_MAX);

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
    /// More taps than one upload may carry.
    #[error("an upload has at most {TAPS_PER_BATCH_MAX} taps of {TAP_LEN} bytes, and this one has {0} bytes")]
    TooManyTaps(usize),
    /// More actions than one upload may carry.
    #[error("an upload has at most {ACTIONS_PER_BATCH_MAX} actions of {ACTION_LEN} bytes, and this one has {0} bytes")]
    TooManyActions(usize),
    /// The books refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The answer could not be written.
    #[error("the acknowledgement cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl ClearingHouse {
    /// Takes the upload `body` of a validator at the moment `at`. When this returns, what it says is durable.
    ///
    /// # Errors
    /// [`ReceiveError`]; nothing has happened then.
    pub fn receive(&mut self, body: &[u8], at: Moment) -> Result<SignedAcknowledgement, ReceiveError> {
        if body.len() > UPLOAD_LEN_MAX {
            return Err(ReceiveError::TooManyTaps(body.len()));
        }
        self.take_upload(body.chunks(TAP_LEN), at, |upload, bytes| upload.take_tap(bytes))
    }

    /// Takes the upload `body` of a desk at the moment `at`. When this returns, what it says is durable.
    ///
    /// # Errors
    /// [`ReceiveError`]; nothing has happened then.
    pub fn receive_actions(&mut self, body: &[u8], at: Moment) -> Result<SignedAcknowledgement, ReceiveError> {
        if body.len() > ACTIONS_PER_BATCH_MAX * ACTION_LEN {
            return Err(ReceiveError::TooManyActions(body.len()));
        }
        self.take_upload(body.chunks(ACTION_LEN), at, |upload, bytes| upload.take_action(bytes))
    }

    fn take_upload<'a>(
        &mut self,
        pieces: impl Iterator<Item = &'a [u8]>,
        at: Moment,
        take: impl Fn(&mut Upload<'_>, &[u8]) -> Result<TapAcknowledgement, StoreError>,
    ) -> Result<SignedAcknowledgement, ReceiveError> {
        let Self { store, config } = self;
        let books = store.begin()?;
        let closed_days = books.closed_days()?.into_iter().map(|(day, _)| day.service_day).collect();
        let receipt = books.next_receipt()?;
        let mut upload =
            Upload { books: &books, config, at, closed_days, receipt, adds_rows: false, newest: BTreeMap::new() };
        let taps = pieces.map(|bytes| take(&mut upload, bytes)).collect::<Result<_, _>>()?;
        let adds_rows = upload.adds_rows;
        let text = serde_json::to_string(&Acknowledgement { at, taps })?;
        let signature = config.signer.sign(&text);
        // An upload that adds nothing leaves no receipt: a device that repeats itself does not fill the disk.
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
    /// The newest of each log that this upload brought into, or found in, the books.
    newest: BTreeMap<(DeviceId, Epoch), u32>,
}

/// Why a tap or an action is not booked.
struct Objection {
    verdict: Verdict,
    detail: String,
    /// Raised once, when the bytes are kept aside.
    alarm: Option<FindingKind>,
}

/// The place of a sealed tap or action in its device's log.
#[derive(Clone, Copy)]
struct Link {
    id: TapId,
    previous_hash: [u8; 32],
    hash: [u8; 32],
}

impl Upload<'_> {
    /// What its name and its chain say against it. `owner` is the operator of its device, where that is registered;
    /// `neighbour` gives what is in the books under a name.
    fn objection_to_link(
        &self,
        link: Link,
        (owner, said): (Option<OperatorId>, OperatorId),
        neighbour: impl Fn(TapId) -> Result<Option<Link>, StoreError>,
    ) -> Result<Option<Objection>, StoreError> {
        let id = link.id;
        match owner {
            None => return object(id, Verdict::UnknownDevice, "this device is not registered"),
            Some(owner) if owner != said => {
                let why = format!("registered to operator {}, and the tap says {}", owner.0, said.0);
                return object(id, Verdict::UnknownDevice, &why);
            }
            Some(_) => {}
        }
        let newest = self.newest.get(&(id.device, id.epoch)).copied().unwrap_or(0);
        if id.sequence < newest {
            let why = format!("came after sequence {newest} in the same upload");
            return object(id, Verdict::OutOfOrder, &why);
        }
        if self.books.sealed(id)?.is_some() || self.books.sealed_action(id)?.is_some() {
            return object(id, Verdict::Conflict, "another tap of this name is in the books");
        }
        match broken_chain(link, neighbour)? {
            Some(why) => object(id, Verdict::BrokenChain, why),
            None => Ok(None),
        }
    }

    fn keep_aside(
        &mut self,
        bytes: &[u8],
        claimed: Option<TapId>,
        hash: [u8; 32],
        Objection { verdict, detail, alarm }: Objection,
    ) -> Result<TapAcknowledgement, StoreError> {
        let kept =
            KeptAside { tap: claimed.map(|id| id.to_string()), verdict, detail: detail.clone(), bytes: bytes.to_vec() };
        if self.books.keep_aside(&kept, self.receipt)? {
            self.adds_rows = true;
            if let (Some(kind), Some(tap)) = (alarm, claimed) {
                self.find(&Finding { kind, tap, detail: detail.clone() })?;
            }
        }
        Ok(acknowledge(claimed, hash, verdict, Some(detail)))
    }

    /// Adds what a tap or an action proves, and posts what becomes of others by it.
    fn add_evidence(&self, writing: &Writing) -> Result<(), StoreError> {
        for proof in evidence::proofs(writing) {
            self.compare_writers(&proof)?;
            self.books.insert_evidence(&proof)?;
            for unknown in self.books.unknowns_wanting(proof.card, proof.slot)? {
                self.compare_evidence(&Writing::of_tap(&unknown), &proof)?;
                self.resolve_tap(&unknown)?;
            }
            for unknown in self.books.unknown_actions_wanting(proof.card, proof.slot)? {
                self.compare_evidence(&Writing::of_action(&unknown), &proof)?;
                self.resolve_action(&unknown)?;
                self.check_backing(&unknown)?;
            }
        }
        self.resolve_older(writing)
    }

    fn compare_writers(&self, proof: &SlotProof) -> Result<(), StoreError> {
        let before = self.books.evidence_of_slot(proof.card, proof.slot)?;
        let Some(other) = before.iter().find(|other| other.writer != proof.writer) else { return Ok(()) };
        let writer = |proof: &SlotProof| proof.writer.map_or("a desk".to_owned(), |tap| format!("tap {tap}"));
        let (here, there) = (writer(proof), writer(other));
        let detail =
            format!("record {} of its card was written by {here}; tap {} proves {there}", proof.slot, other.prover);
        self.find(&Finding::new(FindingKind::RecordTwice, proof.prover, detail))
    }

    fn proofs_about(&self, unknown: &Writing) -> Result<Vec<SlotProof>, StoreError> {
        match evidence::wanted_slot(unknown) {
            Some(slot) => self.books.evidence_of_slot(unknown.card, slot),
            None => Ok(Vec::new()),
        }
    }

    fn compare_evidence(&self, unknown: &Writing, proof: &SlotProof) -> Result<(), StoreError> {
        if proof.writer != Some(unknown.id) {
            return self.compare_told(unknown, proof);
        }
        if !evidence::names_amount_of(proof, unknown) {
            let detail = format!("the card has another amount for it than the tap; tap {} proves it", proof.prover);
            self.find(&Finding::new(FindingKind::EvidenceDiffers, unknown.id, detail))?;
        }
        if self.was_voided(unknown.id)? {
            let detail = format!("was voided, and tap {} proves that the card took it", proof.prover);
            self.find(&Finding::new(FindingKind::EvidenceDiffers, unknown.id, detail))?;
        }
        Ok(())
    }

    /// A tap that was paid on what other operators' validators read, and another is proven to have written its record.
    fn compare_told(&self, unknown: &Writing, proof: &SlotProof) -> Result<(), StoreError> {
        let is_proven = self.proofs_about(unknown)?.iter().any(|other| other.writer == Some(unknown.id));
        if is_proven || !self.books.is_confirmed(unknown.id)? {
            return Ok(());
        }
        let detail =
            format!("was paid on what others read on its card, and tap {} proves another record", proof.prover);
        self.find(&Finding::new(FindingKind::EvidenceDiffers, unknown.id, detail))
    }

    fn compare_counter(&self, writing: &Writing, counter: Option<u32>) -> Result<(), StoreError> {
        let Some(counter) = counter else { return Ok(()) };
        let same = self.books.with_counter(writing.card, counter)?;
        if let Some(other) = same.iter().find(|other| **other != writing.id) {
            let detail = format!("transaction counter {counter} of its card is also that of tap {other}");
            self.find(&Finding::new(FindingKind::CounterTwice, writing.id, detail))?;
        }
        Ok(())
    }

    /// The stamp of a first entry about something made at `made`.
    fn first_stamp(&self, id: TapId, made: Moment) -> Result<Stamp<'_>, StoreError> {
        let stamp = self.stamp(made);
        if stamp.days.travel > self.config.tariffs.calendar().service_day(self.at) {
            let detail = format!("made on {}, a day that has not begun", stamp.days.travel);
            self.find(&Finding::new(FindingKind::ClockAhead, id, detail))?;
        }
        Ok(stamp)
    }

    fn stamp(&self, made: Moment) -> Stamp<'_> {
        Stamp::of(&self.config.tariffs, made, self.at, |day| self.closed_days.contains(&day))
    }

    fn find(&self, finding: &Finding) -> Result<(), StoreError> {
        if finding.kind.severity() == "alarm" {
            tracing::error!(tap = %finding.tap, kind = finding.kind.name(), "ALARM: {}", finding.detail);
        } else {
            tracing::info!(tap = %finding.tap, kind = finding.kind.name(), "{}", finding.detail);
        }
        self.books.insert_finding(finding, self.at)
    }

    fn note_newest(&mut self, id: TapId) {
        let newest = self.newest.entry((id.device, id.epoch)).or_insert(0);
        *newest = id.sequence.max(*newest);
    }
}

/// A neighbour that is there must fit. One that is not there yet does not block: coverage reports the gap.
fn broken_chain(
    link: Link,
    neighbour: impl Fn(TapId) -> Result<Option<Link>, StoreError>,
) -> Result<Option<&'static str>, StoreError> {
    let id = link.id;
    if id.sequence == 1 {
        if !may_begin(id.epoch, link.previous_hash) {
            return Ok(Some("the first tap of a device's first epoch names a tap before it"));
        }
    } else if let Some(previous) = neighbour(TapId { sequence: id.sequence - 1, ..id })?
        && previous.hash != link.previous_hash
    {
        return Ok(Some("does not continue the tap before it"));
    }
    if let Some(sequence) = id.sequence.checked_add(1)
        && let Some(next) = neighbour(TapId { sequence, ..id })?
        && next.previous_hash != link.hash
    {
        return Ok(Some("the tap after it does not continue it"));
    }
    Ok(None)
}

/// Whether the first of `epoch` may name this hash. A log that was begun anew after damage goes on from the head of the
/// one before it, whose last taps may have been lost with it: that they are not here is no objection.
pub(crate) fn may_begin(epoch: Epoch, previous_hash: [u8; 32]) -> bool {
    previous_hash == CHAIN_START || epoch > 1
}

fn object(id: TapId, verdict: Verdict, why: &str) -> Result<Option<Objection>, StoreError> {
    let alarm = (verdict == Verdict::Conflict).then_some(FindingKind::Conflict);
    Ok(Some(Objection { verdict, detail: about(id, why), alarm }))
}

fn acknowledge(claimed: Option<TapId>, hash: [u8; 32], verdict: Verdict, detail: Option<String>) -> TapAcknowledgement {
    TapAcknowledgement { tap: claimed.map(|id| id.to_string()), hash: hex::encode(hash), verdict, detail }
}
