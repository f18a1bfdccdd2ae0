//! `clearing-house`: wiring of the command line to the library.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::iter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use clearing_house::closing::SettleError;
use clearing_house::gtfs::{Base, GtfsImport, ImportOptions};
use clearing_house::od_table::{OdImport, OdOptions};
use clearing_house::store::StoreError;
use clearing_house::tariff_report::{TariffCheck, TariffDiff};
use clearing_house::{ClearingHouse, Config, http};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use rustix::process::DumpableBehavior;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use transit::card::Profile;
use transit::id::{LineNumber, TapId};
use transit::time::{Moment, ServiceDay};

/// From taps to money owed: takes uploads of validators, keeps the ledger, settles service days.
///
/// Exit status: 0 all is well, 1 something is wrong in the books, a tap or a tariff, 2 the call or the configuration is wrong.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Take uploads over HTTP until SIGTERM or SIGINT. The first line of output is `listening on http://ADDRESS`.
    Serve {
        #[command(flatten)]
        config: ConfigArgument,
    },
    /// Close a service day and print its statements. A closed day stays as it is and prints the same again.
    Settle {
        #[command(flatten)]
        config: ConfigArgument,
        /// The service day to close, such as 2026-11-23.
        #[arg(long, value_name = "YYYY-MM-DD")]
        service_day: ServiceDay,
        #[command(flatten)]
        output: OutputArgument,
    },
    /// Check everything in the books again and name the first thing that is wrong; gaps in coverage are listed.
    Verify {
        #[command(flatten)]
        config: ConfigArgument,
        #[command(flatten)]
        output: OutputArgument,
    },
    /// Print what each desk took and gave on a service day, to compare with the till.
    DeskDay {
        #[command(flatten)]
        config: ConfigArgument,
        /// The service day, such as 2026-11-23.
        #[arg(long, value_name = "YYYY-MM-DD")]
        service_day: ServiceDay,
        #[command(flatten)]
        output: OutputArgument,
    },
    /// Make the deny list that validators read, blocked and lost cards included. Its version grows when cards change.
    DenyList {
        #[command(flatten)]
        config: ConfigArgument,
        /// Write it to this file, whole or not at all, instead of printing it.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Print what waits in suspense: taps of which nobody knows whether the card paid, with age, money, and what would
    /// end them.
    Suspense {
        #[command(flatten)]
        config: ConfigArgument,
        #[command(flatten)]
        at: AtArgument,
        #[command(flatten)]
        output: OutputArgument,
    },
    /// Print what has not come: taps that logs lack, and transactions that cards counted, with the money at risk.
    Gaps {
        #[command(flatten)]
        config: ConfigArgument,
        #[command(flatten)]
        output: OutputArgument,
    },
    /// Name the validators that take no taps where their own weeks before say that they should.
    Silence {
        #[command(flatten)]
        config: ConfigArgument,
        #[command(flatten)]
        at: AtArgument,
        #[command(flatten)]
        output: OutputArgument,
    },
    /// Copy the books as they are at this moment to a new file, while `serve` may go on. The copy is checked and durable
    /// when this ends with 0.
    Backup {
        #[command(flatten)]
        config: ConfigArgument,
        /// The new file.
        file: PathBuf,
    },
    /// Say why a tap charged what it did, to a passenger and to an auditor, in Vietnamese and English. Exit status 1
    /// where the fare decided again is another.
    Explain {
        /// The tap, such as 12-1-4711.
        #[arg(value_name = "TAP")]
        tap: TapId,
        #[command(flatten)]
        config: ConfigArgument,
        #[command(flatten)]
        output: OutputArgument,
    },
    /// Look at a tariff before it is in force.
    Tariff {
        #[command(subcommand)]
        command: TariffCommand,
    },
    /// Print the state of the books: taps, verdicts, pending money, alarms, findings, balances, coverage, boards.
    Status {
        #[command(flatten)]
        config: ConfigArgument,
        #[command(flatten)]
        output: OutputArgument,
    },
}

