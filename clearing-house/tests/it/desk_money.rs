//! What desks do to the books: cash, value, passes, and what waits.

use transit::action::{Action, ActionKind, SealedAction, Step};
use transit::tap::{Outcome, SealedTap};

use crate::desk_support::{Desk, EMPTY, End};
use crate::support::{Card, City, MORNING, Validator, later, monday};

/// What desk 900 wrote or gave back and no payment backs.
const UNBACKED: &str = "desk:900:unbacked";

/// Cash of desk 900, loads in suspense, cards' float, passes sold, and what operators are owed together.
type Money = [i64; 5];

fn money(city: &mut City) -> Money {
    city.verify();
    let balances = city.clearing_house.status().unwrap().balances_minor;
    assert_eq!(balances.values().sum::<i64>(), 0);
    for (account, balance) in &balances {
        assert!(account != "suspense:loads" || *balance >= 0, "{account} {balance}");
        assert!(!account.ends_with(":unbacked") || *balance <= 0, "{account} {balance}");
    }
    let of = |account: &str| balances.get(account).copied().unwrap_or(0);
    let payable = of("operator:1:payable") + of("operator:2:payable");
    ["desk:900:cash", "suspense:loads", "cards:float", "revenue:passes"]
        .map(of)
        .into_iter()
        .chain([payable])
        .collect::<Vec<_>>()
        .try_into()
        .unwrap()
}

fn after(actions: &[SealedAction]) -> Money {
    let mut city = City::new();
    city.upload_actions(actions);
    money(&mut city)
}

/// What is in the books after these uploads, each on its own, and in the other order.
fn after_either_way(actions: &[SealedAction], taps: &[SealedTap]) -> Money {
    let mut city = City::new();
    for action in actions {
        city.upload_actions(std::slice::from_ref(action));
    }
    city.upload(taps);
    let mut turned = City::new();
    turned.upload(taps);
    for action in actions.iter().rev() {
        turned.upload_actions(std::slice::from_ref(action));
    }
    let found = money(&mut city);
    assert_eq!(money(&mut turned), found, "the order of the uploads changes the books");
    found
}

#[test]
fn a_load_is_paid_and_then_on_the_card() {
    let load = Desk::new().load(&mut Card::new(1, 0), MORNING, 100_000);
    assert_eq!(after(&load[..1]), [-100_000, 100_000, 0, 0, 0]);
    assert_eq!(after(&load), [-100_000, 0, 100_000, 0, 0]);
    assert_eq!(after(&load[1..]), [0, 0, 100_000, 0, 0], "what was written before its payment has come");
    assert_eq!(after_either_way(&load, &[]), [-100_000, 0, 100_000, 0, 0]);
}

/// A rider waits for what they paid for, whatever else a desk writes: what nobody paid the desk owes by itself, in every
/// order of the uploads, and what its own action brings in later makes it good.
#[test]
fn what_nobody_paid_is_owed_by_the_desk_and_takes_from_no_other_rider() {
    let (mut desk, mut card) = (Desk::new(), Card::new(1, 50_000));
    let waiting = desk.paid(ActionKind::TopUp, &Card::new(2, 0), MORNING, 30_000);
    let paid = desk.paid(ActionKind::TopUp, &card, MORNING, 100_000);
    let names = paid.open().unwrap().id;
    let written = desk.top_up(names, &mut card, later(5), 100_000, End::Written);
    let back = desk.step((ActionKind::TopUp, Step::Refunded), Some(names), &card, later(9), 70_000);
    let nobody = desk.step((ActionKind::TopUp, Step::Refunded), None, &card, later(10), 5_000);
    let steps = [waiting, paid, written, back, nobody];
    // Every order of five steps.
    for order in 0..120_usize {
        let (mut city, mut rest, mut order) = (City::new(), steps.to_vec(), order);
        while !rest.is_empty() {
            let next = rest.remove(order % rest.len());
            order /= rest.len() + 1;
            city.upload_actions(std::slice::from_ref(&next));
            assert!(city.balance("suspense:loads") >= 0 && city.balance(UNBACKED) <= 0);
        }
        assert_eq!(money(&mut city), [-55_000, 30_000, 100_000, 0, 0]);
        assert_eq!(city.balance(UNBACKED), -75_000);
        assert_eq!(city.clearing_house.desk_day(monday()).unwrap().desks[0].unbacked_minor, 75_000);
    }
}

