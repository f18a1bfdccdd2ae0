//! A desk's day with cards on EV1 chips, which prove nothing, and the real clearing house where Transaction MACs are
//! enforced: what the books have is what the journal says, up to what the desk is believed.

use clearing_house::ClearingHouse;
use counter::desk::Serving;
use counter::refusal::DeskError;
use counter::report::Report;
use counter::sale::Wanted;
use counter::settle::ResumedOutcome;
use transit::action::{Action, ActionKind, Step};
use transit::card::ProductKind;
use transit::id::LineNumber;
use transit::money::Amount;
use virtual_card::Fault;

use crate::clearing_house::{House, balance, counted_top_up, issue, top_up};
use crate::world::{NOW, Pocket, STAFF, Shop, TODAY, fresh};

const AT: Serving = Serving { staff: STAFF, at: NOW };
/// What the card `adult-ev1` has from before the desk kept books.
const FROM_BEFORE_MINOR: i64 = 50_000;
const PASS_MINOR: i64 = 140_000;

fn refund(shop: &mut Shop, card: &mut Pocket, minor: u32, fault: Option<Fault>) -> (Result<(), DeskError>, u32) {
    let (answer, exchanges) = shop.serve(card, NOW, fault, |desk, field, uid, serving, random| {
        desk.refund(field, uid, Some(Amount::from(minor)), serving, random)
    });
    (answer.map(|_| ()), exchanges)
}

/// The card is laid down again, and says what became of the one step that was torn.
fn laid_down_again(shop: &mut Shop, card: &mut Pocket) -> ResumedOutcome {
    let again = shop.serve(card, NOW, None, |_, _, _, _, _| panic!("nothing was open with the card"));
    let (resumed, report) = again.0.unwrap();
    assert!(report.is_none() && resumed.len() == 1, "{resumed:?}");
    resumed[0].outcome
}

/// Empties `old`, which a `fault` tears, and puts everything on `new`; how many exchanges the old card took comes back.
fn exchange(shop: &mut Shop, old: &mut Pocket, new: &mut Pocket, fault: Option<Fault>) -> u32 {
    let (old_uid, new_uid) = (old.uid(), new.uid());
    let (emptied, exchanges) = old.present(fault, |field| shop.desk.empty_old_card(field, &old_uid, AT, &mut fresh));
    let begun = match emptied {
        Ok(begun) => begun,
        Err(error) => {
            assert!(fault.is_some() && matches!(error, DeskError::Unknown { .. }), "{error}");
            assert_eq!(laid_down_again(shop, old), ResumedOutcome::HalfMoved);
            shop.desk.waiting_exchange_of(&old_uid).unwrap().unwrap()
        }
    };
    let load = |field: &mut _| shop.desk.load_new_card(field, &new_uid, &begun, AT, &mut fresh);
    assert!(matches!(new.present(None, load).0, Ok(Report::Moved(_))));
    exchanges
}

/// Issue, loads, a pass, refunds and exchanges, torn and not; what the cards have at the end comes back.
fn day(shop: &mut Shop) -> i64 {
    let (mut card, mut newer) = (issue(shop, "blank-ev1", None), issue(shop, "blank-ev3", None));
    let (loaded, exchanges) = counted_top_up(shop, &mut card, 60_000, None);
    loaded.unwrap();
    top_up(shop, &mut card, 20_000, Some(Fault::LoseAfter(exchanges))).unwrap_err();
    assert_eq!((card.purse(), laid_down_again(shop, &mut card)), (80_000, ResumedOutcome::Found));
    top_up(shop, &mut card, 10_000, Some(Fault::LoseBefore(exchanges))).unwrap_err();
    assert_eq!((card.purse(), laid_down_again(shop, &mut card)), (80_000, ResumedOutcome::Finished));
    let wanted = Wanted { kind: ProductKind::OneRoutePass, line: LineNumber(1), month: None };
    let sold = shop.serve(&mut card, NOW, None, |desk, field, uid, serving, random| {
        desk.sell(field, uid, wanted, serving, random)
    });
    assert!(sold.0.unwrap().1.is_some());

    let (paid_out, exchanges) = refund(shop, &mut card, 15_000, None);
    paid_out.unwrap();
    refund(shop, &mut card, 5_000, Some(Fault::LoseAfter(exchanges))).0.unwrap_err();
    assert_eq!((card.purse(), laid_down_again(shop, &mut card)), (70_000, ResumedOutcome::Found));
    refund(shop, &mut card, 4_000, Some(Fault::LoseBefore(exchanges))).0.unwrap_err();
    assert_eq!((card.purse(), laid_down_again(shop, &mut card)), (70_000, ResumedOutcome::Undone));

    let exchanges = exchange(&mut Shop::new(), &mut Pocket::new("adult-ev1"), &mut Pocket::new("elderly"), None);
    let mut older = Pocket::new("adult-ev1");
    exchange(shop, &mut older, &mut card, Some(Fault::LoseAfter(exchanges)));
    assert_eq!((older.purse(), card.purse()), (0, 120_000));
    exchange(shop, &mut card, &mut newer, None);
    assert_eq!((card.purse(), newer.purse()), (0, 120_000));
    i64::from(older.purse() + card.purse() + newer.purse())
}

