//! Cards on EV1 chips at a desk, where Transaction MACs are enforced: they cannot prove what they give up.

use clearing_house::{ClearingHouse, Config};
use rusqlite::params;
use transit::action::{Action, ActionKind, SealedAction, Step};
use transit::id::TapId;
use transit::sync::Verdict::{self, Accepted, MacWrong};

use crate::desk_support::{Desk, End};
use crate::support::{Card, City, DAY_S, MORNING, Validator, desk_key, later, monday, verdicts};

fn ev1_desk() -> Desk {
    Desk { serves_ev1: true, ..Desk::new() }
}

/// Uploads each step on its own: what waits is never less than nothing, and the books hold together after each.
fn upload(city: &mut City, steps: &[SealedAction]) -> Vec<Verdict> {
    let mut said = Vec::new();
    for step in steps {
        let acknowledgement = city.upload_actions_at(std::slice::from_ref(step), step.open().unwrap().at);
        said.extend(verdicts(&acknowledgement));
        assert!(city.balance("suspense:loads") >= 0, "{}", city.balance("suspense:loads"));
        assert_eq!(city.clearing_house.status().unwrap().balances_minor.values().sum::<i64>(), 0);
        city.verify();
    }
    said
}

/// Cash of desk 900, loads in suspense and cards' float; unproven steps found, and alarms that there were too many.
fn state(city: &mut City) -> ([i64; 3], [u64; 2]) {
    let status = city.clearing_house.status().unwrap();
    let balance = |account: &str| status.balances_minor.get(account).copied().unwrap_or(0);
    let count = |found: Option<&u64>| found.copied().unwrap_or(0);
    let found = [count(status.findings.get("unproven")), count(status.alarms.get("unproven_exceeded"))];
    (["desk:900:cash", "suspense:loads", "cards:float"].map(balance), found)
}

#[test]
fn a_refund_of_an_ev1_card_is_booked_up_to_a_limit_a_day() {
    let (mut desk, mut city) = (ev1_desk(), City::with_unproven_daily_limit_of_desks(50_000));
    let mut card = Card::new(1, 200_000);
    let steps = [30_000, 20_000, 1_000].map(|amount| desk.refund(&mut card, MORNING, amount, End::Written));
    assert_eq!(upload(&mut city, &steps), [Accepted, Accepted, MacWrong]);
    assert_eq!(state(&mut city), ([50_000, 0, -50_000], [2, 1]));
    let said = city.upload_actions(&steps[2..]).taps[0].detail.clone().unwrap();
    assert!(said.contains("it carries no Transaction MAC, and desk 900 is believed at most 50000 a day"), "{said}");
    assert_eq!(state(&mut city).1, [2, 1], "sent again, not found again");
    // The next day has its own, and so has another desk.
    let next_day = desk.refund(&mut card, later(DAY_S), 50_000, End::Written);
    let mut other = Desk { serves_ev1: true, ..Desk::numbered(901, 2, 0x45) };
    let of_other = other.refund(&mut Card::new(2, 50_000), MORNING, 50_000, End::Written);
    assert_eq!(upload(&mut city, &[next_day, of_other]), [Accepted; 2]);
    assert_eq!(city.balance("desk:901:cash"), 50_000);
    // A wrong Transaction MAC is no missing one, and a proven refund counts for nothing here.
    let mut proven = Desk { serves_ev1: false, ..other };
    let refund = proven.refund(&mut Card::new(3, 90_000), MORNING, 90_000, End::Written);
    assert_eq!(upload(&mut city, std::slice::from_ref(&refund)), [Accepted]);
    let mut wrong = proven.refund(&mut Card::new(4, 1_000), later(DAY_S), 1_000, End::Written).open().unwrap();
    wrong.transaction_mac.as_mut().unwrap().value[0] ^= 1;
    let wrong = wrong.seal(&refund.hash(), |bytes| desk_key(0x45).sign(bytes).as_ref().try_into().unwrap()).unwrap();
    assert_eq!(upload(&mut city, &[wrong]), [MacWrong]);
}

