//! Hears the validator: one JSON [`Screen`] a line on a Unix socket, the latest wins.

use std::io::{self, BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use transit::screen::Screen;

use crate::show::{self, View};

/// Longest line taken, in bytes; a screen is a few hundred.
pub const LINE_MAX: u64 = 64 * 1024;
/// Wait before the first attempt to connect again.
pub const BACK_OFF_FIRST: Duration = Duration::from_millis(100);
/// Longest wait between attempts.
pub const BACK_OFF_MAX: Duration = Duration::from_secs(2);

/// Shows what the validator at `socket` publishes, until `show` breaks.
///
/// A validator that is not there, hangs up or writes a line that is no screen is shown as out of service and connected
/// again, after a `wait` that doubles from [`BACK_OFF_FIRST`] to [`BACK_OFF_MAX`] and starts over with each good screen.
pub fn follow(socket: &Path, mut show: impl FnMut(View) -> ControlFlow<()>, mut wait: impl FnMut(Duration)) {
    let mut back_off = BACK_OFF_FIRST;
    loop {
        if let Ok(stream) = UnixStream::connect(socket) {
            let mut lines = BufReader::new(stream);
            while let Ok(Some(screen)) = next_screen(&mut lines) {
                back_off = BACK_OFF_FIRST;
                if show(show::view(&screen)).is_break() {
                    return;
                }
            }
        }
        if show(show::no_validator()).is_break() {
            return;
        }
        wait(back_off);
        back_off = (back_off * 2).min(BACK_OFF_MAX);
    }
}

/// The next screen of `lines`; `None` at the end.
///
/// # Errors
/// The stream failed, or the line is no screen, is longer than [`LINE_MAX`] or has no end: the writer is at fault and
/// what follows cannot be trusted either.
pub fn next_screen(lines: &mut impl BufRead) -> io::Result<Option<Screen>> {
    let mut line = Vec::new();
    lines.take(LINE_MAX).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a screen's line is cut off or too long"));
    }
    Ok(Some(serde_json::from_slice(&line)?))
}
