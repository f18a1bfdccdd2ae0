//! The sealed tap: one fixed-length record, made once at the door (`docs/tap-record.md`).
//!
//! The same 352 bytes go to the validator's log, to the wire and into the clearing house. Each carries the hash of the
//! one before it in its device's log and ends with its own, so that a log is a chain.

use ring::digest::{SHA256, digest};

use crate::bytes::{ByteReader, ByteWriter};
use crate::card::{ISSUER_LEN, RECORD_LEN};
use crate::fare::Gate;
use crate::id::{CardToken, LineNumber, OperatorId, StopNumber, TapId};
use crate::money::Amount;
use crate::time::Moment;

/// Length of a sealed tap in bytes.
pub const TAP_LEN: usize = 352;
/// The version of this record that this program writes.
pub const TAP_VERSION: u8 = 1;
/// The hash that the first tap of an epoch names as its predecessor's.
pub const CHAIN_START: [u8; 32] = [0; 32];

/// The parts of a sealed tap in order: name and length in bytes.
pub const TAP_FIELDS: [(&str, usize); 27] = [
    ("version", 1),
    ("outcome", 1),
    ("reason", 1),
    ("flags", 1),
    ("device", 4),
    ("epoch", 2),
    ("sequence", 4),
    ("at", 4),
    ("operator", 2),
    ("line", 2),
    ("stop", 2),
    ("tariff_version", 4),
    ("deny_list_version", 4),
    ("card", 16),
    ("fare_minor", 4),
    ("debited_minor", 4),
    ("transaction_mac_counter", 4),
    ("transaction_mac_value", 8),
    ("names_device", 4),
    ("names_epoch", 2),
    ("names_sequence", 4),
    ("record_read", RECORD_LEN),
    ("issuer_read", ISSUER_LEN),
    ("record_written", RECORD_LEN),
    ("gate", 1),
    ("reserved", 25),
    ("previous_hash", 32),
];

/// One tap, as its validator saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tap {
    /// Its name.
    pub id: TapId,
    /// When the card was presented.
    pub at: Moment,
    /// Whose validator.
    pub operator: OperatorId,
    /// On which line.
    pub line: LineNumber,
    /// At which stop.
    pub stop: StopNumber,
    /// Whether it was a way in or out.
    pub gate: Gate,
    /// The version of the tariff that decided.
    pub tariff_version: u32,
    /// The version of the deny list in force; 0 where there was none.
    pub deny_list_version: u32,
    /// The card.
    pub card: CardToken,
    /// What came of it.
    pub outcome: Outcome,
    /// The fare decided, whether or not it was taken; at most 2³¹−1.
    pub fare: Amount,
    /// What the debit command named, where one was sent; an input of the Transaction MAC.
    pub debited: Option<Amount>,
    /// What the commit answered, where its answer verified.
    pub transaction_mac: Option<TransactionMac>,
    /// The newest record, as read; an input of the Transaction MAC.
    pub record_read: Option<[u8; RECORD_LEN]>,
    /// The issuer file, where it was read; an input of the Transaction MAC.
    pub issuer_read: Option<[u8; ISSUER_LEN]>,
    /// The record written; an input of the Transaction MAC.
    pub record_written: Option<[u8; RECORD_LEN]>,
}

/// The Transaction MAC as the card returned it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionMac {
    /// The card's transaction counter after the commit.
    pub counter: u32,
    /// The MAC.
    pub value: [u8; 8],
}

/// What came of a tap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The card committed and proved it: the rider was admitted.
    Done,
    /// The commit was sent and no verified answer came, or the process died: the card may or may not be charged.
    Unknown,
    /// An intent was recorded, the commit never sent: the card is unchanged.
    Void,
    /// The rider was not admitted, nothing was written.
    Declined(Reason),
    /// A later look at the card: the tap named here, until then unknown, was committed.
    Confirmed {
        /// The tap that was unknown.
        names: TapId,
        /// The rider was admitted now, on that debit.
        admitted: bool,
    },
    /// A later look at the card: the tap named here, until then unknown, was not committed.
    Voided {
        /// The tap that was unknown.
        names: TapId,
    },
    /// Older records of the card, read after its tap: `record_read` and, where there was one, the record before it in
    /// `record_written`.
    Evidence,
}

/// Why a card was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The purse holds less than the fare.
    NotEnough,
    /// On the deny list.
    Denied,
    /// Failed authentication, or answered wrongly.
    NotGenuine,
    /// A card of another system.
    NotOurs,
    /// Ours, but its content cannot be used.
    CardUnusable,
    /// Too many taps of this card were torn.
    TooManyTorn,
    /// This validator admitted it moments ago.
    AlreadyPaid,
    /// Another validator at this place admitted it moments ago.
    UseSameGate,
}