#[test]
fn an_exchange_of_ev1_cards_moves_their_value_up_to_the_limit() {
    let (mut desk, mut city) = (ev1_desk(), City::with_unproven_daily_limit_of_desks(50_000));
    let exchange = |desk: &mut Desk, amount| desk.exchange(&mut Card::new(1, amount), &mut Card::new(2, 0), MORNING);
    desk.allowance(&mut city, MORNING);
    assert_eq!(upload(&mut city, &exchange(&mut desk, 50_000)), [Accepted; 2]);
    assert_eq!(state(&mut city), ([0, 0, 0], [2, 0]));
    // Past it the new card has the value all the same: who made it owes it.
    assert_eq!(upload(&mut city, &exchange(&mut desk, 8_000)), [Accepted; 2]);
    assert_eq!(state(&mut city), ([-8_000, 0, 8_000], [4, 1]));
    // From an EV1 card to one that proves its load, and nobody's first step is missing.
    let old = exchange(&mut desk, 9_000).remove(0);
    (desk.next.sequence, desk.hash, desk.serves_ev1) = (6, old.hash(), false);
    let load = exchange(&mut Desk { next: old.open().unwrap().id, hash: old.previous_hash(), ..Desk::new() }, 9_000);
    let load: Action = load[1].open().unwrap();
    let load = desk.seal(&load);
    assert_eq!(upload(&mut city, &[old, load]), [Accepted; 2]);
    assert_eq!(state(&mut city), ([-17_000, 0, 17_000], [5, 2]));
    assert_eq!(city.clearing_house.status().unwrap().alarms.len(), 1);
}

/// Both count together, and the order of the uploads does not change the money.
#[test]
fn refunds_and_exchanges_share_the_limit() {
    let mut desk = ev1_desk();
    let mut steps = vec![desk.refund(&mut Card::new(3, 40_000), MORNING, 40_000, End::Written)];
    steps.extend(desk.exchange(&mut Card::new(1, 20_000), &mut Card::new(2, 0), MORNING));
    let mut city = City::with_unproven_daily_limit_of_desks(50_000);
    desk.allowance(&mut city, MORNING);
    assert_eq!(upload(&mut city, &steps), [Accepted; 3]);
    assert_eq!(state(&mut city), ([20_000, 0, -20_000], [3, 1]));
    let mut turned = City::with_unproven_daily_limit_of_desks(60_000);
    for step in steps.iter().rev() {
        turned.upload_actions(std::slice::from_ref(step));
    }
    assert_eq!(state(&mut turned).0, [40_000, 0, -40_000]);
    turned.verify();
}

/// Without a limit in the configuration a desk is believed nothing of the kind.
#[test]
fn by_default_no_ev1_card_s_value_moves_at_the_riders_cost() {
    let (mut desk, mut city) = (ev1_desk(), City::new());
    desk.allowance(&mut city, MORNING);
    let refund = desk.refund(&mut Card::new(1, 40_000), MORNING, 40_000, End::Written);
    assert_eq!(upload(&mut city, &[refund]), [MacWrong]);
    (desk.next.sequence, desk.hash) = (1, transit::tap::CHAIN_START);
    let exchange = desk.exchange(&mut Card::new(1, 40_000), &mut Card::new(2, 0), MORNING);
    assert_eq!(upload(&mut city, &exchange), [Accepted; 2]);
    assert_eq!(state(&mut city), ([-40_000, 0, 40_000], [2, 2]));
}

/// A refund of `card` whose answer was lost, and what the desk then says of it.
fn torn_refund(desk: &mut Desk, card: &mut Card, amount: u32, step: fn(TapId) -> Step) -> [SealedAction; 2] {
    let unknown = desk.refund(card, MORNING, amount, End::Unknown { committed: true });
    let resolves = unknown.open().unwrap().id;
    [unknown, desk.step((ActionKind::Refund, step(resolves)), Some(resolves), card, later(5), amount)]
}

fn confirmed(resolves: TapId) -> Step {
    Step::Confirmed { resolves }
}

fn voided(resolves: TapId) -> Step {
    Step::Voided { resolves }
}

/// The desk's day: paid out, what the till must have gained, and the steps that still wait for their card.
fn day(city: &mut City) -> (i64, i64, usize) {
    let days = city.clearing_house.desk_day(monday()).unwrap();
    let day = &days.desks[0];
    (day.paid_out_minor, day.till_minor, day.unknown.len())
}

