//! Which upload is next, and when.

use proptest::prelude::*;
use transit::sync::{TapAcknowledgement, Verdict};
use validator::outbox::{Cursor, Next, Outbox};

fn outbox(through: u32) -> Outbox {
    Outbox::new(Cursor { epoch: 1, through }, (250, 60_000))
}

fn verdicts(verdicts: &[Verdict]) -> Vec<TapAcknowledgement> {
    let acknowledgement =
        |verdict: &Verdict| TapAcknowledgement { tap: None, hash: String::new(), verdict: *verdict, detail: None };
    verdicts.iter().map(acknowledgement).collect()
}

#[test]
fn what_is_durable_is_sent_in_batches() {
    assert_eq!(outbox(0).next(0, 1, 0), Next::Idle);
    assert_eq!(outbox(4).next(0, 1, 9), Next::Send { first: 5, last: 9 });
    assert_eq!(outbox(0).next(0, 1, 1200), Next::Send { first: 1, last: 500 });
    assert_eq!(outbox(9).next(0, 2, 3), Next::Send { first: 1, last: 3 }, "a new epoch begins at its start");
}

#[test]
fn answers_move_the_cursor_past_what_is_held() {
    use Verdict::{Accepted, Conflict, Known, OutOfOrder};
    let table: [(&[Verdict], u32); 5] = [
        (&[Accepted, Accepted], 6),
        (&[Known, Conflict], 6),
        (&[Accepted, OutOfOrder, Accepted], 5),
        (&[OutOfOrder], 4),
        (&[], 4),
    ];
    for (answer, through) in table {
        assert_eq!(outbox(4).answered(0, 5, &verdicts(answer), 0).through, through, "{answer:?}");
    }
}

#[test]
fn failures_wait_longer_and_longer() {
    let mut outbox = outbox(0);
    let mut waits = Vec::new();
    for _ in 0..10 {
        outbox.failed(1000, 0);
        let Next::Wait { until_ms } = outbox.next(1000, 1, 5) else { panic!("it waits") };
        waits.push(until_ms - 1000);
    }
    assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    outbox.network_is_back();
    assert_eq!(outbox.next(1000, 1, 5), Next::Send { first: 1, last: 5 });
}

#[test]
fn what_core_never_noted_is_sent_again_and_not_at_once() {
    let mut outbox = outbox(9);
    assert_eq!(outbox.next(0, 1, 9), Next::Idle);
    // Core may be about to note it.
    outbox.core_lacks(1_000, Some(7));
    outbox.core_lacks(60_999, Some(7));
    assert_eq!(outbox.next(60_999, 1, 9), Next::Idle);
    outbox.core_lacks(61_000, Some(7));
    assert_eq!(outbox.next(61_000, 1, 9), Next::Send { first: 7, last: 9 });
    // Answered, and core still does not: again after as long.
    outbox.answered(61_001, 7, &verdicts(&[Verdict::Known; 3]), 0);
    outbox.core_lacks(61_002, Some(7));
    assert_eq!(outbox.next(61_002, 1, 9), Next::Idle);
    // A tap that is new to be waited for, or none, begins anew.
    outbox.core_lacks(121_000, Some(8));
    outbox.core_lacks(121_001, None);
    outbox.core_lacks(121_002, Some(8));
    outbox.core_lacks(181_001, Some(8));
    assert_eq!(outbox.next(181_001, 1, 9), Next::Idle);
    // What was not sent yet is not lacking.
    outbox.core_lacks(181_001, Some(10));
    outbox.core_lacks(999_999, Some(10));
    assert_eq!(outbox.next(999_999, 1, 9), Next::Idle);
}

#[test]
fn a_wait_is_over_at_its_end() {
    let mut outbox = outbox(0);
    outbox.failed(1000, 0);
    assert_eq!(outbox.next(1249, 1, 5), Next::Wait { until_ms: 1250 });
    assert_eq!(outbox.next(1250, 1, 5), Next::Send { first: 1, last: 5 });
}

/// An answer that takes nothing is a failure; one that takes something begins the waits anew.
#[test]
fn answers_that_take_nothing_wait() {
    let mut outbox = outbox(0);
    let wait = |outbox: &mut Outbox| match outbox.next(0, 1, 5) {
        Next::Wait { until_ms } => Some(until_ms),
        Next::Send { .. } | Next::Idle => None,
    };
    for expected in [250, 500] {
        outbox.answered(0, 1, &verdicts(&[Verdict::OutOfOrder]), 0);
        assert_eq!(wait(&mut outbox), Some(expected));
    }
    outbox.answered(0, 1, &verdicts(&[Verdict::Accepted, Verdict::OutOfOrder]), 0);
    assert_eq!(wait(&mut outbox), None);
    outbox.answered(0, 2, &verdicts(&[]), 0);
    assert_eq!(wait(&mut outbox), Some(250), "the first wait again");
}

#[test]
fn chance_takes_its_share_of_half_a_wait() {
    for (chance, expected) in [(0, 250), (u32::MAX / 5, 225), (u32::MAX / 5 * 2, 200), (u32::MAX, 125)] {
        let mut outbox = outbox(0);
        outbox.failed(0, chance);
        assert_eq!(outbox.next(0, 1, 5), Next::Wait { until_ms: expected }, "{chance}");
    }
}

proptest! {
    #[test]
    fn chance_shortens_a_wait_by_half_at_most(chance: u32, failures in 1..12_u32) {
        let mut plain = outbox(0);
        let mut shortened = outbox(0);
        for _ in 0..failures {
            plain.failed(0, 0);
            shortened.failed(0, chance);
        }
        let wait = |outbox: &mut Outbox| match outbox.next(0, 1, 5) {
            Next::Wait { until_ms } => until_ms,
            other => panic!("{other:?}"),
        };
        let (plain, shortened) = (wait(&mut plain), wait(&mut shortened));
        prop_assert!(shortened <= plain && shortened >= plain / 2);
    }
}

/// A cursor that was lost does not ask for taps that went.
#[test]
fn taps_that_went_are_not_sent_again() {
    let mut outbox = Outbox::new(Cursor { epoch: 0, through: 0 }, (250, 60_000));
    outbox.starts_after(1, 40);
    assert_eq!(outbox.next(0, 1, 50), Next::Send { first: 41, last: 50 });
    let mut outbox = Outbox::new(Cursor { epoch: 1, through: 45 }, (250, 60_000));
    outbox.starts_after(1, 40);
    assert_eq!(outbox.next(0, 1, 50), Next::Send { first: 46, last: 50 });
}