#[derive(Subcommand)]
enum TariffCommand {
    /// Name rules that never count, holes, and prices that surprise. Exit status 1 where there are any, 2 where the
    /// file is refused.
    Check {
        /// The tariff file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        output: OutputArgument,
    },
    /// Print everything that the second file changes.
    Diff {
        /// The tariff in force.
        #[arg(value_name = "BEFORE")]
        before: PathBuf,
        /// The one that is to come.
        #[arg(value_name = "AFTER")]
        after: PathBuf,
        #[command(flatten)]
        output: OutputArgument,
    },
    /// Price the rides of a day that is in the books by a tariff that is not in force yet. Exit status 1 where it does
    /// not price them all.
    Rehearse {
        /// The tariff to try.
        #[arg(value_name = "NEW")]
        new: PathBuf,
        /// The service day, such as 2026-11-23.
        #[arg(long, value_name = "DAY")]
        on: ServiceDay,
        #[command(flatten)]
        config: ConfigArgument,
        #[command(flatten)]
        output: OutputArgument,
    },
    /// Make a tariff file of a GTFS feed: its lines, stops, and fares (Fares v2, otherwise v1).
    ///
    /// Everything about money that the tariff does not have as the feed has it is named with file and line, and so is
    /// every defect of the feed. Exit status 0 where there is nothing to name, 1 where there is, 2 where the feed cannot
    /// be read. Look at the result with `tariff check` before it is in force.
    ImportGtfs(ImportGtfsArguments),
    /// Put the fares of a table of origins and destinations into a tariff file.
    ///
    /// The table is CSV: `origin`, `destination`, `amount`, and `class` where there are several, or a column for each
    /// class. Pairs that have no price, are there twice, or cost something else on the way back are named. Exit status 0
    /// where there is nothing to name, 1 where there is, 2 where a file cannot be read.
    ImportOd(ImportOdArguments),
}

#[derive(clap::Args)]
struct ImportOdArguments {
    /// The table.
    #[arg(value_name = "TABLE.csv")]
    table: PathBuf,
    /// The tariff that the new one follows: everything but the fare of these lines stays.
    #[arg(long, value_name = "FILE")]
    base: PathBuf,
    /// The number of a line that the fares are for; several, where one may change between them within the gates.
    #[arg(long = "line", value_name = "NUMBER", required = true)]
    lines: Vec<u16>,
    /// What the tariff calls these fares. Where it has such a [[journey_fare]], that keeps all but its prices.
    #[arg(long, value_name = "NAME", default_value = "origin-destination")]
    name: String,
    /// Which profile a class of the table is, such as `senior=sixty_plus`. May be given several times.
    #[arg(long = "profile", value_name = "CLASS=PROFILE", value_parser = profile)]
    profiles: Vec<(String, Profile)>,
    /// Write the tariff to this file, whole or not at all, and print what there is to name. Without it the tariff is
    /// printed, and what there is to name goes to standard error.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgument,
}

#[derive(clap::Args)]
struct ImportGtfsArguments {
    /// The feed: a zip archive, or a folder with its files.
    #[arg(value_name = "FEED")]
    feed: PathBuf,
    /// Write the tariff to this file, whole or not at all, and print what there is to name. Without it the tariff is
    /// printed, and what there is to name goes to standard error.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The tariff that the new one follows: lines and stops keep their numbers, its version is one higher, and what a feed
    /// does not speak of, such as caps and passes, stays. Of a feed without fares, the fares stay too.
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// Which profile a rider category of the feed is, such as `senior=sixty_plus`. May be given several times.
    #[arg(long = "profile", value_name = "CATEGORY=PROFILE", value_parser = profile)]
    profiles: Vec<(String, Profile)>,
    /// A fare medium whose prices count, besides those of transit cards. May be given several times.
    #[arg(long = "medium", value_name = "FARE_MEDIA_ID")]
    media: Vec<String>,
    #[command(flatten)]
    output: OutputArgument,
}

#[derive(clap::Args)]
struct ConfigArgument {
    /// The configuration file (TOML).
    #[arg(long = "config", value_name = "FILE")]
    path: PathBuf,
}

