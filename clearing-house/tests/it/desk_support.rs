//! A desk with its log, and what it does to cards.

use ring::signature::Ed25519KeyPair;
use transit::action::{Action, ActionKind, SealedAction, Step};
use transit::card::{
    DeskWrite, Issuer, Product, ProductKind, Profile, Record, record_of_issue, record_of_load, record_of_refund,
    record_of_sale, record_of_surrender, record_of_transfer,
};
use transit::desk::{Ask, DeskAnswer, DeskRequest, Grant, Reply, request_signed_bytes};
use transit::id::{DeviceId, HolderReference, LineNumber, OperatorId, TapId};
use transit::money::Amount;
use transit::pass::sell;
use transit::tap::{CHAIN_START, TransactionMac};
use transit::time::{Moment, Month, ServiceDay};

use crate::support::{Card, City, desk_key, tariff};

/// A desk with its log.
pub(crate) struct Desk {
    pub(crate) operator: OperatorId,
    pub(crate) next: TapId,
    pub(crate) hash: [u8; 32],
    pub(crate) key: Ed25519KeyPair,
    /// Its cards are on EV1 chips, which have no Transaction MAC.
    pub(crate) serves_ev1: bool,
}

/// How a card's transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Written,
    /// The answer was lost; the card may have committed.
    Unknown {
        committed: bool,
    },
    Void,
}

impl Desk {
    /// Desk 900 of operator 1.
    pub(crate) fn new() -> Self {
        Self::numbered(900, 1, 0x44)
    }

    pub(crate) fn numbered(device: u32, operator: u16, seed: u8) -> Self {
        let next = TapId { device: DeviceId::new(device).unwrap(), epoch: 1, sequence: 1 };
        Self { operator: OperatorId(operator), next, hash: CHAIN_START, key: desk_key(seed), serves_ev1: false }
    }

    /// Seals `action` at the end of the log.
    pub(crate) fn seal(&mut self, action: &Action) -> SealedAction {
        assert_eq!(action.id, self.next);
        let sealed = action.seal(&self.hash, |bytes| self.key.sign(bytes).as_ref().try_into().unwrap()).unwrap();
        self.hash = sealed.hash();
        self.next.sequence += 1;
        sealed
    }

    pub(crate) fn blank(&self, kind: ActionKind, step: Step, card: &Card, at: Moment, amount: u32) -> Action {
        Action {
            id: self.next,
            at,
            operator: self.operator,
            staff: 7,
            kind,
            step,
            names: None,
            card: card.token(),
            other_card: None,
            holder: None,
            tariff_version: 1,
            amount: Amount::from(amount),
            product: None,
            grant: None,
            record_read: None,
            issuer_read: None,
            credited: None,
            debited: None,
            issuer_written: None,
            record_written: None,
            transaction_mac: None,
        }
    }

    /// A step without a card's transaction.
    pub(crate) fn step(
        &mut self,
        (kind, step): (ActionKind, Step),
        names: Option<TapId>,
        card: &Card,
        at: Moment,
        amount: u32,
    ) -> SealedAction {
        let action = Action { names, ..self.blank(kind, step, card, at, amount) };
        self.seal(&action)
    }

    pub(crate) fn paid(&mut self, kind: ActionKind, card: &Card, at: Moment, amount: u32) -> SealedAction {
        self.step((kind, Step::Paid), None, card, at, amount)
    }

    /// The transaction that `action`, whose record and files are set, makes with the card.
    fn transact(&mut self, card: &mut Card, mut action: Action, end: End) -> SealedAction {
        let record = Record::decode(&action.record_written.unwrap()).unwrap();
        let issuer = action.issuer_written.map(|bytes| Issuer::decode(&bytes).unwrap());
        if end != End::Void && end != (End::Unknown { committed: false }) {
            card.record = record;
            card.issuer = issuer.or(card.issuer);
            card.counter += 1;
        }
        action.step = match end {
            End::Written => Step::Written,
            End::Unknown { .. } => Step::Unknown,
            End::Void => Step::Void,
        };
        if end == End::Written && !self.serves_ev1 {
            let value = card.transaction_mac(&commands(&action));
            action.transaction_mac = Some(TransactionMac { counter: card.counter, value });
        }
        self.seal(&action)
    }

