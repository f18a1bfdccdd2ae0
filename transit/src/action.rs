//! The sealed action: one step of what a desk does to a card (`docs/desk-action.md`).
//!
//! A desk keeps a log as a validator does: 512 bytes for each step, each with the hash of the one before it, and with
//! the desk's Ed25519 signature, because a desk takes and gives money. A step that writes on a card carries everything
//! that the card's Transaction MAC is over, and the record written names the step.

use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, UnparsedPublicKey};

use crate::bytes::{ByteReader, ByteWriter};
use crate::card::{ISSUER_LEN, Product, ProductKind, RECORD_LEN, Record, RecordKind};
use crate::id::{CardToken, HolderReference, LineNumber, OperatorId, TapId};
use crate::money::Amount;
use crate::tap::TransactionMac;
use crate::time::{Moment, ServiceDay};

/// Length of a sealed action in bytes.
pub const ACTION_LEN: usize = 512;
/// The version of this record that this program writes.
pub const ACTION_VERSION: u8 = 1;

/// The parts of a sealed action in order: name and length in bytes.
pub const ACTION_FIELDS: [(&str, usize); 36] = [
    ("version", 1),
    ("kind", 1),
    ("step", 1),
    ("flags", 2),
    ("device", 4),
    ("epoch", 2),
    ("sequence", 4),
    ("at", 4),
    ("operator", 2),
    ("staff", 4),
    ("names_device", 4),
    ("names_epoch", 2),
    ("names_sequence", 4),
    ("resolves_device", 4),
    ("resolves_epoch", 2),
    ("resolves_sequence", 4),
    ("card", 16),
    ("other_card", 16),
    ("holder", 8),
    ("tariff_version", 4),
    ("amount_minor", 4),
    ("product_kind", 1),
    ("product_line", 2),
    ("product_valid_from", 2),
    ("product_valid_until", 2),
    ("grant", 4),
    ("record_read", RECORD_LEN),
    ("issuer_read", ISSUER_LEN),
    ("credited_minor", 4),
    ("debited_minor", 4),
    ("issuer_written", ISSUER_LEN),
    ("record_written", RECORD_LEN),
    ("transaction_mac_counter", 4),
    ("transaction_mac_value", 8),
    ("reserved", RESERVED),
    ("previous_hash", 32),
];

/// One step of one action of a desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// The step's name: the desk, the epoch of its log, the place in it.
    pub id: TapId,
    /// When.
    pub at: Moment,
    /// Whose desk.
    pub operator: OperatorId,
    /// Who serves there, as the operator numbers its staff.
    pub staff: u32,
    /// What the desk is doing.
    pub kind: ActionKind,
    /// How far it is.
    pub step: Step,
    /// The first step of the same action; `None` in that one.
    pub names: Option<TapId>,
    /// The card that the step is about.
    pub card: CardToken,
    /// Of a transfer, the lost card; of an exchange, the other one of the two.
    pub other_card: Option<CardToken>,
    /// Of an issue, who the card is registered to.
    pub holder: Option<HolderReference>,
    /// The version of the tariff that a price is from.
    pub tariff_version: u32,
    /// What is loaded, paid, paid out or moved; at most 2³¹−1.
    pub amount: Amount,
    /// What is sold.
    pub product: Option<Product>,
    /// The number of the grant that allows a transfer.
    pub grant: Option<u32>,
    /// The newest record, as read; an input of the Transaction MAC.
    pub record_read: Option<[u8; RECORD_LEN]>,
    /// The issuer file, where it was read in the same transaction; an input of the Transaction MAC.
    pub issuer_read: Option<[u8; ISSUER_LEN]>,
    /// What the credit command named, where one was sent; an input of the Transaction MAC.
    pub credited: Option<Amount>,
    /// What the debit command named, where one was sent; an input of the Transaction MAC.
    pub debited: Option<Amount>,
    /// The issuer file written, where it was; an input of the Transaction MAC.
    pub issuer_written: Option<[u8; ISSUER_LEN]>,
    /// The record written; an input of the Transaction MAC.
    pub record_written: Option<[u8; RECORD_LEN]>,
    /// What the commit answered, where its answer verified.
    pub transaction_mac: Option<TransactionMac>,
}