/// The old card of an exchange was torn and has not shown what it gave up: until it does, the desk owes the new one's.
#[test]
fn what_an_exchange_puts_on_a_new_card_before_its_old_one_shows_is_owed_by_the_desk() {
    let (mut desk, mut old, mut new) = (Desk::new(), Card::new(1, 42_000), Card::new(2, 0));
    let pair = desk.exchange(&mut old, &mut new, MORNING);
    let unknown = Action { step: Step::Unknown, transaction_mac: None, ..pair[0].open().unwrap() };
    (desk.next.sequence, desk.hash) = (1, transit::tap::CHAIN_START);
    let steps = [desk.seal(&unknown), desk.seal(&pair[1].open().unwrap())];
    let mut city = City::new();
    city.upload_actions(&steps);
    assert_eq!((money(&mut city), city.balance(UNBACKED)), ([0, 0, 42_000, 0, 0], -42_000));
    let shown = desk.load(&mut old, later(700), 1_000);
    city.upload_actions(&shown);
    assert_eq!((money(&mut city), city.balance(UNBACKED)), ([-1_000, 0, 1_000, 0, 0], 0));
}

/// Books of before such an account took what nobody paid from what waits. That stays right there, and nowhere after.
#[test]
fn the_audit_takes_the_older_booking_only_before_the_first_newer_one() {
    let mut city = City::new();
    let mut desk = Desk::new();
    for number in 1..=2 {
        desk.paid(ActionKind::TopUp, &Card::new(number, 0), MORNING, 10_000);
        let names = Some(desk.paid(ActionKind::TopUp, &Card::new(number, 0), MORNING, 10_000).open().unwrap().id);
        let back = desk.step((ActionKind::TopUp, Step::Refunded), names, &Card::new(number, 0), MORNING, 10_000);
        city.upload_actions(&[back]);
    }
    assert_eq!((money(&mut city), city.balance(UNBACKED)), ([20_000, 0, 0, 0, 0], -20_000));
    city.sql().execute_batch("DROP TRIGGER posting_update").unwrap();
    let mut wrong_after = |from: &str, to: &str, entry: u32| {
        let sql = "UPDATE posting SET account = ?1 WHERE account = ?2 AND entry = ?3";
        assert_eq!(city.sql().execute(sql, rusqlite::params![to, from, entry]).unwrap(), 1);
        city.clearing_house.verify().wrong.unwrap_or_default()
    };
    let wrong = wrong_after(UNBACKED, "suspense:loads", 1);
    assert_eq!(wrong, "entry 1 was changed, or one before it removed", "only its chain says so");
    assert_eq!(wrong_after("suspense:loads", UNBACKED, 1), "");
    let wrong = wrong_after(UNBACKED, "suspense:loads", 2);
    assert_eq!(wrong, "action 900-1-6: entry 2 is not what it gives");
}

#[test]
fn what_was_paid_and_not_written_is_given_back_or_tried_again() {
    let (mut desk, mut card) = (Desk::new(), Card::new(1, 0));
    let paid = desk.paid(ActionKind::TopUp, &card, MORNING, 100_000);
    let names = paid.open().unwrap().id;
    let void = desk.top_up(names, &mut card, later(5), 100_000, End::Void);
    assert_eq!(after(&[paid.clone(), void.clone()]), [-100_000, 100_000, 0, 0, 0]);
    let again = desk.top_up(names, &mut card, later(10), 100_000, End::Written);
    assert_eq!(after(&[paid.clone(), void.clone(), again]), [-100_000, 0, 100_000, 0, 0]);

    let (mut desk, mut card) = (Desk::new(), Card::new(1, 0));
    desk.paid(ActionKind::TopUp, &card, MORNING, 100_000);
    desk.top_up(names, &mut card, later(5), 100_000, End::Void);
    let back = desk.step((ActionKind::TopUp, Step::Refunded), Some(names), &card, later(10), 100_000);
    assert_eq!(after(&[paid, void, back]), [0, 0, 0, 0, 0]);
}

