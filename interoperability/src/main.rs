//! `interoperability`: runs every client and prints what it did.
#![forbid(unsafe_code)]

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use interoperability::{desfire, ntag424, reader, run_all, stand::Stand};

/// DESFire clients that others wrote, against the virtual card through a private pcscd.
///
/// Prints a line for each: the client, what it did, how many checks held and how many commands the card got. A client
/// that is not on this machine is skipped by name; `make peers` fetches those that can be fetched.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The cards and keys
    #[arg(long, value_name = "DIRECTORY", default_value = "fixtures")]
    fixtures: PathBuf,
    #[command(subcommand)]
    client: Option<Client>,
}

/// The clients that are part of this program, each run as a process of its own.
#[derive(Subcommand)]
#[command(hide = true)]
enum Client {
    /// Wait until a card lies on the reader
    #[command(hide = true)]
    WaitForCard {
        reader: String,
        /// Wait until none does
        #[arg(long)]
        gone: bool,
    },
    /// The crate ntag424
    #[command(hide = true)]
    Ntag424 { reader: String },
    /// The crate desfire
    #[command(hide = true)]
    Desfire { reader: String },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.client {
        None => table(&arguments.fixtures),
        Some(Client::WaitForCard { reader, gone }) => {
            reader::wait_for_card(&reader, !gone).map_err(|error| format!("no card: {error}"))
        }
        Some(Client::Ntag424 { reader }) => ntag424::play(&reader, say),
        Some(Client::Desfire { reader }) => desfire::play(&reader, say),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("interoperability: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A line of output; where nobody reads it, the work goes on.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn table(fixtures: &std::path::Path) -> Result<(), String> {
    let own = std::env::current_exe().map_err(|error| format!("this program has no path: {error}"))?;
    let stand = Stand::open(&own, fixtures).map_err(|error| error.to_string())?;
    let outcomes = run_all(&stand);
    for outcome in &outcomes {
        say(&outcome.to_string());
    }
    let failed = outcomes.iter().filter(|outcome| outcome.is_failure()).count();
    if failed == 0 { Ok(()) } else { Err(format!("{failed} of {} disagree with the card", outcomes.len())) }
}
