//! What start-up calls damaged, and why it says so: each in a log that is whole otherwise.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use transit::id::DeviceId;
use validator::log::{LogFailed, LogFiles, TapLog};

use crate::damage::{beside, head, killed_log, open, sealed};
use crate::world::memory_folder;

const OTHER_TABLES: &str = "its tables are not those that this program made";

/// Runs `sql` on the log, whose triggers are back in their place afterwards.
fn tamper(path: &Path, sql: &str) {
    let log = Connection::open(path).unwrap();
    log.pragma_update(None, "foreign_keys", false).unwrap();
    let mut statement = log.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").unwrap();
    let triggers = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let triggers: Vec<(String, String)> = triggers.collect::<Result<_, _>>().unwrap();
    for (name, _) in &triggers {
        log.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    log.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    for (_, trigger) in &triggers {
        log.execute_batch(trigger).unwrap();
    }
}

#[test]
fn rows_that_are_not_what_was_written_are_damage() {
    let whole = killed_log(12, 0);
    let table = [
        (
            "UPDATE tap SET sealed = (SELECT sealed FROM tap WHERE sequence = 5) WHERE sequence = 6",
            "tap 101-1-5 is in the place 6 of 101-1-6",
        ),
        ("UPDATE tap SET sequence = 13 WHERE sequence = 12", "tap 101-1-12 is in the place 13 of 101-1-12"),
        ("DELETE FROM tap WHERE sequence = 6", "tap 101-1-7 is in the place 7 of 101-1-6"),
        ("DELETE FROM tap WHERE sequence = 12", "it ends with tap 11, and its head is tap 12"),
        (
            "UPDATE tap SET sealed = zeroblob(352) WHERE sequence = 6",
            "a tap in it: sealed-tap version 0 is unknown; this program reads version 1",
        ),
        ("UPDATE log SET anchor_hash = randomblob(32)", "tap 101-1-1 does not go on from the one before it"),
        ("UPDATE log SET durable_through = 13", "13 taps were on the disk, and it ends with 12"),
        ("UPDATE log SET device = 102", "it says that it is device 102's, and its head does not"),
        ("UPDATE log SET epoch = 2", "tap 101-1-1 is in the place 1 of 101-2-1"),
        ("DELETE FROM log", "it does not say whose it is"),
        (
            "INSERT INTO intent (one, sealed) SELECT 1, sealed FROM tap WHERE sequence = 12",
            "the tap under way is not the next one",
        ),
        ("CREATE TABLE another (one)", OTHER_TABLES),
        ("DROP TABLE intent", OTHER_TABLES),
    ];
    for (sql, why) in table {
        let (_folder, path) = whole.lay_down();
        tamper(&path, sql);
        let anew = open(&path).unwrap().1.begun_anew.unwrap_or_else(|| panic!("{sql} is not found"));
        assert_eq!((anew.why.as_str(), anew.epoch), (why, 2), "{sql}");
    }
}

#[test]
fn a_log_that_is_not_the_one_of_its_head_is_damage() {
    let whole = killed_log(12, 0);
    let (_folder, path) = whole.lay_down();
    let hash = |sequence: usize| sealed(&path)[sequence - 1].hash();
    let table = [
        (head(1, 12, &hash(12), true, None), None),
        (head(1, 5, &hash(5), true, None), None),
        (head(1, 12, &hash(11), true, None), Some("tap 101-1-12 is another than its head says")),
        (head(1, 5, &hash(6), true, None), Some("tap 101-1-5 is another than its head says")),
        (head(1, 0, &hash(1), true, None), Some("it does not go on from where its head says")),
        (head(1, 13, &hash(12), true, None), Some("it ends with tap 12, and its head is tap 13")),
        (head(2, 0, &hash(12), true, None), Some("it is of epoch 1, and epoch 2 was begun")),
    ];
    for (head, why) in table {
        let (_folder, path) = whole.lay_down();
        fs::write(beside(&path, ".head"), &head).unwrap();
        let anew = open(&path).unwrap().1.begun_anew;
        assert_eq!(anew.map(|anew| anew.why), why.map(str::to_owned), "{}", String::from_utf8_lossy(&head));
    }
}

#[test]
fn a_log_in_a_place_that_cannot_be_looked_at_is_refused() {
    let folder = memory_folder();
    let file = folder.path().join("file");
    fs::write(&file, []).unwrap();
    let files = LogFiles { head: folder.path().join("head"), ..LogFiles::at(&file.join("tap.db")) };
    let refused = TapLog::open_files(&files, DeviceId::new(101).unwrap(), 1, None).unwrap_err();
    assert!(matches!(refused, LogFailed::Store { doing: "read", .. }), "{refused:?}");
}

/// It is no damage: the program is older than the log.
#[test]
fn a_log_of_a_newer_program_is_left_as_it_is() {
    let (_folder, path) = killed_log(12, 0).lay_down();
    tamper(&path, "CREATE TABLE later (one); INSERT INTO refinery_schema_history VALUES (99, 'later', '', '0')");
    let refused = open(&path).unwrap_err();
    let LogFailed::NotOurs { why, .. } = refused else { panic!("{refused}") };
    assert!(why.starts_with("its schema is version 99, and this program knows "), "{why}");
    assert!(why.ends_with(": use the newer program"), "{why}");
    assert_eq!(sealed(&path).len(), 12);
}

/// What refinery noted of an older log is read by refinery itself, which panics at what it cannot read.
#[test]
fn an_older_log_whose_migrations_cannot_be_read_is_damage() {
    let of_first_version = |change: &str| {
        let folder = memory_folder();
        let path = folder.path().join("tap.db");
        crate::damage::make_first_version(&path);
        let old = Connection::open(&path).unwrap();
        old.execute_batch(change).unwrap();
        drop(old);
        open(&path).map(|(_, start_up)| start_up.begun_anew)
    };
    assert_eq!(of_first_version("").unwrap(), None);
    let changes = [
        "applied_on = '2026-11-24t03:00:00Z'",
        "applied_on = '2026-11-24T03:00:00+00:00'",
        "applied_on = '2026-11-24T23:59:60Z'",
        "applied_on = '2026-13-24T03:00:00Z'",
        "checksum = 'x'",
        "checksum = '-1'",
    ];
    for change in changes {
        let refused = of_first_version(&format!("UPDATE refinery_schema_history SET {change}")).unwrap_err();
        assert!(matches!(refused, LogFailed::Damaged { .. }), "{change}: {refused:?}");
        assert!(refused.to_string().contains(OTHER_TABLES), "{change}: {refused}");
    }
}

/// A first start that died between refinery's own table and ours made nothing; a table that says that ours were made is
/// of something else.
#[test]
fn a_log_without_our_tables_is_begun_only_where_none_were_noted() {
    let model = memory_folder();
    drop(open(&model.path().join("tap.db")).unwrap());
    let log = Connection::open(model.path().join("tap.db")).unwrap();
    let of_refinery = "SELECT sql FROM sqlite_schema WHERE name = 'refinery_schema_history'";
    let table: String = log.query_row(of_refinery, [], |row| row.get(0)).unwrap();
    let noted = "INSERT INTO refinery_schema_history VALUES (1, 'tap_log', '2026-11-24T03:00:00Z', '0')";
    for (made, is_begun) in
        [(&table, true), (&format!("{table}; {noted}"), false), (&"CREATE TABLE other (one)".to_owned(), false)]
    {
        let folder = memory_folder();
        let path = folder.path().join("tap.db");
        Connection::open(&path).unwrap().execute_batch(made).unwrap();
        match open(&path) {
            Ok((_, start_up)) => assert!(is_begun && start_up.begun_anew.is_none(), "{made}"),
            Err(refused) => assert!(!is_begun && refused.to_string().contains(OTHER_TABLES), "{made}: {refused}"),
        }
    }
}
