//! The head of the tap log in a second place: what a new epoch goes on from when the log itself is damaged or gone.
//!
//! One line of JSON and one with its SHA-256, replaced as a whole. It may lag behind the log, never run ahead of it: it
//! names taps only that an fsync has covered.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use transit::id::{DeviceId, Epoch};
use transit::tap::CHAIN_START;

/// What is known of a log without looking into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    /// Whose log it is.
    pub(super) device: DeviceId,
    /// Its epoch.
    pub(super) epoch: Epoch,
    /// It has at least this many taps.
    pub(super) sequence: u32,
    /// The hash of the last of them; without one, what the first tap of the epoch names as its predecessor's.
    #[serde(with = "hex::serde")]
    pub(super) hash: [u8; 32],
    /// The log of this epoch has been made. Until then a log in its place is an older one.
    pub(super) begun: bool,
    /// The name under which the log of the epoch before is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kept: Option<String>,
}

/// What the file says.
#[derive(Debug)]
pub(super) enum Known {
    /// There is none.
    Nothing,
    /// It cannot be read, for this reason.
    Unreadable(String),
    /// The head.
    Head(Head),
}

impl Head {
    /// The head of a device's first log.
    pub(super) fn first(device: DeviceId, epoch: Epoch) -> Self {
        Self { device, epoch, sequence: 0, hash: CHAIN_START, begun: false, kept: None }
    }

    /// The head of the epoch after this one, at least `epoch_min`; `None` after the last epoch.
    pub(super) fn next(&self, epoch_min: Epoch, kept: Option<String>) -> Option<Self> {
        let epoch = self.epoch.checked_add(1)?.max(epoch_min);
        Some(Self { epoch, sequence: 0, begun: false, kept, ..self.clone() })
    }

    pub(super) fn read(path: &Path) -> Known {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Known::Nothing,
            Err(error) => return Known::Unreadable(error.to_string()),
        };
        let lines = text.strip_suffix('\n').and_then(|text| text.split_once('\n'));
        let Some((json, check)) = lines else { return Known::Unreadable("it is not two lines".to_owned()) };
        if hex::encode(digest(&SHA256, json.as_bytes())) != check {
            return Known::Unreadable("it was changed".to_owned());
        }
        serde_json::from_str(json).map_or_else(|error| Known::Unreadable(error.to_string()), Known::Head)
    }

    /// Replaces the file; on the disk when this returns.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let json = serde_json::to_string(self)?;
        let check = hex::encode(digest(&SHA256, json.as_bytes()));
        let next = path.with_added_extension("next");
        let mut file = File::create(&next)?;
        file.write_all(format!("{json}\n{check}\n").as_bytes())?;
        file.sync_all()?;
        fs::rename(&next, path)?;
        sync_folder_of(path)
    }
}

/// Makes what was renamed or made in the folder of `path` durable.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Writes heads in a thread of its own: a tap that comes just then does not wait for it.
#[derive(Debug)]
pub(super) struct HeadKeeper {
    heads: Option<Sender<Head>>,
    failed: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
}

impl HeadKeeper {
    pub(super) fn new(path: PathBuf) -> Self {
        let (heads, queue) = channel::<Head>();
        let failed = Arc::new(AtomicBool::new(false));
        let last_failed = Arc::clone(&failed);
        let writer = thread::spawn(move || {
            while let Ok(head) = queue.recv() {
                let newest = queue.try_iter().last().unwrap_or(head);
                let written = newest.write(&path);
                last_failed.store(written.is_err(), Ordering::Relaxed);
                if let Err(error) = written {
                    // The head lags behind then, which does no harm while the log is whole.
                    tracing::error!(%error, path = %path.display(), "alarm: the head of the tap log cannot be written");
                }
            }
        });
        Self { heads: Some(heads), failed, writer: Some(writer) }
    }

    /// Whether the last head is not in its place.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    pub(super) fn keep(&self, head: Head) {
        if let Some(heads) = &self.heads {
            // The thread ends with this keeper.
            let _ = heads.send(head);
        }
    }
}

impl Drop for HeadKeeper {
    fn drop(&mut self) {
        self.heads = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}