#[derive(clap::Args)]
struct OutputArgument {
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct AtArgument {
    /// As of this moment, such as 2026-11-23T08:00:00+07:00, instead of now.
    #[arg(long = "at", value_name = "TIME", value_parser = moment)]
    at: Option<Moment>,
}

impl AtArgument {
    fn moment(&self) -> Moment {
        self.at.unwrap_or_else(now)
    }
}

fn moment(text: &str) -> Result<Moment, String> {
    let timestamp = text.parse::<Timestamp>().ok();
    timestamp.and_then(|timestamp| u32::try_from(timestamp.as_second()).ok()).map(Moment).ok_or_else(|| {
        format!("`{text}` is no moment of 1970 to 2106; write it with its offset, such as 2026-11-23T08:00:00+07:00")
    })
}

fn profile(text: &str) -> Result<(String, Profile), String> {
    let (category, name) =
        text.split_once('=').ok_or_else(|| format!("`{text}` is no CATEGORY=PROFILE, such as senior=sixty_plus"))?;
    let mut profiles = Profile::ALL.into_iter();
    let profile = profiles
        .find(|profile| profile.name() == name)
        .ok_or_else(|| format!("`{name}` is no profile; there are {}", Profile::ALL.map(Profile::name).join(", ")))?;
    Ok((category.to_owned(), profile))
}

/// All is well.
const WELL: u8 = 0;
/// Something is wrong in the books, or in what was looked at.
const BOOKS_WRONG: u8 = 1;
/// The call or the configuration is wrong, or the machine.
const CANNOT: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info,refinery_core=warn".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    let code = run(arguments.command).unwrap_or_else(|error| {
        explain(&*error);
        if is_damage(&*error) { BOOKS_WRONG } else { CANNOT }
    });
    ExitCode::from(code)
}

fn run(command: Command) -> Result<u8, Box<dyn Error>> {
    match command {
        Command::Serve { config } => serve(config.open()?),
        Command::Settle { config, service_day, output } => match config.open()?.settle(service_day, now()) {
            Ok(day) => output.print(&day).map(|()| WELL),
            Err(error @ SettleError::Damaged(_)) => {
                explain(&error);
                Ok(BOOKS_WRONG)
            }
            Err(error) => Err(error.into()),
        },
        Command::Verify { config, output } => {
            let verification = config.open()?.verify();
            output.print(&verification)?;
            Ok(if verification.sound { WELL } else { BOOKS_WRONG })
        }
        Command::DeskDay { config, service_day, output } => {
            let day = config.open_unchecked()?.desk_day(service_day)?;
            output.print(&day).map(|()| WELL)
        }
        Command::DenyList { config, output } => {
            let list = config.open_unchecked()?.deny_list(now())?;
            match output {
                Some(path) => replace(&path, &list.to_string())?,
                None => write!(io::stdout(), "{list}")?,
            }
            Ok(WELL)
        }
        Command::Suspense { config, at, output } => {
            let suspense = config.open_unchecked()?.suspense(at.moment())?;
            output.print(&suspense).map(|()| WELL)
        }
        Command::Gaps { config, output } => {
            let gaps = config.open_unchecked()?.gaps()?;
            output.print(&gaps).map(|()| WELL)
        }
        Command::Silence { config, at, output } => {
            let silence = config.open_unchecked()?.silence(at.moment())?;
            output.print(&silence).map(|()| WELL)
        }
        Command::Backup { config, file } => {
            config.open_unchecked()?.back_up(&file)?;
            Ok(WELL)
        }
        Command::Explain { tap, config, output } => {
            let explanation = config.open_unchecked()?.explain(tap)?;
            output.print(&explanation)?;
            Ok(if explanation.findings.is_empty() { WELL } else { BOOKS_WRONG })
        }
        Command::Tariff { command: TariffCommand::Check { file, output } } => {
            let check = TariffCheck::of(&file)?;
            output.print(&check)?;
            Ok(if check.findings.is_empty() { WELL } else { BOOKS_WRONG })
        }
        Command::Tariff { command: TariffCommand::Diff { before, after, output } } => {
            output.print(&TariffDiff::of(&before, &after)?).map(|()| WELL)
        }
        Command::Tariff { command: TariffCommand::Rehearse { new, on, config, output } } => {
            let rehearsal = config.open_unchecked()?.rehearse(&new, on)?;
            output.print(&rehearsal)?;
            Ok(if rehearsal.undecidable.is_empty() { WELL } else { BOOKS_WRONG })
        }
        Command::Tariff { command: TariffCommand::ImportGtfs(arguments) } => import_gtfs(&arguments),
        Command::Tariff { command: TariffCommand::ImportOd(arguments) } => import_od(arguments),
        Command::Status { config, output } => {
            let status = config.open_unchecked()?.status_at(now())?;
            output.print(&status).map(|()| WELL)
        }
    }
}

