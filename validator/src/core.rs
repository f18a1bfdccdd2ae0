//! `validator core`: the reader, the card keys and the tap log in one process without a network.

use std::ffi::CString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use reader::{Field, ReaderEvent};
use transit::screen::{OutOfServiceReason, Screen, State, TapFigures};
use transit::time::Moment;

use crate::config::{Core, Limits};
use crate::engine::{Answer, Engine, Rules};
use crate::link::{Link, LinkEvent, ToCore, ToSync, check_acknowledgement};
use crate::liveness::Liveness;
use crate::log::{BootId, LogFailed, LogFiles, ReserveFile, TapLog};
use crate::panel::Panel;

/// What the process takes from outside: the only clock and the only source of randomness.
#[derive(Debug, Clone, Copy)]
pub struct Outside {
    /// The time now.
    pub now: fn() -> Moment,
    /// Sixteen fresh random bytes.
    pub random: fn() -> [u8; 16],
    /// The boot of the machine, where it is known.
    pub boot: Option<BootId>,
}

/// Something for the core to act on.
#[derive(Debug)]
pub enum Event {
    /// The reader tells.
    Reader(ReaderEvent),
    /// `validator sync` tells.
    Link(LinkEvent),
    /// Finish the tap under way and end.
    Stop,
}

/// Why the core cannot start.
#[derive(Debug, thiserror::Error)]
pub enum CannotStart {
    /// A socket cannot be made.
    #[error("the socket {} cannot be made", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The reader's name cannot be one.
    #[error("the reader name in the configuration holds a zero byte")]
    ReaderName,
}

/// Runs until [`Event::Stop`] comes through the sender that `control` gets.
///
/// A log that cannot be opened does not end it: it shows "out of service" and tries again.
///
/// # Errors
/// [`CannotStart`].
pub fn run(core: Core, outside: Outside, control: impl FnOnce(Sender<Event>)) -> Result<(), CannotStart> {
    let Core { config, tariffs, deny_list, keys, line, stop, gate } = core;
    let socket = |path: &PathBuf| {
        let path = path.clone();
        move |source| CannotStart::Socket { path, source }
    };
    let (sender, events) = channel();
    let liveness = Arc::new(Liveness::default());
    let panel = Panel::listen(&config.panel_socket, Arc::clone(&liveness)).map_err(socket(&config.panel_socket))?;
    let to_link = sender.clone();
    let link = Link::listen(&config.link_socket, move |event| to_link.send(Event::Link(event)).is_ok())
        .map_err(socket(&config.link_socket))?;
    let name = CString::new(config.reader.clone()).map_err(|_| CannotStart::ReaderName)?;
    let deadline = Duration::from_millis(config.limits.exchange_deadline_ms);
    reader::spawn(name, deadline, sender.clone(), Event::Reader);
    control(sender);

    let screen = Screen {
        number: 0,
        state: State::OutOfService { reason: OutOfServiceReason::Starting },
        offline: true,
        line: line.name,
        stop: stop.name,
        currency: tariffs.currency().clone(),
        tap: None,
        card_path: None,
    };
    let rules = Rules::new(&config, gate, tariffs, deny_list);
    let mut log_files = LogFiles::at(&config.log);
    log_files.head = config.log_head.unwrap_or(log_files.head);
    log_files.reserve = (config.log_reserve_bytes > 0)
        .then(|| ReserveFile { path: config.log.with_added_extension("reserve"), length: config.log_reserve_bytes });
    log_files.wal_bytes_max = config.log_wal_bytes_max;
    let mut validator = Validator {
        limits: config.limits,
        outside,
        panel,
        link,
        screen,
        engine: Engine::new(rules, keys),
        log_files,
        log_identity: (config.device, config.epoch),
        public_key: config.clearing_house_public_key,
        reader_ready: false,
        stuck: None,
        silent_at: None,
        liveness,
        idle_at: None,
        flush_at: None,
        log_retry_at: Some(Instant::now()),
        pruned_at: None,
    };
    validator.publish(State::OutOfService { reason: OutOfServiceReason::Starting }, None);
    validator.serve(&events);
    Ok(())
}

struct Validator {
    limits: Limits,
    outside: Outside,
    panel: Panel,
    link: Link,
    screen: Screen,
    engine: Engine,
    log_files: LogFiles,
    log_identity: (transit::id::DeviceId, transit::id::Epoch),
    public_key: [u8; 32],
    reader_ready: bool,
    /// An exchange is past its deadline: the reader is shown as dead at this time, unless it ends before.
    stuck: Option<(Arc<AtomicBool>, Instant)>,
    /// When the reader will have been silent for too long.
    silent_at: Option<Instant>,
    liveness: Arc<Liveness>,
    idle_at: Option<Instant>,
    flush_at: Option<Instant>,
    log_retry_at: Option<Instant>,
    pruned_at: Option<Instant>,
}

