//! Cards in the field of a PC/SC reader: the only part of the project that knows PC/SC.
//!
//! A validator takes events for as long as it runs ([`spawn`]); a desk asks for one card after the other
//! ([`Desk::next_card`]). A SAM with a program's keys stays in a reader of its own ([`SamSlot`]).
//!
//! A thread waits for cards and carries exchanges, because PC/SC has no time limit on an exchange: whoever asks waits
//! with a deadline instead, and a thread that is stuck is known to be. After any error the handle is given up and never
//! used again: the next card may already answer on it. The context is made anew after every failure of the service,
//! since an old one never recovers.
#![forbid(unsafe_code)]

mod desk;
mod sam;

pub use desk::{Desk, NoCard, Presented, list};
pub use sam::SamSlot;

use std::ffi::{CStr, CString};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use card_crypto::{Lost, Transport};
use pcsc::{Card, Context, Disposition, Error, Protocols, ReaderState, Scope, ShareMode, State};

/// What a reader tells.
#[derive(Debug)]
pub enum ReaderEvent {
    /// Waiting for cards.
    Ready,
    /// No reader of this name, or no PC/SC service: it is tried again by itself.
    Gone {
        /// Why.
        why: String,
    },
    /// A card is in the field and gave its identifier.
    Present {
        /// The identifier, 4, 7 or 10 bytes.
        uid: Vec<u8>,
        /// When the reader told of the card.
        since: Instant,
        /// The card.
        field: Field,
    },
    /// Something is in the field that did not start, or left before it gave its identifier.
    Mute,
    /// The exchange that did not answer in time has ended.
    Unstuck,
    /// The field is empty.
    Removed,
    /// The reader's driver has answered just now. Comes every 400 ms for as long as no card is served: who hears nothing
    /// for longer knows that no card can be taken, though nothing else tells.
    Alive,
}

/// A card in the field. Dropping it lets the card go.
#[derive(Debug)]
pub struct Field {
    commands: SyncSender<Vec<u8>>,
    answers: Receiver<Result<Vec<u8>, Lost>>,
    deadline: Duration,
    over: Option<Lost>,
    stuck: Arc<AtomicBool>,
}

impl Field {
    /// Set while an exchange is past its deadline and has not ended: the reader can do nothing else until it does.
    pub fn stuck(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stuck)
    }
}

impl Transport for Field {
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Lost> {
        if let Some(lost) = self.over {
            return Err(lost);
        }
        let answer = match self.commands.send(command.to_vec()) {
            Ok(()) => match self.answers.recv_timeout(self.deadline) {
                Ok(answer) => answer,
                Err(RecvTimeoutError::Timeout) => {
                    self.stuck.store(true, Ordering::Relaxed);
                    Err(Lost::Silent)
                }
                Err(RecvTimeoutError::Disconnected) => Err(Lost::Reader),
            },
            Err(_) => Err(Lost::Reader),
        };
        self.over = answer.as_ref().err().copied();
        answer
    }
}

/// Waits for cards at the reader of exactly this name, for as long as somebody takes the events.
pub fn spawn<E: Send + 'static>(
    name: CString,
    exchange_deadline: Duration,
    events: Sender<E>,
    wrap: impl Fn(ReaderEvent) -> E + Send + 'static,
) {
    let tell = move |event| events.send(wrap(event)).is_ok();
    thread::spawn(move || {
        while let Ended::Failed(why) = watch(&name, exchange_deadline, &tell) {
            if !tell(ReaderEvent::Gone { why }) {
                return;
            }
            thread::sleep(RETRY_INTERVAL);
        }
    });
}

const RETRY_INTERVAL: Duration = Duration::from_millis(250);
const WATCH_INTERVAL: Duration = Duration::from_millis(400);
/// Longer than two looks of pcscd at a reader that it must poll (400 ms each).
const AGAIN_AFTER: Duration = Duration::from_millis(900);
/// The reader's own pseudo-command "get data": the identifier of the card.
const GET_UID: [u8; 5] = [0xFF, 0xCA, 0x00, 0x00, 0x00];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Served {
    Whole,
    Lost,
}

enum Ended {
    NobodyListens,
    Failed(String),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Failed(error.to_string())
    }
}

fn watch(name: &CStr, deadline: Duration, tell: &impl Fn(ReaderEvent) -> bool) -> Ended {
    match try_watch(name, deadline, tell) {
        Ok(never) => match never {},
        Err(ended) => ended,
    }
}

