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
