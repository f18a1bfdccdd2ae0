//! The desk's program: wiring, the only clock and the only source of randomness.
#![forbid(unsafe_code)]

mod run;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use counter::arguments::Arguments;
use counter::settle::Resumed;
use rustix::process::DumpableBehavior;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn,refinery_core=warn".into()),
        )
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
    let arguments = Arguments::parse();
    // It will hold keys: no core image of it is written, and only root may look into its memory.
    if let Err(error) = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        let _ = writeln!(std::io::stderr(), "counter: the memory of this process cannot be kept private: {error}");
        return ExitCode::from(WRONG_SETUP);
    }
    let is_json = arguments.json;
    match run::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            let mut text = failed.error.to_string();
            let mut source = failed.error.source();
            while let Some(cause) = source {
                // Transparent errors repeat themselves.
                let cause_text = cause.to_string();
                if !text.ends_with(&cause_text) {
                    text += &format!(": {cause_text}");
                }
                source = cause.source();
            }
            if is_json {
                let answer = serde_json::json!({
                    "error": text,
                    "exit_code": failed.exit_code,
                    "resumed": failed.resumed,
                });
                let _ = writeln!(std::io::stdout(), "{answer}");
            }
            let _ = writeln!(std::io::stderr(), "counter: {text}");
            ExitCode::from(failed.exit_code)
        }
    }
}

/// Why a command failed, and the exit code that says so.
struct Failed {
    exit_code: u8,
    error: Box<dyn Error>,
    /// What was settled before it failed.
    resumed: Vec<Resumed>,
}

const REFUSED: u8 = 1;
const WRONG_SETUP: u8 = 2;
const NO_CARD: u8 = 3;
const PRESENT_AGAIN: u8 = 4;
const NO_CLEARING_HOUSE: u8 = 5;

impl Failed {
    fn new(exit_code: u8, error: impl Into<Box<dyn Error>>) -> Self {
        Self { exit_code, error: error.into(), resumed: Vec::new() }
    }
}