/// The card was torn, and its desk sees later that the card took it: as if it had been written at once.
#[test]
fn a_torn_refund_of_an_ev1_card_is_booked_on_its_desk_s_later_word_up_to_the_limit() {
    let (mut desk, mut city) = (ev1_desk(), City::with_unproven_daily_limit_of_desks(50_000));
    let mut card = Card::new(1, 200_000);
    let torn = torn_refund(&mut desk, &mut card, 30_000, confirmed);
    assert_eq!(upload(&mut city, &torn[..1]), [Accepted]);
    assert_eq!((state(&mut city), day(&mut city)), (([0; 3], [0; 2]), (0, 0, 1)));
    assert_eq!(upload(&mut city, &torn[1..]), [Accepted]);
    assert_eq!((state(&mut city), day(&mut city)), (([30_000, 0, -30_000], [1, 0]), (30_000, -30_000, 0)));
    assert_eq!(city.clearing_house.status().unwrap().actions_pending, 0);
    assert_eq!(upload(&mut city, &torn), [Verdict::Known; 2]);
    assert_eq!(state(&mut city).0, [30_000, 0, -30_000], "not twice");
    // It counts in the limit, and what comes past it is kept aside and stays in sight.
    let [unknown, word] = torn_refund(&mut desk, &mut card, 20_001, confirmed);
    assert_eq!(upload(&mut city, &[unknown, word.clone()]), [Accepted, MacWrong]);
    assert_eq!((state(&mut city), day(&mut city)), (([30_000, 0, -30_000], [1, 1]), (30_000, -30_000, 1)));
    assert_eq!(city.clearing_house.status().unwrap().actions_pending, 1);
    let said = city.upload_actions(std::slice::from_ref(&word)).taps[0].detail.clone().unwrap();
    assert!(
        said.contains(
            "sequence 4: step 900-1-3 carries no Transaction MAC, and desk 900 is believed at most 50000 a day"
        ),
        "{said}"
    );
    let rest = desk.refund(&mut card, MORNING, 20_000, End::Written);
    assert_eq!(upload(&mut city, &[rest]), [Accepted]);
    // A voided one is no refund, and another card's or an earlier word is none about it.
    let mut next = City::with_unproven_daily_limit_of_desks(50_000);
    let mut desk = ev1_desk();
    let void = torn_refund(&mut desk, &mut card, 10_000, voided);
    assert_eq!(upload(&mut next, &void), [Accepted; 2]);
    assert_eq!(next.clearing_house.status().unwrap().actions_pending, 0);
    let [unknown, _] = torn_refund(&mut desk, &mut card, 10_000, voided);
    (desk.next.sequence, desk.hash) = (4, unknown.hash());
    let resolves = unknown.open().unwrap().id;
    let kind = (ActionKind::Refund, confirmed(resolves));
    let elsewhere = desk.step(kind, Some(resolves), &Card::new(9, 0), later(5), 10_000);
    assert_eq!(upload(&mut next, &[unknown, elsewhere]), [Accepted; 2]);
    assert_eq!(state(&mut next), ([0; 3], [0; 2]));
}

/// Only a later word of the same desk, about the same card and the same kind of action, is one: nothing else is measured
/// by the limit.
#[test]
fn what_is_no_word_about_a_torn_refund_is_taken_whatever_the_limit() {
    let (mut desk, mut other, mut card) = (ev1_desk(), Desk::numbered(901, 2, 0x45), Card::new(1, 50_000));
    let before = desk.paid(ActionKind::TopUp, &card, MORNING, 1_000);
    let unknown = desk.refund(&mut card, MORNING, 10_000, End::Unknown { committed: true });
    let resolves = unknown.open().unwrap().id;
    let look = |desk: &mut Desk, kind, card: &Card| {
        let (next, hash) = (desk.next, desk.hash);
        let look = desk.step((kind, confirmed(resolves)), Some(resolves), card, later(5), 10_000);
        (desk.next, desk.hash) = (next, hash);
        look
    };
    let refund = ActionKind::Refund;
    let table = [
        ("the desk's own", look(&mut desk, refund, &card), MacWrong),
        ("of another kind of action", look(&mut desk, ActionKind::TopUp, &card), Accepted),
        ("about another card", look(&mut desk, refund, &Card::new(9, 0)), Accepted),
        ("of another desk", look(&mut other, refund, &card), Accepted),
    ];
    for (what, look, expected) in table {
        let mut city = City::with_unproven_daily_limit_of_desks(9_999);
        assert_eq!(upload(&mut city, &[before.clone(), unknown.clone()]), [Accepted; 2]);
        assert_eq!(upload(&mut city, &[look]), [expected], "a word {what}");
        assert_eq!(state(&mut city).0[2], 0, "a word {what}");
    }
}