/// What a desk does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// Makes a card of a blank one; `amount` is the value that it is issued with.
    Issue,
    /// Loads `amount` for cash.
    TopUp,
    /// Sells `product` for `amount` in cash.
    Sale,
    /// Pays `amount` of the purse out in cash.
    Refund,
    /// Puts the card on the deny list.
    Block,
    /// Puts the value of a lost card, `other_card`, on `card`; needs a grant.
    Transfer,
    /// Takes value and products off an old card, or puts them on the new one; `amount` is the value that moves.
    Exchange,
}

/// How far an action is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The rider has paid `amount`; nothing is written on the card yet.
    Paid,
    /// The card committed and proved it.
    Written,
    /// The commit was sent and no verified answer came, or the process died: the card may or may not have it.
    Unknown,
    /// The commit was never sent: the card is unchanged.
    Void,
    /// A later look at the card: the unknown step named here was committed.
    Confirmed {
        /// The step that was unknown.
        resolves: TapId,
    },
    /// A later look at the card: the unknown step named here was not committed.
    Voided {
        /// The step that was unknown.
        resolves: TapId,
    },
    /// What was paid and is not written was given back.
    Refunded,
    /// Done, with nothing to write on the card.
    Done,
}

const KINDS: [ActionKind; 7] = [
    ActionKind::Issue,
    ActionKind::TopUp,
    ActionKind::Sale,
    ActionKind::Refund,
    ActionKind::Block,
    ActionKind::Transfer,
    ActionKind::Exchange,
];

const FLAG_OTHER_CARD: u16 = 1;
const FLAG_HOLDER: u16 = 2;
const FLAG_PRODUCT: u16 = 4;
const FLAG_GRANT: u16 = 8;
const FLAG_RECORD_READ: u16 = 16;
const FLAG_ISSUER_READ: u16 = 32;
const FLAG_CREDITED: u16 = 64;
const FLAG_DEBITED: u16 = 128;
const FLAG_ISSUER_WRITTEN: u16 = 256;
const FLAG_RECORD_WRITTEN: u16 = 512;
const FLAG_TRANSACTION_MAC: u16 = 1_024;
const FLAGS: u16 = 2_047;

/// A sealed action: bytes that never change.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedAction([u8; ACTION_LEN]);

impl std::fmt::Debug for SealedAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealedAction({}…)", hex::encode(&self.0[..16]))
    }
}

/// Why bytes are no sealed action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// Not 512 bytes.
    #[error("a sealed action is {ACTION_LEN} bytes, not {0}")]
    Length(usize),
    /// A version that this program does not know.
    #[error("sealed-action version {0} is unknown; this program reads version 1")]
    Version(u8),
    /// The bytes do not hash to the hash they carry.
    #[error("the bytes were changed after sealing")]
    Hash,
    /// A field that holds what no desk writes.
    #[error("field `{0}` holds an impossible value")]
    Field(&'static str),
}

/// The bytes that a desk signs for an action of this hash.
pub fn signed_bytes(hash: &[u8; 32]) -> Vec<u8> {
    [&b"cham action 1\0"[..], hash].concat()
}

impl ActionKind {
    /// Its name, as in the JSON text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::TopUp => "top_up",
            Self::Sale => "sale",
            Self::Refund => "refund",
            Self::Block => "block",
            Self::Transfer => "transfer",
            Self::Exchange => "exchange",
        }
    }

    /// Whether a rider pays before anything is written.
    pub fn takes_cash(self) -> bool {
        matches!(self, Self::Issue | Self::TopUp | Self::Sale)
    }
}

impl Step {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Written => "written",
            Self::Unknown => "unknown",
            Self::Void => "void",
            Self::Confirmed { .. } => "confirmed",
            Self::Voided { .. } => "voided",
            Self::Refunded => "refunded",
            Self::Done => "done",
        }
    }

    fn is_of(self, kind: ActionKind) -> bool {
        match self {
            Self::Paid | Self::Refunded => kind.takes_cash(),
            Self::Written | Self::Unknown | Self::Void | Self::Confirmed { .. } | Self::Voided { .. } => {
                kind != ActionKind::Block
            }
            Self::Done => kind == ActionKind::Block,
        }
    }
}