    fn write(&self, at: Moment, amount: u32) -> DeskWrite {
        DeskWrite { action: self.next, at, amount: Amount::from(amount) }
    }

    pub(crate) fn top_up(&mut self, paid: TapId, card: &mut Card, at: Moment, amount: u32, end: End) -> SealedAction {
        let record = record_of_load(&card.record, self.write(at, amount)).unwrap();
        let action = Action {
            names: Some(paid),
            record_read: Some(card.record.encode().unwrap()),
            credited: Some(Amount::from(amount)),
            record_written: Some(record.encode().unwrap()),
            ..self.blank(ActionKind::TopUp, Step::Written, card, at, amount)
        };
        self.transact(card, action, end)
    }

    /// A load that went well: paid and written.
    pub(crate) fn load(&mut self, card: &mut Card, at: Moment, amount: u32) -> Vec<SealedAction> {
        let paid = self.paid(ActionKind::TopUp, card, at, amount);
        let names = paid.open().unwrap().id;
        vec![paid, self.top_up(names, card, at, amount, End::Written)]
    }

    pub(crate) fn refund(&mut self, card: &mut Card, at: Moment, amount: u32, end: End) -> SealedAction {
        let record = record_of_refund(&card.record, self.write(at, amount)).unwrap();
        let action = Action {
            record_read: Some(card.record.encode().unwrap()),
            debited: Some(Amount::from(amount)),
            record_written: Some(record.encode().unwrap()),
            ..self.blank(ActionKind::Refund, Step::Written, card, at, amount)
        };
        self.transact(card, action, end)
    }

    /// This month's pass for line 1: paid and written.
    pub(crate) fn sell(&mut self, card: &mut Card, at: Moment, end: End) -> Vec<SealedAction> {
        let before = card.issuer.unwrap_or(EMPTY);
        let tariff = tariff();
        let today = tariff.calendar.service_day(at);
        let pass = tariff.pass(ProductKind::OneRoutePass, LineNumber(1)).unwrap();
        let sale = sell(pass, &before, Month::of(today), today).unwrap();
        let amount = u32::try_from(sale.price.minor()).unwrap();
        let paid = self.paid(ActionKind::Sale, card, at, amount);
        let record = record_of_sale(&card.record, &sale.issuer, self.write(at, amount)).unwrap();
        let action = Action {
            names: Some(paid.open().unwrap().id),
            product: Some(sale.product),
            record_read: Some(card.record.encode().unwrap()),
            issuer_read: Some(before.encode()),
            issuer_written: Some(sale.issuer.encode()),
            record_written: Some(record.encode().unwrap()),
            ..self.blank(ActionKind::Sale, Step::Written, card, at, amount)
        };
        vec![paid, self.transact(card, action, end)]
    }

    /// A blank card becomes one of ours with `amount` on it.
    pub(crate) fn issue(&mut self, card: &mut Card, at: Moment, amount: u32, holder: Option<u64>) -> Vec<SealedAction> {
        let paid = self.paid(ActionKind::Issue, card, at, amount);
        let record = record_of_issue(&EMPTY, self.write(at, amount)).unwrap();
        let action = Action {
            names: Some(paid.open().unwrap().id),
            holder: holder.map(|number| HolderReference(number.try_into().unwrap())),
            credited: (amount > 0).then_some(Amount::from(amount)),
            issuer_written: Some(EMPTY.encode()),
            record_written: Some(record.encode().unwrap()),
            ..self.blank(ActionKind::Issue, Step::Written, card, at, amount)
        };
        vec![paid, self.transact(card, action, End::Written)]
    }

    pub(crate) fn block(&mut self, card: &Card, at: Moment) -> SealedAction {
        self.step((ActionKind::Block, Step::Done), None, card, at, 0)
    }

