//! A morning through the real processes, its money worked out by hand.

use std::collections::BTreeMap;
use std::path::Path;

use simulation::morning;

use crate::key_hygiene;

/// The rides that the script makes, each with its validator's operator and its fare, by hand from `fixtures/cards` and
/// the fare of 8,000 of `fixtures/hanoi/tariff.toml`.
const RIDES: [(&str, u16, i64); 13] = [
    ("adult", 1, 8000),
    ("elderly", 2, 0),
    ("student-pass", 1, 0),
    ("other-line", 2, 8000),
    ("expired", 1, 8000),
    ("adult", 2, 8000),
    ("blank-ev3", 2, 8000),
    ("open-journey", 1, 8000),
    ("student-pass", 2, 0),
    ("torn", 1, 8000),
    ("open-journey", 2, 8000),
    ("torn", 2, 8000),
    ("open-journey", 1, 8000),
];

/// What the purses of `fixtures/cards` hold before.
const PURSES: [(&str, i64); 13] = [
    ("adult", 50_000),
    ("adult-ev1", 50_000),
    ("adult-listed", 50_000),
    // Made at the desk, loaded with 50,000; 10,000 was paid out again.
    ("blank-ev3", 40_000),
    ("clone", 99_000),
    ("denied", 50_000),
    ("elderly", 0),
    ("empty", 3_000),
    ("expired", 20_000),
    ("open-journey", 30_000),
    ("other-line", 9_000),
    ("student-pass", 20_000),
    ("torn", 50_000),
];

#[test]
fn the_books_hold_what_can_be_worked_out_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let mut told = Vec::new();
    let played = morning::play(&folder.path().join("morning"), &fixtures, false, &mut told);
    let told = String::from_utf8(told).unwrap();
    let summary = played.unwrap_or_else(|error| panic!("{error}\n{told}"));

    let total: i64 = RIDES.iter().map(|(_, _, fare)| fare).sum();
    let mut by_operator = BTreeMap::from([(1, 0), (2, 0), (3, 0), (4, 0)]);
    let mut purses: BTreeMap<String, i64> = PURSES.map(|(card, value)| (card.to_owned(), value)).into();
    for (card, operator, fare) in RIDES {
        *by_operator.get_mut(&operator).unwrap() += fare;
        *purses.get_mut(card).unwrap() -= fare;
    }
    assert_eq!(total, 80_000);
    assert_eq!(summary.statement_total_minor, total);
    assert_eq!(summary.statement_minor_by_operator, by_operator);
    assert_eq!(summary.purses_minor, purses);
    assert_eq!(summary.statement_rides, 13);
    assert_eq!(summary.statement_pending_minor, 0);

    // Admitted: thirteen; two of them on the debit of a torn tap, whose own Transaction MAC is lost.
    assert_eq!((summary.taps_accepted, summary.torn, summary.recovered, summary.killed), (13, 2, 2, 1));
    // Of the rides, eleven; at the desk one card made, one top-up, one refund, one sale.
    assert_eq!(summary.tmac_verified, 11);
    assert_eq!((summary.desk_steps_unsent, summary.desk_steps_kept_aside), (0, 0));
    // The desk owes what it took: 50,000 and 140,000 for the pass, less the 10,000 that it paid out.
    assert_eq!(summary.cash_of_desks_minor, -180_000);
    // Foreign, empty, denied, clone; the adult card that came back at once.
    assert_eq!((summary.taps_declined, summary.taps_attention), (4, 1));
    assert_eq!((summary.unacknowledged, summary.ledger_balanced), (0, true));
    assert_eq!(summary.exchanges_purse, 7);
    // Each statement line names its taps: the torn one and the one whose validator lost its power among them.
    for line in ["recovered unknown", "101-1-", "102-1-"] {
        assert!(told.contains(line), "`{line}` is not in\n{told}");
    }
    assert!(folder.path().join("morning/summary.json").exists());
    key_hygiene::no_file_holds_a_key(folder.path());
}