impl Action {
    /// What it takes of the desk's allowance: value or a pass that the card has, or may have, from this step. A
    /// transfer takes nothing, because its grant allows it.
    pub fn takes_of_allowance(&self) -> Amount {
        if !matches!(self.step, Step::Written | Step::Unknown) {
            return Amount::ZERO;
        }
        // What the card was credited counts, whatever the desk says that it took.
        let made = self.amount.max(self.credited.unwrap_or(Amount::ZERO));
        match self.kind {
            ActionKind::Issue | ActionKind::TopUp | ActionKind::Sale => made,
            ActionKind::Exchange if self.gives_up() => Amount::ZERO,
            ActionKind::Exchange => made,
            ActionKind::Refund | ActionKind::Block | ActionKind::Transfer => Amount::ZERO,
        }
    }

    /// Whether it takes off the card what it had, as a refund and the old card of an exchange do: the record that it
    /// writes is of that kind.
    pub fn gives_up(&self) -> bool {
        let record = self.record_written.and_then(|bytes| Record::decode(&bytes).ok());
        record.is_some_and(|record| record.kind == RecordKind::Refund)
    }

    /// Seals the action after the one whose hash is `previous_hash` ([`CHAIN_START`](crate::tap::CHAIN_START) for the
    /// first of an epoch). `sign` is the desk's Ed25519 signature of the bytes that it is given.
    ///
    /// # Errors
    /// [`ActionError::Field`] where an amount is more than 2³¹−1, or the step is none of this kind of action.
    pub fn seal(
        &self,
        previous_hash: &[u8; 32],
        sign: impl FnOnce(&[u8]) -> [u8; 64],
    ) -> Result<SealedAction, ActionError> {
        let mut out = self.unsigned(previous_hash)?;
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, out.so_far()).as_ref());
        out.put(&hash);
        out.put(&sign(&signed_bytes(&hash)));
        Ok(SealedAction(out.finish()))
    }

    /// Everything before the hash.
    fn unsigned(&self, previous_hash: &[u8; 32]) -> Result<ByteWriter<ACTION_LEN>, ActionError> {
        let (step, resolves) = match self.step {
            Step::Paid => (1, None),
            Step::Written => (2, None),
            Step::Unknown => (3, None),
            Step::Void => (4, None),
            Step::Confirmed { resolves } => (5, Some(resolves)),
            Step::Voided { resolves } => (6, Some(resolves)),
            Step::Refunded => (7, None),
            Step::Done => (8, None),
        };
        if !self.step.is_of(self.kind) {
            return Err(ActionError::Field("step"));
        }
        let minor = |amount: Option<Amount>, field| {
            amount.unwrap_or(Amount::ZERO).card_minor().map(u32::to_be_bytes).ok_or(ActionError::Field(field))
        };
        let product = self.product.unwrap_or(Product::NONE);
        let mac = self.transaction_mac.unwrap_or(TransactionMac { counter: 0, value: [0; 8] });

        let mut out = ByteWriter::new();
        out.put(&[ACTION_VERSION, self.kind as u8 + 1, step]);
        out.put(&self.flags().to_be_bytes());
        out.put_id(Some(self.id));
        out.put(&self.at.0.to_be_bytes());
        out.put(&self.operator.0.to_be_bytes());
        out.put(&self.staff.to_be_bytes());
        out.put_id(self.names);
        out.put_id(resolves);
        out.put(&self.card.0);
        out.put(&self.other_card.map_or([0; 16], |card| card.0));
        out.put(&self.holder.map_or(0, |holder| holder.0.get()).to_be_bytes());
        out.put(&self.tariff_version.to_be_bytes());
        out.put(&minor(Some(self.amount), "amount_minor")?);
        out.put(&[product.kind as u8]);
        out.put(&product.line.0.to_be_bytes());
        out.put(&product.valid_from.0.to_be_bytes());
        out.put(&product.valid_until.0.to_be_bytes());
        out.put(&self.grant.unwrap_or(0).to_be_bytes());
        out.put(&self.record_read.unwrap_or([0; RECORD_LEN]));
        out.put(&self.issuer_read.unwrap_or([0; ISSUER_LEN]));
        out.put(&minor(self.credited, "credited_minor")?);
        out.put(&minor(self.debited, "debited_minor")?);
        out.put(&self.issuer_written.unwrap_or([0; ISSUER_LEN]));
        out.put(&self.record_written.unwrap_or([0; RECORD_LEN]));
        out.put(&mac.counter.to_be_bytes());
        out.put(&mac.value);
        out.put(&[0; RESERVED]);
        out.put(previous_hash);
        Ok(out)
    }

    fn flags(&self) -> u16 {
        let flag = |bit, set| if set { bit } else { 0 };
        flag(FLAG_OTHER_CARD, self.other_card.is_some())
            | flag(FLAG_HOLDER, self.holder.is_some())
            | flag(FLAG_PRODUCT, self.product.is_some())
            | flag(FLAG_GRANT, self.grant.is_some())
            | flag(FLAG_RECORD_READ, self.record_read.is_some())
            | flag(FLAG_ISSUER_READ, self.issuer_read.is_some())
            | flag(FLAG_CREDITED, self.credited.is_some())
            | flag(FLAG_DEBITED, self.debited.is_some())
            | flag(FLAG_ISSUER_WRITTEN, self.issuer_written.is_some())
            | flag(FLAG_RECORD_WRITTEN, self.record_written.is_some())
            | flag(FLAG_TRANSACTION_MAC, self.transaction_mac.is_some())
    }
}

