//! What the tap log keeps when the process or the disk fails.

use rusqlite::Connection;
use transit::id::DeviceId;
use transit::screen::State;
use transit::sync::Verdict;
use transit::tap::{Outcome, Tap};
use transit::time::Moment;
use validator::log::{Acknowledged, LogFailed, TapLog};
use virtual_card::Fault;

use crate::world::{BOOT, Bus, Cards, NOW};

fn later(seconds: u32) -> Moment {
    Moment(NOW.0 + seconds)
}

/// A tap as the engine would intend it.
fn some_tap(bus: &mut Bus, cards: &mut Cards) -> Tap {
    bus.tap(cards, "adult", NOW);
    let id = bus.engine.log().unwrap().next_id();
    Tap { id, outcome: Outcome::Done, ..bus.taps()[0].clone() }
}

#[test]
fn a_process_that_died_past_the_intent_left_an_unknown_tap() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    let tap = some_tap(&mut bus, &mut cards);
    bus.engine.log().unwrap().intend(&tap).wait().unwrap();
    assert_eq!(bus.restart().unknown, Some(tap.id));
    let last = bus.taps().pop().unwrap();
    assert_eq!((last.id, last.outcome, last.transaction_mac), (tap.id, Outcome::Unknown, None));
    assert_eq!(bus.restart().unknown, None, "only once");
}

#[test]
fn a_torn_tap_is_resolved_after_a_restart() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    bus.torn_tap(&mut cards, "torn", NOW, Fault::LoseAfter(7));
    bus.restart();
    let again = bus.tap(&mut cards, "torn", later(3));
    assert!(matches!(again.state(), State::Accepted { recovered: true, .. }), "{:?}", again.state());
    bus.restart();
    let third = bus.tap(&mut cards, "torn", later(6));
    assert!(matches!(third.state(), State::Attention { .. }), "{:?}", third.state());
}

#[test]
fn taps_are_durable_with_the_next_intent_or_a_flush() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    let durable = |bus: &Bus| -> u32 {
        let log = Connection::open(bus.folder.path().join("tap.db")).unwrap();
        log.query_row("SELECT durable_through FROM log", [], |row| row.get(0)).unwrap()
    };
    bus.tap(&mut cards, "adult", NOW);
    assert_eq!(durable(&bus), 0, "its own intent's fsync came before it");
    bus.tap(&mut cards, "open-journey", NOW);
    let covered = durable(&bus);
    assert!((1..3).contains(&covered), "the second intent's fsync covers the first tap: {covered}");
    bus.engine.log().unwrap().flush().wait().unwrap();
    assert_eq!(durable(&bus) as usize, bus.taps().len());
}

#[test]
fn sealed_taps_cannot_be_changed_or_removed_or_skipped() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    bus.tap(&mut cards, "adult", NOW);
    let log = Connection::open(bus.folder.path().join("tap.db")).unwrap();
    for (sql, why) in [
        ("UPDATE tap SET sealed = zeroblob(352)", "never changes"),
        ("DELETE FROM tap", "never goes before it is acknowledged"),
        ("INSERT INTO tap (sequence, sealed) VALUES (9, zeroblob(352))", "only follow the last"),
    ] {
        let error = log.execute(sql, []).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn an_acknowledgement_counts_only_for_the_bytes_that_it_names() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    bus.tap(&mut cards, "adult", NOW);
    let hash = bus.taps()[0].seal(&[0; 32]).unwrap().hash();
    let acknowledged = |hash| vec![Acknowledged { sequence: 1, hash, verdict: Verdict::Accepted }];
    let noted = |bus: &Bus| validator::status::Status::read(&bus.folder.path().join("tap.db")).unwrap().acknowledged;
    bus.engine.log().unwrap().acknowledge(acknowledged([9; 32])).wait().unwrap();
    assert_eq!(noted(&bus), 0);
    bus.engine.log().unwrap().acknowledge(acknowledged(hash)).wait().unwrap();
    assert_eq!(noted(&bus), 1);
}

#[test]
fn a_log_that_cannot_be_written_refuses_before_money_moves() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    // Another program holds the write lock: the intent cannot be committed.
    let other = Connection::open(bus.folder.path().join("tap.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = bus.tap(&mut cards, "adult", NOW);
    assert!(matches!(refused.answer, Err(LogFailed::Store { .. })), "{:?}", refused.answer);
    assert_eq!(cards.purse("adult"), 50_000);
    assert_eq!(refused.instructions.last(), Some(&"AbortTransaction"), "the card may forget what is staged");
    let closed = bus.tap(&mut cards, "adult", NOW);
    assert!(matches!(closed.answer, Err(LogFailed::Closed)), "{:?}", closed.answer);

    other.execute_batch("ROLLBACK").unwrap();
    bus.restart();
    assert!(matches!(bus.tap(&mut cards, "adult", NOW).state(), State::Accepted { .. }));
    assert_eq!(cards.purse("adult"), 42_000);
}

#[test]
fn without_a_log_there_are_no_taps() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    bus.engine.close_log();
    assert!(bus.engine.log().is_none());
    let closed = bus.tap(&mut cards, "adult", NOW);
    assert!(matches!(closed.answer, Err(LogFailed::Closed)), "{:?}", closed.answer);
    assert_eq!(cards.purse("adult"), 50_000);
}

