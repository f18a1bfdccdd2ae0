//! Cities from seeds: a part of `make simulate`, and that each invariant can fail.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use simulation::seeded::{Extent, run_all, run_seed};
use simulation::seeded_city::run;
use simulation::seeded_event::Plan;
use simulation::seeded_invariants::{INVARIANTS, violations};
use simulation::seeded_model::CardState;
use simulation::seeded_outcome::Ended;
use simulation::seeded_plan::plan;
use tempfile::TempDir;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").canonicalize().unwrap()
}

#[test]
fn twenty_five_cities_hold() {
    let report = run_all(Extent { first: 1, seeds: 25 }, &fixtures(), false).unwrap();
    assert_eq!(report.problems, [""; 0]);
    assert_eq!((report.seeds, report.violations), (25, 0));
    assert!(report.commits > 2_500 && report.taps > 2 * report.commits, "{report:?}");
    // What never happens tests nothing.
    for what in [
        "accepted",
        "accepted on an earlier debit",
        "already paid",
        "answers dropped",
        "cards denied",
        "clocks that jumped",
        "declined",
        "intents of a dead process",
        "loads",
        "loads that were torn",
        "out of service",
        "paid before the power went",
        "present again",
        "taps that confirm one",
        "taps that void one",
        "the clearing house died at an upload",
        "uploads doubled",
        "uploads dropped",
        "uploads that no answer came to in time",
        "writes that a disk refused",
    ] {
        assert!(report.happened.get(what).is_some_and(|count| *count > 0), "{what}: {:?}", report.happened);
    }
}

#[test]
fn the_same_seed_is_the_same_city_to_the_byte() {
    let (first, second) = (run_seed(7, &fixtures()).unwrap(), run_seed(7, &fixtures()).unwrap());
    assert!(first.trace.lines().count() > 500);
    assert_eq!(first.trace, second.trace);
    assert_eq!(first.trace_digest(), second.trace_digest());
    assert_eq!((first.logs, first.books.settled), (second.logs, second.books.settled));
    assert_ne!(plan(7).events, plan(8).events);
}

#[test]
fn events_are_data_in_order() {
    let plan = plan(3);
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    assert!(plan.events.is_sorted_by_key(|event| (event.at, event.number)));
}

/// A city at its end, in which something is then broken.
struct Broken {
    folder: TempDir,
    ended: Ended,
}

impl Broken {
    fn new() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let mut ended = run(&plan(2), folder.path(), &fixtures()).unwrap();
        assert_eq!(violations(&ended.look().unwrap()), []);
        Self { folder, ended }
    }

    /// Runs `sql` on a database of the city that does not defend itself.
    fn change(&self, database: &str, sql: &str) {
        let database = Connection::open(self.folder.path().join(database)).unwrap();
        let mut triggers = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").unwrap();
        let names: Vec<String> = triggers.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let mut drops: String = names.iter().map(|name| format!("DROP TRIGGER {name};")).collect();
        drops += "PRAGMA foreign_keys = OFF;";
        database.execute_batch(&drops).unwrap();
        assert!(database.execute(sql, []).unwrap() > 0, "{sql} changes nothing");
    }

    /// The invariants that do not hold any more.
    fn names(mut self) -> Vec<&'static str> {
        violations(&self.ended.look().unwrap()).into_iter().map(|violation| violation.invariant).collect()
    }
}

fn assert_named(broken: Broken, invariant: &str) {
    assert!(INVARIANTS.iter().any(|(name, _)| *name == invariant), "{invariant} is no invariant");
    let names = broken.names();
    assert!(names.contains(&invariant), "{names:?}");
}

const BOOKS: &str = "clearing-house/books.sqlite";

#[test]
fn a_card_that_is_debited_twice_at_once_is_seen() {
    let mut broken = Broken::new();
    let plan = plan(2);
    let state = |purse, counter| CardState { purse, counter, record: vec![0; 60] };
    let (before, after) = (state(50_000, 4), state(34_000, 6));
    broken.ended.model.presented((0, &plan.cards[0]), (&plan.gates[0], 0), (&before, &after), true);
    assert_named(broken, "cards change as a whole");
}

#[test]
fn money_that_goes_to_another_operator_is_seen() {
    let broken = Broken::new();
    let entry = "(SELECT min(entry) FROM posting WHERE account = 'operator:1:settled')";
    let sql = "UPDATE posting SET account = 'operator:3:settled' WHERE account = 'operator:1:settled' AND entry =";
    broken.change(BOOKS, &format!("{sql} {entry}"));
    assert_named(broken, "money is conserved");
}

#[test]
fn a_debit_that_is_not_booked_is_seen() {
    let broken = Broken::new();
    broken.change(BOOKS, "DELETE FROM entry WHERE id = (SELECT min(id) FROM entry WHERE kind = 'ride')");
    assert_named(broken, "each debit is in the ledger once");
}

#[test]
fn a_ride_that_no_card_paid_is_seen() {
    let mut broken = Broken::new();
    let name = *broken.ended.model.commits.keys().next().unwrap();
    broken.ended.model.commits.remove(&name);
    assert_named(broken, "each debit is in the ledger once");
}

#[test]
fn a_load_that_is_not_on_its_card_is_seen() {
    let mut broken = Broken::new();
    let name = *broken.ended.model.loads.keys().next().unwrap();
    broken.ended.model.loads.remove(&name);
    assert_named(broken, "each debit is in the ledger once");
}

#[test]
fn cash_that_is_not_in_the_books_is_seen() {
    let mut broken = Broken::new();
    broken.ended.model.cash += 10_000;
    assert_named(broken, "money is conserved");
}

#[test]
fn a_tap_that_is_gone_from_the_log_is_seen() {
    let broken = Broken::new();
    broken.change("gate-101/log/tap-log.db", "DELETE FROM tap WHERE sequence = 2");
    assert_named(broken, "no acknowledged tap is lost");
}

#[test]
fn a_tap_that_is_gone_from_the_books_is_seen() {
    let broken = Broken::new();
    broken.change(BOOKS, "DELETE FROM tap WHERE sequence = 2 AND device = 101");
    assert_named(broken, "no acknowledged tap is lost");
}

#[test]
fn a_fare_that_is_not_decided_alike_is_seen() {
    let mut broken = Broken::new();
    let commit = broken.ended.model.commits.values_mut().find(|commit| commit.fare > 0).unwrap();
    commit.fare = 9_000;
    assert_named(broken, "fares are decided again alike");
}

#[test]
fn an_unknown_tap_that_waits_for_nothing_is_seen() {
    let broken = Broken::new();
    let ends = "(SELECT min(id) FROM entry WHERE kind IN ('unknown_confirmed', 'unknown_voided'))";
    broken.change(BOOKS, &format!("DELETE FROM entry WHERE id = {ends}"));
    assert_named(broken, "nothing waits that a card has decided");
}

#[test]
fn a_settlement_that_depends_on_the_order_is_seen() {
    let broken = Broken::new();
    broken.change("in-order/books.sqlite", "DELETE FROM statement WHERE operator = 1");
    assert_named(broken, "late and shuffled settle as in order");
}

#[test]
fn a_ride_without_a_debit_is_seen() {
    let mut broken = Broken::new();
    *broken.ended.model.admitted.entry(0).or_default() += 100;
    assert_named(broken, "rides never exceed debits");
}

#[test]
fn a_ride_of_a_denied_card_is_seen() {
    let mut broken = Broken::new();
    broken.ended.model.denied_rides.push("card 3 at gate 1".to_owned());
    assert_named(broken, "denied cards do not ride");
}