const REASONS: [Reason; 8] = [
    Reason::NotEnough,
    Reason::Denied,
    Reason::NotGenuine,
    Reason::NotOurs,
    Reason::CardUnusable,
    Reason::TooManyTorn,
    Reason::AlreadyPaid,
    Reason::UseSameGate,
];

const FLAG_DEBITED: u8 = 1;
const FLAG_TRANSACTION_MAC: u8 = 2;
const FLAG_RECORD_READ: u8 = 4;
const FLAG_ISSUER_READ: u8 = 8;
const FLAG_RECORD_WRITTEN: u8 = 16;
const FLAG_ADMITTED: u8 = 32;

/// A sealed tap: bytes that never change.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedTap([u8; TAP_LEN]);

impl std::fmt::Debug for SealedTap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealedTap({}…)", hex::encode(&self.0[..16]))
    }
}

/// Why bytes are no sealed tap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TapError {
    /// Not 352 bytes.
    #[error("a sealed tap is {TAP_LEN} bytes, not {0}")]
    Length(usize),
    /// A version that this program does not know.
    #[error("sealed-tap version {0} is unknown; this program reads version 1")]
    Version(u8),
    /// The bytes do not hash to the hash they end with.
    #[error("the bytes were changed after sealing")]
    Hash,
    /// A field that holds what no validator writes.
    #[error("field `{0}` holds an impossible value")]
    Field(&'static str),
}

impl Tap {
    /// Seals the tap after the one whose hash is `previous_hash` ([`CHAIN_START`] for the first of an epoch).
    ///
    /// # Errors
    /// [`TapError::Field`] where an amount is more than 2³¹−1.
    pub fn seal(&self, previous_hash: &[u8; 32]) -> Result<SealedTap, TapError> {
        let (outcome, reason, names, admitted) = match self.outcome {
            Outcome::Done => (1, 0, None, true),
            Outcome::Unknown => (2, 0, None, false),
            Outcome::Void => (3, 0, None, false),
            Outcome::Declined(reason) => (4, reason as u8 + 1, None, false),
            Outcome::Confirmed { names, admitted } => (5, 0, Some(names), admitted),
            Outcome::Voided { names } => (6, 0, Some(names), false),
            Outcome::Evidence => (7, 0, None, false),
        };
        let flag = |bit, set| if set { bit } else { 0 };
        let flags = flag(FLAG_DEBITED, self.debited.is_some())
            | flag(FLAG_TRANSACTION_MAC, self.transaction_mac.is_some())
            | flag(FLAG_RECORD_READ, self.record_read.is_some())
            | flag(FLAG_ISSUER_READ, self.issuer_read.is_some())
            | flag(FLAG_RECORD_WRITTEN, self.record_written.is_some())
            | flag(FLAG_ADMITTED, admitted);
        let fare = self.fare.card_minor().ok_or(TapError::Field("fare_minor"))?;
        let debited = self.debited.unwrap_or(Amount::ZERO).card_minor().ok_or(TapError::Field("debited_minor"))?;
        let mac = self.transaction_mac.unwrap_or(TransactionMac { counter: 0, value: [0; 8] });

        let mut out = ByteWriter::<TAP_LEN>::new();
        out.put(&[TAP_VERSION, outcome, reason, flags]);
        out.put_id(Some(self.id));
        out.put(&self.at.0.to_be_bytes());
        out.put(&self.operator.0.to_be_bytes());
        out.put(&self.line.0.to_be_bytes());
        out.put(&self.stop.0.to_be_bytes());
        out.put(&self.tariff_version.to_be_bytes());
        out.put(&self.deny_list_version.to_be_bytes());
        out.put(&self.card.0);
        out.put(&fare.to_be_bytes());
        out.put(&debited.to_be_bytes());
        out.put(&mac.counter.to_be_bytes());
        out.put(&mac.value);
        out.put_id(names);
        out.put(&self.record_read.unwrap_or([0; RECORD_LEN]));
        out.put(&self.issuer_read.unwrap_or([0; ISSUER_LEN]));
        out.put(&self.record_written.unwrap_or([0; RECORD_LEN]));
        out.put(&[self.gate.code()]);
        out.put(&[0; RESERVED]);
        out.put(previous_hash);
        let hash = digest(&SHA256, out.so_far());
        out.put(hash.as_ref());
        Ok(SealedTap(out.finish()))
    }
}

