//! `make demo`, `make run`, `make soak` and `make torn`; wiring only.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use simulation::{attack, by_hand, morning, seeded, soak, torn, torn_random};

/// The whole system as separate real processes, with virtual cards behind a real pcscd.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play a short morning by itself and settle it; screenshots and summary.json stay in the folder.
    Demo {
        #[command(flatten)]
        place: Place,
        /// Open no screens.
        #[arg(long)]
        without_screens: bool,
    },
    /// Keep everything up and tap cards by typing their names.
    Run {
        #[command(flatten)]
        place: Place,
    },
    /// Run whole cities in this process, each from a seed, and look whether every invariant holds.
    Simulate {
        /// How many.
        #[arg(long, default_value_t = 1_000)]
        seeds: u64,
        /// The first seed; the others follow it.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Write what happens in the first city, a line for each step, into this file.
        #[arg(long)]
        trace: Option<PathBuf>,
        #[command(flatten)]
        measured: Measured,
    },
    /// Make calls of the programs to the file system fail, kill them, cut the network, and look what is left.
    Soak {
        /// Where books and logs go; emptied first.
        #[arg(long, default_value = "target/soak")]
        folder: PathBuf,
        /// The cards, keys and tariff.
        #[arg(long, default_value = "fixtures")]
        fixtures: PathBuf,
        /// SIGKILLs of the clearing house at random moments.
        #[arg(long, default_value_t = 1_000)]
        kills: u32,
        /// Each of so many calls of the clearing house fails once in every way.
        #[arg(long, default_value_t = 300)]
        nth: u32,
        /// SIGKILLs of `validator core`, at named steps of a tap and at random moments.
        #[arg(long, default_value_t = 1_000)]
        kills_validator: u32,
        /// Each of so many calls of `validator core`, and of `validator sync`, fails once in every way.
        #[arg(long, default_value_t = 300)]
        nth_validator: u32,
        /// Of these calls of the validator only every so manyth.
        #[arg(long, default_value_t = 1)]
        nth_validator_step: u32,
        /// Taps of cards while the network is bad and the clearing house is killed.
        #[arg(long, default_value_t = 200)]
        taps_on_bad_network: u32,
        /// Jumps of a validator's wall clock, by up to ten years either way.
        #[arg(long, default_value_t = 200)]
        clock_jumps: u32,
        /// Logs of a validator with flipped bits.
        #[arg(long, default_value_t = 400)]
        damaged_logs: u32,
        /// For how long pcscd hangs the first time, in seconds.
        #[arg(long, default_value_t = 600)]
        dead_pcscd_s: u64,
        /// Time starts on a log of 100,000 taps.
        #[arg(long)]
        long_log: bool,
        /// What everything random follows from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The folder of `figures.json`, which the figures are merged into.
        #[arg(long, default_value = "target/bench")]
        figures: PathBuf,
        /// Print the report as JSON alone.
        #[arg(long)]
        json: bool,
    },
    /// Let riders and operators attack, in this process, and tell what they gain.
    Attack {
        #[command(flatten)]
        measured: Measured,
    },
    /// Play every way in which the taps of one card can go wrong, in this process, and settle each.
    Torn {
        /// The most presentations of a schedule.
        #[arg(long, default_value_t = 4)]
        presentations: u8,
        /// Play so many longer schedules at random instead.
        #[arg(long)]
        random: Option<u64>,
        /// What the first random schedule follows from; the next number is the next one's.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        #[command(flatten)]
        measured: Measured,
    },
}

/// Of a run in this process: what it reads, and what becomes of its figures.
#[derive(clap::Args)]
struct Measured {
    /// The cards, keys and tariff.
    #[arg(long, default_value = "fixtures")]
    fixtures: PathBuf,
    /// The folder of `figures.json`, which the figures are merged into.
    #[arg(long)]
    figures: Option<PathBuf>,
    /// Print the report as JSON alone.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Place {
    /// Where configuration, logs, books and pictures go; emptied first.
    #[arg(long, default_value = "target/demo")]
    folder: PathBuf,
    /// The cards, keys and tariff.
    #[arg(long, default_value = "fixtures")]
    fixtures: PathBuf,
}

fn main() -> ExitCode {
    let mut out = io::stdout();
    let result = match Arguments::parse().command {
        Command::Demo { place, without_screens } => {
            morning::play(&place.folder, &place.fixtures, !without_screens, &mut out).and_then(|summary| {
                writeln!(out, "\n{}\nPictures: {}", summary.to_json(), place.folder.join("screens").display())
                    .map_err(simulation::Failed::system("telling what happened"))
            })
        }
        Command::Soak {
            folder,
            fixtures,
            kills,
            nth,
            kills_validator,
            nth_validator,
            nth_validator_step,
            taps_on_bad_network,
            clock_jumps,
            damaged_logs,
            dead_pcscd_s,
            long_log,
            seed,
            figures,
            json,
        } => {
            let extent = soak::Extent {
                kills,
                nth,
                taps: soak::TAPS,
                kills_validator,
                nth_validator,
                nth_validator_step,
                taps_on_bad_network,
                clock_jumps,
                damaged_logs,
                dead_pcscd_s: Some(dead_pcscd_s),
                restart_rows: if long_log { 100_000 } else { 0 },
                seed,
            };
            let mut progress: Box<dyn Write> = if json { Box::new(io::sink()) } else { Box::new(io::stdout()) };
            soak::run(extent, &folder, &fixtures, &mut *progress)
                .and_then(|report| report.merge_into(&figures).map(|()| report))
                .and_then(|report| report.conclude(&mut out))
        }
        Command::Attack { measured: Measured { fixtures, figures, json } } => {
            attack::run(&fixtures).and_then(|report| {
                figures.map_or(Ok(()), |folder| report.merge_into(&folder))?;
                report.conclude(json, &mut out)
            })
        }
        Command::Torn { random: Some(schedules), seed, measured: Measured { fixtures, figures, json }, .. } => {
            torn_random::play(torn_random::Extent { schedules, seed }, &fixtures).and_then(|report| {
                figures.map_or(Ok(()), |folder| report.merge_into(&folder))?;
                report.conclude(json, &mut out)
            })
        }
        Command::Torn { presentations, measured: Measured { fixtures, figures, json }, .. } => {
            let (faults, intents) = (torn::Fault::ALL, torn::Intents::Kept);
            let extent = torn::Extent { presentations, faults, intents };
            torn::explore(extent, &fixtures).and_then(|report| {
                figures.map_or(Ok(()), |folder| report.merge_into(&folder))?;
                report.conclude(json, &mut out)
            })
        }
        Command::Simulate { seeds, seed, trace, measured: Measured { fixtures, figures, json } } => {
            let traced = trace.map_or(Ok(()), |path| seeded::write_trace(seed, &fixtures, &path));
            traced.and_then(|()| seeded::run_all(seeded::Extent { first: seed, seeds }, &fixtures, !json)).and_then(
                |report| {
                    figures.map_or(Ok(()), |folder| report.merge_into(&folder))?;
                    report.conclude(json, &mut out)
                },
            )
        }
        Command::Run { place } => by_hand::run(&place.folder, &place.fixtures, io::stdin().lock(), &mut out),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            // Nothing is left to do where even standard error is gone.
            let _ = writeln!(io::stderr(), "simulation: {error}{cause}");
            ExitCode::FAILURE
        }
    }
}
