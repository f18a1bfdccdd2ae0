//! Steps of one action that contradict each other: found whatever the order in which they come.

use transit::action::{Action, ActionKind, SealedAction, Step};
use transit::id::TapId;
use transit::money::Amount;
use transit::tap::SealedTap;

use crate::desk_support::{Desk, End};
use crate::support::{Card, City, MORNING, Validator, desk_key, later, monday};

const TOP_UP_BACK: (ActionKind, Step) = (ActionKind::TopUp, Step::Refunded);

fn id(step: &SealedAction) -> TapId {
    step.open().unwrap().id
}

/// The alarms in the books, each as often as it is there: kind, and the sequence of the step that it is about.
fn alarms(city: &City) -> Vec<(String, u32)> {
    let sql = city.sql();
    let mut statement = sql.prepare("SELECT kind, tap FROM finding WHERE severity = 'alarm'").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
    let sequence = |step: String| step.parse::<TapId>().unwrap().sequence;
    let mut alarms: Vec<_> = rows.map(|row| row.unwrap()).map(|(kind, step)| (kind, sequence(step))).collect();
    alarms.sort();
    alarms
}

/// Uploads each in all orders in which the first step comes before those that name it; the alarms and the unbacked sum
/// of the day are `expected` every time.
fn check(steps: &[SealedAction], taps: &[SealedTap], expected: &[(&str, u32)], unbacked_minor: i64) {
    let mut expected: Vec<_> = expected.iter().map(|(kind, step)| ((*kind).to_owned(), *step)).collect();
    expected.sort();
    let reversed: Vec<_> = steps[..1].iter().chain(steps[1..].iter().rev()).cloned().collect();
    for (steps, taps_first) in [(steps, false), (steps, true), (&reversed, false), (&reversed, true)] {
        let mut city = City::with_policy("warn");
        Desk::new().allowance(&mut city, MORNING);
        if taps_first {
            city.upload(taps);
        }
        for step in steps {
            city.upload_actions(std::slice::from_ref(step));
            city.upload_actions(std::slice::from_ref(step));
        }
        if !taps_first {
            city.upload(taps);
        }
        assert_eq!(alarms(&city), expected, "taps first: {taps_first}");
        let days = city.clearing_house.desk_day(monday()).unwrap();
        assert_eq!(days.desks[0].unbacked_minor, unbacked_minor);
        city.verify();
    }
}

#[test]
fn an_action_as_it_should_be_has_no_alarm() {
    let (mut desk, mut card) = (Desk::new(), Card::new(1, 50_000));
    check(&desk.load(&mut card, MORNING, 100_000), &[], &[], 0);
    let mut desk = Desk::new();
    check(&desk.sell(&mut card, MORNING, End::Written), &[], &[], 0);
    let mut desk = Desk::new();
    check(&desk.issue(&mut Card::new(2, 0), MORNING, 0, None), &[], &[], 0);
    let mut desk = Desk::new();
    check(&desk.exchange(&mut card, &mut Card::new(3, 0), MORNING), &[], &[], 0);

    let (mut desk, mut card) = (Desk::new(), Card::new(1, 0));
    let paid = desk.paid(ActionKind::TopUp, &card, MORNING, 100_000);
    let unknown = desk.top_up(id(&paid), &mut card, later(5), 100_000, End::Unknown { committed: false });
    let resolves = id(&unknown);
    let voided = desk.step((ActionKind::TopUp, Step::Voided { resolves }), Some(id(&paid)), &card, later(9), 100_000);
    let void = desk.top_up(id(&paid), &mut card, later(10), 100_000, End::Void);
    let back = desk.step(TOP_UP_BACK, Some(id(&paid)), &card, later(15), 100_000);
    check(&[paid, unknown, voided, void, back], &[], &[], 0);
}

#[test]
fn value_that_nobody_paid_is_an_alarm() {
    let (mut desk, mut card) = (Desk::new(), Card::new(1, 0));
    let nobody = TapId { sequence: 9, ..desk.next };
    check(&[desk.top_up(nobody, &mut card, MORNING, 100_000, End::Written)], &[], &[("unbacked", 1)], 100_000);
    // The payment is withheld.
    let load = Desk::new().load(&mut card, MORNING, 100_000);
    check(&load[1..], &[], &[("unbacked", 2)], 100_000);
    let issue = Desk::new().issue(&mut Card::new(2, 0), MORNING, 30_000, None);
    check(&issue[1..], &[], &[("unbacked", 2)], 30_000);
    let sale = Desk::new().sell(&mut Card::new(3, 0), MORNING, End::Written);
    check(&sale[1..], &[], &[("unbacked", 2)], 140_000);
    // The payment was for something else.
    let (mut desk, mut card) = (Desk::new(), Card::new(4, 0));
    let paid = desk.paid(ActionKind::Sale, &card, MORNING, 100_000);
    let load = desk.top_up(id(&paid), &mut card, later(5), 100_000, End::Written);
    check(&[paid, load], &[], &[("unbacked", 2)], 100_000);
    // Paid less than was written.
    let (mut desk, mut card) = (Desk::new(), Card::new(5, 0));
    let paid = desk.paid(ActionKind::TopUp, &card, MORNING, 10_000);
    let load = desk.top_up(id(&paid), &mut card, later(5), 100_000, End::Written);
    check(&[paid, load], &[], &[("unbacked", 2)], 90_000);
}