#[test]
fn a_pass_is_revenue_and_a_refund_is_cash() {
    let (mut desk, mut card) = (Desk::new(), Card::new(1, 50_000));
    let mut steps = desk.load(&mut card, MORNING, 30_000);
    steps.extend(desk.sell(&mut card, later(60), End::Written));
    assert_eq!(after(&steps), [-170_000, 0, 30_000, 140_000, 0]);
    steps.push(desk.refund(&mut card, later(120), 80_000, End::Written));
    assert_eq!(after(&steps), [-90_000, 0, -50_000, 140_000, 0]);
    assert_eq!(after_either_way(&steps, &[]), [-90_000, 0, -50_000, 140_000, 0]);
}

#[test]
fn an_issue_with_value_is_a_load() {
    let steps = Desk::new().issue(&mut Card::new(1, 0), MORNING, 50_000, None);
    assert_eq!(after(&steps), [-50_000, 0, 50_000, 0, 0]);
}

#[test]
fn an_exchange_moves_value_from_card_to_card() {
    let (mut old, mut new) = (Card::new(1, 42_000), Card::new(2, 0));
    let steps = Desk::new().exchange(&mut old, &mut new, MORNING);
    assert_eq!((old.record.balance_after.minor(), new.record.balance_after.minor()), (0, 42_000));
    assert_eq!(after(&steps[..1]), [0, 42_000, -42_000, 0, 0], "taken off and not put on yet");
    assert_eq!(after_either_way(&steps, &[]), [0, 0, 0, 0, 0]);
}

#[test]
fn rides_draw_down_what_was_loaded() {
    let (mut desk, mut validator, mut card) = (Desk::new(), Validator::new(1, 1), Card::new(1, 0));
    let steps = desk.load(&mut card, MORNING, 20_000);
    let ride = validator.done(&mut card, later(60));
    assert_eq!(after_either_way(&steps, &[ride]), [-20_000, 0, 12_000, 0, 8_000]);
}

/// An unknown load waits in suspense until the card shows, by a tap or at a desk, whichever comes first.
#[test]
fn an_unknown_load_is_decided_by_the_card() {
    for (committed, expected) in
        [(true, [-100_000, 0, 92_000, 0, 8_000]), (false, [-100_000, 100_000, -8_000, 0, 8_000])]
    {
        let (mut desk, mut card) = (Desk::new(), Card::new(1, 50_000));
        let paid = desk.paid(ActionKind::TopUp, &card, MORNING, 100_000);
        let names = paid.open().unwrap().id;
        let unknown = desk.top_up(names, &mut card, later(5), 100_000, End::Unknown { committed });
        assert_eq!(after(&[paid.clone(), unknown.clone()]), [-100_000, 100_000, 0, 0, 0]);
        let ride = Validator::new(3, 2).done(&mut card, later(3_600));
        assert_eq!(after_either_way(&[paid, unknown], &[ride]), expected, "committed: {committed}");
    }
    let (mut desk, mut card) = (Desk::new(), Card::new(1, 50_000));
    let paid = desk.paid(ActionKind::TopUp, &card, MORNING, 100_000);
    let unknown = desk.top_up(paid.open().unwrap().id, &mut card, later(5), 100_000, End::Unknown { committed: true });
    let steps = [vec![paid, unknown], desk.sell(&mut card, later(60), End::Written)].concat();
    assert_eq!(after_either_way(&steps, &[]), [-240_000, 0, 100_000, 140_000, 0]);
}

