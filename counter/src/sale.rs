//! Passes: cash in, a calendar month on the card.

use card_crypto::Transport;
use key_store::KeyStore;
use transit::action::{Action, ActionKind, Step};
use transit::card::{DeskWrite, Issuer, ProductKind, Record, record_of_sale};
use transit::id::LineNumber;
use transit::money::Amount;
use transit::pass::{PassRefusal, PassSale, on_sale, sell};
use transit::time::{Moment, Month};

use crate::desk::{Desk, Serving, Writing};
use crate::refusal::{DeskError, Refusal};
use crate::report::{PassSold, Report};
use crate::session::{Also, Opened, Opening, Random, Session, open};

/// A pass that somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// For one line or for all.
    pub kind: ProductKind,
    /// The line; 0 for all.
    pub line: LineNumber,
    /// The month; left out, the first one on sale that the card lacks.
    pub month: Option<Month>,
}

impl<K: KeyStore> Desk<K> {
    /// Takes the price of a pass in cash and puts the pass on the card. Recorded as paid before anything is written.
    ///
    /// # Errors
    /// [`DeskError`]. After `NotWritten` and `Unknown` the same card, presented again, brings it to its end.
    pub fn sell<T: Transport>(
        &mut self,
        transport: &mut T,
        uid: &[u8],
        wanted: Wanted,
        serving: Serving,
        random: Random<'_>,
    ) -> Result<Report, DeskError> {
        let (uid, _) = self.token(uid)?;
        match open(transport, &uid, Also::Issuer, &mut self.keys, random)? {
            Opening::Ev1(opened) => self.sell_on(opened, &uid, wanted, serving, random),
            Opening::Ev2(opened) => self.sell_on(opened, &uid, wanted, serving, random),
        }
    }

    fn sell_on<T: Transport, S: Session>(
        &mut self,
        opened: Opened<T, S>,
        uid: &[u8; 7],
        wanted: Wanted,
        serving: Serving,
        random: Random<'_>,
    ) -> Result<Report, DeskError> {
        let card = self.keys.token(uid)?;
        self.refuse_blocked(card)?;
        let issuer = opened.issuer_file()?;
        let sale = self.sale_wanted(&issuer, wanted, serving.at)?;
        let paid = Action {
            product: Some(sale.product),
            ..self.step(ActionKind::Sale, Step::Paid, card, sale.price, serving)?
        };
        // What the card would not take is refused before the cash is taken.
        let write = DeskWrite { action: paid.id, at: serving.at, amount: sale.price };
        writing(&opened.record, &sale.issuer, write)?;
        self.check_may_load(sale.price, Amount::ZERO, serving.at)?;
        self.journal.append(&paid)?;
        self.finish_on(opened, &paid, serving, random)?;
        Ok(Report::Sold(PassSold {
            action: paid.id,
            card,
            price_minor: sale.price,
            product: sale.product.kind,
            line: sale.product.line,
            valid_from: sale.product.valid_from,
            valid_until: sale.product.valid_until,
        }))
    }

    /// The sale of a month that was named, or of the first one on sale that the card lacks.
    fn sale_wanted(&self, issuer: &Issuer, wanted: Wanted, at: Moment) -> Result<PassSale, DeskError> {
        if let Some(month) = wanted.month {
            return self.sale_of(issuer, wanted.kind, wanted.line, month, at);
        }
        let today = self.rules.tariffs.calendar().service_day(at);
        let pass = self.rules.tariffs.on(today).pass(wanted.kind, wanted.line).ok_or(Refusal::NoSuchPass)?;
        let mut last = Refusal::NoSuchPass;
        for month in on_sale(pass, today) {
            match sell(pass, issuer, month, today) {
                Ok(sale) => return Ok(sale),
                Err(refusal @ PassRefusal::Overlap(_)) => last = refusal.into(),
                Err(refusal) => return Err(Refusal::from(refusal).into()),
            }
        }
        Err(last.into())
    }

    /// The sale of this pass for this month.
    pub(crate) fn sale_of(
        &self,
        issuer: &Issuer,
        kind: ProductKind,
        line: LineNumber,
        month: Month,
        at: Moment,
    ) -> Result<PassSale, DeskError> {
        let today = self.rules.tariffs.calendar().service_day(at);
        let pass = self.rules.tariffs.on(today).pass(kind, line).ok_or(Refusal::NoSuchPass)?;
        Ok(sell(pass, issuer, month, today).map_err(Refusal::from)?)
    }
}

/// What a sale writes.
pub(crate) fn writing(read: &Record, issuer: &Issuer, write: DeskWrite) -> Result<Writing, DeskError> {
    let record = record_of_sale(read, issuer, write).map_err(Refusal::from)?;
    Ok(Writing { credit: Amount::ZERO, debit: Amount::ZERO, issuer: Some(*issuer), record })
}
