//! One card after the other, for a program that a person works with.

use std::ffi::CString;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use pcsc::{Context, Scope};

use crate::{Field, ReaderEvent, spawn};

/// The names of the readers that are connected, as PC/SC gives them.
///
/// # Errors
/// [`NoCard::Reader`]: the PC/SC service is not there.
pub fn list() -> Result<Vec<String>, NoCard> {
    let list = || Context::establish(Scope::User)?.list_readers_owned();
    let readers = list().map_err(|error| NoCard::Reader { why: error.to_string() })?;
    Ok(readers.iter().map(|name| name.to_string_lossy().into_owned()).collect())
}

/// A reader on which a person lays cards.
#[derive(Debug)]
pub struct Desk {
    events: Receiver<ReaderEvent>,
}

/// A card that lies on the reader.
#[derive(Debug)]
pub struct Presented {
    /// Its identifier as the reader gave it, 4, 7 or 10 bytes.
    pub uid: Vec<u8>,
    /// The card; dropping it lets it go.
    pub field: Field,
}

/// Why there is no card.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCard {
    /// None came in time.
    #[error("no card was laid on the reader within {waited_s} seconds")]
    None {
        /// How long was waited, in seconds.
        waited_s: u64,
    },
    /// Something lies there and does not answer as a contactless card.
    #[error("what lies on the reader does not answer; lay one card flat on it, without a wallet or another card")]
    Mute,
    /// The reader or the PC/SC service is not there.
    #[error("the reader cannot be used: {why}")]
    Reader {
        /// What PC/SC says, and which readers there are.
        why: String,
    },
}

impl Desk {
    /// Watches the reader of exactly this name; an answer of a card may take `exchange_deadline`.
    ///
    /// # Errors
    /// [`NoCard::Reader`] where the name cannot be one. A reader that is not there is told by [`Desk::next_card`].
    pub fn open(name: &str, exchange_deadline: Duration) -> Result<Self, NoCard> {
        let name = CString::new(name).map_err(|_| NoCard::Reader { why: "its name holds a zero byte".to_owned() })?;
        let (sender, events) = channel();
        spawn(name, exchange_deadline, sender, |event| event);
        Ok(Self { events })
    }

    /// Waits for the next card: one that lies there when the desk is opened, or comes later. The same card counts again
    /// when it was taken away and laid down anew, or was lost in an exchange.
    ///
    /// # Errors
    /// [`NoCard`]: none within `wait`, or no reader.
    pub fn next_card(&self, wait: Duration) -> Result<Presented, NoCard> {
        let until = Instant::now() + wait;
        let mut mute = false;
        loop {
            match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(ReaderEvent::Present { uid, field, .. }) => return Ok(Presented { uid, field }),
                Ok(ReaderEvent::Gone { why }) => return Err(NoCard::Reader { why: with_readers(why) }),
                Ok(ReaderEvent::Mute) => mute = true,
                Ok(ReaderEvent::Removed) => mute = false,
                Ok(ReaderEvent::Ready | ReaderEvent::Unstuck | ReaderEvent::Alive) => {}
                Err(RecvTimeoutError::Timeout) if mute => return Err(NoCard::Mute),
                Err(RecvTimeoutError::Timeout) => return Err(NoCard::None { waited_s: wait.as_secs() }),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(NoCard::Reader { why: "its thread ended".to_owned() });
                }
            }
        }
    }
}

fn with_readers(why: String) -> String {
    match list() {
        Ok(readers) if readers.is_empty() => format!("{why}; no reader is connected"),
        Ok(readers) => format!("{why}; connected: {}", readers.join(", ")),
        Err(_) => format!("{why}; is pcscd running?"),
    }
}
