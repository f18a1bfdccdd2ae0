//! What a desk wrote, made again from what it read (pure). A difference is a finding, never a refusal: the card has it.

use transit::action::{Action, ActionKind, Step};
use transit::card::{
    DeskRecordError, DeskWrite, Issuer, LayoutError, Record, record_of_issue, record_of_load, record_of_refund,
    record_of_sale, record_of_surrender, record_of_transfer,
};
use transit::money::Amount;
use transit::pass::{self, PassRefusal, PassSale};
use transit::tariff::Tariff;
use transit::time::Month;

use crate::finding::{Finding, FindingKind};

/// What does not add up in `action`.
pub fn check(action: &Action, tariff: &Tariff) -> Vec<Finding> {
    if !matches!(action.step, Step::Written | Step::Unknown) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let mut find = |detail: String| findings.push(Finding::new(FindingKind::ActionDiffers, action.id, detail));
    match again(action) {
        Ok(expected) if written(action).as_ref() == Ok(&expected) => {}
        Ok(_) => find("the record written is not the one that this action makes".to_owned()),
        Err(error) => find(format!("the record that this action makes cannot be made again: {error}")),
    }
    if let Some(detail) = other_value(action) {
        find(detail);
    }
    let sold = (action.kind == ActionKind::Sale).then(|| sold_again(action, tariff));
    let price = sold.as_ref().and_then(|sold| Some(sold.as_ref().ok()?.price));
    if let Some(Err(detail)) = sold.map(|sold| same_sale(action, &sold?)) {
        find(detail);
    }
    if let Some(detail) = more_than_said(action, price) {
        findings.push(Finding::new(FindingKind::MoreThanSaid, action.id, detail));
    }
    findings
}

/// Why a record cannot be made again.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Unmade {
    #[error("it lacks {0}")]
    Lacks(&'static str),
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error(transparent)]
    Desk(#[from] DeskRecordError),
}

fn again(action: &Action) -> Result<Record, Unmade> {
    let write = DeskWrite { action: action.id, at: action.at, amount: action.amount };
    let read = || Ok::<_, Unmade>(Record::decode(&action.record_read.ok_or(Unmade::Lacks("the record read"))?)?);
    let issuer = || {
        let bytes = action.issuer_written.ok_or(Unmade::Lacks("the issuer file written"))?;
        Ok::<_, Unmade>(Issuer::decode(&bytes)?)
    };
    Ok(match action.kind {
        ActionKind::Issue => record_of_issue(&issuer()?, write)?,
        ActionKind::TopUp => record_of_load(&read()?, write)?,
        ActionKind::Sale => record_of_sale(&read()?, &issuer()?, write)?,
        ActionKind::Refund => record_of_refund(&read()?, write)?,
        ActionKind::Exchange if action.gives_up() => record_of_surrender(&read()?, &issuer()?, write)?,
        // A card that is made for the purpose has no record yet.
        ActionKind::Transfer | ActionKind::Exchange if action.record_read.is_none() => {
            record_of_issue(&issuer()?, write)?
        }
        ActionKind::Transfer | ActionKind::Exchange => record_of_transfer(&read()?, &issuer()?, write)?,
        ActionKind::Block => return Err(Unmade::Lacks("anything to write")),
    })
}

fn written(action: &Action) -> Result<Record, Unmade> {
    Ok(Record::decode(&action.record_written.ok_or(Unmade::Lacks("the record written"))?)?)
}

/// Whether credit and debit are what the action names.
fn other_value(action: &Action) -> Option<String> {
    let something = (action.amount > Amount::ZERO).then_some(action.amount);
    let (credit, debit) = match action.kind {
        ActionKind::Sale | ActionKind::Block => (None, None),
        ActionKind::Issue | ActionKind::Transfer | ActionKind::Exchange if action.record_read.is_none() => {
            // A purse may be made with its value in it, or be credited.
            (action.credited.and(something), None)
        }
        ActionKind::Refund => (None, something),
        ActionKind::Exchange if action.gives_up() => (None, something),
        ActionKind::Issue | ActionKind::TopUp | ActionKind::Transfer | ActionKind::Exchange => (something, None),
    };
    let minor = |amount: Option<Amount>| amount.map_or(0, Amount::minor);
    if (action.credited, action.debited) == (credit, debit) {
        return None;
    }
    let (credited, debited) = (minor(action.credited), minor(action.debited));
    Some(format!("the amount is {}, the credit {credited} and the debit {debited}", action.amount.minor()))
}

/// What the card got beyond the amount that the desk answers for; `price` is the tariff's, where a pass was sold.
fn more_than_said(action: &Action, price: Option<Amount>) -> Option<String> {
    if let Some(price) = price.filter(|price| *price > action.amount) {
        let said = action.amount.minor();
        return Some(format!("the card got a pass for {}, and the step says {said}", price.minor()));
    }
    let said = match action.kind {
        ActionKind::Issue | ActionKind::TopUp | ActionKind::Transfer => action.amount,
        ActionKind::Exchange if !action.gives_up() => action.amount,
        // These have no credit.
        ActionKind::Exchange | ActionKind::Sale | ActionKind::Refund | ActionKind::Block => Amount::ZERO,
    };
    let credited = action.credited.filter(|credited| *credited > said)?;
    Some(format!("the card was credited with {}, and the step has {} to credit", credited.minor(), said.minor()))
}

/// Whether the step wrote this sale of the tariff's, for its price.
fn same_sale(action: &Action, sale: &PassSale) -> Result<(), String> {
    let after = action.issuer_written.ok_or("it lacks the issuer file written")?;
    let after = Issuer::decode(&after).map_err(|error| error.to_string())?;
    if Some(sale.product) != action.product || sale.price != action.amount || sale.issuer != after {
        return Err(format!("the tariff sells it for {}, or writes another issuer file", sale.price.minor()));
    }
    Ok(())
}

/// The sale as the tariff makes it.
fn sold_again(action: &Action, tariff: &Tariff) -> Result<PassSale, String> {
    if action.tariff_version != tariff.version {
        return Err(format!("sold by tariff version {}, at hand is {}", action.tariff_version, tariff.version));
    }
    let product = action.product.ok_or("it names no product")?;
    let offer = tariff.pass(product.kind, product.line).ok_or("the tariff has no such pass")?;
    let today = tariff.calendar.service_day(action.at);
    let before = action.issuer_read.ok_or("it lacks the issuer file read")?;
    let before = Issuer::decode(&before).map_err(|error| error.to_string())?;
    pass::sell(offer, &before, Month::of(product.valid_from), today)
        .map_err(|refusal: PassRefusal| format!("the tariff does not sell it: {refusal}"))
}
