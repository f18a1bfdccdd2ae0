//! A file that holds room on the disk, given back when the disk is full: what is under way can then still be concluded,
//! acknowledged and sent. No tap is begun until the room is held again.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where the reserve is, and how large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReserveFile {
    /// The file, in the file system of the log.
    pub path: PathBuf,
    /// Its length in bytes.
    pub length: u64,
}

/// The reserve, and whether the disk is full.
#[derive(Debug, Clone)]
pub(super) struct Reserve {
    file: Option<ReserveFile>,
    full: Arc<AtomicBool>,
}

impl Reserve {
    /// Holds the room, or finds that the disk is full.
    pub(super) fn hold(file: Option<ReserveFile>) -> Self {
        let reserve = Self { file, full: Arc::new(AtomicBool::new(false)) };
        reserve.hold_again();
        reserve
    }

    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Holds the room again where there is as much besides; gives whether it is held.
    pub(super) fn hold_again(&self) -> bool {
        let held = self.file.as_ref().is_none_or(|file| match make(file) {
            Ok(held) => held,
            Err(error) => {
                tracing::error!(%error, path = %file.path.display(), "the reserve cannot be made");
                false
            }
        });
        self.full.store(!held, Ordering::Relaxed);
        held
    }

    /// Gives the room back; false where there is none to give.
    pub(super) fn release(&self) -> bool {
        let Some(file) = &self.file else { return false };
        let released = fs::remove_file(&file.path).is_ok();
        if !self.full.swap(true, Ordering::Relaxed) {
            tracing::error!(released, "alarm: the disk is full; no taps until there is room");
        }
        released
    }
}

fn make(file: &ReserveFile) -> io::Result<bool> {
    let room = room_beside(&file.path)?;
    if file.path.metadata().is_ok_and(|metadata| metadata.len() == file.length) {
        if room >= file.length / 8 {
            return Ok(true);
        }
        fs::remove_file(&file.path)?;
        return Ok(false);
    }
    if room < file.length.saturating_mul(2) {
        return Ok(false);
    }
    let made = write_zeros(file);
    if made.is_err() {
        // Half a reserve is none.
        let _ = fs::remove_file(&file.path);
    }
    made.map(|()| true)
}

/// Real blocks: a file with a hole holds no room.
fn write_zeros(file: &ReserveFile) -> io::Result<()> {
    let mut out = File::create(&file.path)?;
    io::copy(&mut io::Read::take(io::repeat(0), file.length), &mut out)?;
    out.flush()?;
    out.sync_all()
}

fn room_beside(path: &Path) -> io::Result<u64> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let room = rustix::fs::statvfs(folder)?;
    Ok(room.f_bavail.saturating_mul(room.f_frsize))
}