/// The word may come before what it is about. Past the limit it is in the books then, and an alarm tells of it.
#[test]
fn a_word_that_comes_before_its_torn_refund_counts_when_that_comes() {
    let mut desk = ev1_desk();
    let torn = torn_refund(&mut desk, &mut Card::new(1, 90_000), 30_000, confirmed);
    let turned: Vec<_> = torn.iter().rev().cloned().collect();
    for (limit, cash, found) in [(30_000, 30_000, [1, 0]), (29_999, 0, [0, 1]), (0, 0, [0, 1])] {
        let mut city = City::with_unproven_daily_limit_of_desks(limit);
        assert_eq!(upload(&mut city, &turned), [Accepted; 2]);
        assert_eq!(state(&mut city), ([cash, 0, -cash], found), "{limit}");
        let waits = usize::from(cash == 0);
        assert_eq!((day(&mut city).2, city.clearing_house.status().unwrap().actions_pending), (waits, waits as u64));
    }
}

/// A card that has proven anything shows by itself whether it took a refund: nothing is booked on a word.
#[test]
fn a_card_that_can_prove_is_waited_for_and_a_word_that_it_contradicts_is_found() {
    for committed in [true, false] {
        let mut desk = Desk::new();
        let mut card = Card::new(1, 0);
        let load = desk.load(&mut card, MORNING, 90_000);
        let unknown = desk.refund(&mut card, MORNING, 30_000, End::Unknown { committed });
        let resolves = unknown.open().unwrap().id;
        let word = desk.step((ActionKind::Refund, confirmed(resolves)), Some(resolves), &card, later(5), 30_000);
        let ride = Validator::new(1, 1).done(&mut card, later(600));
        let mut city = City::with_unproven_daily_limit_of_desks(50_000);
        desk.allowance(&mut city, MORNING);
        assert_eq!(upload(&mut city, &[load.clone(), vec![unknown.clone(), word.clone()]].concat()), [Accepted; 4]);
        assert_eq!(state(&mut city), ([-90_000, 0, 90_000], [0, 0]));
        city.upload(std::slice::from_ref(&ride));
        let paid_out = if committed { 30_000 } else { 0 };
        assert_eq!(state(&mut city), ([paid_out - 90_000, 0, 82_000 - paid_out], [0, 0]));
        city.verify();

        // Its first proof comes after the word: what was booked stays, once, and what it contradicts is found.
        let mut city = City::with_unproven_daily_limit_of_desks(50_000);
        assert_eq!(upload(&mut city, &[unknown, word]), [Accepted; 2]);
        assert_eq!(state(&mut city).0, [30_000, 0, -30_000]);
        for _ in 0..2 {
            city.upload(std::slice::from_ref(&ride));
        }
        assert_eq!(state(&mut city).0, [30_000, 0, -38_000]);
        let findings = city.clearing_house.status().unwrap().findings;
        assert_eq!(findings.get("evidence_differs").copied().unwrap_or(0), u64::from(!committed));
        city.verify();
    }
}

/// What was paid for an EV1 card waits no longer than its desk's word: no proof would ever come. It needs no limit.
#[test]
fn a_torn_load_of_an_ev1_card_is_booked_on_its_desk_s_later_word() {
    let (mut desk, mut city, mut card) = (ev1_desk(), City::new(), Card::new(1, 0));
    desk.allowance(&mut city, MORNING);
    let paid = desk.paid(ActionKind::TopUp, &card, MORNING, 10_000);
    let names = paid.open().unwrap().id;
    let unknown = desk.top_up(names, &mut card, later(5), 10_000, End::Unknown { committed: true });
    let resolves = unknown.open().unwrap().id;
    let word = desk.step((ActionKind::TopUp, confirmed(resolves)), Some(names), &card, later(9), 10_000);
    assert_eq!(upload(&mut city, &[paid, unknown]), [Accepted; 2]);
    assert_eq!(state(&mut city), ([-10_000, 10_000, 0], [0, 0]));
    assert_eq!(city.clearing_house.desk_day(monday()).unwrap().desks[0].waiting.len(), 1);
    assert_eq!(upload(&mut city, &[word]), [Accepted]);
    assert_eq!(state(&mut city), ([-10_000, 0, 10_000], [1, 0]));
    let desk_day = &city.clearing_house.desk_day(monday()).unwrap().desks[0];
    assert_eq!((desk_day.written_minor, desk_day.unbacked_minor, desk_day.waiting.len()), (10_000, 0, 0));
    assert_eq!(city.clearing_house.status().unwrap().alarms.len(), 0);
}

