//! What cards prove about unknown taps (pure).
//!
//! The records of a card are numbered. A completed tap whose Transaction MAC is right proves three of them: the record
//! that it read, the one before (which that record names), and the one that it wrote. An unknown tap was to write the
//! record after the one that it read: once a proof says who wrote that one, the tap is confirmed or void. A proof may
//! come before or after the tap that it is about.
//!
//! What a validator says later without a Transaction MAC pays nobody. Its claim that a tap was committed leaves the tap
//! pending; its claim that a tap was not, backed by the record that it then read, voids it.

use transit::card::{RECORD_LEN, Record};
use transit::id::{CardToken, TapId};
use transit::tap::{Outcome, Tap};

use crate::ledger::charged;

/// Who wrote one record of a card, as one tap proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotProof {
    /// The card.
    pub card: CardToken,
    /// The record's number on the card, from 1.
    pub slot: u32,
    /// The tap that wrote it; `None` when a desk did.
    pub writer: Option<TapId>,
    /// The record, where the proof contains it.
    pub record: Option<[u8; RECORD_LEN]>,
    /// The tap that proves it.
    pub prover: TapId,
}

/// What is known of an unknown tap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// Nothing that moves money.
    Pending,
    /// The card took it.
    Confirmed,
    /// The card did not take it.
    Voided,
    /// Proofs contradict each other, or name another amount: people decide.
    Disputed,
}

/// What `tap` proves; its Transaction MAC must have been found right.
pub fn proofs(tap: &Tap) -> Vec<SlotProof> {
    let Some((read, bytes)) = record_read(tap).filter(|_| tap.outcome == Outcome::Done) else {
        return Vec::new();
    };
    let proof = |slot, writer, record| SlotProof { card: tap.card, slot, writer, record, prover: tap.id };
    let mut proofs = Vec::new();
    if read.card_sequence > 1 {
        proofs.push(proof(read.card_sequence - 1, read.previous, None));
    }
    if read.card_sequence > 0 {
        proofs.push(proof(read.card_sequence, read.tap, Some(bytes)));
    }
    let written = tap.record_written.and_then(|bytes| Some((Record::decode(&bytes).ok()?, bytes)));
    if let Some((written, bytes)) = written
        && written.card_sequence == read.card_sequence + 1
        && written.tap == Some(tap.id)
    {
        proofs.push(proof(written.card_sequence, written.tap, Some(bytes)));
    }
    proofs
}

/// The number of the record that an unknown `tap` was to write.
pub fn wanted_slot(tap: &Tap) -> Option<u32> {
    let (record, _) = record_read(tap).filter(|_| tap.outcome == Outcome::Unknown)?;
    Some(record.card_sequence + 1)
}

/// What became of an unknown tap, from the proofs of the record that it was to write and from later taps that name it.
pub fn resolve(unknown: &Tap, proofs: &[SlotProof], claims: &[Tap]) -> Resolution {
    let (own, others): (Vec<_>, Vec<_>) = proofs.iter().partition(|proof| proof.writer == Some(unknown.id));
    match (own.is_empty(), others.is_empty()) {
        (false, true) if own.iter().all(|proof| names_amount_of(proof, unknown)) => Resolution::Confirmed,
        (false, _) => Resolution::Disputed,
        (true, false) => Resolution::Voided,
        (true, true) if claims.iter().any(|claim| voids(claim, unknown)) => Resolution::Voided,
        (true, true) => Resolution::Pending,
    }
}

/// Whether `proof` names the amount that `unknown` would have charged, or none at all.
pub fn names_amount_of(proof: &SlotProof, unknown: &Tap) -> bool {
    let record = proof.record.and_then(|bytes| Record::decode(&bytes).ok());
    record.is_none_or(|record| record.amount == charged(unknown))
}

/// Whether `claim` is its device's own later look at the card, which still had the record that `unknown` had read.
pub fn voids(claim: &Tap, unknown: &Tap) -> bool {
    let same_log = claim.id.device == unknown.id.device && claim.id.epoch == unknown.id.epoch;
    let still = |unknown_read: Record| {
        record_read(claim).is_some_and(|(read, _)| read.card_sequence == unknown_read.card_sequence)
    };
    claim.outcome == Outcome::Voided { names: unknown.id }
        && same_log
        && claim.id.sequence > unknown.id.sequence
        && claim.card == unknown.card
        && record_read(unknown).is_some_and(|(read, _)| still(read))
}

fn record_read(tap: &Tap) -> Option<(Record, [u8; RECORD_LEN])> {
    let bytes = tap.record_read?;
    Some((Record::decode(&bytes).ok()?, bytes))
}
