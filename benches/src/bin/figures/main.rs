//! Measures what a tap costs, writes `figures.json` into the folder `bench` of cargo's target directory and prints a
//! table.
//!
//! Ends with 1 when a bound is missed and with 2 when something could not be measured. Linux only. Parts that must be
//! watched from outside run as children of this program, as its subcommands.

#![forbid(unsafe_code)]

mod counted_by_tests;
mod distorted_answers;
mod figure;
mod fsyncs;
mod host_time;
mod instructions;
mod restart;
mod stack;
mod taps;
mod tools;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use benches::{Failure, bus::output_folder, desk, fare, gtfs_feed};
use clap::{Parser, Subcommand};

use crate::figure::{Figure, merge_json, print_table};

/// Measures what a tap costs.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
}

/// What a child does, watched by this program.
#[derive(Debug, Subcommand)]
enum Part {
    /// Only the opening of a log of 100,000 taps, merged into the figures that are there.
    Restart,
    /// Only the import of a GTFS feed from a seed, merged into the figures that are there.
    GtfsImport,
    /// Purse taps of the engine on a log in this folder, without a pause.
    Taps {
        #[arg(long)]
        count: u32,
        #[arg(long)]
        log_folder: PathBuf,
    },
    /// The card cryptography of purse taps; prints 1 where the processor has AES instructions, 0 elsewhere.
    Dialogues {
        #[arg(long)]
        count: u32,
    },
    /// Purse taps through the PC/SC service of the environment; prints the milliseconds of each as a JSON array.
    Stack {
        #[arg(long)]
        count: u32,
        /// The exact PC/SC name of the reader.
        #[arg(long)]
        reader: String,
        /// Where a card is laid on it.
        #[arg(long)]
        address: std::net::SocketAddr,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().part {
        None => measure_all(),
        Some(Part::Restart) => measure_restart(),
        Some(Part::GtfsImport) => measure_gtfs_import(),
        Some(Part::Taps { count, log_folder }) => fsyncs::make_taps(count, &log_folder).map(|()| true),
        Some(Part::Dialogues { count }) => instructions::hold_dialogues(count).map(|()| true),
        Some(Part::Stack { count, reader, address }) => stack::tap_through(count, &reader, address).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => {
            // Where not even this can be written, the exit code says it.
            let _ = writeln!(io::stderr(), "figures: {failure}");
            ExitCode::from(2)
        }
    }
}

/// Whether every figure is within its bound.
fn measure_all() -> Result<bool, Failure> {
    let output = output_folder();
    fs::create_dir_all(&output)?;
    let host_us = host_time::host_us_per_tap()?;
    let mut figures = taps::counts_and_model(host_us)?;
    figures.push(fsyncs::measure(&output)?);
    figures.push(Figure::unbounded("host_us_per_tap", host_us));
    figures.extend(instructions::measure(&output)?);
    figures.push(stack::measure(&output)?);
    let at_desk = desk::exchanges()?;
    figures.push(Figure::unbounded("issue_exchanges", f64::from(at_desk.issue)));
    figures.push(Figure::unbounded("topup_exchanges", f64::from(at_desk.top_up)));
    let fare = fare::decide_ns(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures"))?;
    figures.push(Figure::unbounded("fare_decide_ns_flat", fare.flat));
    figures.push(Figure::unbounded("fare_decide_ns_worst", fare.worst));
    figures.push(gtfs_import()?);
    figures.extend(distorted_answers::measure()?);
    figures.extend(counted_by_tests::measure()?);
    figures.push(restart::measure(&output)?);
    write_figures(&output, &figures)
}

fn measure_restart() -> Result<bool, Failure> {
    let output = output_folder();
    fs::create_dir_all(&output)?;
    write_figures(&output, &[restart::measure(&output)?])
}

fn measure_gtfs_import() -> Result<bool, Failure> {
    let output = output_folder();
    fs::create_dir_all(&output)?;
    write_figures(&output, &[gtfs_import()?])
}

fn gtfs_import() -> Result<Figure, Failure> {
    let folder = tempfile::tempdir()?;
    gtfs_feed::write(folder.path(), 1)?;
    let before_ns = host_time::processor_time_ns()?;
    gtfs_feed::import(folder.path())?;
    let spent_ns = host_time::processor_time_ns()?.saturating_sub(before_ns);
    Ok(Figure::unbounded("gtfs_import_seconds", Duration::from_nanos(spent_ns).as_secs_f64()))
}

/// Whether every figure is within its bound.
fn write_figures(output: &Path, figures: &[Figure]) -> Result<bool, Failure> {
    let path = output.join("figures.json");
    merge_json(&path, figures)?;
    let mut stdout = io::stdout().lock();
    print_table(&mut stdout, figures)?;
    writeln!(stdout, "written to {}", path.canonicalize()?.display())?;
    Ok(figures.iter().all(Figure::is_within_bound))
}
