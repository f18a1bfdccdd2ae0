//! What cards prove about unknown taps and unknown steps of desks (pure).
//!
//! The records of a card are numbered. A completed tap whose Transaction MAC is right proves three of them: the record
//! that it read, the one before (which that record names), and the one that it wrote. A desk's step that was written
//! proves the same. An unknown tap or step was to write the record after the one that it read: once a proof says who
//! wrote that one, it is confirmed or void. A proof may come before or after what it is about.
//!
//! What no Transaction MAC reaches, other operators' validators may have read (`history.rs`).
//!
//! What a device says later without a Transaction MAC pays nobody. A validator's claim that a tap was committed leaves
//! the tap pending; its claim that a tap was not, backed by the record that it then read, voids it. A desk's claims move
//! nothing, but of cards that can prove nothing (`unproven.rs`): what its unknown steps were to write waits in
//! suspense either way.

use transit::action::{Action, Step};
use transit::card::{RECORD_LEN, Record};
use transit::id::{CardToken, TapId};
use transit::money::Amount;
use transit::tap::{Outcome, Tap};

use crate::ledger::charged;

/// What a tap, or a step of a desk's action, did or was to do to the records of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writing {
    /// The tap or the step.
    pub id: TapId,
    /// The card.
    pub card: CardToken,
    /// What the record written names as its amount.
    pub amount: Amount,
    /// The card committed it, as far as the device knows.
    pub done: bool,
    /// Nobody knows whether the card committed it.
    pub unknown: bool,
    /// The newest record, as read; a card that is issued has none.
    pub read: Option<[u8; RECORD_LEN]>,
    /// The record written.
    pub written: Option<[u8; RECORD_LEN]>,
}

impl Writing {
    /// What `tap` did.
    pub fn of_tap(tap: &Tap) -> Self {
        Self {
            id: tap.id,
            card: tap.card,
            amount: charged(tap),
            done: tap.outcome == Outcome::Done,
            unknown: tap.outcome == Outcome::Unknown,
            read: tap.record_read,
            written: tap.record_written,
        }
    }

    /// What `action` did.
    pub fn of_action(action: &Action) -> Self {
        Self {
            id: action.id,
            card: action.card,
            amount: action.amount,
            done: action.step == Step::Written,
            unknown: action.step == Step::Unknown,
            read: action.record_read,
            written: action.record_written,
        }
    }

    /// The number of the record that it wrote or was to write: the one after that which it read, or a card's first.
    fn slot(&self) -> Option<u32> {
        match self.read {
            Some(bytes) => Some(Record::decode(&bytes).ok()?.card_sequence + 1),
            None => Some(Record::decode(&self.written?).ok()?.card_sequence).filter(|slot| *slot == 1),
        }
    }
}

/// Who wrote one record of a card, as one tap or action proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotProof {
    /// The card.
    pub card: CardToken,
    /// The record's number on the card, from 1.
    pub slot: u32,
    /// The tap or action that wrote it; `None` of a card that a desk issued before desks had names.
    pub writer: Option<TapId>,
    /// The record, where the proof contains it.
    pub record: Option<[u8; RECORD_LEN]>,
    /// The tap or action that proves it.
    pub prover: TapId,
}

/// What is known of an unknown tap or step.
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

/// What `writing` proves; its Transaction MAC must have been found right.
pub fn proofs(writing: &Writing) -> Vec<SlotProof> {
    if !writing.done {
        return Vec::new();
    }
    let proof = |slot, writer, record| SlotProof { card: writing.card, slot, writer, record, prover: writing.id };
    let mut proofs = Vec::new();
    if let Some(bytes) = writing.read {
        let Ok(read) = Record::decode(&bytes) else { return proofs };
        if read.card_sequence > 1 {
            proofs.push(proof(read.card_sequence - 1, read.previous, None));
        }
        if read.card_sequence > 0 {
            proofs.push(proof(read.card_sequence, read.tap, Some(bytes)));
        }
    }
    let written = writing.written.and_then(|bytes| Some((Record::decode(&bytes).ok()?, bytes)));
    if let Some((written, bytes)) = written
        && Some(written.card_sequence) == writing.slot()
        && written.tap == Some(writing.id)
    {
        proofs.push(proof(written.card_sequence, written.tap, Some(bytes)));
    }
    proofs
}

/// The number of the record that an unknown `writing` was to write.
pub fn wanted_slot(writing: &Writing) -> Option<u32> {
    if writing.unknown { writing.slot() } else { None }
}

/// What became of an unknown `writing`, from the proofs of the record that it was to write; `voided` where its device
/// took a later look at the card that voids it.
pub fn resolve(unknown: &Writing, proofs: &[SlotProof], voided: bool) -> Resolution {
    let (own, others): (Vec<_>, Vec<_>) = proofs.iter().partition(|proof| proof.writer == Some(unknown.id));
    match (own.is_empty(), others.is_empty()) {
        (false, true) if own.iter().all(|proof| names_amount_of(proof, unknown)) => Resolution::Confirmed,
        (false, _) => Resolution::Disputed,
        (true, false) => Resolution::Voided,
        (true, true) if voided => Resolution::Voided,
        (true, true) => Resolution::Pending,
    }
}

/// Whether `proof` names the amount that `unknown` would have moved, or none at all.
pub fn names_amount_of(proof: &SlotProof, unknown: &Writing) -> bool {
    let record = proof.record.and_then(|bytes| Record::decode(&bytes).ok());
    record.is_none_or(|record| record.amount == unknown.amount)
}

/// Whether `claim` is its device's own later look at the card, which still had the record that `unknown` had read.
pub fn voids(claim: &Tap, unknown: &Tap) -> bool {
    let same_log = claim.id.device == unknown.id.device && claim.id.epoch == unknown.id.epoch;
    let still =
        |unknown_read: Record| record_read(claim).is_some_and(|read| read.card_sequence == unknown_read.card_sequence);
    claim.outcome == Outcome::Voided { names: unknown.id }
        && same_log
        && claim.id.sequence > unknown.id.sequence
        && claim.card == unknown.card
        && record_read(unknown).is_some_and(still)
}

fn record_read(tap: &Tap) -> Option<Record> {
    Record::decode(&tap.record_read?).ok()
}
