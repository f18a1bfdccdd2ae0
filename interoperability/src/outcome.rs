//! What a client did.

use std::fmt;

/// What a client did, and whether it and the card agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The client's name.
    pub client: String,
    /// What it was asked to do.
    pub task: String,
    /// How it went.
    pub result: Result<Done, NotDone>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Steps, or assertions where the client counts those.
    pub checks: usize,
    /// Commands that the card got.
    pub exchanges: u32,
}

/// Why it was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// The client is not on this machine; the reason says why and what helps.
    Skipped(String),
    /// Client and card disagree.
    Failed(String),
}

impl Outcome {
    /// Whether client and card disagree.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(self.result, Err(NotDone::Failed(_)))
    }
}

/// A line of the table.
impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, task, result } = self;
        write!(formatter, "{client:<24} {task:<62} ")?;
        match result {
            Ok(Done { checks, exchanges }) => write!(formatter, "{checks:>5} checks, {exchanges:>5} exchanges"),
            Err(NotDone::Skipped(why)) => write!(formatter, "SKIPPED: {why}"),
            Err(NotDone::Failed(why)) => write!(formatter, "FAILED: {why}"),
        }
    }
}
