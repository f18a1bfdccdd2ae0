//! How many steps one action may have: a desk that names one first step for ever costs the books no more than a bound.

use clearing_house::backing::STEPS_PER_ACTION_MAX;
use transit::action::{ActionKind, SealedAction, Step};
use transit::desk::ACTIONS_PER_BATCH_MAX;
use transit::sync::Verdict::{self, Accepted, TooManySteps};

use crate::desk_support::{Desk, End};
use crate::support::{Card, City, MORNING, later, verdicts};

fn upload(city: &mut City, steps: &[SealedAction]) -> Vec<Verdict> {
    steps.chunks(ACTIONS_PER_BATCH_MAX).flat_map(|steps| verdicts(&city.upload_actions(steps))).collect()
}

fn count(city: &City, sql: &str) -> u32 {
    city.sql().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn of_one_action_no_more_steps_are_booked_than_a_desk_can_make() {
    let (mut desk, mut city, card) = (Desk::new(), City::new(), Card::new(1, 0));
    let paid = desk.paid(ActionKind::TopUp, &card, MORNING, 10_000);
    let first = paid.open().unwrap().id;
    let mut steps = vec![paid];
    while steps.len() < 3_000 {
        let step = if steps.len() % 2 == 0 { Step::Void } else { Step::Refunded };
        steps.push(desk.step((ActionKind::TopUp, step), Some(first), &card, MORNING, 10_000));
    }
    let said = upload(&mut city, &steps);
    let most = usize::try_from(STEPS_PER_ACTION_MAX).unwrap();
    assert_eq!(said[..most], vec![Accepted; most]);
    assert_eq!(said[most..], vec![TooManySteps; 3_000 - most]);
    // What a step of this action makes the clearing house read does not grow any more.
    assert_eq!(count(&city, "SELECT count(*) FROM action"), STEPS_PER_ACTION_MAX);
    assert_eq!(count(&city, "SELECT count(*) FROM kept_aside"), 3_000 - STEPS_PER_ACTION_MAX);
    let alarms = |city: &mut City| city.clearing_house.status().unwrap().alarms["too_many_steps"];
    assert_eq!(alarms(&mut city), 1, "once of each action");
    assert_eq!(upload(&mut city, &steps[most..most + 1]), [TooManySteps]);
    assert_eq!(alarms(&mut city), 1);
    // Other actions of the desk go on, and nothing that is right is lost.
    let load = desk.load(&mut Card::new(2, 0), later(60), 20_000);
    assert_eq!(upload(&mut city, &load), [Accepted; 2]);
    assert_eq!(city.clearing_house.desk_day(crate::support::monday()).unwrap().desks[0].steps["top_up paid"], 2);
    city.verify();
}

/// A step of another log, and one that names what comes later, is none of the action: it uses up none of its steps.
#[test]
fn steps_of_others_that_name_an_action_do_not_count_as_its_own() {
    let (mut desk, mut city, mut card) = (Desk::new(), City::new(), Card::new(1, 0));
    desk.allowance(&mut city, MORNING);
    let paid = desk.paid(ActionKind::TopUp, &card, MORNING, 10_000);
    let first = paid.open().unwrap().id;
    let mut other = Desk::numbered(901, 2, 0x45);
    let kind = (ActionKind::TopUp, Step::Void);
    let steps: Vec<_> = (0..2_000).map(|_| other.step(kind, Some(first), &card, MORNING, 10_000)).collect();
    assert_eq!(upload(&mut city, &steps), vec![Accepted; 2_000]);
    let load = desk.top_up(first, &mut card, later(5), 10_000, End::Written);
    assert_eq!(upload(&mut city, &[paid, load]), [Accepted; 2]);
    assert_eq!(city.clearing_house.status().unwrap().alarms.len(), 0);
    // They are found by their log: those of another one are not read.
    for query in [
        "SELECT bytes FROM action WHERE names = '900-1-1' AND device = 900 AND epoch = 1 AND sequence > 1",
        "SELECT receipt FROM action WHERE resolves = '900-1-1' AND device = 900 AND step = 'voided'",
        "SELECT 1 FROM finding WHERE tap = '900-1-1' AND kind = 'unbacked'",
        "SELECT id FROM entry WHERE tap = '900-1-1'",
    ] {
        let plan: String = city.sql().query_row(&format!("EXPLAIN QUERY PLAN {query}"), [], |row| row.get(3)).unwrap();
        let parts = plan.split(" AND ").count();
        assert!(plan.starts_with("SEARCH") && parts == query.matches(" AND ").count() + 1, "{query}: {plan}");
    }
    city.verify();
}
