//! Whether a card could be taken: the reader's driver is asked for a card again and again, and each answer counts.

use std::fmt;
use std::io::{self, BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use transit::screen::{CardPath, Screen, State};

/// The answers of the card path so far.
#[derive(Debug, Default)]
pub struct Liveness(Mutex<Option<(u64, Instant)>>);

impl Liveness {
    /// It has answered.
    pub fn poll(&self) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let polls = answers.map_or(0, |(polls, _)| polls);
        *answers = Some((polls + 1, Instant::now()));
    }

    /// How often it has answered, and how long ago the last time; `None` where it never has.
    pub fn now(&self) -> Option<CardPath> {
        let answers = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.map(|(polls, last)| CardPath {
            polls,
            last_ago_ms: u64::try_from(last.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }
}

/// Whether a running core takes cards, as its panel socket says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Service {
    /// It does, as far as its screen says.
    pub takes_cards: bool,
    /// Why not, where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<transit::screen::OutOfServiceReason>,
    /// How its card path has answered.
    pub card_path: Option<CardPath>,
}

const ANSWER_WITHIN: Duration = Duration::from_secs(2);

impl Service {
    /// Asks the core that listens at `panel`.
    ///
    /// # Errors
    /// None does, or it shows nothing within two seconds.
    pub fn ask(panel: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(panel)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        let screen: Screen = serde_json::from_str(&line)?;
        let reason = match screen.state {
            State::OutOfService { reason } => Some(reason),
            State::Idle
            | State::Accepted { .. }
            | State::Attention { .. }
            | State::Declined { .. }
            | State::PresentAgain => None,
        };
        Ok(Self { takes_cards: reason.is_none(), reason, card_path: screen.card_path })
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            None => write!(f, "  takes cards           yes")?,
            Some(reason) => write!(f, "  takes cards            no   ({reason:?})")?,
        }
        match self.card_path {
            Some(CardPath { polls, last_ago_ms }) => {
                let (s, tenths) = (last_ago_ms / 1000, last_ago_ms % 1000 / 100);
                write!(f, "\n  card path        {polls:>8}   (answers, the last {s}.{tenths} s ago)")
            }
            None => write!(f, "\n  card path            none   (it has not answered yet)"),
        }
    }
}