#[test]
fn an_unknown_sale_and_an_unknown_refund_are_decided_by_the_card() {
    for committed in [true, false] {
        let (mut desk, mut card) = (Desk::new(), Card::new(1, 50_000));
        let sale = desk.sell(&mut card, MORNING, End::Unknown { committed });
        let ride = Validator::new(1, 1).done(&mut Card { issuer: card.issuer.or(Some(EMPTY)), ..card }, later(600));
        let paid_for = if committed { [-140_000, 0, 0, 140_000, 0] } else { [-140_000, 140_000, -8_000, 0, 8_000] };
        assert_eq!(after_either_way(&sale, &[ride]), paid_for, "a sale, committed: {committed}");

        let (mut desk, mut card) = (Desk::new(), Card::new(1, 50_000));
        let refund = desk.refund(&mut card, MORNING, 30_000, End::Unknown { committed });
        let ride = Validator::new(1, 1).done(&mut card, later(600));
        assert_eq!(after(std::slice::from_ref(&refund)), [0; 5], "no cash without the card's proof");
        let paid_out = if committed { [30_000, 0, -38_000, 0, 8_000] } else { [0, 0, -8_000, 0, 8_000] };
        assert_eq!(after_either_way(&[refund], &[ride]), paid_out, "a refund, committed: {committed}");
    }
}

/// A desk's action is a record like any other: it decides an unknown tap.
#[test]
fn a_load_decides_an_unknown_tap() {
    for (committed, expected) in [(true, [-10_000, 0, 2_000, 0, 8_000]), (false, [-10_000, 0, 10_000, 0, 0])] {
        let (mut desk, mut card) = (Desk::new(), Card::new(1, 50_000));
        let unknown = Validator::new(1, 1).unknown(&mut card, MORNING, committed);
        let load = desk.load(&mut card, later(60), 10_000);
        assert_eq!(after_either_way(&load, &[unknown]), expected, "committed: {committed}");
    }
}

#[test]
fn a_desk_s_word_about_an_unknown_load_of_a_card_that_can_prove_moves_nothing() {
    let (mut desk, mut card) = (Desk::new(), Card::new(1, 50_000));
    let mut steps = desk.load(&mut card, MORNING, 10_000);
    let paid = desk.paid(ActionKind::TopUp, &card, MORNING, 100_000);
    let names = paid.open().unwrap().id;
    let unknown = desk.top_up(names, &mut card, later(5), 100_000, End::Unknown { committed: true });
    let resolves = unknown.open().unwrap().id;
    let waiting = [-110_000, 100_000, 10_000, 0, 0];
    let confirmed = desk.step((ActionKind::TopUp, Step::Confirmed { resolves }), Some(names), &card, later(9), 100_000);
    steps.extend([paid, unknown, confirmed]);
    assert_eq!(after(&steps), waiting);
    let mut city = City::new();
    city.upload_actions(&steps);
    assert_eq!(city.clearing_house.status().unwrap().actions_pending, 1);
    let ride = Validator::new(1, 1).done(&mut card, later(600));
    city.upload(std::slice::from_ref(&ride));
    assert_eq!(city.clearing_house.status().unwrap().actions_pending, 0);
    assert_eq!(after_either_way(&steps, &[ride]), [-110_000, 0, 102_000, 0, 8_000]);
}

/// The desk says void and gives the cash back; the card says otherwise. The desk is short, and people are told.
#[test]
fn a_void_that_the_card_contradicts_is_found() {
    let (mut desk, mut card) = (Desk::new(), Card::new(1, 50_000));
    let paid = desk.paid(ActionKind::TopUp, &card, MORNING, 100_000);
    let names = paid.open().unwrap().id;
    let unknown = desk.top_up(names, &mut card, later(5), 100_000, End::Unknown { committed: true });
    let resolves = unknown.open().unwrap().id;
    let voided = desk.step((ActionKind::TopUp, Step::Voided { resolves }), Some(names), &card, later(9), 100_000);
    let back = desk.step((ActionKind::TopUp, Step::Refunded), Some(names), &card, later(10), 100_000);
    let ride = Validator::new(1, 1).done(&mut card, later(600));
    let steps = [paid, unknown, voided, back];
    for turned in [false, true] {
        let mut city = City::new();
        if turned {
            city.upload(std::slice::from_ref(&ride));
        }
        city.upload_actions(&steps);
        if !turned {
            city.upload(std::slice::from_ref(&ride));
        }
        assert_eq!((money(&mut city), city.balance(UNBACKED)), ([0, 0, 92_000, 0, 8_000], -100_000));
        assert_eq!(city.clearing_house.status().unwrap().findings["evidence_differs"], 1);
    }
}

