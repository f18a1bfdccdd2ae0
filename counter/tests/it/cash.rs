//! Top-up, sale and refund: what is paid is on the card or given back, once, wherever the card is torn away.

use counter::desk::{Desk, Serving};
use counter::open_action::open_actions;
use counter::personalise::Person;
use counter::refusal::{DeskError, Refusal};
use counter::report::Report;
use counter::sale::Wanted;
use counter::settle::ResumedOutcome;
use key_store::Keys;
use transit::action::ActionKind;
use transit::card::{Issuer, ProductKind, Profile, Record, RecordKind};
use transit::id::LineNumber;
use transit::money::Amount;
use transit::time::Moment;
use virtual_card::{CardInField, Fault};

use crate::world::{AID, NOW, Pocket, Served, Shop, fresh, id, later};

const TOP_UP: Amount = match Amount::from_minor(20_000) {
    Some(amount) => amount,
    None => Amount::ZERO,
};
const PASS: Wanted = Wanted { kind: ProductKind::OneRoutePass, line: LineNumber(1), month: None };

/// What a clerk does with a card.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Work {
    TopUp,
    Sell,
    Refund,
}

fn serve(shop: &mut Shop, pocket: &mut Pocket, work: Work, at: Moment, fault: Option<Fault>) -> Served {
    shop.serve(pocket, at, fault, |desk: &mut Desk<Keys>, field: &mut CardInField, uid, serving, random| match work {
        Work::TopUp => desk.top_up(field, uid, TOP_UP, serving, random),
        Work::Sell => desk.sell(field, uid, PASS, serving, random),
        Work::Refund => desk.refund(field, uid, Some(TOP_UP), serving, random),
    })
}

fn newest(pocket: &Pocket) -> Record {
    Record::decode(&pocket.card().records(AID, 3).unwrap()[0]).unwrap()
}

/// The purse, how many passes are on the card by its record, and the action sequence, after a whole run of `work`.
fn expected(work: Work, before: i32, actions: u16) -> (i32, bool, u16) {
    match work {
        Work::TopUp => (before + 20_000, false, actions + 1),
        Work::Sell => (before, true, actions),
        Work::Refund => (before - 20_000, false, actions + 1),
    }
}

fn state(pocket: &Pocket) -> (i32, bool, u16) {
    let record = newest(pocket);
    assert_eq!(record.balance_after.minor(), i64::from(pocket.purse()), "record and purse are committed together");
    (pocket.purse(), record.has_pass, record.carried.action.0)
}

/// A try that turned out not to be on the card takes nothing: else a desk whose cards tear would lock itself.
#[test]
fn a_voided_try_gives_its_part_of_the_allowance_back() {
    const COMMIT: u32 = 14;
    let (mut shop, mut pocket) = (Shop::new(), Pocket::new("adult"));
    let taken = |shop: &Shop| shop.desk.journal.taken().unwrap().minor();
    for loads in 1..=3 {
        let torn = serve(&mut shop, &mut pocket, Work::TopUp, NOW, Some(Fault::LoseBefore(COMMIT))).0;
        assert!(matches!(torn, Err(DeskError::Unknown { .. })), "{torn:?}");
        assert_eq!(taken(&shop), 20_000 * loads, "while nobody knows, it counts");
        serve(&mut shop, &mut pocket, Work::TopUp, NOW, None).0.unwrap();
        assert_eq!(taken(&shop), 20_000 * loads, "{:?}", shop.step_names());
        assert_eq!(pocket.purse(), 50_000 + 20_000 * i32::try_from(loads).unwrap());
    }
}

