//! What a validator shows, as seen from outside: one more screen on its panel socket.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use transit::screen::{Screen, State};

use crate::Failed;

/// A listener on a panel socket.
#[derive(Debug)]
pub struct Panel {
    name: String,
    screens: Receiver<Screen>,
    latest: Option<Screen>,
}

/// How long anything may take before the run is given up.
pub const PATIENCE: Duration = Duration::from_secs(20);

impl Panel {
    /// Connects as soon as the validator listens.
    ///
    /// # Errors
    /// It does not within [`PATIENCE`].
    pub fn connect(name: &str, path: &Path) -> Result<Self, Failed> {
        let deadline = Instant::now() + PATIENCE;
        let stream = loop {
            match UnixStream::connect(path) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => {
                    return Err(Failed::system(format!("connecting to {}", path.display()))(error));
                }
                Err(_) => thread::sleep(Duration::from_millis(5)),
            }
        };
        let (sender, screens) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let Ok(screen) = serde_json::from_str(&line) else { return };
                if sender.send(screen).is_err() {
                    return;
                }
            }
        });
        Ok(Self { name: name.to_owned(), screens, latest: None })
    }

    /// Waits for the next screen that `is_it`.
    ///
    /// # Errors
    /// None within [`PATIENCE`]; the error names what was waited for and what was shown instead.
    pub fn wait_for(&mut self, what: &str, is_it: impl Fn(&Screen) -> bool) -> Result<Screen, Failed> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.screens.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(screen) => {
                    self.latest = Some(screen.clone());
                    if is_it(&screen) {
                        return Ok(screen);
                    }
                }
                Err(_) => {
                    let shown = self.latest.as_ref().map(|screen| &screen.state);
                    let message = format!("{} does not show {what}; it shows {shown:?}", self.name);
                    return Err(Failed::Unexpected(message));
                }
            }
        }
    }

    /// Waits until cards are taken.
    ///
    /// # Errors
    /// As [`Panel::wait_for`].
    pub fn wait_until_idle(&mut self) -> Result<(), Failed> {
        if self.current().is_some_and(|screen| screen.state == State::Idle) {
            return Ok(());
        }
        self.wait_for("that it takes cards", |screen| screen.state == State::Idle).map(|_| ())
    }

    /// Waits until the network is, or is not, there.
    ///
    /// # Errors
    /// As [`Panel::wait_for`].
    pub fn wait_until_offline_is(&mut self, offline: bool) -> Result<(), Failed> {
        if self.current().is_some_and(|screen| screen.offline == offline) {
            return Ok(());
        }
        let what = if offline { "that it is offline" } else { "that it is online" };
        self.wait_for(what, |screen| screen.offline == offline).map(|_| ())
    }

    /// The next screen.
    ///
    /// # Errors
    /// None `within` this time, or the validator is gone.
    pub fn next(&mut self, within: Duration) -> Result<Screen, RecvTimeoutError> {
        let screen = self.screens.recv_timeout(within)?;
        self.latest = Some(screen.clone());
        Ok(screen)
    }

    /// The latest screen.
    pub fn current(&mut self) -> Option<&Screen> {
        while let Ok(screen) = self.screens.try_recv() {
            self.latest = Some(screen);
        }
        self.latest.as_ref()
    }
}
