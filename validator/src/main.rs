//! The programs of a validator; wiring only.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand};
use ring::rand::{SecureRandom, SystemRandom};
use rustix::process::DumpableBehavior;
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::Notify;
use transit::time::Moment;
use validator::config::{Core, SyncConfig};
use validator::core::{self, Event, Outside};
use validator::liveness::Service;
use validator::log::BootId;
use validator::salvage::Salvage;
use validator::status::Status;
use validator::uplink;

/// The validator of a bus or a gate: takes cards, keeps every tap, sends them on.
///
/// Run `core` and `sync` side by side. Both log to standard error; set RUST_LOG to see more or less.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    program: Program,
}

#[derive(Subcommand)]
enum Program {
    /// Wait for cards, take fares, keep the tap log, publish the screen. Holds the card keys, never uses a network.
    Core {
        /// The configuration file (see validator/core.example.toml).
        #[arg(long)]
        config: PathBuf,
        /// The boot id of this machine, for where /proc/sys is hidden: %b in a systemd unit. Never a fixed one. Without
        /// it, /proc/sys/kernel/random/boot_id is read.
        #[arg(long, value_name = "ID")]
        boot_id: Option<BootId>,
    },
    /// Send taps to the clearing house. Uses the network, holds no card key.
    Sync {
        /// The configuration file (see validator/sync.example.toml).
        #[arg(long)]
        config: PathBuf,
    },
    /// Tell what the tap log holds.
    Status {
        /// The tap log.
        #[arg(long)]
        log: PathBuf,
        /// The panel socket of a running core: tells as well whether it takes cards, and how its card path answers.
        #[arg(long)]
        panel: Option<PathBuf>,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Read the taps out of a damaged log that was kept, and write or send them.
    ///
    /// Finds every sealed tap that is whole in DAMAGED and in the WAL beside it, and changes neither. With neither
    /// --output nor --upload it only tells what it found. Sending what the clearing house has already does no harm.
    Salvage {
        /// The damaged log, such as tap-log.db.damaged-20261124T051200Z, or a file that --output wrote.
        damaged: PathBuf,
        /// Write the taps to this new file, 352 bytes each: to be sent later, from anywhere, by this command.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Send the taps to the clearing house at this address, such as http://clearing-house:8480.
        #[arg(long, value_name = "URL")]
        upload: Option<String>,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info,refinery_core=warn".into()),
        )
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
    let result = match Arguments::parse().program {
        Program::Core { config, boot_id } => run_core(&config, boot_id),
        Program::Sync { config } => run_sync(&config),
        Program::Status { log, panel, json } => print_status(&log, panel.as_deref(), json),
        Program::Salvage { damaged, output, upload, json } => salvage(&damaged, output, upload.as_deref(), json),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = format!("validator: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                text += &format!(": {cause}");
                source = cause.source();
            }
            let _ = writeln!(std::io::stderr(), "{text}");
            ExitCode::from(2)
        }
    }
}

/// No core image of this process is written, and only root may look into its memory: it holds keys, or what riders do.
fn keep_memory_private() -> std::io::Result<()> {
    Ok(rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

fn run_core(config: &Path, boot_id: Option<BootId>) -> Result<(), Box<dyn Error>> {
    keep_memory_private()?;
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let core = Core::load(config, credentials.as_deref())?;
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let outside = Outside { now, random, boot: boot_id.or_else(boot_of_the_machine) };
    core::run(core, outside, |events| {
        thread::spawn(move || {
            if signals.forever().next().is_some() {
                // A core that has ended needs no telling.
                let _ = events.send(Event::Stop);
            }
        });
    })?;
    Ok(())
}

fn run_sync(config: &Path) -> Result<(), Box<dyn Error>> {
    keep_memory_private()?;
    let config = SyncConfig::load(config)?;
    let stop = Arc::new(Notify::new());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let stopped = Arc::clone(&stop);
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            stopped.notify_one();
        }
    });
    runtime.block_on(uplink::run(config, || u32::from_be_bytes(random_bytes()), stop));
    Ok(())
}

fn print_status(log: &Path, panel: Option<&Path>, json: bool) -> Result<(), Box<dyn Error>> {
    let status = Status::read(log).map_err(|error| format!("{} cannot be read: {error}", log.display()))?;
    let cannot_ask = |panel: &Path, error| format!("no core shows anything at {}: {error}", panel.display());
    let service = panel.map(|panel| Service::ask(panel).map_err(|error| cannot_ask(panel, error))).transpose()?;
    print(&WithService { status, service }, json)
}

fn salvage(damaged: &Path, output: Option<PathBuf>, upload: Option<&str>, json: bool) -> Result<(), Box<dyn Error>> {
    let salvage = Salvage::read(damaged).map_err(|error| format!("{} cannot be read: {error}", damaged.display()))?;
    if salvage.taps.is_empty() {
        return Err(format!("{} holds no sealed tap that is whole", damaged.display()).into());
    }
    let mut report = salvage.report(damaged.to_owned());
    if let Some(path) = output {
        let write = || {
            let mut file = File::create_new(&path)?;
            file.write_all(&salvage.bytes())?;
            file.sync_all()
        };
        write().map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        report.written = Some(path);
    }
    if let Some(clearing_house) = upload {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        for verdict in runtime.block_on(uplink::send_once(clearing_house, &salvage.bytes()))? {
            *report.verdicts.entry(verdict.name()).or_default() += 1;
        }
    }
    print(&report, json)
}

fn print(value: &(impl Serialize + Display), json: bool) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    if json {
        serde_json::to_writer(&out, value)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{value}")?;
    }
    Ok(())
}

/// What `status` prints.
#[derive(Serialize)]
struct WithService {
    #[serde(flatten)]
    status: Status,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    service: Option<Service>,
}

impl Display for WithService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { status, service } = self;
        write!(f, "{status}")?;
        service.as_ref().map_or(Ok(()), |service| write!(f, "\n{service}"))
    }
}

fn now() -> Moment {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    Moment(u32::try_from(seconds).unwrap_or(u32::MAX))
}

/// `None` where it cannot be told: a tap that a lost power may have cut short then admits nobody.
fn boot_of_the_machine() -> Option<BootId> {
    let path = "/proc/sys/kernel/random/boot_id";
    let read = || -> Result<BootId, Box<dyn Error>> { Ok(std::fs::read_to_string(path)?.parse()?) };
    read().inspect_err(|error| tracing::warn!(error, path, "the boot id cannot be read: give --boot-id")).ok()
}

fn random() -> [u8; 16] {
    random_bytes()
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Without randomness no card can be authenticated safely: better no validator than a predictable one.
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