#[test]
fn a_card_of_every_generation_is_loaded_sold_to_and_paid_out() {
    for name in ["adult", "adult-ev1"] {
        let (mut shop, mut pocket) = (Shop::new(), Pocket::new(name));
        let before = pocket.purse();
        for work in [Work::TopUp, Work::Sell, Work::Refund] {
            let (answer, exchanges) = serve(&mut shop, &mut pocket, work, NOW, None);
            assert!(answer.unwrap().1.is_some());
            let label = format!("{work:?}").to_lowercase();
            println!("{label}_exchanges {name} {exchanges}");
            let most = match (work, name) {
                (Work::TopUp, "adult") => 14,
                (Work::Sell, "adult") => 15,
                (Work::Refund, "adult") => 10,
                (Work::TopUp, _) => 19,
                (Work::Sell, _) => 22,
                (Work::Refund, _) => 15,
            };
            assert!(exchanges <= most, "{work:?} on {name} takes {exchanges} exchanges");
        }
        assert_eq!(state(&pocket), (before, true, 2));
        let expected = ["top_up paid", "top_up written", "sale paid", "sale written", "refund written"];
        assert_eq!(shop.step_names(), expected);
        assert!(open_actions(&shop.steps()).is_empty());
        let kinds: Vec<_> =
            pocket.card().records(AID, 3).unwrap().iter().take(3).map(|r| Record::decode(r).unwrap().kind).collect();
        assert_eq!(kinds, [RecordKind::Refund, RecordKind::Sale, RecordKind::Load]);
        let proven = shop.steps().iter().filter(|step| step.transaction_mac.is_some()).count();
        assert_eq!(proven, if name == "adult" { 3 } else { 0 }, "an EV1 card has no Transaction MAC");
    }
}

#[test]
fn torn_at_every_exchange_and_laid_down_again_it_is_done_once() {
    for name in ["adult", "adult-ev1"] {
        for work in [Work::TopUp, Work::Sell, Work::Refund] {
            let mut tears = 0;
            let exchanges = serve(&mut Shop::new(), &mut Pocket::new(name), work, NOW, None).1;
            for exchange in 1..=exchanges {
                for fault in [Fault::LoseBefore(exchange), Fault::LoseAfter(exchange)] {
                    let (mut shop, mut pocket) = (Shop::new(), Pocket::new(name));
                    let before = state(&pocket);
                    let what = format!("{name} {work:?} {fault:?}");
                    let torn = serve(&mut shop, &mut pocket, work, NOW, Some(fault)).0.unwrap_err();
                    tears += 1;
                    let done = expected(work, before.0, before.2);
                    let is_written = fault == Fault::LoseAfter(exchanges);
                    assert_eq!(state(&pocket), if is_written { done } else { before }, "{what}");
                    let is_unknown = exchange == exchanges;
                    assert_eq!(matches!(torn, DeskError::Unknown { .. }), is_unknown, "{what}: {torn}");

                    // The clerk types the same again.
                    let (resumed, report) = serve(&mut shop, &mut pocket, work, later(20), None).0.unwrap();
                    assert_eq!(resumed.is_empty(), report.is_some(), "{what}");
                    if work == Work::Refund && is_unknown && !is_written {
                        // Nothing was owed: the refund is made by the third try.
                        assert_eq!(resumed[0].outcome, ResumedOutcome::Undone, "{what}");
                        serve(&mut shop, &mut pocket, work, later(40), None).0.unwrap();
                    }
                    assert_eq!(state(&pocket), done, "{what}");
                    assert!(open_actions(&shop.steps()).is_empty(), "{what}");
                    let paid = shop.step_names().iter().filter(|name| name.ends_with("paid")).count();
                    assert_eq!(paid, usize::from(work != Work::Refund), "cash is taken once: {what}");
                }
            }
            println!("{work:?} {name}: {tears} tears");
        }
    }
}

#[test]
fn torn_again_and_again_at_the_commit_it_is_done_once() {
    let exchanges = serve(&mut Shop::new(), &mut Pocket::new("adult"), Work::TopUp, NOW, None).1;
    let torn = || {
        let (mut shop, mut pocket) = (Shop::new(), Pocket::new("adult"));
        assert!(serve(&mut shop, &mut pocket, Work::TopUp, NOW, Some(Fault::LoseBefore(exchanges))).0.is_err());
        (shop, pocket)
    };
    // A look at the card and the whole transaction once more.
    let (mut shop, mut pocket) = torn();
    let resumed_exchanges = serve(&mut shop, &mut pocket, Work::TopUp, later(10), None).1;

    let (mut shop, mut pocket) = torn();
    for again in 1..=5 {
        let fault = Some(Fault::LoseBefore(resumed_exchanges));
        let unknown = serve(&mut shop, &mut pocket, Work::TopUp, later(again * 10), fault).0.unwrap_err();
        assert!(matches!(unknown, DeskError::Unknown { .. }), "{unknown}");
        assert_eq!(pocket.purse(), 50_000);
    }
    let (resumed, _) = serve(&mut shop, &mut pocket, Work::TopUp, later(100), None).0.unwrap();
    assert_eq!(resumed[0].outcome, ResumedOutcome::Finished);
    assert_eq!(pocket.purse(), 70_000);
    assert_eq!(shop.step_names().iter().filter(|name| name.ends_with("paid")).count(), 1);
}