const PRUNE_INTERVAL: Duration = Duration::from_secs(60);

const LOG_RETRY_INTERVAL: Duration = Duration::from_secs(1);
const STUCK_SHOWN_AFTER: Duration = Duration::from_millis(800);
const PRESENT_AGAIN_SHOWN: Duration = Duration::from_secs(10);

impl Validator {
    fn serve(&mut self, events: &Receiver<Event>) {
        loop {
            self.catch_up(Instant::now());
            let event = match self.next_deadline() {
                Some(at) => match events.recv_timeout(at.saturating_duration_since(Instant::now())) {
                    Ok(event) => event,
                    Err(RecvTimeoutError::Timeout) => {
                        self.listen_to_card_path(Instant::now());
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                },
                None => match events.recv() {
                    Ok(event) => event,
                    Err(_) => return,
                },
            };
            match event {
                Event::Reader(event) => self.reader(event),
                Event::Link(event) => self.heard(event),
                Event::Stop => {
                    self.publish(State::OutOfService { reason: OutOfServiceReason::Starting }, None);
                    return;
                }
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let stuck = self.stuck.as_ref().map(|(_, at)| *at);
        [stuck, self.silent_at, self.idle_at, self.flush_at, self.log_retry_at].into_iter().flatten().min()
    }

    /// Does what has come due.
    fn catch_up(&mut self, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.log_retry_at) {
            self.log_retry_at = None;
            match self.engine.log() {
                Some(log) => match log.make_room() {
                    Ok(_) => self.show_service(),
                    Err(failed) => self.log_failed(&failed),
                },
                None => self.open_log(),
            }
        }
        if due(self.stuck.as_ref().map(|(_, at)| *at)) {
            let stuck = self.stuck.take().is_some_and(|(flag, _)| flag.load(Ordering::Relaxed));
            if stuck {
                tracing::warn!("the reader does not answer");
                self.reader_ready = false;
                self.show_service();
            }
        }
        if due(self.idle_at) {
            self.show_service();
        }
        if due(self.flush_at) {
            self.flush_at = None;
            match self.engine.log().map(|log| log.flush().wait()) {
                Some(Ok(())) => {
                    self.link.tell(&ToSync::Durable);
                    self.prune(now);
                }
                Some(Err(failed)) => self.log_failed(&failed),
                None => {}
            }
        }
    }

    /// Lets old taps go, now and then, while no card is there.
    fn prune(&mut self, now: Instant) {
        if self.pruned_at.is_some_and(|at| now.duration_since(at) < PRUNE_INTERVAL) {
            return;
        }
        self.pruned_at = Some(now);
        let kept_s = self.limits.taps_kept_days.saturating_mul(24 * 60 * 60);
        let made_before = Moment((self.outside.now)().0.saturating_sub(kept_s));
        if let Some(Err(failed)) = self.engine.log().map(|log| log.prune(made_before).wait()) {
            self.log_failed(&failed);
        }
    }

    fn reader(&mut self, event: ReaderEvent) {
        match event {
            ReaderEvent::Ready | ReaderEvent::Unstuck | ReaderEvent::Alive => {
                self.card_path_answered();
                if !self.reader_ready {
                    self.reader_ready = true;
                    tracing::info!("the reader waits for cards");
                    self.show_service();
                }
            }
            ReaderEvent::Gone { why } => {
                if self.reader_ready || self.screen.number <= 1 {
                    tracing::warn!(why, "no reader");
                }
                self.reader_ready = false;
                self.silent_at = None;
                self.show_service();
            }
            ReaderEvent::Present { uid, since, field } => {
                self.present(&uid, since, field);
                self.card_path_answered();
            }
            ReaderEvent::Mute => {
                if self.in_service() {
                    self.publish(State::PresentAgain, None);
                    self.idle_at = Some(Instant::now() + PRESENT_AGAIN_SHOWN);
                }
            }
            ReaderEvent::Removed => {}
        }
    }

    /// A card could have been taken just now.
    fn card_path_answered(&mut self) {
        self.liveness.poll();
        self.silent_at = Some(Instant::now() + Duration::from_millis(self.limits.card_path_silent_ms));
    }

    /// Nothing waits to be acted on: whether the reader has been silent for too long.
    fn listen_to_card_path(&mut self, now: Instant) {
        if self.silent_at.is_some_and(|at| at <= now) {
            self.silent_at = None;
            if self.reader_ready {
                tracing::warn!("the card path does not answer: pcscd, the reader's driver, or the reader");
                self.reader_ready = false;
                self.show_service();
            }
        }
    }

    fn present(&mut self, uid: &[u8], since: Instant, field: Field) {
        if !self.log_takes_taps() {
            return;
        }
        let at = (self.outside.now)();
        let stuck = field.stuck();
        let answer = match self.engine.tap(field, uid, at, (self.outside.random)()) {
            Ok(answer) => answer,
            Err(failed) => {
                self.log_failed(&failed);
                return;
            }
        };
        self.answer(&answer, since, at);
        if stuck.load(Ordering::Relaxed) {
            self.stuck = Some((stuck, Instant::now() + STUCK_SHOWN_AFTER));
        }
        if let Err(failed) = self.engine.read_older(answer) {
            self.log_failed(&failed);
        }
        self.flush_at = Some(Instant::now() + Duration::from_millis(self.limits.flush_after_idle_ms));
    }

    fn answer(&mut self, answer: &Answer<Field>, since: Instant, at: Moment) {
        let elapsed_us = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        let tap = answer.tap.map(|tap| tap.to_string());
        let torn_taps = self.engine.log().map_or(0, |log| log.torn_taps_of_all(at));
        if answer.state == State::PresentAgain && torn_taps >= self.limits.torn_taps_alarm {
            tracing::error!(torn_taps, "alarm: too many taps are torn at this validator");
        }
        tracing::info!(tap, elapsed_us, exchanges = answer.exchanges, answer = ?answer.state, "tap");
        let shown = match answer.state {
            State::PresentAgain => PRESENT_AGAIN_SHOWN,
            State::Idle
            | State::Accepted { .. }
            | State::Attention { .. }
            | State::Declined { .. }
            | State::OutOfService { .. } => Duration::from_millis(self.limits.answer_shown_ms),
        };
        self.publish(answer.state.clone(), Some(TapFigures { tap, elapsed_us, exchanges: answer.exchanges, at }));
        self.idle_at = Some(Instant::now() + shown);
    }

    fn heard(&mut self, event: LinkEvent) {
        let offline = match event {
            LinkEvent::Silent => true,
            LinkEvent::Told(ToCore::Network { up }) => !up,
            LinkEvent::Told(ToCore::Acknowledgement { text, signature }) => {
                self.acknowledged(&text, &signature);
                false
            }
        };
        if offline != self.screen.offline {
            self.screen.offline = offline;
            tracing::info!(offline, "network");
            self.publish(self.screen.state.clone(), self.screen.tap.clone());
        }
    }

    fn acknowledged(&mut self, text: &str, signature: &str) {
        let Some(log) = self.engine.log() else { return };
        let (device, _) = self.log_identity;
        match check_acknowledgement(text, signature, &self.public_key, device, log.epoch()) {
            Ok(verdicts) => {
                if let Err(failed) = log.acknowledge(verdicts).wait() {
                    self.log_failed(&failed);
                }
            }
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "acknowledgement not believed"),
        }
    }

    fn open_log(&mut self) {
        // The file must be closed before it is opened again.
        self.engine.close_log();
        let (device, epoch) = self.log_identity;
        match TapLog::open_files(&self.log_files, device, epoch, self.outside.boot) {
            Ok((log, start_up)) => {
                if let Some(anew) = &start_up.begun_anew {
                    let kept = anew.kept.as_ref().map(|path| path.display().to_string());
                    tracing::error!(epoch = anew.epoch, why = anew.why, kept, "alarm: the tap log was begun anew");
                }
                let unknown = start_up.unknown.map(|tap| tap.to_string());
                tracing::info!(taps = start_up.taps, unknown, "the tap log is open");
                self.engine.use_log(log);
                // A process that was killed may have left taps that no fsync has covered yet.
                self.flush_at = Some(Instant::now());
                self.link.tell(&ToSync::Durable);
                self.show_service();
            }
            Err(failed) => self.log_failed(&failed),
        }
    }

    fn log_failed(&mut self, failed: &LogFailed) {
        tracing::error!(error = failed as &dyn std::error::Error, "out of service");
        self.engine.close_log();
        self.log_retry_at = Some(Instant::now() + LOG_RETRY_INTERVAL);
        self.flush_at = None;
        self.show_service();
    }

    fn in_service(&mut self) -> bool {
        self.reader_ready && self.log_takes_taps()
    }

    fn log_takes_taps(&mut self) -> bool {
        self.engine.log().is_some_and(|log| !log.is_full())
    }

    /// Shows that cards are taken, or why not.
    fn show_service(&mut self) {
        let takes_taps = self.log_takes_taps();
        if self.engine.log().is_some() && !takes_taps {
            self.log_retry_at = Some(Instant::now() + LOG_RETRY_INTERVAL);
        }
        let state = if !takes_taps {
            State::OutOfService { reason: OutOfServiceReason::Storage }
        } else if self.reader_ready {
            State::Idle
        } else {
            State::OutOfService { reason: OutOfServiceReason::Reader }
        };
        self.idle_at = None;
        if self.screen.state != state {
            self.publish(state, None);
        }
    }

    fn publish(&mut self, state: State, tap: Option<TapFigures>) {
        self.screen.number += 1;
        self.screen.state = state;
        self.screen.tap = tap;
        self.panel.publish(&self.screen);
    }
}
