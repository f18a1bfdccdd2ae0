//! The configuration files of the two processes, read once at start. Unknown keys and missing files are refused with
//! the path and the line.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use key_store::{KeySource, Keys};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use transit::config::{ConfigError, KeysClass};
use transit::fare::{Gate, GateKind};
use transit::id::{CardToken, DeviceId, LineNumber, OperatorId, StopNumber};
use transit::tariff::{Line, Stop, Tariff, TariffPaths, Tariffs};

use crate::keys;
use crate::log::{WAL_BYTES_MAX, WAL_LONG_BYTES};

/// What `validator core` is told. Paths are relative to the configuration file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoreConfig {
    /// This validator.
    pub device: DeviceId,
    /// Whose validator it is.
    pub operator: OperatorId,
    /// The line it stands on.
    pub line: LineNumber,
    /// The stop it stands at.
    pub stop: StopNumber,
    /// Whether it is a way in, a way out or both; only on lines with tap-in and tap-out, and there always.
    pub gate: Option<GateKind>,
    /// Something has happened at this stop, such as an evacuation: nobody pays a penalty for how a journey ended here.
    #[serde(default)]
    pub incident: bool,
    /// The exact PC/SC name of the contactless reader.
    pub reader: String,
    /// The native frame size of the cards in use, in bytes: 64, 128 or 256.
    #[serde(default = "default_frame_size")]
    pub frame_size: u16,
    /// Whether cards on EV1 chips are in use. Nothing proves their taps, and whoever stands between reader and card can
    /// make a newer card look like one.
    #[serde(default)]
    pub ev1_cards: bool,
    /// The tariff file, or a list of them: each version from its first service day on.
    pub tariff: TariffPaths,
    /// The deny list; without one no card is denied.
    pub deny_list: Option<PathBuf>,
    /// Where the card keys are.
    pub keys: KeySource,
    /// Which class of keys may load: test keys and real keys cannot both.
    pub keys_class: KeysClass,
    /// The tap log, created where there is none.
    pub log: PathBuf,
    /// The head of the tap log in a second place, best on another medium; beside the log where it is not given.
    pub log_head: Option<PathBuf>,
    /// Room held beside the tap log for when the disk is full, in bytes; 0 holds none.
    #[serde(default = "default_reserve_bytes")]
    pub log_reserve_bytes: u64,
    /// The most bytes that the WAL of the tap log may have before a tap is begun, 16 MiB at least.
    #[serde(default = "default_wal_bytes_max")]
    pub log_wal_bytes_max: u64,
    /// The epoch that a newly created log begins with.
    #[serde(default = "default_epoch")]
    pub epoch: u8,
    /// The Unix socket on which screens are published.
    pub panel_socket: PathBuf,
    /// The Unix socket on which `validator sync` is heard.
    pub link_socket: PathBuf,
    /// The Ed25519 key of the clearing house, 64 hexadecimal digits.
    #[serde(with = "hex::serde")]
    pub clearing_house_public_key: [u8; 32],
    /// The rest: times and limits.
    #[serde(default)]
    pub limits: Limits,
}