#[test]
fn an_amount_that_the_card_does_not_have_waits_for_people() {
    let (mut desk, mut card) = (Desk::new(), Card::new(1, 50_000));
    let paid = desk.paid(ActionKind::TopUp, &card, MORNING, 100_000);
    let names = paid.open().unwrap().id;
    let mut lie =
        desk.top_up(names, &mut card.clone(), later(5), 100_000, End::Unknown { committed: true }).open().unwrap();
    desk.next.sequence -= 1;
    desk.hash = paid.hash();
    let real = desk.top_up(names, &mut card, later(5), 10_000, End::Unknown { committed: true }).open().unwrap();
    lie = Action { record_read: real.record_read, ..lie };
    desk.next.sequence -= 1;
    desk.hash = paid.hash();
    let lie = desk.seal(&lie);
    let ride = Validator::new(1, 1).done(&mut card, later(600));
    let mut city = City::new();
    city.upload_actions(&[paid, lie]);
    city.upload(&[ride]);
    assert_eq!(money(&mut city), [-100_000, 100_000, -8_000, 0, 8_000]);
    assert_eq!(city.clearing_house.status().unwrap().findings["evidence_differs"], 1);
}

#[test]
fn a_statement_is_about_rides_only() {
    let (mut desk, mut validator, mut card) = (Desk::new(), Validator::new(1, 1), Card::new(1, 0));
    let mut steps = desk.load(&mut card, MORNING, 20_000);
    let ride = validator.done(&mut card, later(60));
    steps.extend(desk.sell(&mut card, later(120), End::Written));
    let mut city = City::new();
    city.upload_actions(&steps);
    city.upload(&[ride]);
    let day = city.clearing_house.settle(monday(), later(7_200)).unwrap();
    let statement = &day.statements[0].statement;
    assert_eq!((statement.rides, statement.amount_minor.minor(), statement.pending.rides), (1, 8_000, 0));
    assert_eq!(city.balance("operator:1:settled"), 8_000);
    // What a desk sends later counts from the day of its receipt on; the closed day stays.
    let late = desk.load(&mut card, later(300), 10_000);
    city.upload_actions_at(&late, later(86_400));
    assert_eq!(city.clearing_house.settle(monday(), later(90_000)).unwrap(), day);
    city.verify();
}

#[test]
fn the_desk_s_day_is_what_its_till_must_have() {
    let (mut desk, mut card) = (Desk::new(), Card::new(1, 50_000));
    let mut steps = desk.load(&mut card, MORNING, 100_000);
    steps.extend(desk.sell(&mut card, later(60), End::Written));
    steps.push(desk.refund(&mut card, later(120), 30_000, End::Written));
    let waiting = desk.paid(ActionKind::TopUp, &card, later(180), 20_000);
    let given_back = desk.paid(ActionKind::TopUp, &card, later(240), 5_000);
    let names = given_back.open().unwrap().id;
    steps.extend([waiting.clone(), given_back]);
    steps.push(desk.step((ActionKind::TopUp, Step::Refunded), Some(names), &card, later(250), 5_000));
    let unknown = desk.refund(&mut card, later(300), 1_000, End::Unknown { committed: false });
    steps.extend([unknown.clone(), desk.block(&card, later(310))]);
    // The night after, at 03:00, is the same service day; 04:00 is the next.
    steps.push(desk.paid(ActionKind::TopUp, &card, later(19 * 3_600), 1));
    steps.push(desk.paid(ActionKind::TopUp, &card, later(20 * 3_600), 2));
    let mut city = City::new();
    city.upload_actions_at(&steps, later(86_400));
    let days = city.clearing_house.desk_day(monday()).unwrap();
    let day = &days.desks[0];
    assert_eq!(days.desks.len(), 1);
    assert_eq!((day.taken_minor, day.given_back_minor, day.paid_out_minor), (265_001, 5_000, 30_000));
    assert_eq!((day.till_minor, day.till_by_staff_minor[&7], day.written_minor), (230_001, 230_001, 240_000));
    let id = |action: &SealedAction| action.open().unwrap().id.to_string();
    assert_eq!(day.unknown, [id(&unknown)]);
    assert_eq!(day.waiting, [id(&waiting), "900-1-11".to_owned()]);
    assert_eq!((day.steps["top_up paid"], day.steps["block done"]), (4, 1));
    let text = days.to_string();
    assert!(text.contains("The till gained                        230.001\u{a0}₫\n  … with staff 7"), "{text}");
    // The ledger says the same of the desk over both days.
    assert_eq!(city.balance("desk:900:cash"), -230_003);
}

