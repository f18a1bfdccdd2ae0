//! `validator sync`: the network in one process without card keys. It reads the tap log and never writes it; what the
//! clearing house signed goes to `validator core`, which checks and notes it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use rusqlite::{Connection, OpenFlags, params};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use transit::id::Epoch;
use transit::sync::{Acknowledgement, SIGNATURE_HEADER, TAPS_PATH, TAPS_PER_BATCH_MAX, Verdict};
use transit::tap::TAP_LEN;

use crate::config::SyncConfig;
use crate::link::{ToCore, line};
use crate::outbox::{Cursor, Next, Outbox};

/// Why an upload did not come through; all but the last are tried again.
#[derive(Debug, thiserror::Error)]
pub enum UploadFailed {
    /// The tap log cannot be read now, for example because `core` has not made it yet.
    #[error("the tap log {} cannot be read", path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rusqlite::Error,
    },
    /// The clearing house cannot be reached.
    #[error("the clearing house cannot be reached")]
    Network(#[source] reqwest::Error),
    /// The clearing house answered something else than an acknowledgement.
    #[error("the clearing house answered {status}: {text}")]
    Answer {
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        text: String,
    },
    /// The cursor file cannot be written: a restart would upload again what was acknowledged, which does no harm.
    #[error("the cursor {} cannot be written", path.display())]
    Cursor {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Uploads what is durable until `stop` is notified. `chance` gives a fresh random number each time.
pub async fn run(config: SyncConfig, chance: fn() -> u32, stop: Arc<Notify>) {
    let (to_core, from_here) = channel(16);
    let nudged = Arc::new(Notify::new());
    let link = tokio::spawn(keep_link(config.link_socket.clone(), from_here, Arc::clone(&nudged)));
    let client = client(Duration::from_millis(config.request_deadline_ms));
    let cursor = read_cursor(&config.cursor);
    let outbox = Outbox::new(cursor, config.retry_ms);
    let noted = Cursor { epoch: cursor.epoch, through: 0 };
    let mut uplink = Uplink { config, client, outbox, noted, to_core, started: Instant::now(), up: None };
    tokio::select! {
        () = uplink.upload_for_ever(chance, &nudged) => {}
        () = stop.notified() => {}
    }
    link.abort();
}

struct Uplink {
    config: SyncConfig,
    client: reqwest::Client,
    outbox: Outbox,
    /// How far core is known to have noted acknowledgements.
    noted: Cursor,
    to_core: Sender<ToCore>,
    started: Instant,
    up: Option<bool>,
}

impl Uplink {
    async fn upload_for_ever(&mut self, chance: fn() -> u32, nudged: &Notify) {
        loop {
            let wait = match self.step(chance).await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "upload failed");
                    self.outbox.failed(self.now_ms(), chance());
                    if matches!(error, UploadFailed::Network(_) | UploadFailed::Answer { .. }) {
                        self.tell_network(false).await;
                    }
                    Duration::from_millis(self.config.retry_ms.0)
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = nudged.notified() => {}
            }
        }
    }

    /// One look at the log and the network; answers how long nothing needs to be done.
    async fn step(&mut self, chance: fn() -> u32) -> Result<Duration, UploadFailed> {
        let probe_interval = Duration::from_millis(self.config.probe_interval_ms);
        let Some((epoch, anchor_sequence, durable_through)) = read_log(&self.config.log)? else {
            return Ok(probe_interval);
        };
        self.outbox.starts_after(epoch, anchor_sequence);
        match self.outbox.next(self.now_ms(), epoch, durable_through) {
            Next::Idle => {
                self.probe().await?;
                let noted = if self.noted.epoch == epoch { self.noted.through } else { 0 };
                let lacking = read_first_unacknowledged(&self.config.log, noted)?;
                let through = lacking.map_or(durable_through, |first| first.saturating_sub(1));
                self.noted = Cursor { epoch, through };
                self.outbox.core_lacks(self.now_ms(), lacking);
                Ok(probe_interval)
            }
            Next::Wait { until_ms } => {
                let wait = Duration::from_millis(until_ms.saturating_sub(self.now_ms()));
                // A network that is back is noticed before a long wait ends.
                if wait > probe_interval && self.probe().await.is_ok() {
                    self.outbox.network_is_back();
                    return Ok(Duration::ZERO);
                }
                Ok(wait.min(probe_interval))
            }
            Next::Send { first, last } => {
                let taps = read_taps(&self.config.log, first, last)?;
                let cursor = self.upload(first, taps, chance).await?;
                write_cursor(&self.config.cursor, cursor)?;
                Ok(Duration::ZERO)
            }
        }
    }

    async fn upload(&mut self, first: u32, taps: Vec<u8>, chance: fn() -> u32) -> Result<Cursor, UploadFailed> {
        let count = taps.len() / TAP_LEN;
        let (text, signature, acknowledgement) = post(&self.client, &self.config.clearing_house, taps).await?;
        for tap in acknowledgement.taps.iter().filter(|tap| !tap.verdict.is_booked()) {
            let (name, verdict, detail) = (tap.tap.as_deref(), tap.verdict.name(), tap.detail.as_deref());
            tracing::warn!(tap = name, verdict, detail, "the clearing house kept a tap aside");
        }
        tracing::info!(taps = count, "uploaded");
        self.tell_network(true).await;
        self.tell(ToCore::Acknowledgement { text, signature }).await;
        Ok(self.outbox.answered(self.now_ms(), first, &acknowledgement.taps, chance()))
    }

    async fn probe(&mut self) -> Result<(), UploadFailed> {
        let url = format!("{}/v1/health", self.config.clearing_house.trim_end_matches('/'));
        let answer = self.client.get(url).send().await.map_err(UploadFailed::Network)?;
        let up = answer.status().is_success();
        self.tell_network(up).await;
        Ok(())
    }

    async fn tell_network(&mut self, up: bool) {
        if self.up != Some(up) {
            tracing::info!(up, "network");
            self.up = Some(up);
        }
        self.tell(ToCore::Network { up }).await;
    }

    async fn tell(&self, message: ToCore) {
        // The link's task lives as long as this one.
        let _ = self.to_core.send(message).await;
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Posts sealed taps; gives the acknowledgement, as it was signed and as it reads.
async fn post(
    client: &reqwest::Client,
    clearing_house: &str,
    taps: Vec<u8>,
) -> Result<(String, String, Acknowledgement), UploadFailed> {
    let count = taps.len() / TAP_LEN;
    let request = client
        .post(format!("{}{TAPS_PATH}", clearing_house.trim_end_matches('/')))
        .header(CONTENT_TYPE, "application/octet-stream")
        .body(taps);
    let answer = request.send().await.map_err(UploadFailed::Network)?;
    let status = answer.status().as_u16();
    let signature = answer.headers().get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let text = answer.text().await.map_err(UploadFailed::Network)?;
    match serde_json::from_str::<Acknowledgement>(&text).ok().zip(signature) {
        Some((acknowledgement, signature)) if status == 200 && acknowledgement.taps.len() == count => {
            Ok((text, signature, acknowledgement))
        }
        _ => Err(UploadFailed::Answer { status, text: text.chars().take(200).collect() }),
    }
}

/// Sends sealed taps once, in as many uploads as they need, and gives what the clearing house said of each. Nothing is
/// deleted for it, so that its signature is not looked at.
///
/// # Errors
/// [`UploadFailed`]: what was sent before stays sent, and sending all again does no harm.
pub async fn send_once(clearing_house: &str, taps: &[u8]) -> Result<Vec<Verdict>, UploadFailed> {
    let client = client(SEND_ONCE_DEADLINE);
    let mut verdicts = Vec::new();
    for batch in taps.chunks(TAPS_PER_BATCH_MAX * TAP_LEN) {
        let (_, _, acknowledgement) = post(&client, clearing_house, batch.to_vec()).await?;
        verdicts.extend(acknowledgement.taps.iter().map(|tap| tap.verdict));
    }
    Ok(verdicts)
}

const SEND_ONCE_DEADLINE: Duration = Duration::from_secs(30);

fn client(deadline: Duration) -> reqwest::Client {
    reqwest::Client::builder().timeout(deadline).build().expect("a client without TLS needs nothing from the system")
}

const RECONNECT_INTERVAL: Duration = Duration::from_millis(250);
const LINK_WRITE_DEADLINE: Duration = Duration::from_secs(1);

/// Keeps the link to `core`: what waits for `core` is told once it is there again.
async fn keep_link(path: PathBuf, mut messages: Receiver<ToCore>, nudged: Arc<Notify>) {
    let mut waiting: Option<ToCore> = None;
    loop {
        let Ok(stream) = UnixStream::connect(&path).await else {
            // `core` starts anew with "offline": old news of the network are of no use to it.
            while messages.try_recv().is_ok_and(|message| {
                waiting = Some(message);
                true
            }) {}
            sleep_until(Instant::now() + RECONNECT_INTERVAL).await;
            continue;
        };
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        nudged.notify_one();
        loop {
            let message = match waiting.take() {
                Some(message) => message,
                None => tokio::select! {
                    message = messages.recv() => match message {
                        Some(message) => message,
                        None => return,
                    },
                    heard = lines.next_line() => match heard {
                        Ok(Some(_)) => {
                            nudged.notify_one();
                            continue;
                        }
                        Ok(None) | Err(_) => break,
                    },
                },
            };
            if !matches!(timeout(LINK_WRITE_DEADLINE, writer.write_all(&line(&message))).await, Ok(Ok(()))) {
                waiting = Some(message);
                break;
            }
        }
    }
}

/// The epoch of the log, the last tap that went, and how far it is durable; `None` while there is no log.
fn read_log(path: &Path) -> Result<Option<(Epoch, u32, u32)>, UploadFailed> {
    if !path.exists() {
        return Ok(None);
    }
    open_log(path)?
        .query_row("SELECT epoch, anchor_sequence, durable_through FROM log", [], |row| {
            Ok(Some((row.get(0)?, row.get(1)?, row.get(2)?)))
        })
        .map_err(|source| UploadFailed::Log { path: path.to_owned(), source })
}

fn read_taps(path: &Path, first: u32, last: u32) -> Result<Vec<u8>, UploadFailed> {
    let read = || {
        let connection = open_log(path)?;
        let mut statement = connection
            .prepare("SELECT sealed FROM tap WHERE sequence BETWEEN ?1 AND ?2 ORDER BY sequence")
            .map_err(|source| UploadFailed::Log { path: path.to_owned(), source })?;
        let taps: rusqlite::Result<Vec<Vec<u8>>> =
            statement.query_map(params![first, last], |row| row.get(0)).and_then(Iterator::collect);
        taps.map_err(|source| UploadFailed::Log { path: path.to_owned(), source })
    };
    read().map(|taps| taps.concat())
}

/// The first tap after `noted` whose acknowledgement core has not noted.
fn read_first_unacknowledged(path: &Path, noted: u32) -> Result<Option<u32>, UploadFailed> {
    const FIRST: &str = "SELECT min(sequence) FROM tap
         WHERE sequence > ?1 AND sequence NOT IN (SELECT sequence FROM acknowledgement)";
    open_log(path)?
        .query_row(FIRST, [noted], |row| row.get(0))
        .map_err(|source| UploadFailed::Log { path: path.to_owned(), source })
}

fn open_log(path: &Path) -> Result<Connection, UploadFailed> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|source| UploadFailed::Log { path: path.to_owned(), source })
}

/// The cursor, from the start where there is none: an upload that was made before is answered as known.
fn read_cursor(path: &Path) -> Cursor {
    let start = Cursor { epoch: 0, through: 0 };
    fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or(start)
}

fn write_cursor(path: &Path, cursor: Cursor) -> Result<(), UploadFailed> {
    let write = || {
        let next = path.with_extension("next");
        fs::write(&next, serde_json::to_vec(&cursor)?)?;
        fs::rename(&next, path)
    };
    write().map_err(|source| UploadFailed::Cursor { path: path.to_owned(), source })
}