/// Times and limits of a tap.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// How long one answer of a card may take, in ms; below the 500 ms in which "present again" must show.
    pub exchange_deadline_ms: u64,
    /// How long the intent may take to reach the disk before the tap is given up, in ms.
    pub intent_deadline_ms: u64,
    /// How long the card path (PC/SC service, driver, reader) may be silent before the screen says that no cards are
    /// taken, in ms; it is asked every 400 ms.
    pub card_path_silent_ms: u64,
    /// How long an answer stays on the screen, in ms, unless another card comes.
    pub answer_shown_ms: u64,
    /// How long no card may have come before the log is flushed, in ms.
    pub flush_after_idle_ms: u64,
    /// Days that a tap stays in the log at least; after that it goes once the clearing house has booked it.
    pub taps_kept_days: u32,
    /// Torn taps of one card within a day before it is declined.
    pub torn_taps_per_card: u32,
    /// Torn taps of all cards within a day from which on each further one raises an alarm in the journal.
    pub torn_taps_alarm: u32,
    /// Older records read as evidence after an accepted tap, 0 to 2.
    pub older_records: u8,
    /// Cards with the older of two keys that are rolled to the newer after their tap, within an hour; 0 rolls none.
    pub key_rolls_per_hour: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            exchange_deadline_ms: 400,
            intent_deadline_ms: 150,
            card_path_silent_ms: 1200,
            answer_shown_ms: 1500,
            flush_after_idle_ms: 400,
            taps_kept_days: 45,
            torn_taps_per_card: 8,
            torn_taps_alarm: 50,
            older_records: 2,
            key_rolls_per_hour: 0,
        }
    }
}

fn default_frame_size() -> u16 {
    128
}

fn default_reserve_bytes() -> u64 {
    8 << 20
}

fn default_wal_bytes_max() -> u64 {
    WAL_BYTES_MAX
}

fn default_epoch() -> u8 {
    1
}

/// What `validator core` needs, read and checked.
#[derive(Debug)]
pub struct Core {
    /// The configuration, with paths that stand from here.
    pub config: CoreConfig,
    /// The prices, each version from its day on.
    pub tariffs: Tariffs,
    /// The deny list, empty where there is none.
    pub deny_list: DenyList,
    /// The card keys.
    pub keys: Keys,
    /// The line it stands on.
    pub line: Line,
    /// The stop it stands at.
    pub stop: Stop,
    /// Whether it is a way in or out.
    pub gate: Gate,
}

impl Core {
    /// Reads the configuration at `path` and everything that it names; `credentials` is the folder of the unit's
    /// credentials, where the program runs in one.
    ///
    /// # Errors
    /// [`ConfigError`] with the path, the line where one is to blame, and what would be right.
    pub fn load(path: &Path, credentials: Option<&Path>) -> Result<Self, ConfigError> {
        let mut config: CoreConfig = read(path)?;
        let refuse = |message: String| ConfigError::whole_file(path, message);
        let from_here = |other: &Path| path.parent().unwrap_or(Path::new("")).join(other);
        config.tariff = config.tariff.within(&from_here(Path::new("")));
        config.deny_list = config.deny_list.as_deref().map(from_here);
        config.log = from_here(&config.log);
        config.log_head = config.log_head.as_deref().map(from_here);
        config.panel_socket = from_here(&config.panel_socket);
        config.link_socket = from_here(&config.link_socket);
        if ![64, 128, 256].contains(&config.frame_size) {
            return Err(refuse(format!("frame_size is 64, 128 or 256, not {}", config.frame_size)));
        }
        if config.log_wal_bytes_max < WAL_LONG_BYTES {
            let bytes = config.log_wal_bytes_max;
            return Err(refuse(format!("log_wal_bytes_max is {WAL_LONG_BYTES} at least, not {bytes}")));
        }
        if config.limits.older_records > 2 {
            return Err(refuse(format!("limits.older_records is 0 to 2, not {}", config.limits.older_records)));
        }
        if config.epoch == 0 {
            return Err(refuse("epoch is 1 to 255".to_owned()));
        }

        let tariffs = config.tariff.read(text)?;
        for tariff in tariffs.iter() {
            place(&config, tariff)
                .map_err(|lack| refuse(format!("version {} of the tariff: {lack}", tariff.version)))?;
        }
        let (line, stop, gate) = place(&config, tariffs.newest()).map_err(refuse)?;
        let deny_list = config.deny_list.as_deref().map(DenyList::load).transpose()?.unwrap_or_default();
        let deadline = Duration::from_millis(config.limits.exchange_deadline_ms);
        let keys = keys::load(path, &config.keys, credentials, config.keys_class, deadline)?;
        Ok(Self { config, tariffs, deny_list, keys, line, stop, gate })
    }
}

