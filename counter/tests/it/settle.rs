//! A card that is seen again: what it shows of the steps that it was torn at, and what is written down of that.

use counter::desk::Serving;
use counter::refusal::DeskError;
use counter::sale::Wanted;
use counter::settle::{Resumed, ResumedOutcome};
use transit::action::{Action, ActionKind, Step};
use transit::card::ProductKind;
use transit::desk::Grant;
use transit::id::{DeviceId, LineNumber};
use transit::money::Amount;
use virtual_card::{CardInField, Fault};

use crate::journal::paid;
use crate::world::{AID, DESK, NOW, Pocket, STAFF, Shop, fresh, id, issuer_keys, later};

const AT: Serving = Serving { staff: STAFF, at: NOW };

#[derive(Clone, Copy, Debug)]
enum Work {
    Sell,
    Refund,
    Transfer,
}

impl Work {
    fn on(self, shop: &mut Shop, field: &mut CardInField, uid: &[u8; 7]) -> Result<(), DeskError> {
        let pass = Wanted { kind: ProductKind::OneRoutePass, line: LineNumber(1), month: None };
        let done = match self {
            Self::Sell => shop.desk.sell(field, uid, pass, AT, &mut fresh),
            Self::Refund => shop.desk.refund(field, uid, Some(Amount::from(1_000)), AT, &mut fresh),
            Self::Transfer => {
                let lost = shop.desk.token(&[4, 9, 9, 9, 9, 9, 9])?.1;
                let (desk, card) = (DeviceId::new(DESK).unwrap(), shop.desk.token(uid)?.1);
                let grant = Grant { number: 3, desk, lost, card, amount_minor: Amount::from(35_000), issuer: None };
                shop.desk.transfer(field, uid, &grant, AT, &mut fresh)
            }
        };
        done.map(drop)
    }

    /// Torn at its commit, which the card takes or not.
    fn torn(self, committed: bool) -> (Shop, Pocket) {
        let uid = Pocket::new("adult").uid();
        let whole = |field: &mut CardInField| self.on(&mut Shop::new(), field, &uid).unwrap();
        let ((), commit) = Pocket::new("adult").present(None, whole);
        let fault = if committed { Fault::LoseAfter(commit) } else { Fault::LoseBefore(commit) };
        let (mut shop, mut pocket) = (Shop::new(), Pocket::new("adult"));
        let torn = pocket.present(Some(fault), |field| self.on(&mut shop, field, &uid)).0.unwrap_err();
        assert!(matches!(torn, DeskError::Unknown { .. }), "{self:?}: {torn}");
        (shop, pocket)
    }
}

fn seen_again(shop: &mut Shop, pocket: &mut Pocket, serving: Serving) -> Vec<Resumed> {
    let (uid, mut resumed) = (pocket.uid(), Vec::new());
    pocket.present(None, |field| shop.desk.settle(field, &uid, serving, &mut fresh, &mut resumed)).0.unwrap();
    resumed
}

/// A card keeps eleven records, and each names the step before it.
#[test]
fn a_card_shows_whether_it_has_a_step_as_far_as_its_records_reach_back() {
    use ResumedOutcome::{Found, StillUnknown, Undone};
    for (committed, written_since, expected) in [
        (false, 0, Undone),
        (false, 11, Undone),
        (false, 12, StillUnknown),
        (true, 0, Found),
        (true, 10, Found),
        (true, 11, Found),
        (true, 12, StillUnknown),
    ] {
        let (mut shop, mut pocket) = Work::Refund.torn(committed);
        let (mut elsewhere, uid) = (Shop::of_device(DESK + 1, issuer_keys()), pocket.uid());
        for _ in 0..written_since {
            pocket.present(None, |field| Work::Refund.on(&mut elsewhere, field, &uid)).0.unwrap();
        }
        let outcome = seen_again(&mut shop, &mut pocket, AT)[0].outcome;
        assert_eq!(outcome, expected, "committed: {committed}, and {written_since} records since");
    }
}

/// The clearing house may see this step alone.
#[test]
fn what_became_of_a_step_is_written_down_with_all_that_the_step_was_about() {
    for work in [Work::Sell, Work::Refund, Work::Transfer] {
        let (mut shop, mut pocket) = work.torn(true);
        let record = pocket.card().records(AID, 3).unwrap().remove(0);
        assert_eq!(seen_again(&mut shop, &mut pocket, AT)[0].outcome, ResumedOutcome::Found);
        let steps = shop.steps();
        let [.., unknown, resolution] = steps.as_slice() else { panic!("{steps:?}") };
        let expected = Action {
            id: resolution.id,
            step: Step::Confirmed { resolves: unknown.id },
            names: Some(id(1)),
            record_read: Some(record.try_into().unwrap()),
            issuer_read: None,
            credited: None,
            debited: None,
            issuer_written: None,
            record_written: None,
            ..unknown.clone()
        };
        assert_eq!(*resolution, expected, "{work:?}");
        assert_eq!(resolution.product.is_some(), matches!(work, Work::Sell), "{work:?}");
        let is_transfer = (resolution.grant.is_some(), resolution.other_card.is_some());
        assert_eq!(is_transfer, (matches!(work, Work::Transfer), matches!(work, Work::Transfer)), "{work:?}");
    }
}

/// Paid, torn, and not on the card: what is written when the card is seen again is what was paid for.
#[test]
fn a_sale_that_is_finished_later_is_the_one_that_was_paid_for() {
    let (mut shop, mut pocket) = Work::Sell.torn(false);
    assert_eq!(seen_again(&mut shop, &mut pocket, AT)[0].outcome, ResumedOutcome::Finished);
    let steps = shop.steps();
    let [paid, torn, _, written] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!((written.names, written.product, written.amount), (Some(paid.id), paid.product, paid.amount));
    assert_eq!((written.step, written.issuer_written), (Step::Written, torn.issuer_written));
}

#[test]
fn whoever_serves_settles_and_where_nobody_does_it_is_whoever_began() {
    for (serving, expected) in [(9, 9), (0, STAFF)] {
        let (mut shop, mut pocket) = Work::Refund.torn(true);
        seen_again(&mut shop, &mut pocket, Serving { staff: serving, at: later(60) });
        let last = shop.steps().pop().unwrap();
        assert_eq!((last.staff, last.at), (expected, later(60)));
    }
}

/// How far a card is that was being issued, only the issue itself finds out.
#[test]
fn a_card_that_was_being_issued_is_left_to_its_issue() {
    let (mut shop, mut pocket) = (Shop::new(), Pocket::new("adult"));
    let card = shop.desk.token(&pocket.uid()).unwrap().1;
    shop.desk.journal.append(&Action { kind: ActionKind::Issue, card, ..paid(id(1), 0) }).unwrap();
    assert_eq!(seen_again(&mut shop, &mut pocket, AT), []);
    assert_eq!(shop.step_names(), ["issue paid"]);
}
