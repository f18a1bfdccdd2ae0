//! What a desk wrote, made again: the record, the credit and debit, and the sale are what its step says, or it is found.

use clearing_house::at_desk::check;
use clearing_house::finding::FindingKind::{self, ActionDiffers, MoreThanSaid};
use transit::action::{Action, ActionKind, SealedAction, Step};
use transit::card::{Issuer, Record};
use transit::desk::Grant;
use transit::money::Amount;

use crate::desk_support::{Desk, End};
use crate::support::{Card, MORNING, tariff};

/// What a step is, the step, and what is found: the kinds, and what their details say.
type Row = (&'static str, Action, &'static [(FindingKind, &'static str)]);

fn check_all(table: &[Row]) {
    for (what, action, expected) in table {
        let findings = check(action, &tariff());
        let found: Vec<_> = findings.iter().map(|finding| (finding.kind, finding.detail.as_str())).collect();
        let is_found = |((kind, text), (found, detail)): (&(FindingKind, &str), &(FindingKind, &str))| {
            kind == found && detail.contains(text)
        };
        let all = found.len() == expected.len() && expected.iter().zip(&found).all(is_found);
        assert!(all, "{what}: {found:#?} is not {expected:#?}");
    }
}

fn last(mut steps: Vec<SealedAction>) -> Action {
    steps.pop().unwrap().open().unwrap()
}

fn issue(amount: u32) -> Action {
    last(Desk::new().issue(&mut Card::new(1, 0), MORNING, amount, None))
}

fn top_up() -> Action {
    last(Desk::new().load(&mut Card::new(1, 50_000), MORNING, 10_000))
}

fn refund() -> Action {
    last(vec![Desk::new().refund(&mut Card::new(1, 50_000), MORNING, 10_000, End::Written)])
}

/// This month's pass for 140,000.
fn sale() -> Action {
    last(Desk::new().sell(&mut Card::new(1, 50_000), MORNING, End::Written))
}

fn exchange(amount: i64) -> [Action; 2] {
    let steps = Desk::new().exchange(&mut Card::new(1, amount), &mut Card::new(2, 0), MORNING);
    [steps[0].open().unwrap(), steps[1].open().unwrap()]
}

fn transfer(amount: u32) -> Action {
    let (mut desk, mut card) = (Desk::new(), Card::new(2, 0));
    let (lost, amount_minor) = (Card::new(1, 0).token(), Amount::from(amount));
    let grant = Grant { number: 1, desk: desk.next.device, lost, card: card.token(), amount_minor, issuer: None };
    last(vec![desk.transfer(&grant, &mut card, MORNING, amount)])
}

/// The same step with something else in the record that was written.
fn writing(action: Action, change: impl FnOnce(&mut Record)) -> Action {
    let mut record = Record::decode(&action.record_written.unwrap()).unwrap();
    change(&mut record);
    Action { record_written: Some(record.encode().unwrap()), ..action }
}

fn credited(action: Action, amount: Option<u32>) -> Action {
    Action { credited: amount.map(Amount::from), ..action }
}

fn debited(action: Action, amount: Option<u32>) -> Action {
    Action { debited: amount.map(Amount::from), ..action }
}

/// A card that is made for its purpose has no record before, and its value may be in it from the start.
#[test]
fn a_step_as_it_should_be_has_no_finding() {
    let [old, new] = exchange(42_000);
    let [empty_old, empty_new] = exchange(0);
    let made_for = |kind, amount| Action { kind, ..credited(issue(amount), None) };
    check_all(&[
        ("an issue with nothing", issue(0), &[]),
        ("an issue that credits", issue(10_000), &[]),
        ("an issue with value in the purse", credited(issue(10_000), None), &[]),
        ("a load", top_up(), &[]),
        ("an unknown one", Action { step: Step::Unknown, ..top_up() }, &[]),
        ("a sale", sale(), &[]),
        ("a refund", refund(), &[]),
        ("an old card", old, &[]),
        ("its new one", new, &[]),
        ("an old card without value", empty_old, &[]),
        ("its new one", empty_new, &[]),
        ("a new one made for it", made_for(ActionKind::Exchange, 42_000), &[]),
        ("a transfer", transfer(42_000), &[]),
        ("a transfer of nothing", transfer(0), &[]),
        ("a transfer to a card made for it", made_for(ActionKind::Transfer, 42_000), &[]),
    ]);
}

#[test]
fn a_record_that_the_step_does_not_make_is_found() {
    let other = |action| writing(action, |record| record.card_sequence += 1);
    let differs: &[_] = &[(ActionDiffers, "the record written is not the one that this action makes")];
    let [old, new] = exchange(42_000);
    check_all(&[
        ("of an issue", other(issue(10_000)), differs),
        ("of a load", other(top_up()), differs),
        ("of an unknown one", Action { step: Step::Unknown, ..other(top_up()) }, differs),
        ("of a sale", other(sale()), differs),
        ("of a refund", other(refund()), differs),
        ("of an old card", other(old), differs),
        ("of its new one", other(new), differs),
        ("of a transfer", other(transfer(42_000)), differs),
        ("none", Action { record_written: None, ..top_up() }, differs),
        (
            "none read",
            Action { record_read: None, ..top_up() },
            &[(ActionDiffers, "cannot be made again: it lacks the record read")],
        ),
        (
            "no issuer file",
            Action { issuer_written: None, ..transfer(42_000) },
            &[(ActionDiffers, "cannot be made again: it lacks the issuer file written")],
        ),
        ("of a step that the card never got", Action { step: Step::Void, ..other(top_up()) }, &[]),
    ]);
}

/// The record is the right one in each of these.
#[test]
fn a_credit_or_a_debit_that_the_step_does_not_name_is_found() {
    let [old, new] = exchange(42_000);
    check_all(&[
        (
            "a smaller credit",
            credited(top_up(), Some(9_999)),
            &[(ActionDiffers, "the amount is 10000, the credit 9999 and the debit 0")],
        ),
        (
            "no credit",
            credited(top_up(), None),
            &[(ActionDiffers, "the amount is 10000, the credit 0 and the debit 0")],
        ),
        (
            "a debit beside it",
            debited(top_up(), Some(1)),
            &[(ActionDiffers, "the amount is 10000, the credit 10000 and the debit 1")],
        ),
        (
            "no credit of a card that had a record",
            credited(transfer(42_000), None),
            &[(ActionDiffers, "the amount is 42000, the credit 0 and the debit 0")],
        ),
        (
            "a smaller credit of a card that had none",
            credited(issue(10_000), Some(9_999)),
            &[(ActionDiffers, "the amount is 10000, the credit 9999 and the debit 0")],
        ),
        (
            "a smaller debit",
            debited(refund(), Some(9_999)),
            &[(ActionDiffers, "the amount is 10000, the credit 0 and the debit 9999")],
        ),
        (
            "a smaller debit of an old card",
            debited(old.clone(), Some(41_999)),
            &[(ActionDiffers, "the amount is 42000, the credit 0 and the debit 41999")],
        ),
        (
            "no credit of its new one",
            credited(new.clone(), None),
            &[(ActionDiffers, "the amount is 42000, the credit 0 and the debit 0")],
        ),
        (
            "a larger credit",
            credited(top_up(), Some(10_001)),
            &[
                (ActionDiffers, "the amount is 10000, the credit 10001 and the debit 0"),
                (MoreThanSaid, "the card was credited with 10001, and the step has 10000 to credit"),
            ],
        ),
        (
            "a larger credit of a new card",
            credited(new, Some(42_001)),
            &[
                (ActionDiffers, "the amount is 42000, the credit 42001 and the debit 0"),
                (MoreThanSaid, "the card was credited with 42001, and the step has 42000 to credit"),
            ],
        ),
        (
            "a credit of an old card",
            credited(old, Some(1)),
            &[
                (ActionDiffers, "the amount is 42000, the credit 1 and the debit 42000"),
                (MoreThanSaid, "the card was credited with 1, and the step has 0 to credit"),
            ],
        ),
        (
            "a credit of a refund",
            credited(refund(), Some(1)),
            &[
                (ActionDiffers, "the amount is 10000, the credit 1 and the debit 10000"),
                (MoreThanSaid, "the card was credited with 1, and the step has 0 to credit"),
            ],
        ),
        (
            "a credit beside a pass",
            credited(sale(), Some(1)),
            &[
                (ActionDiffers, "the amount is 140000, the credit 1 and the debit 0"),
                (MoreThanSaid, "the card was credited with 1, and the step has 0 to credit"),
            ],
        ),
    ]);
}

/// The record goes with the sale in each of these.
#[test]
fn a_sale_that_the_tariff_does_not_make_is_found() {
    const OTHER_SALE: (FindingKind, &str) =
        (ActionDiffers, "the tariff sells it for 140000, or writes another issuer file");
    let with = |change: fn(&mut Action)| {
        let mut action = sale();
        change(&mut action);
        action
    };
    let sold_for = |price: u32| {
        let amount = Amount::from(price);
        Action { amount, ..writing(sale(), |record| record.amount = amount) }
    };
    let twice = {
        let mut issuer = Issuer::decode(&sale().issuer_written.unwrap()).unwrap();
        issuer.products[1] = issuer.products[0];
        Action { issuer_written: Some(issuer.encode()), ..sale() }
    };
    check_all(&[
        ("for more", sold_for(140_001), &[OTHER_SALE]),
        (
            "for less",
            sold_for(139_999),
            &[OTHER_SALE, (MoreThanSaid, "the card got a pass for 140000, and the step says 139999")],
        ),
        ("of a longer product", with(|sale| sale.product.as_mut().unwrap().valid_until.0 += 1), &[OTHER_SALE]),
        ("of one product that was written twice", twice, &[OTHER_SALE]),
        (
            "by another tariff",
            with(|sale| sale.tariff_version = 2),
            &[(ActionDiffers, "sold by tariff version 2, at hand is 1")],
        ),
        ("of nothing", with(|sale| sale.product = None), &[(ActionDiffers, "it names no product")]),
        (
            "of a pass that there is not",
            with(|sale| sale.product.as_mut().unwrap().line.0 = 2),
            &[(ActionDiffers, "the tariff has no such pass")],
        ),
        (
            "without a look at the card",
            with(|sale| sale.issuer_read = None),
            &[(ActionDiffers, "it lacks the issuer file read")],
        ),
        (
            "to a card that has it",
            with(|sale| sale.issuer_read = sale.issuer_written),
            &[(ActionDiffers, "the tariff does not sell it: ")],
        ),
        (
            "without the issuer file that it wrote",
            with(|sale| sale.issuer_written = None),
            &[
                (ActionDiffers, "cannot be made again: it lacks the issuer file written"),
                (ActionDiffers, "it lacks the issuer file written"),
            ],
        ),
        ("a load that names a product", Action { product: sale().product, ..top_up() }, &[]),
    ]);
}