#[test]
fn a_process_that_dies_while_the_card_commits_leaves_an_unknown_step_that_the_card_resolves() {
    for is_committed in [false, true] {
        let (mut shop, mut pocket) = (Shop::new(), Pocket::new("adult"));
        let exchanges = serve(&mut Shop::new(), &mut Pocket::new("adult"), Work::TopUp, NOW, None).1;
        let fault = if is_committed { Fault::LoseAfter(exchanges) } else { Fault::LoseBefore(exchanges) };
        let unknown = serve(&mut shop, &mut pocket, Work::TopUp, NOW, Some(fault)).0.unwrap_err();
        assert!(matches!(unknown, DeskError::Unknown { .. }));
        // The same bytes as an intent: what a death between intent and conclusion leaves.
        let (mut fresh, mut other) = (Shop::new(), Pocket::new("adult"));
        let paid = &shop.steps()[0];
        let attempt = shop.steps()[1].clone();
        fresh.desk.journal.append(paid).unwrap();
        fresh.desk.journal.intend(&attempt).unwrap();
        let (mut fresh, adopted) = fresh.restart();
        assert_eq!(adopted.map(|step| step.id), Some(attempt.id));
        std::mem::swap(&mut other, &mut pocket);
        let (resumed, _) = serve(&mut fresh, &mut other, Work::TopUp, later(60), None).0.unwrap();
        let outcome = if is_committed { ResumedOutcome::Found } else { ResumedOutcome::Finished };
        assert_eq!((resumed[0].action, resumed[0].outcome), (id(1), outcome));
        assert_eq!(other.purse(), 70_000);
    }
}

#[test]
fn cash_is_given_back_only_when_it_is_certain_that_the_card_does_not_have_it() {
    let exchanges = serve(&mut Shop::new(), &mut Pocket::new("adult"), Work::TopUp, NOW, None).1;
    let serving = Serving { staff: 7, at: later(60) };

    // The commit was never sent.
    let (mut shop, mut pocket) = (Shop::new(), Pocket::new("adult"));
    assert!(serve(&mut shop, &mut pocket, Work::TopUp, NOW, Some(Fault::LoseBefore(exchanges - 1))).0.is_err());
    let report = shop.desk.give_back(id(1), |_| unreachable!("nothing to ask"), serving).unwrap();
    assert_eq!(report, Report::GivenBack { action: id(1), amount_minor: TOP_UP });
    assert_eq!(shop.step_names(), ["top_up paid", "top_up void", "top_up refunded"]);
    let twice = shop.desk.give_back(id(1), |_| None, serving).unwrap_err();
    assert!(matches!(twice, DeskError::Refused(Refusal::NotOpen(_))), "{twice}");
    let (resumed, report) = serve(&mut shop, &mut pocket, Work::TopUp, later(90), None).0.unwrap();
    assert!(resumed.is_empty() && report.is_some(), "a new top-up for new cash");
    assert_eq!(pocket.purse(), 70_000);

    // The commit was sent, and the card is gone: it waits until the clearing house knows.
    for (fault, written, refusal) in [
        (Fault::LoseBefore(exchanges), false, None),
        (Fault::LoseAfter(exchanges), true, Some(Refusal::IsWritten(id(1)))),
    ] {
        let (mut shop, mut pocket) = (Shop::new(), Pocket::new("adult"));
        assert!(serve(&mut shop, &mut pocket, Work::TopUp, NOW, Some(fault)).0.is_err());
        let waits = shop.desk.give_back(id(1), |_| None, serving).unwrap_err();
        assert!(matches!(waits, DeskError::Refused(Refusal::StillUnknown(_))), "{waits}");
        let answer = shop.desk.give_back(id(1), |_| Some(written), serving);
        match (answer, refusal) {
            (Ok(report), None) => assert_eq!(report, Report::GivenBack { action: id(1), amount_minor: TOP_UP }),
            (Err(DeskError::Refused(refused)), Some(refusal)) => assert_eq!(refused, refusal),
            (answer, _) => panic!("{answer:?}"),
        }
        assert!(open_actions(&shop.steps()).is_empty());
    }
}

