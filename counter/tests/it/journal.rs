//! The journal: steps that can only be added, of one desk, by one process at a time.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use counter::journal::{AnswerKind, Journal, JournalError};
use counter::signer::Signer;
use rusqlite::Connection;
use transit::action::{Action, ActionKind, Step};
use transit::desk::{Ask, Grant, Lost, Reply};
use transit::id::{CardToken, DeviceId, OperatorId, TapId};
use transit::money::Amount;
use transit::sync::Verdict;
use transit::tap::TransactionMac;

use crate::world::{DESK, NOW, clearing_house, id, memory_folder, signed, signer_of};

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

/// A program that is just being started has the files of the one that starts it for a moment, locks and all.
#[test]
fn a_journal_is_free_as_soon_as_it_is_closed() {
    let folder = memory_folder();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                Command::new("true").status().unwrap();
            }
        });
        let refused = (0..200).find_map(|_| open(folder.path(), DESK).err());
        is_over.store(true, Ordering::Relaxed);
        assert!(refused.is_none(), "{refused:?}");
    });
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

/// What is put in the place of the second step; it is told the hash of the first.
type Second<'a> = &'a dyn Fn([u8; 32]) -> Vec<u8>;

/// Each is whole by itself, signed by whom it says, and not the step that was written there.
#[test]
fn a_journal_that_was_tampered_with_is_named() {
    let tampered = |second: Second<'_>| {
        let folder = memory_folder();
        let mut journal = open(folder.path(), DESK).unwrap();
        for sequence in 1..=3 {
            journal.append(&paid(id(sequence), 1_000)).unwrap();
        }
        let first = journal.unsent(1).unwrap()[0].hash();
        let connection = Connection::open(folder.path().join("journal.db")).unwrap();
        connection.execute("DROP TRIGGER step_never_changes", []).unwrap();
        connection.execute("UPDATE step SET sealed = ?1 WHERE sequence = 2", [second(first)]).unwrap();
        journal.verify()
    };
    let sealed = |step: TapId, previous: &[u8; 32], signer: &Signer| {
        paid(step, 1_000).seal(previous, |bytes| signer.sign(bytes)).unwrap().as_bytes().to_vec()
    };
    let (ours, other) = (signer_of(DESK), signer_of(DESK + 1));
    let out_of_chain = "does not follow the one before it";
    let table: [(&str, Second<'_>, Option<&str>); 5] = [
        ("as it was", &|first| sealed(id(2), &first, &ours), None),
        ("another step", &|first| sealed(id(3), &first, &ours), Some(out_of_chain)),
        ("after another one", &|_| sealed(id(2), &[9; 32], &ours), Some(out_of_chain)),
        ("signed by another desk", &|first| sealed(id(2), &first, &other), Some(out_of_chain)),
        ("no step", &|_| vec![0; 512], Some("a step in it is damaged")),
    ];
    for (what, second, expected) in table {
        match (tampered(second), expected) {
            (Ok(()), None) => {}
            (Err(JournalError::NotOurs { why, .. }), Some(text)) if why.contains(text) => {}
            (found, _) => panic!("{what}: {found:?}"),
        }
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

/// A process that died knows of no answer, whatever it was about to write.
#[test]
fn an_intent_that_is_found_is_an_unknown_step() {
    let folder = memory_folder();
    let mut journal = open(folder.path(), DESK).unwrap();
    let unknown = Action { step: Step::Unknown, ..paid(id(1), 1_000) };
    let transaction_mac = Some(TransactionMac { counter: 1, value: [9; 8] });
    journal.intend(&Action { step: Step::Written, transaction_mac, ..unknown }).unwrap();
    drop(journal);
    let desk = DeviceId::new(DESK).unwrap();
    let (journal, adopted) = Journal::open(&folder.path().join("journal.db"), desk, 1, signer_of(DESK)).unwrap();
    assert_eq!((adopted, journal.all().unwrap()), (Some(unknown.clone()), vec![unknown]));
}

/// The epoch is the journal's own, whatever the configuration says later.
#[test]
fn a_journal_goes_on_in_the_epoch_that_it_was_begun_in() {
    let folder = memory_folder();
    let desk = DeviceId::new(DESK).unwrap();
    let open = |epoch| Journal::open(&folder.path().join("journal.db"), desk, epoch, signer_of(DESK)).unwrap().0;
    for configured in [3, 4, 2] {
        let journal = open(configured);
        assert_eq!((journal.epoch(), journal.next_id().unwrap().epoch), (3, 3), "{configured} is configured");
    }
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
    assert_eq!(journal.verdict(id(1)).unwrap().as_deref(), Some("accepted"));
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
    for other in [TapId { device: DeviceId::new(DESK + 1).unwrap(), ..id(22) }, TapId { epoch: 2, ..id(22) }] {
        assert_eq!(journal.of_action(other).unwrap(), [], "{other} is of another journal");
    }
}

#[test]
fn a_grant_of_another_desk_is_not_this_one_s() {
    let folder = memory_folder();
    let mut journal = open(folder.path(), DESK).unwrap();
    let (lost, card) = (CardToken([1; 16]), CardToken([2; 16]));
    for (number, desk) in [(1, DESK), (2, DESK + 1)] {
        let desk = DeviceId::new(desk).unwrap();
        let grant = Grant { number, desk, lost, card, amount_minor: Amount::from(1_000), issuer: None };
        let kept = signed(Ask::Transfer { lost: Lost::Card(lost), card }, Reply::Transfer(grant));
        journal.keep(AnswerKind::Grant, number, &kept).unwrap();
    }
    let grants = journal.grants(&clearing_house().public_key()).unwrap();
    assert_eq!(grants.iter().map(|(_, grant)| grant.number).collect::<Vec<_>>(), [1]);
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