#[test]
fn cash_given_back_that_nobody_paid_or_that_a_card_has_is_an_alarm() {
    let (mut desk, mut card) = (Desk::new(), Card::new(1, 0));
    check(&[desk.step(TOP_UP_BACK, None, &card, MORNING, 50_000)], &[], &[("unbacked", 1)], 50_000);

    let mut desk = Desk::new();
    let paid = desk.paid(ActionKind::TopUp, &card, MORNING, 10_000);
    let back = desk.step(TOP_UP_BACK, Some(id(&paid)), &card, later(5), 50_000);
    check(&[paid, back], &[], &[("unbacked", 2)], 40_000);

    for written_first in [true, false] {
        let mut desk = Desk::new();
        let paid = desk.paid(ActionKind::TopUp, &card, MORNING, 10_000);
        let mut steps = vec![paid.clone()];
        for written in [written_first, !written_first] {
            steps.push(if written {
                desk.top_up(id(&paid), &mut card, later(5), 10_000, End::Written)
            } else {
                desk.step(TOP_UP_BACK, Some(id(&paid)), &card, later(9), 10_000)
            });
        }
        check(&steps, &[], &[("unbacked", 3), ("ended_twice", 3)], 10_000);
    }
}

/// The desk says void and gives the cash back, or confirms and gives it back all the same; the card has it.
#[test]
fn cash_given_back_beside_an_unknown_step_that_the_card_took_is_an_alarm() {
    let (mut desk, mut card) = (Desk::new(), Card::new(1, 50_000));
    let paid = desk.paid(ActionKind::TopUp, &card, MORNING, 10_000);
    let unknown = desk.top_up(id(&paid), &mut card, later(5), 10_000, End::Unknown { committed: true });
    let (paid_id, resolves) = (id(&paid), id(&unknown));
    let look = |desk: &mut Desk, card: &Card, step| {
        desk.step((ActionKind::TopUp, step), Some(paid_id), card, later(9), 10_000)
    };
    let voided = look(&mut desk, &card, Step::Voided { resolves });
    let back = desk.step(TOP_UP_BACK, Some(paid_id), &card, later(15), 10_000);
    let ride = Validator::new(1, 1).done(&mut card, later(600));
    let both = [("unbacked", 4), ("ended_twice", 4)];
    check(&[paid.clone(), unknown.clone(), voided, back], &[ride], &both, 10_000);

    (desk.next.sequence, desk.hash) = (3, unknown.hash());
    let confirmed = look(&mut desk, &card, Step::Confirmed { resolves });
    let back = desk.step(TOP_UP_BACK, Some(paid_id), &card, later(15), 10_000);
    check(&[paid.clone(), unknown.clone(), confirmed.clone(), back], &[], &both, 10_000);

    (desk.next.sequence, desk.hash) = (4, confirmed.hash());
    let voided = look(&mut desk, &card, Step::Voided { resolves });
    check(&[paid, unknown, confirmed, voided], &[], &[("ended_twice", 4)], 0);
}

#[test]
fn a_new_card_of_no_old_one_or_two_of_one_is_an_alarm() {
    let (mut old, mut new, mut second) = (Card::new(1, 42_000), Card::new(2, 0), Card::new(3, 0));
    let steps = Desk::new().exchange(&mut old.clone(), &mut new, MORNING);
    check(&steps[1..], &[], &[("unbacked", 2)], 42_000);

    let mut desk = Desk::new();
    let mut steps = desk.exchange(&mut old, &mut new, MORNING);
    let mut again = desk.exchange(&mut Card::new(4, 42_000), &mut second, later(60)).pop().unwrap().open().unwrap();
    (desk.next.sequence, desk.hash) = (3, steps[1].hash());
    (again.id, again.names) = (desk.next, Some(id(&steps[0])));
    steps.push(desk.seal(&again));
    check(&steps, &[], &[("unbacked", 3), ("ended_twice", 3)], 42_000);
}