/// What the old card of an exchange gave up by its desk's later word backs the new card, up to the limit.
#[test]
fn a_torn_old_ev1_card_backs_its_new_one_once_its_desk_has_seen_it() {
    for (limit, money, alarms) in [(42_000, [0, 0, 0], 0), (41_999, [-42_000, 0, 42_000], 1)] {
        let (mut desk, mut old, mut new) = (ev1_desk(), Card::new(1, 42_000), Card::new(2, 0));
        let steps = desk.exchange(&mut old, &mut new, MORNING);
        let off = Action { step: Step::Unknown, ..steps[0].open().unwrap() };
        (desk.next.sequence, desk.hash) = (1, transit::tap::CHAIN_START);
        let off = desk.seal(&off);
        let resolves = off.open().unwrap().id;
        let kind = (ActionKind::Exchange, confirmed(resolves));
        let word = desk.step(kind, Some(resolves), &old, later(5), 42_000);
        let load = Action { id: desk.next, names: Some(resolves), ..steps[1].open().unwrap() };
        let record = transit::card::Record { tap: Some(desk.next), ..new.record };
        let load = desk.seal(&Action { record_written: Some(record.encode().unwrap()), ..load });
        let mut city = City::with_unproven_daily_limit_of_desks(limit);
        desk.allowance(&mut city, MORNING);
        assert_eq!(upload(&mut city, &[off, word, load]), [Accepted; 3]);
        assert_eq!(state(&mut city), (money, [2, alarms]));
        let status = city.clearing_house.status().unwrap();
        assert_eq!((status.alarms.values().sum::<u64>(), status.actions_pending), (alarms, 0));
        assert_eq!(city.clearing_house.desk_day(monday()).unwrap().desks[0].unbacked_minor, 0);
    }
}

/// The audit books again what a desk was believed, by the limit that was in force and in the order of the ledger.
#[test]
fn the_audit_takes_only_the_booking_that_limit_and_order_give() {
    let path = |city: &City| city.config_path();
    let mut desk = ev1_desk();
    let mut city = City::with_unproven_daily_limit_of_desks(50_000);
    desk.allowance(&mut city, MORNING);
    let mut exchange = |amount| desk.exchange(&mut Card::new(1, amount), &mut Card::new(2, 0), MORNING);
    let steps = [exchange(30_000), exchange(25_000), exchange(20_000)].concat();
    assert_eq!(upload(&mut city, &steps), [Accepted; 6]);
    assert_eq!(state(&mut city), ([-25_000, 0, 25_000], [6, 1]));
    // Another configuration later is not the one of that time, and from then on it is.
    let text = std::fs::read_to_string(path(&city)).unwrap();
    for (new, cash) in [("60000", -50_000), ("0", -75_000), ("500000", -75_000)] {
        let text = text.replace("unproven_daily_limit_minor = 50000", &format!("unproven_daily_limit_minor = {new}"));
        std::fs::write(path(&city), text).unwrap();
        city.clearing_house = ClearingHouse::open(Config::read(&path(&city), None).unwrap()).unwrap();
        city.verify();
        assert_eq!(upload(&mut city, &exchange(25_000)), [Accepted; 2]);
        assert_eq!(city.balance("desk:900:cash"), cash, "{new}");
    }
    let limits: u32 = city.sql().query_row("SELECT count(*) FROM unproven_limit", [], |row| row.get(0)).unwrap();
    assert_eq!(limits, 4);
    // Whoever books it the other way is found.
    city.sql().execute_batch("DROP TRIGGER posting_update").unwrap();
    for (entry, is, other) in [(3, "desk:900:cash", "cards:float"), (5, "cards:float", "desk:900:cash")] {
        let sql = city.sql();
        let book = |from: &str, to: &str| {
            let change = "UPDATE posting SET account = ?1 WHERE account = ?2 AND entry = ?3";
            assert_eq!(sql.execute(change, params![to, from, entry]).unwrap(), 1);
        };
        book(is, other);
        let wrong = city.clearing_house.verify().wrong.unwrap();
        assert!(wrong.ends_with(&format!("entry {entry} is not what it gives")), "{wrong}");
        book(other, is);
    }
    city.verify();
}