    /// What `grant` allows, or `amount` of it, put on `card`.
    pub(crate) fn transfer(&mut self, grant: &Grant, card: &mut Card, at: Moment, amount: u32) -> SealedAction {
        let issuer = grant.issuer.unwrap_or(EMPTY);
        let record = record_of_transfer(&card.record, &issuer, self.write(at, amount)).unwrap();
        let action = Action {
            other_card: Some(grant.lost),
            grant: Some(grant.number),
            record_read: Some(card.record.encode().unwrap()),
            credited: (amount > 0).then_some(Amount::from(amount)),
            issuer_written: Some(issuer.encode()),
            record_written: Some(record.encode().unwrap()),
            ..self.blank(ActionKind::Transfer, Step::Written, card, at, amount)
        };
        self.transact(card, action, End::Written)
    }

    /// Everything of `old` goes to `new`.
    pub(crate) fn exchange(&mut self, old: &mut Card, new: &mut Card, at: Moment) -> Vec<SealedAction> {
        let amount = u32::try_from(old.record.balance_after.minor()).unwrap();
        let products = old.issuer.unwrap_or(EMPTY);
        let other_card = Some(new.token());
        let record = record_of_surrender(&old.record, &EMPTY, self.write(at, amount)).unwrap();
        let action = Action {
            other_card,
            record_read: Some(old.record.encode().unwrap()),
            issuer_read: Some(products.encode()),
            debited: (amount > 0).then_some(Amount::from(amount)),
            issuer_written: Some(EMPTY.encode()),
            record_written: Some(record.encode().unwrap()),
            ..self.blank(ActionKind::Exchange, Step::Written, old, at, amount)
        };
        let off = self.transact(old, action, End::Written);
        let record = record_of_transfer(&new.record, &products, self.write(at, amount)).unwrap();
        let action = Action {
            names: Some(off.open().unwrap().id),
            other_card: Some(old.token()),
            record_read: Some(new.record.encode().unwrap()),
            credited: (amount > 0).then_some(Amount::from(amount)),
            issuer_written: Some(products.encode()),
            record_written: Some(record.encode().unwrap()),
            ..self.blank(ActionKind::Exchange, Step::Written, new, at, amount)
        };
        vec![off, self.transact(new, action, End::Written)]
    }

    /// Asks, and checks the signature of the answer.
    pub(crate) fn ask(&self, city: &mut City, ask: Ask, at: Moment) -> Reply {
        let request = DeskRequest { desk: self.next.device, epoch: self.next.epoch, at, ask };
        let text = serde_json::to_string(&request).unwrap();
        let signature = self.key.sign(&request_signed_bytes(&text));
        let answer = city.clearing_house.answer(&text, signature.as_ref(), at).unwrap();
        let key = city.clearing_house.public_key();
        DeskAnswer::open(&answer.text, &answer.signature, &key, &text).unwrap().reply
    }

    pub(crate) fn allowance(&self, city: &mut City, at: Moment) -> i64 {
        let Reply::Allowance(allowance) = self.ask(city, Ask::Allowance, at) else { panic!("no allowance") };
        assert_eq!((allowance.desk, allowance.epoch), (self.next.device, self.next.epoch));
        allowance.loads_through_minor.minor()
    }
}

pub(crate) const EMPTY: Issuer =
    Issuer { profile: Profile::Ordinary, profile_valid_until: ServiceDay(0), products: [Product::NONE; 5] };

/// The commands of a desk's transaction, as a card hashes them: header and data.
fn commands(action: &Action) -> Vec<(Vec<u8>, Vec<u8>)> {
    let value =
        |code, amount: Amount| ([&[code, 2][..], &amount.card_minor().unwrap().to_le_bytes()].concat(), Vec::new());
    let mut commands = Vec::new();
    if let Some(record) = action.record_read {
        commands.push((vec![0xBB, 3, 0, 0, 0, 1, 0, 0], record.to_vec()));
    }
    if let Some(issuer) = action.issuer_read {
        commands.push((vec![0xBD, 1, 0, 0, 0, 64, 0, 0], issuer.to_vec()));
    }
    commands.extend(action.credited.map(|amount| value(0x0C, amount)));
    commands.extend(action.debited.map(|amount| value(0xDC, amount)));
    if let Some(issuer) = action.issuer_written {
        commands.push((vec![0x3D, 1, 0, 0, 0, 64, 0, 0], issuer.to_vec()));
    }
    commands.push((vec![0x3B, 3, 0, 0, 0, 60, 0, 0], action.record_written.unwrap().to_vec()));
    commands
}
