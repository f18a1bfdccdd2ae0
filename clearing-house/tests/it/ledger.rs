//! The rules of the ledger by themselves: what moves, and in which day it counts.

use clearing_house::ledger::{Account, Days, Entry, Posting, days, moved, settlement};
use transit::action::{Action, ActionKind, Step};
use transit::card::{Record, RecordKind};
use transit::id::OperatorId;
use transit::money::Amount;
use transit::time::ServiceDay;

use crate::desk_support::Desk;
use crate::support::{Card, MORNING, monday};

/// A tap counts in its day of travel, or, where that is closed or has not begun, in the first open one from its receipt
/// on.
#[test]
fn what_is_late_counts_in_the_first_open_day_from_its_receipt_on() {
    const LAST: u16 = u16::MAX;
    let table: [(u16, u16, &[u16], u16); 7] = [
        (7, 7, &[], 7),
        (7, 9, &[], 7),
        (7, 9, &[7], 9),
        (7, 9, &[7, 9, 10], 11),
        (7, 7, &[7], 8),
        (9, 7, &[], 7),
        (LAST, LAST, &[LAST], LAST),
    ];
    for (travel, receipt, closed, expected) in table {
        let found = days(ServiceDay(travel), ServiceDay(receipt), |day| closed.contains(&day.0));
        let expected = Days { travel: ServiceDay(travel), settlement: ServiceDay(expected) };
        assert_eq!(found, expected, "{closed:?} are closed");
    }
}

/// What the books refuse to post is found by the sum of an entry.
#[test]
fn the_sum_of_an_entry_is_that_of_its_postings() {
    let account = Account::CardsFloat;
    let of = |amounts: &[i64]| {
        let postings = amounts.iter().map(|amount| Posting { account, amount: *amount }).collect();
        let entry = settlement(OperatorId(1), monday(), Amount::ZERO, MORNING, "VND");
        Entry { postings, ..entry }.sum()
    };
    assert_eq!([of(&[]), of(&[-8_000, 8_000]), of(&[-8_000, 7_000])], [Some(0), Some(0), Some(-1_000)]);
    assert_eq!(of(&[i64::MAX, 1]), None);
}

/// A step that says 50,000 of itself, with what its commands named and the kind of record that it wrote.
#[test]
fn a_credit_or_a_debit_says_what_moved() {
    use ActionKind::{Block, Exchange, Issue, Refund, Sale, TopUp, Transfer};
    let table = [
        (Issue, Some(RecordKind::Issued), None, None, 50_000),
        (Issue, Some(RecordKind::Issued), Some(30_000), None, 30_000),
        (TopUp, Some(RecordKind::Load), Some(30_000), None, 30_000),
        (TopUp, Some(RecordKind::Load), None, None, 0),
        (TopUp, None, None, None, 0),
        // A card that is made with value on it needs no credit.
        (TopUp, Some(RecordKind::Issued), None, None, 50_000),
        (TopUp, Some(RecordKind::Issued), Some(30_000), None, 30_000),
        (Transfer, Some(RecordKind::Load), Some(30_000), None, 30_000),
        (Transfer, Some(RecordKind::Load), None, None, 0),
        (Transfer, Some(RecordKind::Issued), None, None, 50_000),
        (Exchange, Some(RecordKind::Load), Some(30_000), None, 30_000),
        (Exchange, Some(RecordKind::Load), None, None, 0),
        (Exchange, Some(RecordKind::Issued), None, None, 50_000),
        (Exchange, Some(RecordKind::Refund), None, Some(20_000), 20_000),
        (Exchange, Some(RecordKind::Refund), Some(30_000), None, 0),
        (Refund, Some(RecordKind::Refund), None, Some(20_000), 20_000),
        (Refund, Some(RecordKind::Refund), None, None, 0),
        (Refund, Some(RecordKind::Load), None, Some(20_000), 0),
        (Sale, Some(RecordKind::Sale), None, None, 50_000),
        (Sale, Some(RecordKind::Sale), Some(30_000), None, 50_000),
        (Block, None, Some(30_000), Some(20_000), 0),
    ];
    let (desk, card) = (Desk::new(), Card::new(1, 0));
    for (kind, written, credited, debited, expected) in table {
        let action = Action {
            record_written: written.map(|kind| Record { kind, ..card.record }.encode().unwrap()),
            credited: credited.map(Amount::from),
            debited: debited.map(Amount::from),
            ..desk.blank(kind, Step::Written, &card, MORNING, 50_000)
        };
        assert_eq!(moved(&action).minor(), expected, "{kind:?} {written:?} {credited:?} {debited:?}");
    }
}
