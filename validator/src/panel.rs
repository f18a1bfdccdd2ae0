//! The screens' socket: whole pictures, one JSON object a line, the latest wins. A screen that does not listen is let
//! go; fares do not wait for it.

use std::io::{self, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use transit::screen::Screen;

use crate::liveness::Liveness;

/// Publishes screens to whoever is connected.
#[derive(Debug)]
pub struct Panel {
    path: PathBuf,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    liveness: Arc<Liveness>,
    latest: Option<Screen>,
    listeners: Vec<UnixStream>,
}

const WRITE_DEADLINE: Duration = Duration::from_millis(20);

impl Panel {
    /// Listens at `path`; each line tells of the card path what `liveness` says then. In the place of a socket that an earlier process left.
    ///
    /// # Errors
    /// The socket cannot be made there.
    pub fn listen(path: &Path, liveness: Arc<Liveness>) -> io::Result<Self> {
        let listener = bind(path)?;
        let shared = Arc::new(Mutex::new(Shared { liveness, latest: None, listeners: Vec::new() }));
        let accepted = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // Without a deadline a stuck screen would hold up a tap.
                if stream.set_write_timeout(Some(WRITE_DEADLINE)).is_ok() {
                    accepted.lock().unwrap_or_else(PoisonError::into_inner).welcome(stream);
                }
            }
        });
        Ok(Self { path: path.to_owned(), shared })
    }

    /// Shows `screen` on every screen that listens, and on those that come later until the next one.
    pub fn publish(&self, screen: &Screen) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let line = shared.line(screen);
        shared.listeners.retain_mut(|listener| listener.write_all(&line).is_ok());
        shared.latest = Some(screen.clone());
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        // Screens then show that the validator is gone instead of waiting on a dead socket.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Shared {
    fn welcome(&mut self, mut stream: UnixStream) {
        let line = self.latest.as_ref().map(|screen| self.line(screen));
        if line.is_none_or(|line| stream.write_all(&line).is_ok()) {
            self.listeners.push(stream);
        }
    }

    /// A screen as a line, with the card path as it is now.
    fn line(&self, screen: &Screen) -> Vec<u8> {
        let screen = Screen { card_path: self.liveness.now(), ..screen.clone() };
        let mut line = serde_json::to_vec(&screen).expect("a screen is plain data");
        line.push(b'\n');
        line
    }
}

/// Binds a Unix socket at `path`, in the place of one that an earlier process left.
///
/// # Errors
/// The socket cannot be made there.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    UnixListener::bind(path)
}