#[test]
fn loads_and_sales_count_against_the_allowance_until_it_is_used_up_or_ends() {
    let refused = |answer: Served| match answer.0 {
        Err(DeskError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    let mut shop = Shop::without_allowance();
    let mut pocket = Pocket::new("adult");
    assert_eq!(refused(serve(&mut shop, &mut pocket, Work::TopUp, NOW, None)), Refusal::NoAllowance);

    shop.allow(1, 50_000, later(1000));
    for _ in 0..2 {
        serve(&mut shop, &mut pocket, Work::TopUp, NOW, None).0.unwrap();
    }
    let used_up = Refusal::AllowanceUsedUp { left_minor: 10_000, asked_minor: 20_000 };
    assert_eq!(refused(serve(&mut shop, &mut pocket, Work::TopUp, NOW, None)), used_up);
    let sale = Refusal::AllowanceUsedUp { left_minor: 10_000, asked_minor: 140_000 };
    assert_eq!(refused(serve(&mut shop, &mut pocket, Work::Sell, NOW, None)), sale);
    serve(&mut shop, &mut pocket, Work::Refund, NOW, None).0.unwrap();

    shop.allow(2, 500_000, later(2000));
    serve(&mut shop, &mut pocket, Work::Sell, NOW, None).0.unwrap();
    let expired = refused(serve(&mut shop, &mut pocket, Work::TopUp, later(2001), None));
    assert!(matches!(expired, Refusal::AllowanceExpired(_)), "{expired}");
    // A clock that is set back does not bring an ended allowance back.
    serve(&mut shop, &mut pocket, Work::Refund, later(5000), None).0.unwrap();
    let behind = refused(serve(&mut shop, &mut pocket, Work::TopUp, NOW, None));
    assert!(matches!(behind, Refusal::ClockBehind { .. }), "{behind}");
    assert!(shop.step_names().iter().filter(|name| name.ends_with("paid")).count() == 3, "a refusal takes no cash");
}

#[test]
fn an_allowance_that_the_clearing_house_did_not_sign_counts_for_nothing() {
    use counter::journal::{AnswerKind, KeptAnswer};
    use transit::desk::{Allowance, Ask, Reply};
    let allowance = Allowance {
        desk: transit::id::DeviceId::new(crate::world::DESK).unwrap(),
        epoch: 1,
        number: 9,
        loads_through_minor: Amount::from(u32::MAX),
        valid_until: later(1_000_000),
    };
    let good = crate::world::signed(Ask::Allowance, Reply::Allowance(allowance));
    let forged = KeptAnswer { text: good.text.replace("4294967295", "4294967296"), ..good };
    let (mut shop, mut pocket) = (Shop::without_allowance(), Pocket::new("adult"));
    shop.desk.journal.keep(AnswerKind::Allowance, 9, &forged).unwrap();
    let refused = serve(&mut shop, &mut pocket, Work::TopUp, NOW, None).0.unwrap_err();
    assert!(matches!(refused, DeskError::Refused(Refusal::NoAllowance)), "{refused}");
}

#[test]
fn what_a_card_cannot_take_is_refused_before_the_cash_is_taken() {
    let (mut shop, mut pocket) = (Shop::new(), Pocket::new("adult"));
    shop.allow(2, 1_000_000_000, later(1000));
    let too_much = shop.serve(&mut pocket, NOW, None, |desk, field, uid, serving, random| {
        desk.top_up(field, uid, Amount::from(1_960_000), serving, random)
    });
    assert!(matches!(too_much.0, Err(DeskError::Refused(Refusal::Record(_)))), "{:?}", too_much.0);
    let (mut poor, mut empty) = (Shop::new(), Pocket::new("elderly"));
    let nothing = poor.serve(&mut empty, NOW, None, |desk, field, uid, serving, random| {
        desk.refund(field, uid, None, serving, random)
    });
    assert!(matches!(nothing.0, Err(DeskError::Refused(Refusal::EmptyPurse))), "{:?}", nothing.0);
    assert!(shop.steps().is_empty() && poor.steps().is_empty());
}

#[test]
fn a_pass_is_sold_for_the_first_month_that_the_card_lacks_at_the_price_of_its_profile() {
    let (mut shop, mut pocket) = (Shop::new(), Pocket::new("adult"));
    let mut sold = Vec::new();
    for _ in 0..2 {
        let (answer, _) = serve(&mut shop, &mut pocket, Work::Sell, NOW, None);
        let Some(Report::Sold(pass)) = answer.unwrap().1 else { panic!("no pass") };
        sold.push((pass.valid_from.to_string(), pass.valid_until.to_string(), pass.price_minor.minor()));
    }
    let november = ("2026-11-01".to_owned(), "2026-11-30".to_owned(), 140_000);
    let december = ("2026-12-01".to_owned(), "2026-12-31".to_owned(), 140_000);
    assert_eq!(sold, [november, december]);
    let third = serve(&mut shop, &mut pocket, Work::Sell, NOW, None).0.unwrap_err();
    assert!(matches!(third, DeskError::Refused(Refusal::Pass(_))), "{third}");
    let issuer_written = shop.steps().iter().rev().find_map(|step| step.issuer_written).unwrap();
    let passes = Issuer::decode(&issuer_written).unwrap().products;
    assert_eq!(passes.iter().filter(|pass| pass.kind == ProductKind::OneRoutePass).count(), 2);

    // At 02:00 on the first of December it is still November, where a service day begins at 04:00.
    let (mut night, mut other) = (Shop::new(), Pocket::new("adult"));
    let (answer, _) = serve(&mut night, &mut other, Work::Sell, Moment(1_796_065_200), None);
    let Some(Report::Sold(pass)) = answer.unwrap().1 else { panic!("no pass") };
    assert_eq!(pass.valid_until.to_string(), "2026-11-30");
}

#[test]
fn a_tap_between_two_looks_does_not_hide_what_was_written() {
    let exchanges = serve(&mut Shop::new(), &mut Pocket::new("adult"), Work::TopUp, NOW, None).1;
    for fault in [Fault::LoseBefore(exchanges), Fault::LoseAfter(exchanges)] {
        let (mut shop, mut pocket) = (Shop::new(), Pocket::new("adult"));
        assert!(serve(&mut shop, &mut pocket, Work::TopUp, NOW, Some(fault)).0.is_err());
        // Another desk serves the card in between.
        let mut elsewhere = Shop::new();
        for hours in 1..=3 {
            serve(&mut elsewhere, &mut pocket, Work::Refund, later(3600 * hours), None).0.unwrap_or_default();
            serve(&mut elsewhere, &mut pocket, Work::TopUp, later(3600 * hours + 60), None).0.unwrap();
        }
        let before = pocket.purse();
        let (resumed, _) = serve(&mut shop, &mut pocket, Work::TopUp, later(20_000), None).0.unwrap();
        let is_written = fault == Fault::LoseAfter(exchanges);
        let outcome = if is_written { ResumedOutcome::Found } else { ResumedOutcome::Finished };
        assert_eq!(resumed[0].outcome, outcome, "{fault:?}");
        assert_eq!(pocket.purse(), if is_written { before } else { before + 20_000 });
        assert_eq!(resumed[0].kind, ActionKind::TopUp);
    }
}

#[test]
fn a_blocked_card_is_neither_loaded_nor_sold_to_nor_paid_out() {
    for work in [Work::TopUp, Work::Sell, Work::Refund] {
        let (mut shop, mut pocket) = (Shop::new(), Pocket::new("denied"));
        let refused = serve(&mut shop, &mut pocket, work, NOW, None).0.unwrap_err();
        assert!(matches!(refused, DeskError::Refused(Refusal::Blocked)), "{work:?}: {refused}");
        assert!(shop.steps().is_empty());

        // One that this desk blocked itself, before any list has it.
        let mut stolen = Pocket::new("adult");
        let card = shop.desk.token(&stolen.uid()).unwrap().1;
        shop.desk.block(card, Serving { staff: 7, at: NOW }).unwrap();
        let refused = serve(&mut shop, &mut stolen, work, NOW, None).0.unwrap_err();
        assert!(matches!(refused, DeskError::Refused(Refusal::Blocked)), "{work:?}: {refused}");
        assert_eq!(shop.step_names(), ["block done"]);
    }
}

/// Every answer of a top-up, with each of its bytes changed in turn: the desk says "loaded" only where the card is.
#[test]
fn a_changed_answer_never_passes_for_a_load() {
    let exchanges = serve(&mut Shop::new(), &mut Pocket::new("adult"), Work::TopUp, NOW, None).1;
    let mut changed = 0;
    for exchange in 1..=exchanges {
        for index in 0.. {
            let (mut shop, mut pocket) = (Shop::new(), Pocket::new("adult"));
            let uid = pocket.uid();
            let length = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let seen = std::sync::Arc::clone(&length);
            let mutation = Box::new(move |number, mut answer: Vec<u8>| {
                if number == exchange {
                    seen.store(answer.len(), std::sync::atomic::Ordering::Relaxed);
                    if let Some(byte) = answer.get_mut(index) {
                        *byte ^= 0x10;
                    }
                }
                answer
            });
            let serving = Serving { staff: 7, at: NOW };
            let (answer, _) =
                pocket.present_changed(mutation, |field| shop.desk.top_up(field, &uid, TOP_UP, serving, &mut fresh));
            changed += 1;
            let is_loaded = pocket.purse() == 70_000;
            assert!(is_loaded || pocket.purse() == 50_000);
            assert!(is_loaded || answer.is_err(), "exchange {exchange}, byte {index}");
            // What the desk does not know, the card settles.
            serve(&mut shop, &mut pocket, Work::TopUp, later(60), None).0.unwrap();
            let paid = shop.step_names().iter().filter(|name| name.ends_with("paid")).count();
            assert_eq!(i64::from(pocket.purse()), 50_000 + 20_000 * paid as i64, "exchange {exchange}, byte {index}");
            if index + 1 >= length.load(std::sync::atomic::Ordering::Relaxed) {
                break;
            }
        }
    }
    println!("{changed} changed answers");
}

/// Whatever a step is of: a clock that went back by more than two minutes makes none.
#[test]
fn no_step_is_made_by_a_clock_that_went_back() {
    type Step = fn(&mut Shop, &mut Pocket, Serving) -> Result<(), DeskError>;
    const PERSON: Person = Person { profile: Profile::Ordinary, profile_valid_until: None, holder: None };
    let steps: [(&str, &str, Step); 8] = [
        ("top-up", "adult", |shop, pocket, by| serve(shop, pocket, Work::TopUp, by.at, None).0.map(drop)),
        ("sell", "adult", |shop, pocket, by| serve(shop, pocket, Work::Sell, by.at, None).0.map(drop)),
        ("refund", "adult", |shop, pocket, by| serve(shop, pocket, Work::Refund, by.at, None).0.map(drop)),
        ("give back", "adult", |shop, _, by| shop.desk.give_back(id(1), |_| None, by).map(drop)),
        ("settle", "adult", |shop, pocket, by| {
            let uid = pocket.uid();
            pocket.present(None, |field| shop.desk.settle(field, &uid, by, &mut fresh, &mut Vec::new())).0
        }),
        ("block", "adult", |shop, pocket, by| {
            let card = shop.desk.token(&pocket.uid())?.1;
            shop.desk.block(card, by).map(drop)
        }),
        ("exchange", "adult", |shop, pocket, by| {
            let uid = pocket.uid();
            pocket.present(None, |field| shop.desk.empty_old_card(field, &uid, by, &mut fresh)).0.map(drop)
        }),
        ("issue", "blank-ev2", |shop, pocket, by| {
            let uid = pocket.uid();
            let issue = |field: &mut _| shop.desk.issue(field, &uid, PERSON, by, &mut fresh);
            pocket.present(None, issue).0.map(drop)
        }),
    ];
    let exchanges = serve(&mut Shop::new(), &mut Pocket::new("adult"), Work::Refund, NOW, None).1;
    for (name, card, step) in steps {
        let mut shop = Shop::new();
        // A top-up that waits for its card, and for the step that settles, a refund that may be on its card.
        let (mut waiting, mut torn) = (Pocket::new("student-pass"), Pocket::new("adult"));
        assert!(serve(&mut shop, &mut waiting, Work::TopUp, later(200), Some(Fault::LoseBefore(10))).0.is_err());
        let torn_away = Some(Fault::LoseAfter(exchanges));
        if name == "settle" {
            assert!(serve(&mut shop, &mut torn, Work::Refund, later(200), torn_away).0.is_err());
        }
        let mut pocket = if name == "settle" { torn } else { Pocket::new(card) };
        let before = shop.step_names();
        let refused = step(&mut shop, &mut pocket, Serving { staff: 7, at: later(79) }).expect_err(name);
        let is_clock = matches!(refused, DeskError::Refused(Refusal::ClockBehind { .. }));
        assert!(is_clock, "{name}: {refused}");
        assert_eq!(shop.step_names(), before, "{name}");
        step(&mut shop, &mut pocket, Serving { staff: 7, at: later(80) })
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(shop.steps().len() > before.len(), "{name}");
    }
}

/// Its newest record says that there are older ones, and the card has none: that is no evidence about anything.
#[test]
fn a_card_with_fewer_records_than_it_must_have_settles_nothing() {
    let exchanges = serve(&mut Shop::new(), &mut Pocket::new("adult"), Work::TopUp, NOW, None).1;
    let (mut shop, mut pocket) = (Shop::new(), Pocket::changed(&[("card_sequence = 1", "card_sequence = 5")]));
    assert!(serve(&mut shop, &mut pocket, Work::TopUp, NOW, Some(Fault::LoseBefore(exchanges))).0.is_err());
    let steps = shop.steps().len();
    let error = serve(&mut shop, &mut pocket, Work::TopUp, later(60), None).0.unwrap_err();
    assert!(matches!(error, DeskError::Card(counter::session::CardError::Refused(_))), "{error}");
    assert_eq!(shop.steps().len(), steps, "{:?}", shop.step_names());
    assert_eq!(pocket.purse(), 3_000);
}

#[test]
fn what_was_paid_and_may_not_be_written_now_waits_and_blocks_nothing_else() {
    let (mut shop, mut pocket) = (Shop::without_allowance(), Pocket::new("adult"));
    shop.allow(1, 100_000, later(100));
    assert!(serve(&mut shop, &mut pocket, Work::TopUp, NOW, Some(Fault::LoseBefore(10))).0.is_err());
    // The allowance has ended before the rider comes back.
    let (resumed, _) = serve(&mut shop, &mut pocket, Work::TopUp, later(200), None).0.unwrap();
    assert_eq!(resumed[0].outcome, ResumedOutcome::Waits);
    let uid = pocket.uid();
    let look = pocket.present(None, |field| shop.desk.inspect(field, &uid, later(210), &mut fresh));
    assert!(look.0.is_ok());
    shop.allow(2, 100_000, later(1000));
    let (resumed, _) = serve(&mut shop, &mut pocket, Work::TopUp, later(300), None).0.unwrap();
    assert_eq!((resumed[0].outcome, pocket.purse()), (ResumedOutcome::Finished, 70_000));
}

#[test]
fn the_keys_of_a_desk_suffice_to_load_sell_and_pay_out() {
    let keys = crate::world::issuer_keys().export(key_store::Custody::Desk).unwrap();
    let mut shop = Shop::with_keys(keys);
    shop.allow(1, 1_000_000, later(1000));
    let mut pocket = Pocket::new("adult");
    for work in [Work::TopUp, Work::Sell, Work::Refund] {
        serve(&mut shop, &mut pocket, work, NOW, None).0.unwrap();
    }
    assert_eq!(pocket.purse(), 50_000);
}
