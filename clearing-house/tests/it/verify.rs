//! The audit names whatever was changed.

use rusqlite::Connection;
use rusqlite::types::Value;
use transit::action::{ActionKind, Step};
use transit::desk::{Ask, Lost, Reply};
use transit::tap::{Outcome, SealedTap};

use crate::desk_support::{Desk, End};
use crate::support::{Card, City, DAY_S, MORNING, Validator, later, monday};

/// Books with at least one row in every table.
fn full() -> City {
    let mut city = City::new();
    let (mut card, mut validator) = (Card::new(1, 50_000), Validator::new(1, 1));
    let mut copy = Card::new(2, 50_000);
    let mut torn = Card::new(4, 50_000);
    let unknown = validator.unknown(&mut torn, later(100), false);
    let names = unknown.open().unwrap().id;
    let taps = [
        unknown,
        validator.done(&mut card, later(200)),
        validator.unknown(&mut card, later(2_000), true),
        validator.done(&mut card, later(4_000)),
        validator.look(&torn, later(5_000), Outcome::Voided { names }),
        validator.unknown(&mut Card::new(5, 50_000), later(6_000), true),
    ];
    city.upload(&taps);
    city.upload(&[Validator::new(1, 1).done(&mut copy, MORNING), SealedTap::from_bytes(&[7; 352]).unwrap()]);
    city.clearing_house.settle(monday(), later(7_200)).unwrap();
    city.upload_at(&[validator.done(&mut Card::new(3, 50_000), later(300))], later(DAY_S));
    desks(&mut city);
    city.verify();
    city
}

/// Every kind of entry of desks, answers of both kinds, a deny list.
fn desks(city: &mut City) {
    let (mut desk, at) = (Desk::new(), later(DAY_S + 100));
    let (mut card, mut lost, mut new) = (Card::new(20, 0), Card::new(21, 0), Card::new(22, 0));
    desk.allowance(city, at);
    let mut steps = desk.issue(&mut lost, at, 20_000, Some(4_711));
    steps.extend(desk.load(&mut card, at, 50_000));
    steps.extend(desk.sell(&mut card, at, End::Written));
    let paid = desk.paid(ActionKind::TopUp, &card, at, 9_000);
    let names = paid.open().unwrap().id;
    let unknown = desk.top_up(names, &mut card, at, 9_000, End::Unknown { committed: true });
    let resolves = unknown.open().unwrap().id;
    steps.extend([paid, unknown]);
    steps.push(desk.step((ActionKind::TopUp, Step::Confirmed { resolves }), Some(names), &card, at, 9_000));
    steps.push(desk.refund(&mut card, at, 5_000, End::Written));
    let back = desk.paid(ActionKind::TopUp, &card, at, 1_000);
    let names = Some(back.open().unwrap().id);
    steps.extend([back, desk.step((ActionKind::TopUp, Step::Refunded), names, &card, at, 1_000)]);
    steps.extend(desk.exchange(&mut card, &mut new, at));
    steps.push(desk.block(&card, at));
    city.upload_actions_at(&steps, at);
    let ask = Ask::Transfer { lost: Lost::Card(lost.token()), card: new.token() };
    let Reply::Transfer(grant) = desk.ask(city, ask, at) else { panic!("no grant") };
    city.upload_actions_at(&[desk.transfer(&grant, &mut new, at, 20_000)], at);
    city.upload_actions_at(&[desk.transfer(&grant, &mut new, at, 20_000)], at);
    city.clearing_house.deny_list(at).unwrap();
    // A torn refund of a card that can prove nothing: its desk's word is past what it is believed.
    desk.serves_ev1 = true;
    let mut ev1 = Card::new(23, 3_000);
    let unknown = desk.refund(&mut ev1, at, 1_000, End::Unknown { committed: true });
    city.upload_actions_at(&[unknown], at);
    city.upload_actions_at(&desk.exchange(&mut ev1, &mut Card::new(24, 0), at), at);
}

const TABLES: [&str; 13] = [
    "receipt",
    "tap",
    "action",
    "kept_aside",
    "evidence",
    "finding",
    "entry",
    "posting",
    "statement",
    "closed_day",
    "desk_answer",
    "deny_list",
    "unproven_limit",
];

