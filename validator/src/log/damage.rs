//! A damaged log is kept under another name, and the next epoch is begun.
//!
//! The second place is told first: whatever the process dies at from then on, the next start goes on with it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use transit::id::{DeviceId, Epoch};

use super::head::{Head, Known, sync_folder_of};
use super::store::{Store, claimed_epoch, other_device};
use super::{BegunAnew, LogFailed, LogFiles, Memory};

const DAMAGED: &str = ".damaged-";
/// What SQLite keeps beside its file.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// Opens the log, or begins the next epoch where it is damaged or gone.
pub(super) fn open_or_begin_anew(
    files: &LogFiles,
    device: DeviceId,
    first_epoch: Epoch,
) -> Result<(Store, Memory, Option<BegunAnew>), LogFailed> {
    let (head, unreadable) = match Head::read(&files.head) {
        Known::Head(head) => (Some(head), None),
        Known::Unreadable(why) => (None, Some(why)),
        Known::Nothing => (None, None),
    };
    if let Some(head) = head.as_ref().filter(|head| head.device != device) {
        let path = files.head.clone();
        return Err(LogFailed::NotOurs { path, why: other_device(head.device, device) });
    }
    if let Some(head) = head.as_ref().filter(|head| !head.begun) {
        go_on_moving(&files.log, head).map_err(|source| not_kept(files, source))?;
    }
    let exists = files.log.exists();
    let why = match (&head, exists) {
        (Some(head), false) if head.begun => "it is gone".to_owned(),
        (_, false) if unreadable.is_some() => "it is gone".to_owned(),
        (_, _) => {
            let first = Head::first(device, first_epoch);
            // A log that its head knows says itself whose it is; one that does not is damaged.
            let begins = head.as_ref().map_or(Some(&first), |head| Some(head).filter(|head| !head.begun));
            match open_store(files, device, begins, head.as_ref()) {
                Ok((store, memory)) => {
                    if let Some(why) = &unreadable {
                        tracing::error!(why, path = %files.head.display(), "alarm: the head of the tap log was damaged");
                    }
                    let told = head.filter(|head| !head.begun);
                    return Ok((store, memory, told.map(|head| gone_on_with(files, head))));
                }
                Err(LogFailed::Damaged { why, .. }) => why,
                Err(other) => return Err(other),
            }
        }
    };
    let Some(head) = head else {
        let head = unreadable.unwrap_or_else(|| "there is none".to_owned());
        let why = format!(
            "{why}; its head {} is of no help ({head}), so its epoch is not known: move both away, and set `epoch` of \
             the configuration higher than this device ever had",
            files.head.display()
        );
        return Err(LogFailed::Damaged { path: files.log.clone(), why });
    };
    begin_anew(files, device, first_epoch, &head, why)
}

fn begin_anew(
    files: &LogFiles,
    device: DeviceId,
    first_epoch: Epoch,
    head: &Head,
    why: String,
) -> Result<(Store, Memory, Option<BegunAnew>), LogFailed> {
    let kept = free_name(&files.log).map_err(|source| not_kept(files, source))?;
    let Some(next) = head.next(first_epoch, kept.clone()) else {
        let why = format!("{why}, and epoch {} was the last: register this validator under another number", head.epoch);
        return Err(LogFailed::Damaged { path: files.log.clone(), why });
    };
    let kept = kept.map(|name| files.log.with_file_name(name));
    let moved = || kept.as_ref().map_or(Ok(()), |kept| move_away(&files.log, kept));
    next.write(&files.head).and_then(|()| moved()).map_err(|source| not_kept(files, source))?;
    let (store, memory) = open_store(files, device, Some(&next), Some(&next))?;
    Ok((store, memory, Some(BegunAnew { epoch: next.epoch, why, kept })))
}

/// The start that kept the log before died, perhaps before it could tell anybody.
fn gone_on_with(files: &LogFiles, head: Head) -> BegunAnew {
    let why = "it was damaged or gone, and the start that found it so did not end".to_owned();
    BegunAnew { epoch: head.epoch, why, kept: head.kept.map(|name| files.log.with_file_name(name)) }
}

fn open_store(
    files: &LogFiles,
    device: DeviceId,
    begins: Option<&Head>,
    known: Option<&Head>,
) -> Result<(Store, Memory), LogFailed> {
    let mut memory = Memory::default();
    let store = Store::open(files, device, begins, known, |tap| memory.remember(tap))?;
    Ok((store, memory))
}

/// The name under which the log at `path` is kept: when it was last written. `None` where nothing is left of it.
fn free_name(path: &Path) -> io::Result<Option<String>> {
    let Some(last) = with_beside(path).into_iter().find(|path| path.exists()) else { return Ok(None) };
    let modified = fs::metadata(last)?.modified()?;
    let date = Timestamp::try_from(modified).unwrap_or_default().strftime("%Y%m%dT%H%M%SZ");
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut numbered = (1_u32..).map(|number| match number {
        1 => format!("{name}{DAMAGED}{date}"),
        _ => format!("{name}{DAMAGED}{date}.{number}"),
    });
    Ok(numbered.find(|name| with_beside(&path.with_file_name(name)).iter().all(|path| !path.exists())))
}

/// Moves the log of the epoch before away, as far as a start that died has not done it.
fn go_on_moving(log: &Path, head: &Head) -> io::Result<()> {
    let Some(kept) = head.kept.as_ref().map(|name| log.with_file_name(name)) else { return Ok(()) };
    if log.exists() && (kept.exists() || claimed_epoch(log) == Some(head.epoch)) {
        // The log there is the new one.
        return Ok(());
    }
    move_away(log, &kept)
}

fn move_away(log: &Path, kept: &Path) -> io::Result<()> {
    for (from, to) in with_beside(log).into_iter().zip(with_beside(kept)) {
        if from.exists() && !to.exists() {
            fs::rename(from, to)?;
        }
    }
    sync_folder_of(log)
}

/// The log at `path` and what SQLite keeps beside it.
fn with_beside(path: &Path) -> [PathBuf; 3] {
    let [wal, shared] = BESIDE.map(|suffix| beside(path, suffix));
    [path.to_owned(), wal, shared]
}

/// The path of what SQLite keeps beside its file.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The damaged logs that are kept beside the log at `path`, by name; of one that was gone only its WAL
/// may be there.
///
/// # Errors
/// The folder cannot be read.
pub fn kept_logs(path: &Path) -> io::Result<Vec<PathBuf>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut kept = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?.file_name();
        let entry = entry.to_string_lossy();
        let log = BESIDE.iter().find_map(|suffix| entry.strip_suffix(suffix)).unwrap_or(&entry);
        if log.strip_prefix(&*name).is_some_and(|rest| rest.starts_with(DAMAGED)) {
            kept.push(path.with_file_name(log));
        }
    }
    kept.sort();
    kept.dedup();
    Ok(kept)
}

fn not_kept(files: &LogFiles, source: io::Error) -> LogFailed {
    LogFailed::Store { path: files.log.clone(), doing: "kept under another name", source: Box::new(source) }
}