/// A step that is unknown waits for its card until the card, or the desk's look at it, says what became of it.
#[test]
fn the_desk_s_day_names_the_unknown_steps_that_nobody_knows_more_of() {
    let (mut desk, mut seen) = (Desk::new(), Card::new(1, 50_000));
    let (mut looked_at, mut away) = (Card::new(2, 50_000), Card::new(3, 50_000));
    let lost = End::Unknown { committed: false };
    let shown = desk.refund(&mut seen, MORNING, 1_000, lost);
    let voided = desk.refund(&mut looked_at, later(60), 1_000, lost);
    let names = voided.open().unwrap().id;
    let look =
        desk.step((ActionKind::Refund, Step::Voided { resolves: names }), Some(names), &looked_at, later(90), 1_000);
    let waits = desk.refund(&mut away, later(120), 1_000, lost);
    let mut city = City::new();
    city.upload_actions(&[shown, voided, look, waits]);
    city.upload(&[Validator::new(1, 1).done(&mut seen, later(600))]);
    assert_eq!(city.clearing_house.desk_day(monday()).unwrap().desks[0].unknown, ["900-1-4"]);
}

#[test]
fn the_desk_s_day_reads() {
    let (mut desk, mut card) = (Desk::new(), Card::new(1, 50_000));
    let mut steps = desk.load(&mut card, MORNING, 100_000);
    steps.push(desk.refund(&mut card, later(60), 30_000, End::Written));
    let returned = desk.paid(ActionKind::TopUp, &card, later(120), 5_000);
    let names = Some(returned.open().unwrap().id);
    steps.extend([returned, desk.step((ActionKind::TopUp, Step::Refunded), names, &card, later(130), 5_000)]);
    steps.push(desk.step((ActionKind::TopUp, Step::Refunded), None, &card, later(140), 2_000));
    let mut city = City::new();
    city.upload_actions(&steps);
    let text = |city: &mut City| city.clearing_house.desk_day(monday()).unwrap().to_string().replace('\u{a0}', " ");
    let head = "\
Desk 900 of operator 1, service day 2026-11-23
  refund written                   1
  top_up paid                      2
  top_up refunded                  2
  top_up written                   1
  Cash taken                             105.000 ₫
  Given back                              −7.000 ₫
  Paid out of cards                      −30.000 ₫
  The till gained                         68.000 ₫
  … with staff 7                          68.000 ₫
  Written on cards for cash              100.000 ₫
  Unbacked by any payment                  2.000 ₫
";
    let tail = "Service day 2026-11-23: 1 desk(s)\n";
    assert_eq!(text(&mut city), format!("{head}{tail}"));

    // What waits has a line of its own.
    let waiting = desk.paid(ActionKind::TopUp, &card, later(180), 1);
    let unknown = desk.refund(&mut card, later(240), 1_000, End::Unknown { committed: false });
    city.upload_actions(&[waiting, unknown]);
    let waits = "  Paid, not finished          900-1-7\n  Card not seen since         900-1-8\n";
    let said = text(&mut city);
    assert!(said.ends_with(&format!("{waits}{tail}")), "{said}");
}

/// The unknown tap of a card that is loaded before its next tap: its validator's void and the desk's record agree.
#[test]
fn a_void_tap_and_a_load_agree() {
    let (mut desk, mut validator, mut card) = (Desk::new(), Validator::new(1, 1), Card::new(1, 50_000));
    let unknown = validator.unknown(&mut card, MORNING, false);
    let names = unknown.open().unwrap().id;
    let look = validator.look(&card, later(10), Outcome::Voided { names });
    let load = desk.load(&mut card, later(60), 10_000);
    assert_eq!(after_either_way(&load, &[unknown, look]), [-10_000, 0, 10_000, 0, 0]);
}
