//! Cards on EV1 chips at a desk, where Transaction MACs are enforced: they cannot prove what they give up.

use transit::action::{Action, SealedAction};
use transit::sync::Verdict::{self, Accepted, MacWrong};

use crate::desk_support::{Desk, End};
use crate::support::{Card, City, DAY_S, MORNING, desk_key, later, verdicts};

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