impl SealedAction {
    /// Takes bytes for a sealed action without looking inside; [`SealedAction::open`] looks.
    ///
    /// # Errors
    /// [`ActionError::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ActionError> {
        bytes.try_into().map(Self).map_err(|_| ActionError::Length(bytes.len()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; ACTION_LEN] {
        &self.0
    }

    /// The name that the bytes give, whether or not the rest holds: for a verdict that names desk and sequence.
    pub fn claimed_id(&self) -> Option<TapId> {
        ByteReader::at(&self.0, 5).take_id().ok().flatten()
    }

    /// The hash that the bytes carry.
    pub fn hash(&self) -> [u8; 32] {
        ByteReader::at(&self.0, HASH_AT).take()
    }

    /// The hash of the action before this one.
    pub fn previous_hash(&self) -> [u8; 32] {
        ByteReader::at(&self.0, HASH_AT - 32).take()
    }

    /// Whether the desk with this Ed25519 public key signed the hash that the bytes carry.
    pub fn is_signed_by(&self, public_key: &[u8; 32]) -> bool {
        let signature = &self.0[SIGNATURE_AT..];
        UnparsedPublicKey::new(&ED25519, public_key).verify(&signed_bytes(&self.hash()), signature).is_ok()
    }

    /// Checks the seal and reads the action. Who signed it is for [`is_signed_by`](Self::is_signed_by).
    ///
    /// # Errors
    /// [`ActionError`]: unknown version, changed bytes, or an impossible field.
    pub fn open(&self) -> Result<Action, ActionError> {
        let mut input = ByteReader::at(&self.0, 0);
        let impossible = |field| move |_| ActionError::Field(field);
        let [version, kind, step] = input.take();
        if version != ACTION_VERSION {
            return Err(ActionError::Version(version));
        }
        if digest(&SHA256, &self.0[..HASH_AT]).as_ref() != &self.0[HASH_AT..SIGNATURE_AT] {
            return Err(ActionError::Hash);
        }
        let kind = usize::from(kind).checked_sub(1).and_then(|index| KINDS.get(index));
        let kind = *kind.ok_or(ActionError::Field("kind"))?;
        let flags = u16::from_be_bytes(input.take());
        if flags & !FLAGS != 0 {
            return Err(ActionError::Field("flags"));
        }
        let id = input.take_id().map_err(impossible("device"))?.ok_or(ActionError::Field("device"))?;
        let at = Moment(u32::from_be_bytes(input.take()));
        let operator = OperatorId(u16::from_be_bytes(input.take()));
        let staff = u32::from_be_bytes(input.take());
        let names = input.take_id().map_err(impossible("names_device"))?;
        let resolves = input.take_id().map_err(impossible("resolves_device"))?;
        let resolves = || resolves.ok_or(ActionError::Field("resolves_device"));
        let step = match step {
            1 => Step::Paid,
            2 => Step::Written,
            3 => Step::Unknown,
            4 => Step::Void,
            5 => Step::Confirmed { resolves: resolves()? },
            6 => Step::Voided { resolves: resolves()? },
            7 => Step::Refunded,
            8 => Step::Done,
            _ => return Err(ActionError::Field("step")),
        };
        let has = |flag| flags & flag != 0;
        let action = Action {
            id,
            at,
            operator,
            staff,
            kind,
            step,
            names,
            card: CardToken(input.take()),
            other_card: Some(CardToken(input.take())).filter(|_| has(FLAG_OTHER_CARD)),
            holder: holder(input.take(), has(FLAG_HOLDER))?,
            tariff_version: u32::from_be_bytes(input.take()),
            amount: amount(input.take(), "amount_minor")?,
            product: product(&mut input)?.filter(|_| has(FLAG_PRODUCT)),
            grant: Some(u32::from_be_bytes(input.take())).filter(|_| has(FLAG_GRANT)),
            record_read: Some(input.take()).filter(|_| has(FLAG_RECORD_READ)),
            issuer_read: Some(input.take()).filter(|_| has(FLAG_ISSUER_READ)),
            credited: Some(amount(input.take(), "credited_minor")?).filter(|_| has(FLAG_CREDITED)),
            debited: Some(amount(input.take(), "debited_minor")?).filter(|_| has(FLAG_DEBITED)),
            issuer_written: Some(input.take()).filter(|_| has(FLAG_ISSUER_WRITTEN)),
            record_written: Some(input.take()).filter(|_| has(FLAG_RECORD_WRITTEN)),
            transaction_mac: {
                let mac = TransactionMac { counter: u32::from_be_bytes(input.take()), value: input.take() };
                Some(mac).filter(|_| has(FLAG_TRANSACTION_MAC))
            },
        };
        // One action has one spelling: bytes that no desk writes are refused though their hash holds.
        let again = action.unsigned(&self.previous_hash())?;
        if again.so_far() == &self.0[..HASH_AT] { Ok(action) } else { Err(ActionError::Field("flags")) }
    }
}

const SIGNATURE_AT: usize = ACTION_LEN - 64;
const HASH_AT: usize = SIGNATURE_AT - 32;
const RESERVED: usize = 12;
const _: () = {
    let (mut total, mut index) = (32 + 64, 0);
    while index < ACTION_FIELDS.len() {
        total += ACTION_FIELDS[index].1;
        index += 1;
    }
    assert!(total == ACTION_LEN, "the fields, the hash and the signature fill the record");
};

fn amount(bytes: [u8; 4], field: &'static str) -> Result<Amount, ActionError> {
    let amount = Amount::from(u32::from_be_bytes(bytes));
    if amount.card_minor().is_some() { Ok(amount) } else { Err(ActionError::Field(field)) }
}

fn holder(bytes: [u8; 8], is_there: bool) -> Result<Option<HolderReference>, ActionError> {
    match (std::num::NonZeroU64::new(u64::from_be_bytes(bytes)), is_there) {
        (Some(number), true) => Ok(Some(HolderReference(number))),
        (None, false) => Ok(None),
        _ => Err(ActionError::Field("holder")),
    }
}

fn product(input: &mut ByteReader<'_>) -> Result<Option<Product>, ActionError> {
    let [kind] = input.take();
    let product = Product {
        kind: ProductKind::of(kind).ok_or(ActionError::Field("product_kind"))?,
        line: LineNumber(u16::from_be_bytes(input.take())),
        valid_from: ServiceDay(u16::from_be_bytes(input.take())),
        valid_until: ServiceDay(u16::from_be_bytes(input.take())),
    };
    Ok(Some(product))
}