/// Changes one row past everything that guards it.
pub(crate) fn tamper(city: &City, sql: &str) {
    let connection = city.sql();
    connection.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;").unwrap();
    drop_triggers(&connection);
    let rows = connection.execute(sql, []).unwrap();
    assert_eq!(rows, 1, "{sql}");
}

fn drop_triggers(connection: &Connection) {
    let mut statement = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").unwrap();
    let names: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for name in names {
        connection.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
}

#[test]
fn names_what_was_changed() {
    let cases = [
        ("UPDATE tap SET bytes = zeroblob(352) WHERE id = '1-1-2'", "tap 1-1-2: "),
        ("UPDATE tap SET proven = 0 WHERE id = '1-1-2'", "tap 1-1-2: its Transaction MAC"),
        ("UPDATE tap SET receipt = 2 WHERE id = '1-1-2'", "tap 1-1-2: receipt 2 does not accept it"),
        ("DELETE FROM entry WHERE id = 1", "tap 1-1-1: the ledger has"),
        ("UPDATE posting SET amount = 7999 WHERE entry = 2 AND amount > 0", "tap 1-1-2: entry 2 is not what"),
        ("DELETE FROM evidence WHERE prover = '1-1-2' AND slot = 2", "tap 1-1-2: the evidence"),
        ("UPDATE entry SET basis = '\"pass\"' WHERE id = 2", "entry 2 was changed"),
        ("DELETE FROM receipt WHERE id = 1", "receipt 1 is missing"),
        ("UPDATE receipt SET at = at + 1 WHERE id = 1", "receipt 1 has another time"),
        ("UPDATE kept_aside SET bytes = x'00' WHERE tap = '1-1-1'", "kept aside 1-1-1: the bytes"),
        ("UPDATE statement SET digest = zeroblob(32) WHERE operator = 1", "statement of 2026-11-23 for operator 1"),
        ("DELETE FROM statement WHERE operator = 2", "closed day 2026-11-23"),
        ("UPDATE closed_day SET last_entry = 0", "closed day 2026-11-23 was changed"),
        ("UPDATE action SET bytes = zeroblob(512) WHERE id = '900-1-2'", "action 900-1-2: "),
        ("UPDATE action SET proven = 0 WHERE id = '900-1-4'", "action 900-1-4: its Transaction MAC"),
        ("UPDATE action SET kind = 'sale' WHERE id = '900-1-4'", "action 900-1-4: a column of its row"),
        ("UPDATE action SET receipt = 2 WHERE id = '900-1-4'", "action 900-1-4: receipt 2 does not accept it"),
        ("DELETE FROM entry WHERE tap = '900-1-4'", "action 900-1-4: the ledger has no entry for it"),
        ("DELETE FROM evidence WHERE prover = '900-1-4' AND slot = 2", "action 900-1-4: the evidence"),
        (
            "UPDATE posting SET amount = 4999 WHERE account = 'desk:900:cash' AND amount = 5000",
            "action 900-1-10: entry",
        ),
        ("DELETE FROM action WHERE id = '900-1-15'", "taps and actions are in the books where the receipts accepted"),
        ("DELETE FROM tap WHERE id = '1-1-6'", "taps and actions are in the books where the receipts accepted"),
        (
            "UPDATE desk_answer SET answer = replace(answer, '1000000', '9000000') WHERE id = 1",
            "answer 1 is not what was signed",
        ),
        ("DELETE FROM desk_answer WHERE id = 1", "answer 1 is missing"),
        ("UPDATE deny_list SET cards = x'' WHERE version = 1", "deny list 1 was changed"),
        ("UPDATE unproven_limit SET minor = 1 WHERE id = 1", "unproven limit 1 was changed"),
    ];
    for (sql, expected) in cases {
        let mut city = full();
        tamper(&city, sql);
        let verification = city.clearing_house.verify();
        let wrong = verification.wrong.unwrap_or_default();
        assert!(wrong.contains(expected) && !verification.sound, "{sql}: `{wrong}` does not say `{expected}`");
    }
}

/// Changes every column of every row of every table, one at a time.
#[test]
fn no_field_of_any_row_can_be_changed_unseen() {
    let mut city = full();
    let connection = city.sql();
    connection.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;").unwrap();
    drop_triggers(&connection);
    let tables = TABLES;
    let mut changes = 0;
    for table in tables {
        let key = key_of(&connection, table);
        for (names, values) in rows(&connection, table) {
            let at = key.iter().map(|key| value_of(&names, &values, key)).collect::<Vec<_>>();
            for (name, value) in names.iter().zip(&values) {
                // A change that SQLite itself refuses, such as to a name that is taken, is no change.
                let taken = changed(value).into_iter().find(|other| set(&connection, table, name, other, &key, &at));
                let Some(other) = taken else { continue };
                let verification = city.clearing_house.verify();
                assert!(!verification.sound, "{table}.{name} of {at:?}: {value:?} became {other:?} unseen");
                let mut at = at.clone();
                if let Some(position) = key.iter().position(|key| key == name) {
                    at[position] = other;
                }
                assert!(set(&connection, table, name, value, &key, &at));
                changes += 1;
            }
        }
    }
    assert!(changes > 600, "{changes}");
    city.verify();
}

type Rows = Vec<(Vec<String>, Vec<Value>)>;

fn rows(connection: &Connection, table: &str) -> Rows {
    let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let values = |row: &rusqlite::Row<'_>| (0..names.len()).map(|index| row.get(index)).collect();
    let rows: Vec<Vec<Value>> = statement.query_map([], values).unwrap().map(Result::unwrap).collect();
    assert!(!rows.is_empty(), "{table} has no row");
    rows.into_iter().map(|values| (names.clone(), values)).collect()
}

fn key_of(connection: &Connection, table: &str) -> Vec<String> {
    let sql = format!("SELECT name FROM pragma_table_info('{table}') WHERE pk > 0 ORDER BY pk");
    let mut statement = connection.prepare(&sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn value_of(names: &[String], values: &[Value], name: &str) -> Value {
    let position = names.iter().position(|other| other == name).unwrap();
    values[position].clone()
}

/// Other values for this one; where it is nothing, of every type that the column may have.
fn changed(value: &Value) -> Vec<Value> {
    let flipped = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        bytes
    };
    match value {
        Value::Null => vec![Value::Integer(1), Value::Text("1-1-1".to_owned()), Value::Blob(vec![0; 60])],
        Value::Integer(number) => vec![Value::Integer(number ^ 1)],
        Value::Real(_) => panic!("the books have no such column"),
        Value::Text(text) => vec![Value::Text(String::from_utf8(flipped(text.as_bytes())).unwrap())],
        Value::Blob(bytes) => vec![Value::Blob(flipped(bytes))],
    }
}

/// Whether SQLite took it.
fn set(connection: &Connection, table: &str, name: &str, value: &Value, key: &[String], at: &[Value]) -> bool {
    let place: Vec<_> = key.iter().enumerate().map(|(index, key)| format!("{key} = ?{}", index + 2)).collect();
    let sql = format!("UPDATE {table} SET {name} = ?1 WHERE {}", place.join(" AND "));
    let parameters: Vec<_> = std::iter::once(value).chain(at).collect();
    connection.execute(&sql, rusqlite::params_from_iter(parameters)).is_ok_and(|rows| rows == 1)
}

#[test]
fn the_books_refuse_changes() {
    let city = full();
    let connection = city.sql();
    for table in TABLES {
        let column = &rows(&connection, table)[0].0[0];
        for sql in [format!("UPDATE {table} SET {column} = {column}"), format!("DELETE FROM {table}")] {
            let error = connection.execute(&sql, []).unwrap_err().to_string();
            assert!(error.contains("only added") || error.contains("stays"), "{sql}: {error}");
        }
    }
    let error = connection
        .execute(
            "INSERT INTO entry (kind, operator, service_day, settlement_day, posted_at, currency, chain) \
             VALUES ('settlement', 9, '2026-11-23', '2026-11-23', 0, 'VND', zeroblob(32))",
            [],
        )
        .unwrap_err();
    assert_eq!(error.to_string(), "a closed day takes no entry");
}

#[test]
fn a_gap_is_listed_and_not_wrong() {
    let mut city = City::new();
    let mut validator = Validator::new(1, 1);
    let taps: Vec<_> = (0..5).map(|number| validator.done(&mut Card::new(number, 50_000), MORNING)).collect();
    city.upload(&[taps[0].clone(), taps[4].clone()]);
    let verification = city.clearing_house.verify();
    assert!(verification.sound);
    assert!(verification.to_string().ends_with("Not come yet: device 1 epoch 1: 2 to 4\n"), "{verification}");
}
