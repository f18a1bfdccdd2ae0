//! The journal: steps that can only be added, of one desk, by one process at a time.

use std::path::Path;

use counter::journal::{Journal, JournalError};
use rusqlite::Connection;
use transit::action::{Action, ActionKind, Step};
use transit::id::{CardToken, DeviceId, OperatorId, TapId};
use transit::money::Amount;
use transit::sync::Verdict;

use crate::world::{DESK, NOW, id, memory_folder, signer_of};

fn open(folder: &Path, device: u32) -> Result<Journal, JournalError> {
    Journal::open(&folder.join("journal.db"), DeviceId::new(device).unwrap(), 1, signer_of(DESK))
        .map(|(journal, _)| journal)
}

pub(crate) fn paid(step: TapId, minor: u32) -> Action {
    Action {
        id: step,
        at: NOW,
        operator: OperatorId(1),
        staff: 7,
        kind: ActionKind::TopUp,
        step: Step::Paid,
        names: None,
        card: CardToken([step.sequence as u8; 16]),
        other_card: None,
        holder: None,
        tariff_version: 1,
        amount: Amount::from(minor),
        product: None,
        grant: None,
        record_read: None,
        issuer_read: None,
        credited: None,
        debited: None,
        issuer_written: None,
        record_written: None,
        transaction_mac: None,
    }
}

#[test]
fn a_step_is_neither_changed_nor_removed_nor_skipped() {
    let folder = memory_folder();
    let mut journal = open(folder.path(), DESK).unwrap();
    for sequence in 1..=3 {
        journal.append(&paid(id(sequence), 1_000)).unwrap();
    }
    assert!(matches!(journal.append(&paid(id(5), 1)), Err(JournalError::NotOurs { .. })), "a gap");
    assert!(matches!(journal.append(&paid(id(3), 1)), Err(JournalError::NotOurs { .. })), "a second third");
    let connection = Connection::open(folder.path().join("journal.db")).unwrap();
    for sql in [
        "UPDATE step SET takes = 0",
        "UPDATE step SET sealed = zeroblob(512) WHERE sequence = 2",
        "DELETE FROM step WHERE sequence = 3",
        "INSERT INTO step SELECT 9, sealed, first, kind, step, card, takes FROM step WHERE sequence = 1",
    ] {
        assert!(connection.execute(sql, []).is_err(), "{sql}");
    }
    journal.verify().unwrap();
    assert_eq!(journal.next_id().unwrap(), id(4));
}

#[test]
fn a_journal_that_was_tampered_with_is_named() {
    for sql in [
        "UPDATE step SET sealed = (SELECT sealed FROM step WHERE sequence = 1) WHERE sequence = 2",
        "UPDATE step SET sealed = zeroblob(512) WHERE sequence = 2",
    ] {
        let folder = memory_folder();
        let mut journal = open(folder.path(), DESK).unwrap();
        for sequence in 1..=3 {
            journal.append(&paid(id(sequence), 1_000)).unwrap();
        }
        let connection = Connection::open(folder.path().join("journal.db")).unwrap();
        connection.execute("DROP TRIGGER step_never_changes", []).unwrap();
        connection.execute(sql, []).unwrap();
        let found = journal.verify().unwrap_err();
        assert!(matches!(found, JournalError::NotOurs { .. }), "{sql}: {found}");
    }
}

#[test]
fn one_process_at_a_time_and_one_desk_for_ever() {
    let folder = memory_folder();
    let journal = open(folder.path(), DESK).unwrap();
    let busy = open(folder.path(), DESK).unwrap_err();
    assert!(matches!(busy, JournalError::Busy(_)), "{busy}");
    drop(journal);
    let other = open(folder.path(), DESK + 1).unwrap_err();
    assert!(other.to_string().contains("it is that of desk 900, and this is desk 901"), "{other}");
    assert!(open(folder.path(), DESK).is_ok());
}

#[test]
fn a_verdict_counts_for_the_bytes_that_it_names_and_no_others() {
    let folder = memory_folder();
    let mut journal = open(folder.path(), DESK).unwrap();
    for sequence in 1..=2 {
        journal.append(&paid(id(sequence), 1_000)).unwrap();
    }
    let hashes: Vec<[u8; 32]> = journal.unsent(10).unwrap().iter().map(|step| step.hash()).collect();
    let noted = journal.acknowledge(&[(1, hashes[0], Verdict::Accepted), (2, hashes[0], Verdict::Accepted)]).unwrap();
    assert_eq!((noted, journal.counts().unwrap()), (1, (2, 1)));
    assert_eq!(journal.verdict(id(2)).unwrap(), None);
    assert_eq!(journal.acknowledge(&[(2, hashes[1], Verdict::Known)]).unwrap(), 1);
    assert_eq!(journal.counts().unwrap(), (2, 0));
}

#[test]
fn open_actions_are_found_among_many_that_are_not() {
    let folder = memory_folder();
    let mut journal = open(folder.path(), DESK).unwrap();
    for first in (1..=40).step_by(2) {
        journal.append(&paid(id(first), 1_000)).unwrap();
        let step = if first == 21 { Step::Unknown } else { Step::Written };
        journal.append(&Action { names: Some(id(first)), step, ..paid(id(first + 1), 1_000) }).unwrap();
    }
    let open_steps: Vec<TapId> = journal.of_open_actions().unwrap().iter().map(|step| step.id).collect();
    assert_eq!(open_steps, [id(21), id(22)]);
    assert_eq!(journal.taken().unwrap().minor(), 20_000, "written and unknown steps take, paid ones do not");
    assert_eq!(journal.of_action(id(22)).unwrap().len(), 2);
}

/// The tables and the note that they are made reach the disk together: a fault between the two would leave a journal that
/// no later start can open.
#[test]
fn a_migration_that_cannot_be_noted_is_not_made() {
    let (model, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(open(model.path(), DESK).unwrap());
    let table: String = Connection::open(model.path().join("journal.db"))
        .unwrap()
        .query_row("SELECT sql FROM sqlite_schema WHERE name = 'refinery_schema_history'", [], |row| row.get(0))
        .unwrap();
    // The trigger stands for a disk that is full just there.
    let full = "CREATE TRIGGER full BEFORE INSERT ON refinery_schema_history BEGIN SELECT RAISE(ABORT, 'full'); END";
    let journal = Connection::open(folder.path().join("journal.db")).unwrap();
    journal.execute_batch(&format!("{table}; {full}")).unwrap();
    assert!(matches!(open(folder.path(), DESK), Err(JournalError::Store { .. })));
    journal.execute_batch("DROP TRIGGER full").unwrap();
    open(folder.path(), DESK).unwrap();
}
