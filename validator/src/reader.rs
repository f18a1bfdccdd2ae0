//! The reader: the only file that knows PC/SC.
//!
//! A thread waits for cards and carries exchanges, because PC/SC has no time limit on an exchange: whoever asks waits
//! with a deadline instead, and a thread that is stuck is known to be. After any error the handle is given up and never
//! used again: the next card may already answer on it. The context is made anew after every failure of the service,
//! since an old one never recovers.

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
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// The reader's own pseudo-command "get data": the identifier of the card.
const GET_UID: [u8; 5] = [0xFF, 0xCA, 0x00, 0x00, 0x00];

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
    loop {
        match monitor.get_status_change(WATCH_INTERVAL, &mut states) {
            Ok(()) => {}
            Err(Error::Timeout) => continue,
            Err(error) => return Err(error.into()),
        }
        let since = Instant::now();
        let [state] = &mut states;
        state.sync_current_state();
        let seen = state.event_state();
        if seen.intersects(State::UNKNOWN | State::UNAVAILABLE | State::IGNORE) {
            return Err(Ended::Failed("the reader was unplugged".to_owned()));
        }
        if !seen.contains(State::PRESENT) {
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
        if seen.contains(State::MUTE) {
            send(tell, ReaderEvent::Mute)?;
        } else {
            serve(&cards, name, since, deadline, tell)?;
        }
    }
}

fn serve(
    cards: &Context,
    name: &CStr,
    since: Instant,
    deadline: Duration,
    tell: &impl Fn(ReaderEvent) -> bool,
) -> Result<(), Ended> {
    // Exclusive: a foreign command between two of ours would break the session.
    let card = match cards.connect(name, ShareMode::Exclusive, Protocols::T1) {
        Ok(card) => card,
        Err(error) if is_service_gone(error) => return Err(error.into()),
        Err(_) => return send(tell, ReaderEvent::Mute),
    };
    let mut buffer = [0; pcsc::MAX_BUFFER_SIZE];
    let uid = match card.transmit(&GET_UID, &mut buffer) {
        Ok([uid @ .., 0x90, 0x00]) if !uid.is_empty() => uid.to_vec(),
        Ok(_) | Err(_) => {
            release(card);
            return send(tell, ReaderEvent::Mute);
        }
    };
    let (commands, requests) = sync_channel::<Vec<u8>>(1);
    let (replies, answers) = sync_channel(1);
    let stuck = Arc::new(AtomicBool::new(false));
    let field = Field { commands, answers, deadline, over: None, stuck };
    send(tell, ReaderEvent::Present { uid, since, field })?;
    let mut abandoned = false;
    while let Ok(command) = requests.recv() {
        let answer = transmit(&card, &command, &mut buffer);
        let lost = answer.is_err();
        abandoned = replies.send(answer).is_err();
        if lost || abandoned {
            break;
        }
    }
    release(card);
    if abandoned { send(tell, ReaderEvent::Unstuck) } else { Ok(()) }
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