fn try_watch(
    name: &CStr,
    deadline: Duration,
    tell: &impl Fn(ReaderEvent) -> bool,
) -> Result<std::convert::Infallible, Ended> {
    // Waiting for a status change blocks every other call on the same context.
    let monitor = Context::establish(Scope::User)?;
    let cards = Context::establish(Scope::User)?;
    if !monitor.list_readers_owned()?.iter().any(|reader| reader.as_c_str() == name) {
        return Err(Ended::Failed(format!("no reader is called `{}`", name.to_string_lossy())));
    }
    send(tell, ReaderEvent::Ready)?;
    let mut states = [ReaderState::new(name, State::UNAWARE)];
    let mut served = None;
    let mut again_at: Option<Instant> = None;
    loop {
        let wait =
            again_at.map_or(WATCH_INTERVAL, |at| at.saturating_duration_since(Instant::now()).min(WATCH_INTERVAL));
        let nothing_new = match monitor.get_status_change(wait, &mut states) {
            Ok(()) => false,
            Err(Error::Timeout) => true,
            Err(error) => return Err(error.into()),
        };
        let since = Instant::now();
        if nothing_new {
            ask_driver(&cards, name)?;
            send(tell, ReaderEvent::Alive)?;
            if again_at.is_none_or(|at| at > since) {
                continue;
            }
            served = None;
        }
        let [state] = &mut states;
        state.sync_current_state();
        let seen = state.event_state();
        if seen.intersects(State::UNKNOWN | State::UNAVAILABLE | State::IGNORE) {
            return Err(Ended::Failed("the reader was unplugged".to_owned()));
        }
        if !seen.contains(State::PRESENT) {
            again_at = None;
            if served.take().is_some() {
                send(tell, ReaderEvent::Removed)?;
            }
            continue;
        }
        // The count tells of a card that left and one that came while nobody looked.
        let insertion = state.event_count();
        if served == Some(insertion) {
            continue;
        }
        served = Some(insertion);
        again_at = None;
        if seen.contains(State::MUTE) {
            send(tell, ReaderEvent::Mute)?;
        } else if serve(&cards, name, since, deadline, tell)? == Served::Lost {
            // A card that is still seen after a while was only disturbed, or another came in its place unnoticed.
            again_at = Some(Instant::now() + AGAIN_AFTER);
        }
    }
}

/// Asks the reader's driver whether a card is there: PC/SC itself answers for a reader whose driver hangs, with what it
/// knew before. The answer does not matter, and not every driver has one; that it comes does.
fn ask_driver(cards: &Context, name: &CStr) -> Result<(), Ended> {
    match cards.connect(name, ShareMode::Direct, Protocols::UNDEFINED) {
        Ok(reader) => {
            let mut presence = [0; 4];
            // A driver that does not know the attribute has answered too.
            let _ = reader.get_attribute(pcsc::Attribute::IccPresence, &mut presence);
            release(reader);
            Ok(())
        }
        Err(error) if is_service_gone(error) => Err(error.into()),
        // Somebody else has it, for a moment.
        Err(_) => Ok(()),
    }
}

fn serve(
    cards: &Context,
    name: &CStr,
    since: Instant,
    deadline: Duration,
    tell: &impl Fn(ReaderEvent) -> bool,
) -> Result<Served, Ended> {
    // Exclusive: a foreign command between two of ours would break the session.
    let card = match cards.connect(name, ShareMode::Exclusive, Protocols::T1) {
        Ok(card) => card,
        Err(error) if is_service_gone(error) => return Err(error.into()),
        Err(Error::NoSmartcard | Error::RemovedCard) => return Ok(Served::Lost),
        Err(_) => {
            send(tell, ReaderEvent::Mute)?;
            return Ok(Served::Lost);
        }
    };
    let mut buffer = [0; pcsc::MAX_BUFFER_SIZE];
    let uid = match card.transmit(&GET_UID, &mut buffer) {
        Ok([uid @ .., 0x90, 0x00]) if !uid.is_empty() => uid.to_vec(),
        Ok(_) | Err(_) => {
            release(card);
            send(tell, ReaderEvent::Mute)?;
            return Ok(Served::Lost);
        }
    };
    let (commands, requests) = sync_channel::<Vec<u8>>(1);
    let (replies, answers) = sync_channel(1);
    let stuck = Arc::new(AtomicBool::new(false));
    let field = Field { commands, answers, deadline, over: None, stuck: Arc::clone(&stuck) };
    send(tell, ReaderEvent::Present { uid, since, field })?;
    let mut served = Served::Whole;
    while let Ok(command) = requests.recv() {
        let answer = transmit(&card, &command, &mut buffer);
        if answer.is_err() {
            served = Served::Lost;
        }
        if replies.send(answer).is_err() || served == Served::Lost {
            break;
        }
    }
    release(card);
    if stuck.swap(false, Ordering::Relaxed) {
        send(tell, ReaderEvent::Unstuck)?;
        return Ok(Served::Lost);
    }
    Ok(served)
}

fn transmit(card: &Card, command: &[u8], buffer: &mut [u8]) -> Result<Vec<u8>, Lost> {
    // One byte or none would be taken for control of the reader.
    if command.len() < 4 {
        return Err(Lost::Card);
    }
    match card.transmit(command, buffer) {
        // A card that leaves gives an empty or a cut answer, and no error.
        Ok(answer) if answer.len() >= 2 => Ok(answer.to_vec()),
        Err(error) if is_service_gone(error) => Err(Lost::Reader),
        Ok(_) | Err(_) => Err(Lost::Card),
    }
}

/// Lets the card go without a reset, so that letting go costs nothing.
fn release(card: Card) {
    // A card that is gone cannot be disconnected; dropping it is all that is left.
    let _ = card.disconnect(Disposition::LeaveCard);
}

fn is_service_gone(error: Error) -> bool {
    matches!(error, Error::NoService | Error::ServiceStopped | Error::ReaderUnavailable | Error::UnknownReader)
}

fn send(tell: &impl Fn(ReaderEvent) -> bool, event: ReaderEvent) -> Result<(), Ended> {
    if tell(event) { Ok(()) } else { Err(Ended::NobodyListens) }
}