/// Where a validator stands by `tariff`, and what its gate is.
fn place(config: &CoreConfig, tariff: &Tariff) -> Result<(Line, Stop, Gate), String> {
    let line = tariff.line(config.line).ok_or_else(|| format!("there is no line {}", config.line.0))?;
    let stop = line.stop(config.stop);
    let stop = stop.ok_or_else(|| format!("line {} has no stop {}", config.line.0, config.stop.0))?;
    let gate = match (tariff.journey_fare(line), config.gate) {
        (Some(_), Some(kind)) => Gate { kind, incident: config.incident },
        (Some(_), None) => {
            return Err(format!(
                "line {} has tap-in and tap-out: gate is \"entry\", \"exit\" or \"both\"",
                config.line.0
            ));
        }
        (None, None | Some(GateKind::Entry)) if !config.incident => Gate::ENTRY,
        (None, _) => {
            return Err(format!(
                "line {} has no tap-out: gate is \"entry\" or left out, and incident is for lines that have one",
                config.line.0
            ));
        }
    };
    Ok((line.clone(), stop.clone(), gate))
}

/// Cards that are not let in, by token.
#[derive(Debug, Clone, Default)]
pub struct DenyList {
    version: u32,
    cards: Vec<CardToken>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DenyListFile {
    version: u32,
    cards: Vec<CardToken>,
}

impl DenyList {
    fn load(path: &Path) -> Result<Self, ConfigError> {
        let DenyListFile { version, cards } = read(path)?;
        Ok(Self::new(version, cards))
    }

    /// A list of this version; every tap names the version in force.
    pub fn new(version: u32, mut cards: Vec<CardToken>) -> Self {
        cards.sort_unstable();
        Self { version, cards }
    }

    /// Its version; 0 where there is no list.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Whether the card is on it.
    pub fn contains(&self, card: CardToken) -> bool {
        self.cards.binary_search(&card).is_ok()
    }
}

/// What `validator sync` is told. Paths are relative to the configuration file. It names no card key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncConfig {
    /// The tap log, opened read-only.
    pub log: PathBuf,
    /// The Unix socket of `validator core`.
    pub link_socket: PathBuf,
    /// The file that remembers how far taps were acknowledged; created where there is none.
    pub cursor: PathBuf,
    /// The clearing house, such as `http://127.0.0.1:8480`.
    pub clearing_house: String,
    /// The first and the longest wait after a failed upload, in ms.
    #[serde(default = "default_retry_ms")]
    pub retry_ms: (u64, u64),
    /// How often the network is looked at while there is nothing to send, in ms.
    #[serde(default = "default_probe_interval_ms")]
    pub probe_interval_ms: u64,
    /// How long one request may take, in ms.
    #[serde(default = "default_request_deadline_ms")]
    pub request_deadline_ms: u64,
}

fn default_retry_ms() -> (u64, u64) {
    (250, 60_000)
}

fn default_probe_interval_ms() -> u64 {
    5_000
}

fn default_request_deadline_ms() -> u64 {
    10_000
}

impl SyncConfig {
    /// Reads the configuration at `path`.
    ///
    /// # Errors
    /// [`ConfigError`] with the path, the line where one is to blame, and what would be right.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = read(path)?;
        let from_here = |other: &Path| path.parent().unwrap_or(Path::new("")).join(other);
        config.log = from_here(&config.log);
        config.link_socket = from_here(&config.link_socket);
        config.cursor = from_here(&config.cursor);
        if config.retry_ms.0 == 0 || config.retry_ms.0 > config.retry_ms.1 {
            return Err(ConfigError::whole_file(path, "retry_ms is [first, longest], both above 0, in this order"));
        }
        Ok(config)
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    transit::config::parse(path, &text(path)?)
}

fn text(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|error| ConfigError::whole_file(path, format!("cannot be read: {error}")))
}