fn import_gtfs(arguments: &ImportGtfsArguments) -> Result<u8, Box<dyn Error>> {
    let options = ImportOptions {
        profiles: arguments.profiles.clone(),
        media: arguments.media.clone(),
        base: arguments.base.as_deref().map(Base::read).transpose()?,
    };
    // Drawn on standard error, and only where that is a terminal.
    let bar =
        ProgressBar::new(0).with_style(ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {eta} left")?);
    let import = GtfsImport::of(&arguments.feed, &options, |length| bar.set_length(length), &|read| bar.inc(read))?;
    bar.finish_and_clear();
    arguments.output.print_tariff(arguments.out.as_deref(), &import.tariff, &import)?;
    Ok(if import.is_whole() { WELL } else { BOOKS_WRONG })
}

fn import_od(arguments: ImportOdArguments) -> Result<u8, Box<dyn Error>> {
    let ImportOdArguments { table, base, lines, name, profiles, out, output } = arguments;
    let lines = lines.into_iter().map(LineNumber).collect();
    let import = OdImport::of(&table, &OdOptions { tariff: base, lines, name, profiles })?;
    output.print_tariff(out.as_deref(), &import.tariff, &import)?;
    Ok(if import.is_whole() { WELL } else { BOOKS_WRONG })
}

impl ConfigArgument {
    fn open(&self) -> Result<ClearingHouse, Box<dyn Error>> {
        Ok(ClearingHouse::open(self.read()?)?)
    }

    fn open_unchecked(&self) -> Result<ClearingHouse, Box<dyn Error>> {
        Ok(ClearingHouse::open_unchecked(self.read()?)?)
    }

    fn read(&self) -> Result<Config, Box<dyn Error>> {
        // It will hold keys: no core image of it is written, and only root may look into its memory.
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Ok(Config::read(&self.path, credentials.as_deref())?)
    }
}

impl OutputArgument {
    /// Prints a tariff, or writes it to `out`, and what there is to say about it.
    fn print_tariff(
        &self,
        out: Option<&Path>,
        tariff: &str,
        import: &(impl Serialize + Display),
    ) -> Result<(), Box<dyn Error>> {
        match out {
            Some(path) => replace(path, tariff)?,
            None if !self.json => {
                write!(io::stdout(), "{tariff}")?;
                return Ok(write!(io::stderr(), "{import}")?);
            }
            None => {}
        }
        self.print(import)
    }

    fn print(&self, value: &(impl Serialize + Display)) -> Result<(), Box<dyn Error>> {
        let mut out = io::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut out, value)?;
            writeln!(out)?;
        } else {
            write!(out, "{value}")?;
        }
        Ok(out.flush()?)
    }
}

/// Writes a file so that a reader sees the old text or the new one, and a power cut leaves one of them.
fn replace(path: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    let said = |error: io::Error| format!("{} cannot be written: {error}", path.display());
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = File::create(&beside).map_err(said)?;
    file.write_all(text.as_bytes()).map_err(said)?;
    file.sync_all().map_err(said)?;
    std::fs::rename(&beside, path).map_err(said)?;
    Ok(())
}

fn serve(clearing_house: ClearingHouse) -> Result<u8, Box<dyn Error>> {
    let listen = clearing_house.listen();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        let listener =
            TcpListener::bind(listen).await.map_err(|error| format!("cannot listen on {listen}: {error}"))?;
        let mut out = io::stdout();
        writeln!(out, "listening on http://{}", listener.local_addr()?)?;
        out.flush()?;
        http::serve(listener, clearing_house, now, stop).await?;
        Ok(WELL)
    })
}

/// The only clock of the clearing house.
fn now() -> Moment {
    let seconds = Timestamp::now().as_second();
    Moment(u32::try_from(seconds).unwrap_or(if seconds < 0 { 0 } else { u32::MAX }))
}

/// Whether the books are to blame.
fn is_damage(error: &(dyn Error + 'static)) -> bool {
    iter::successors(Some(error), |error| (*error).source())
        .any(|error| error.downcast_ref().is_some_and(StoreError::is_damage))
}

/// Says an error and what caused it.
fn explain(error: &dyn Error) {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    // Nothing is left to do where even standard error is gone.
    let _ = writeln!(io::stderr(), "clearing-house: {text}");
}