impl SealedTap {
    /// Takes bytes for a sealed tap without looking inside; [`SealedTap::open`] looks.
    ///
    /// # Errors
    /// [`TapError::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TapError> {
        bytes.try_into().map(Self).map_err(|_| TapError::Length(bytes.len()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; TAP_LEN] {
        &self.0
    }

    /// The name that the bytes give, whether or not the rest holds: for a verdict that names device and sequence.
    pub fn claimed_id(&self) -> Option<TapId> {
        ByteReader::at(&self.0, 4).take_id().ok().flatten()
    }

    /// The hash that the bytes end with.
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(&self.0[HASH_AT..]);
        hash
    }

    /// The hash of the tap before this one.
    pub fn previous_hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(&self.0[HASH_AT - 32..HASH_AT]);
        hash
    }

    /// Checks the seal and reads the tap.
    ///
    /// # Errors
    /// [`TapError`]: unknown version, changed bytes, or an impossible field.
    pub fn open(&self) -> Result<Tap, TapError> {
        let mut input = ByteReader::at(&self.0, 0);
        let impossible = |field| move |_| TapError::Field(field);
        let [version, outcome, reason, flags] = input.take();
        if version != TAP_VERSION {
            return Err(TapError::Version(version));
        }
        if digest(&SHA256, &self.0[..HASH_AT]).as_ref() != &self.0[HASH_AT..] {
            return Err(TapError::Hash);
        }
        if flags & !0x3F != 0 {
            return Err(TapError::Field("flags"));
        }
        let id = input.take_id().map_err(impossible("device"))?.ok_or(TapError::Field("device"))?;
        let at = Moment(u32::from_be_bytes(input.take()));
        let operator = OperatorId(u16::from_be_bytes(input.take()));
        let line = LineNumber(u16::from_be_bytes(input.take()));
        let stop = StopNumber(u16::from_be_bytes(input.take()));
        let tariff_version = u32::from_be_bytes(input.take());
        let deny_list_version = u32::from_be_bytes(input.take());
        let card = CardToken(input.take());
        let fare = card_amount(input.take(), "fare_minor")?;
        let debited = card_amount(input.take(), "debited_minor")?;
        let counter = u32::from_be_bytes(input.take());
        let value = input.take();
        let names = input.take_id().map_err(impossible("names_device"))?;
        let record_read = input.take();
        let issuer_read = input.take();
        let record_written = input.take();
        let [gate] = input.take();
        let gate = Gate::of(gate).ok_or(TapError::Field("gate"))?;
        if input.take::<RESERVED>() != [0; RESERVED] {
            return Err(TapError::Field("reserved"));
        }
        let names = || names.ok_or(TapError::Field("names_device"));
        let outcome = match outcome {
            1 => Outcome::Done,
            2 => Outcome::Unknown,
            3 => Outcome::Void,
            4 => {
                let index = usize::from(reason).checked_sub(1);
                let reason = index.and_then(|index| REASONS.get(index)).ok_or(TapError::Field("reason"))?;
                Outcome::Declined(*reason)
            }
            5 => Outcome::Confirmed { names: names()?, admitted: flags & FLAG_ADMITTED != 0 },
            6 => Outcome::Voided { names: names()? },
            7 => Outcome::Evidence,
            _ => return Err(TapError::Field("outcome")),
        };
        let tap = Tap {
            id,
            at,
            operator,
            line,
            stop,
            gate,
            tariff_version,
            deny_list_version,
            card,
            outcome,
            fare,
            debited: (flags & FLAG_DEBITED != 0).then_some(debited),
            transaction_mac: (flags & FLAG_TRANSACTION_MAC != 0).then_some(TransactionMac { counter, value }),
            record_read: (flags & FLAG_RECORD_READ != 0).then_some(record_read),
            issuer_read: (flags & FLAG_ISSUER_READ != 0).then_some(issuer_read),
            record_written: (flags & FLAG_RECORD_WRITTEN != 0).then_some(record_written),
        };
        // One tap has one spelling: bytes that no validator writes are refused though their hash holds.
        if tap.seal(&self.previous_hash())? == *self { Ok(tap) } else { Err(TapError::Field("flags")) }
    }
}

const HASH_AT: usize = TAP_LEN - 32;
const RESERVED: usize = 25;
const _: () = {
    let (mut total, mut index) = (32, 0);
    while index < TAP_FIELDS.len() {
        total += TAP_FIELDS[index].1;
        index += 1;
    }
    assert!(total == TAP_LEN, "the fields and the hash fill the record");
};

fn card_amount(bytes: [u8; 4], field: &'static str) -> Result<Amount, TapError> {
    let amount = Amount::from(u32::from_be_bytes(bytes));
    if amount.card_minor().is_some() { Ok(amount) } else { Err(TapError::Field(field)) }
}