#[test]
fn a_log_of_another_device_is_refused() {
    let bus = Bus::new(101, 23);
    let path = bus.folder.path().join("tap.db");
    let error = TapLog::open(&path, DeviceId::new(102).unwrap(), 1, BOOT).unwrap_err().to_string();
    assert!(
        error.contains("it belongs to device 101, and this is device 102: give this device its own log"),
        "{error}"
    );
}

/// The tables and the note that they are made reach the disk together: a fault between the two would leave a log that no
/// later start can open.
#[test]
fn a_migration_that_cannot_be_noted_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let device = DeviceId::new(101).unwrap();
    let path = folder.path().join("tap.db");
    drop(TapLog::open(&folder.path().join("model.db"), device, 1, BOOT).unwrap());
    let table: String = Connection::open(folder.path().join("model.db"))
        .unwrap()
        .query_row("SELECT sql FROM sqlite_schema WHERE name = 'refinery_schema_history'", [], |row| row.get(0))
        .unwrap();
    // The trigger stands for a disk that is full just there.
    let full = "CREATE TRIGGER full BEFORE INSERT ON refinery_schema_history BEGIN SELECT RAISE(ABORT, 'full'); END";
    let log = Connection::open(&path).unwrap();
    log.execute_batch(&format!("{table}; {full}")).unwrap();
    assert!(matches!(TapLog::open(&path, device, 1, BOOT), Err(LogFailed::Store { .. })));
    log.execute_batch("DROP TRIGGER full").unwrap();
    TapLog::open(&path, device, 1, BOOT).unwrap();
}

/// Deleting what the clearing house has not booked is refused by the table itself.
#[test]
fn old_taps_go_only_as_far_as_they_are_booked() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    let like = some_tap(&mut bus, &mut cards);
    let path = bus.folder.path().join("tap.db");
    bus.engine.close_log();
    let (mut log, start_up) = TapLog::open(&path, DeviceId::new(101).unwrap(), 1, BOOT).unwrap();
    for made in 1..=9 {
        let tap = Tap { id: log.next_id(), at: later(made), ..like.clone() };
        log.conclude(&tap).wait().unwrap();
    }
    let taps = start_up.taps + 9;
    let sql = Connection::open(&path).unwrap();
    let left = || -> (u32, u32, u32) {
        let of_log = "SELECT count(*), min(sequence), (SELECT anchor_sequence FROM log) FROM tap";
        sql.query_row(of_log, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap()
    };
    let hash_of = |sequence: u32| -> [u8; 32] {
        sql.query_row("SELECT substr(sealed, -32) FROM tap WHERE sequence = ?1", [sequence], |row| row.get(0)).unwrap()
    };
    let verdict = |sequence, verdict| Acknowledged { sequence, hash: hash_of(sequence), verdict };
    log.flush().wait().unwrap();
    log.prune(later(1000)).wait().unwrap();
    assert_eq!(left(), (taps, 1, 0), "nothing is acknowledged");

    // The fourth is kept aside over there, the sixth is not acknowledged.
    let others = [1, 2, 3, 5, 7, 8].map(|sequence| verdict(sequence, Verdict::Accepted));
    log.acknowledge([&others[..], &[verdict(4, Verdict::Conflict)]].concat()).wait().unwrap();
    log.prune(later(0)).wait().unwrap();
    assert_eq!(left().0, taps, "not old enough");
    log.prune(later(1000)).wait().unwrap();
    assert_eq!(left(), (taps - 3, 4, 3), "the fourth is not booked");
    log.acknowledge(vec![verdict(4, Verdict::Known)]).wait().unwrap();
    log.prune(later(1000)).wait().unwrap();
    assert_eq!(left(), (taps - 5, 6, 5), "the sixth is not acknowledged");
    let forced = sql.execute_batch("UPDATE log SET anchor_sequence = 6; DELETE FROM tap WHERE sequence = 6");
    assert!(forced.unwrap_err().to_string().contains("never goes before it is acknowledged"));
    sql.execute("UPDATE log SET anchor_sequence = 5", []).unwrap();

    // The chain goes on, over a restart and when nothing is left to keep.
    let rest = (6..=taps).map(|sequence| verdict(sequence, Verdict::Accepted)).collect();
    log.acknowledge(rest).wait().unwrap();
    log.flush().wait().unwrap();
    log.prune(later(1000)).wait().unwrap();
    drop(log);
    let (mut log, start_up) = TapLog::open(&path, DeviceId::new(101).unwrap(), 1, BOOT).unwrap();
    assert_eq!((start_up.taps, start_up.begun_anew), (taps, None));
    let tap = Tap { id: log.next_id(), ..like };
    log.conclude(&tap).wait().unwrap();
    assert_eq!(left(), (1, taps + 1, taps));
    let status = validator::status::Status::read(&path).unwrap();
    assert_eq!((status.taps, status.pruned, status.acknowledged), (1, taps, 0));
}
