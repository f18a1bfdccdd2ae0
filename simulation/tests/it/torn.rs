//! A small part of `make torn`.

use std::path::{Path, PathBuf};

use simulation::torn::{Exchange, Extent, Fault, Intents, Report, explore};
use simulation::torn_random::{self, play};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

fn explored(presentations: u8, faults: &'static [Fault], intents: Intents) -> Report {
    let report = explore(Extent { presentations, faults, intents }, &fixtures()).unwrap();
    eprintln!("{report}");
    report
}

/// Each fault at the first presentation and at the second, at either validator, soon and late.
#[test]
fn no_schedule_of_torn_taps_loses_makes_up_or_gives_away() {
    let report = explored(2, Fault::ALL, Intents::Kept);
    let faults = Fault::ALL.len() as u64;
    assert_eq!(report.schedules, 2 * faults + 2 * faults * 4 * faults);
    assert_eq!(report.problems, [""; 0]);
    assert!(report.is_good());
    // The faults do what they are for.
    assert!(report.suspense > 0 && report.recovered_later > 0 && report.log_destroyed_lost > 0);
}

/// What the intent is there for.
#[test]
fn an_engine_without_its_intents_loses_debits() {
    let report = explored(1, Fault::ALL, Intents::Removed);
    assert!(report.lost > 0 && !report.is_good());
}

/// The later tap's transaction covers one record, which names the one before. Who wrote the ones below is told by the
/// validators of the other operator, whose torn taps had read them. `docs/decisions/0008-nobody-is-paid-on-its-own-word.md`.
#[test]
fn a_row_of_lost_answers_leaves_nothing_in_suspense() {
    const TORN: &[Fault] = &[Fault::LostAfter(Exchange::Commit)];
    let rows = explored(4, TORN, Intents::Kept);
    assert_eq!(rows.problems, [""; 0]);
    assert!(rows.is_good() && rows.suspense > 0);
}

/// What destroyed logs held, up to four in a row and beside lost answers, is in the books once a later tap has read older
/// records: in suspense, by the name of its tap.
#[test]
fn a_destroyed_log_loses_nothing_once_older_records_are_read() {
    const LOST: &[Fault] = &[Fault::LogDestroyed];
    const OR_TORN: &[Fault] = &[Fault::LostAfter(Exchange::Commit), Fault::LogDestroyed];
    for (presentations, faults) in [(4, LOST), (3, OR_TORN)] {
        let rows = explored(presentations, faults, Intents::Kept);
        assert_eq!(rows.problems, [""; 0]);
        assert!(rows.is_good() && rows.log_destroyed_lost_after_tap > 0);
        assert_eq!(rows.log_destroyed_lost_after_older_records, 0);
        assert!(rows.log_destroyed_named_after_older_records > 0);
    }
}

/// The outcome reaches the disk with the next intent, or once no card comes. The green on a debit whose own answer was
/// lost is forgotten as well.
#[test]
fn a_green_whose_outcome_the_disk_had_not_kept_is_not_shown_again() {
    let report = explored(2, Fault::UNSYNCED, Intents::Kept);
    assert_eq!(report.problems, [""; 0]);
    assert!(report.is_good());
    assert!(report.recovered_later > 0, "whose debit was taken without a green is still let in on it");
}

/// Longer schedules, answers cut and distorted anywhere, three validators.
#[test]
fn no_random_schedule_loses_makes_up_or_gives_away() {
    let report = play(torn_random::Extent { schedules: 100, seed: 7 }, &fixtures()).unwrap();
    eprintln!("{report}");
    assert_eq!(report.problems, [""; 0]);
    assert!(report.is_good() && report.schedules == 100);
}
