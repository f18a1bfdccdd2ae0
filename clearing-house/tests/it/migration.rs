//! Books of before desks: made by the first migration alone, then opened by this program.

use clearing_house::{ClearingHouse, Config};
use refinery::{Migration, Runner};
use rusqlite::Connection;
use transit::sync::Verdict;

use crate::desk_support::Desk;
use crate::support::{Card, City, MORNING, Validator, later, monday, verdicts, write_config};

const V1: &str = include_str!("../../migrations/V1__books.sql");
/// What the programs of before desks put into their books, row by row.
const TABLES: [&str; 9] =
    ["receipt", "tap", "kept_aside", "evidence", "finding", "entry", "posting", "closed_day", "statement"];

/// The books of a morning with rides, an unknown tap that a card decided, a conflict and a closed day.
fn morning() -> City {
    let (mut validator, mut card) = (Validator::new(1, 1), Card::new(1, 50_000));
    let taps = [
        validator.done(&mut card, MORNING),
        validator.unknown(&mut card, later(1_000), true),
        validator.done(&mut card, later(2_000)),
    ];
    let mut city = City::new();
    city.upload(&taps);
    city.upload(&[Validator::new(1, 1).done(&mut Card::new(2, 50_000), MORNING)]);
    city.clearing_house.settle(monday(), later(7_200)).unwrap();
    city
}

/// The same rows in a file of version 1.
fn version_1_of(city: &City, path: &std::path::Path) {
    let mut old = Connection::open(path).unwrap();
    Runner::new(&[Migration::unapplied("V1__books", V1).unwrap()]).run(&mut old).unwrap();
    let now = city.folder.path().join("books.sqlite");
    old.execute("ATTACH ?1 AS now", [now.to_str().unwrap()]).unwrap();
    // The trigger that keeps closed days closed would refuse to copy them before their entries; closed_day is late.
    for table in TABLES {
        old.execute(&format!("INSERT INTO main.{table} SELECT * FROM now.{table}"), []).unwrap();
    }
}

fn rows(connection: &Connection, table: &str) -> Vec<Vec<rusqlite::types::Value>> {
    let mut statement = connection.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2, 3")).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| (0..columns).map(|index| row.get(index)).collect()).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn books_of_version_1_are_taken_over_whole() {
    let city = morning();
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "enforce");
    let path = folder.path().join("books.sqlite");
    version_1_of(&city, &path);
    let old = Connection::open(&path).unwrap();
    let before: Vec<_> = TABLES.iter().map(|table| rows(&old, table)).collect();
    assert!(before.iter().all(|rows| !rows.is_empty()));
    drop(old);

    let clearing_house = ClearingHouse::open(Config::read(&config, None).unwrap()).unwrap();
    let mut taken_over = City { folder, clearing_house };
    let after: Vec<_> = TABLES.iter().map(|table| rows(&taken_over.sql(), table)).collect();
    assert_eq!(after, before, "not a row is changed");
    taken_over.verify();

    // The triggers are there again, and books go on.
    for table in ["entry", "evidence"] {
        let error = taken_over.sql().execute(&format!("DELETE FROM {table}"), []).unwrap_err().to_string();
        assert!(error.contains("only added"), "{error}");
    }
    let closed = taken_over.sql().execute(
        "INSERT INTO entry (kind, operator, service_day, settlement_day, posted_at, currency, chain) \
         VALUES ('settlement', 9, '2026-11-23', '2026-11-23', 0, 'VND', zeroblob(32))",
        [],
    );
    assert_eq!(closed.unwrap_err().to_string(), "a closed day takes no entry");
    let load = Desk::new().load(&mut Card::new(3, 0), later(8_000), 10_000);
    assert_eq!(verdicts(&taken_over.upload_actions_at(&load, later(9_000))), [Verdict::Accepted; 2]);
    assert_eq!(taken_over.balance("cards:float"), 10_000 - 24_000);
    taken_over.verify();
    let day = taken_over.clearing_house.settle(monday(), later(9_100)).unwrap();
    assert_eq!(day.statements[0].statement.rides, 3);
}

/// SQLite applies a migration whole or not at all: books that V2 cannot take over stay as they were.
#[test]
fn books_with_a_row_that_names_nothing_are_refused() {
    let city = morning();
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "enforce");
    let path = folder.path().join("books.sqlite");
    version_1_of(&city, &path);
    let old = Connection::open(&path).unwrap();
    old.execute_batch("PRAGMA foreign_keys = OFF; DROP TRIGGER receipt_delete; DELETE FROM receipt").unwrap();
    drop(old);
    let error = ClearingHouse::open(Config::read(&config, None).unwrap()).unwrap_err().to_string();
    assert!(error.starts_with("a row of the books is damaged: a row of `"), "{error}");
}

/// The tables and the note that they are made reach the disk together: a fault between the two would leave books that no
/// later start can open.
#[test]
fn a_migration_that_cannot_be_noted_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "enforce");
    let path = folder.path().join("books.sqlite");
    let table: String = City::new()
        .sql()
        .query_row("SELECT sql FROM sqlite_schema WHERE name = 'refinery_schema_history'", [], |row| row.get(0))
        .unwrap();
    let books = Connection::open(&path).unwrap();
    // The trigger stands for a disk that is full just there.
    let full = "CREATE TRIGGER full BEFORE INSERT ON refinery_schema_history BEGIN SELECT RAISE(ABORT, 'full'); END";
    books.execute_batch(&format!("{table}; {full}")).unwrap();
    ClearingHouse::open(Config::read(&config, None).unwrap()).unwrap_err();
    books.execute_batch("DROP TRIGGER full").unwrap();
    ClearingHouse::open(Config::read(&config, None).unwrap()).unwrap();
}

/// Books of before validators were believed of others' taps: what they told then decides once the card is seen again.
#[test]
fn a_tap_that_was_told_of_before_waits_until_its_card_is_seen_again() {
    let (mut card, mut first, mut second) = (Card::new(1, 100_000), Validator::new(1, 1), Validator::new(3, 2));
    let anchor = first.done(&mut card, MORNING);
    let torn = [
        first.unknown(&mut card, later(1_000), true),
        second.unknown(&mut card, later(2_000), true),
        first.unknown(&mut card, later(3_000), true),
    ];
    let next = second.done(&mut card, later(4_000));
    let city = {
        let mut city = City::new();
        city.upload(&[anchor, torn[0].clone(), torn[2].clone()]);
        city.upload(&[next]);
        city.upload(&torn[1..2]);
        city
    };
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "enforce");
    let path = folder.path().join("books.sqlite");
    version_1_of(&city, &path);
    let old = Connection::open(&path).unwrap();
    // The last entry confirms the first torn tap on what the other operator's validator read.
    old.execute_batch(
        "DROP TRIGGER entry_delete; DROP TRIGGER posting_delete; \
         DELETE FROM posting WHERE entry = (SELECT max(id) FROM entry); \
         DELETE FROM entry WHERE id = (SELECT max(id) FROM entry);",
    )
    .unwrap();
    drop(old);
    let clearing_house = ClearingHouse::open(Config::read(&config, None).unwrap()).unwrap();
    let mut old = City { folder, clearing_house };
    old.verify();
    assert_eq!(old.balance("suspense:unknown"), 8_000);
    old.upload(&[Validator::new(2, 1).done(&mut card, later(5_000))]);
    old.verify();
    assert_eq!(old.balance("suspense:unknown"), 0);
}