/// The old card was torn: until it shows that it gave up what it had, what went to the new one came from nobody. Else a
/// thief would only have to say that every old card was torn.
#[test]
fn a_new_card_of_an_old_one_that_has_not_shown_that_it_gave_something_up_is_an_alarm() {
    let (mut desk, mut old, mut new) = (Desk::new(), Card::new(1, 42_000), Card::new(2, 0));
    let mut before = old.clone();
    let steps = desk.exchange(&mut old, &mut new, MORNING);
    let unknown = Action { step: Step::Unknown, transaction_mac: None, ..steps[0].open().unwrap() };
    (desk.next.sequence, desk.hash) = (1, transit::tap::CHAIN_START);
    let unknown = desk.seal(&unknown);
    let load = desk.seal(&steps[1].open().unwrap());
    let pair = [unknown, load];
    check(&pair, &[], &[("unbacked", 2)], 42_000);
    let ride = Validator::new(1, 1).done(&mut before, later(600));
    check(&pair, &[ride], &[("unbacked", 2)], 42_000);
    // It did, and shows it: at once there is no alarm, and later the sum is nothing.
    let shown = desk.load(&mut old, later(700), 1_000);
    let mut city = City::new();
    desk.allowance(&mut city, MORNING);
    city.upload_actions(&pair[..1]);
    city.upload_actions(&shown);
    city.upload_actions(&pair[1..]);
    assert_eq!((alarms(&city), city.balance("suspense:loads")), (vec![], 0));
    let mut city = City::new();
    desk.allowance(&mut city, MORNING);
    city.upload_actions(&[&pair[..], &shown].concat());
    assert_eq!((alarms(&city).len(), city.balance("suspense:loads")), (1, 0));
    assert_eq!(city.clearing_house.desk_day(monday()).unwrap().desks[0].unbacked_minor, 0);
    city.verify();
}

/// What the card was credited counts, not what the desk says; so does the tariff's price of a pass.
#[test]
fn a_card_that_got_more_than_its_step_says_is_an_alarm() {
    let (mut desk, mut card) = (Desk::new(), Card::new(1, 0));
    let paid = desk.paid(ActionKind::TopUp, &card, MORNING, 10_000);
    let load = desk.top_up(id(&paid), &mut card, later(5), 100_000, End::Written).open().unwrap();
    let sign = |bytes: &[u8]| desk_key(0x44).sign(bytes).as_ref().try_into().unwrap();
    let said_less = Action { amount: Amount::from(10_000), ..load }.seal(&paid.hash(), sign).unwrap();
    check(&[paid, said_less], &[], &[("more_than_said", 2), ("unbacked", 2)], 90_000);

    let mut desk = Desk::new();
    let sale = desk.sell(&mut card, MORNING, End::Written).pop().unwrap().open().unwrap();
    let mut desk = Desk::new();
    let paid = desk.paid(ActionKind::Sale, &card, MORNING, 1_000);
    let cheap = Action { amount: Amount::from(1_000), ..sale }.seal(&paid.hash(), sign).unwrap();
    check(&[paid, cheap.clone()], &[], &[("more_than_said", 2)], 0);

    // A pass with a credit beside it that nobody speaks of.
    let (mut desk, cheap) = (Desk::new(), cheap.open().unwrap());
    let paid = desk.paid(ActionKind::Sale, &card, MORNING, 140_000);
    let credited = Some(Amount::from(60_000));
    let more = Action { amount: Amount::from(140_000), credited, ..cheap }.seal(&paid.hash(), sign).unwrap();
    check(&[paid, more], &[], &[("more_than_said", 2), ("unbacked", 2)], 60_000);
}

/// Another desk's payment backs nothing, nor does a step that comes later in the log.
#[test]
fn only_an_earlier_payment_of_the_same_log_backs() {
    let (mut desk, mut other, mut card) = (Desk::new(), Desk::numbered(901, 2, 0x45), Card::new(1, 0));
    let elsewhere = other.paid(ActionKind::TopUp, &card, MORNING, 100_000);
    let load = desk.top_up(id(&elsewhere), &mut card, later(5), 100_000, End::Written);
    let mut city = City::new();
    desk.allowance(&mut city, MORNING);
    city.upload_actions(&[elsewhere]);
    city.upload_actions(&[load]);
    assert_eq!(alarms(&city), [("unbacked".to_owned(), 1)]);
    let (mut desk, mut card) = (Desk::new(), Card::new(2, 0));
    let later_step = TapId { sequence: 2, ..desk.next };
    let load = desk.top_up(later_step, &mut card, later(5), 100_000, End::Written);
    let paid = desk.paid(ActionKind::TopUp, &card, later(6), 100_000);
    check(&[load, paid], &[], &[("unbacked", 1)], 100_000);
}
