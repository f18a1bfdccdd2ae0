//! What to upload next, and when: pure, time and chance are handed in.

use serde::{Deserialize, Serialize};
use transit::id::Epoch;
use transit::sync::{TAPS_PER_BATCH_MAX, TapAcknowledgement};

/// How far the taps of a log were taken by the clearing house. Kept in a file of `sync`'s own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The epoch of the log.
    pub epoch: Epoch,
    /// Every tap up to here was taken.
    pub through: u32,
}

/// Decides uploads for one log.
#[derive(Debug)]
pub struct Outbox {
    cursor: Cursor,
    retry_ms: (u64, u64),
    failures: u32,
    retry_at_ms: u64,
    /// The first tap whose acknowledgement core has not noted, and since when, in ms.
    lacking: Option<(u32, u64)>,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Upload these taps, both ends included.
    Send {
        /// The first.
        first: u32,
        /// The last.
        last: u32,
    },
    /// Nothing before this time.
    Wait {
        /// The time, in ms.
        until_ms: u64,
    },
    /// Nothing to send.
    Idle,
}

impl Outbox {
    /// An outbox that goes on at `cursor`, and waits between the two times of `retry_ms` after failures.
    pub fn new(cursor: Cursor, retry_ms: (u64, u64)) -> Self {
        Self { cursor, retry_ms, failures: 0, retry_at_ms: 0, lacking: None }
    }

    /// Taps of `epoch` up to `anchor_sequence` went: they were acknowledged, whatever the cursor remembers.
    pub fn starts_after(&mut self, epoch: Epoch, anchor_sequence: u32) {
        let through = if epoch == self.cursor.epoch { self.cursor.through } else { 0 };
        self.cursor = Cursor { epoch, through: through.max(anchor_sequence) };
    }

    /// What to do at `now_ms`, when taps of `epoch` up to `durable_through` are durable.
    pub fn next(&mut self, now_ms: u64, epoch: Epoch, durable_through: u32) -> Next {
        if epoch != self.cursor.epoch {
            self.cursor = Cursor { epoch, through: 0 };
        }
        if durable_through <= self.cursor.through {
            return Next::Idle;
        }
        if now_ms < self.retry_at_ms {
            return Next::Wait { until_ms: self.retry_at_ms };
        }
        let most = u32::try_from(TAPS_PER_BATCH_MAX).unwrap_or(u32::MAX);
        let first = self.cursor.through + 1;
        Next::Send { first, last: durable_through.min(first.saturating_add(most - 1)) }
    }

    /// The upload of `first` and what follows it was answered, a verdict for each tap in order. Moves past those that
    /// the clearing house holds, and tells how far.
    pub fn answered(&mut self, now_ms: u64, first: u32, verdicts: &[TapAcknowledgement], chance: u32) -> Cursor {
        let held = verdicts.iter().take_while(|tap| tap.verdict.is_final()).count();
        let through = u32::try_from(held).ok().and_then(|held| first.checked_add(held)).map(|after| after - 1);
        if held == 0 {
            self.failed(now_ms, chance);
        } else {
            self.failures = 0;
            self.retry_at_ms = 0;
        }
        self.cursor.through = self.cursor.through.max(through.unwrap_or(0));
        self.cursor
    }

    /// The upload failed: the wait doubles from the first to the longest, shortened by up to half by `chance`, so that
    /// a fleet does not come back all at once.
    pub fn failed(&mut self, now_ms: u64, chance: u32) {
        let (first, longest) = self.retry_ms;
        let wait = first.saturating_mul(1 << self.failures.min(20)).min(longest);
        let shortened = wait - wait / 2 * u64::from(chance) / u64::from(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        self.retry_at_ms = now_ms.saturating_add(shortened);
    }

    /// At `now_ms` core has noted the acknowledgements of all taps before `first`, or of all. One that core died over, or
    /// could not write down, is fetched once more: when it has been lacking for the longest wait, the tap and what
    /// follows it are sent again.
    pub fn core_lacks(&mut self, now_ms: u64, first: Option<u32>) {
        let Some(first) = first.filter(|first| *first <= self.cursor.through) else {
            self.lacking = None;
            return;
        };
        match self.lacking {
            Some((lacking, since_ms)) if lacking == first => {
                if now_ms.saturating_sub(since_ms) >= self.retry_ms.1 {
                    self.cursor.through = first - 1;
                    self.lacking = Some((first, now_ms));
                }
            }
            Some(_) | None => self.lacking = Some((first, now_ms)),
        }
    }

    /// The network is known to be back: no more waiting.
    pub fn network_is_back(&mut self) {
        self.failures = 0;
        self.retry_at_ms = 0;
    }
}