/// What the journal says, and what of it the clearing house believes: refunds and old cards count as they are known to
/// the desk, in the order of its log.
#[derive(Default, Debug)]
struct Said {
    taken: i64,
    refunds_believed: i64,
    refunds_not_believed: Vec<i64>,
    surrenders_not_believed: Vec<i64>,
}

fn said(steps: &[Action], limit: i64) -> Said {
    let (mut said, mut given_up) = (Said::default(), 0);
    for step in steps {
        let known = match step.step {
            Step::Paid => {
                said.taken += step.amount.minor();
                continue;
            }
            Step::Written => step,
            Step::Confirmed { resolves } => steps.iter().find(|step| step.id == resolves).unwrap(),
            _ => continue,
        };
        let is_refund = known.kind == ActionKind::Refund;
        let is_surrender = known.kind == ActionKind::Exchange && known.gives_up();
        if !(is_refund || is_surrender) {
            continue;
        }
        let amount = known.amount.minor();
        if given_up + amount <= limit {
            given_up += amount;
            said.refunds_believed += if is_refund { amount } else { 0 };
        } else if is_refund {
            said.refunds_not_believed.push(amount);
        } else {
            said.surrenders_not_believed.push(amount);
        }
    }
    said
}

/// The money of the books, which is that of the journal.
fn check_money(books: &mut ClearingHouse, said: &Said, on_cards: i64) {
    let status = books.status().unwrap();
    assert_eq!(status.balances_minor.values().sum::<i64>(), 0);
    let refunds_aside: i64 = said.refunds_not_believed.iter().sum();
    let surrenders_owed: i64 = said.surrenders_not_believed.iter().sum();
    let till = said.taken - said.refunds_believed;
    assert_eq!(balance(books, "desk:900:cash"), -till - surrenders_owed);
    assert_eq!(balance(books, "cards:float"), on_cards - FROM_BEFORE_MINOR + refunds_aside + surrenders_owed);
    assert_eq!(balance(books, "revenue:passes"), PASS_MINOR);
    assert_eq!(balance(books, "suspense:loads"), 0, "nobody waits for anything");

    let desk = books.desk_day(TODAY).unwrap().desks.remove(0);
    assert_eq!((desk.taken_minor, desk.paid_out_minor, desk.till_minor), (said.taken, said.refunds_believed, till));
    assert_eq!((desk.written_minor, desk.unbacked_minor), (said.taken, 0));
    assert_eq!((desk.given_back_minor, desk.waiting), (0, vec![]));
    // The torn refund, where it is not believed, is the one step whose card has not been seen since.
    let torn = said.refunds_not_believed.iter().filter(|amount| **amount == 5_000).count();
    assert_eq!((desk.unknown.len(), status.actions_pending), (torn, torn as u64));
}

#[test]
fn a_day_with_ev1_cards_is_in_the_books_as_the_journal_has_it_up_to_what_the_desk_is_believed() {
    // Everything; all but the last exchange; the first refund only; nothing.
    for (limit, [refunds, surrenders]) in
        [(190_000, [0, 0]), (189_999, [0, 1]), (70_000, [0, 1]), (15_000, [1, 2]), (0, [2, 2])]
    {
        let house = House::believing(limit);
        let mut shop = Shop::without_allowance();
        house.sync(&mut shop);
        let on_cards = day(&mut shop);
        let synced = house.sync(&mut shop);
        let steps = shop.steps();
        assert_eq!((shop.desk.journal.counts().unwrap().1, house.sync(&mut shop).sent), (0, 0), "sent once");
        let said = said(&steps, i64::from(limit));
        let not_believed = [&said.refunds_not_believed, &said.surrenders_not_believed].map(Vec::len);
        assert_eq!(not_believed, [refunds, surrenders], "{limit}: {said:?}");

        let mut books = house.end();
        let aside: Vec<_> = synced.kept_aside.iter().map(|aside| aside.verdict).collect();
        assert_eq!(aside, vec!["mac_wrong"; refunds], "{:?}", synced.kept_aside);
        let alarms = books.status().unwrap().alarms;
        assert_eq!(alarms.values().sum::<u64>(), (refunds + surrenders) as u64, "{alarms:?}");
        assert!(alarms.keys().all(|kind| kind == "unproven_exceeded"), "{alarms:?}");
        check_money(&mut books, &said, on_cards);
        assert!(books.verify().sound);
    }
}
