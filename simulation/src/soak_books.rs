//! The clearing house that validators under fire upload to, and what its books hold in the end.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use transit::tap::SealedTap;

use crate::Failed;
use crate::city::{clearing_house_config, free_address};
use crate::panel::PATIENCE;
use crate::process::{Program, clearing_house, output_of};

/// The first validator's number; as many follow as logs are begun.
pub const FIRST_DEVICE: u32 = 1_001;

/// One clearing house for all of them.
#[derive(Debug)]
pub struct Books {
    program: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
    serving: Mutex<Option<Program>>,
}

impl Books {
    /// Starts one in `folder`, which knows so many validators.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(programs: &Path, folder: &Path, fixtures: &Path, devices: u32) -> Result<Self, Failed> {
        fs::create_dir_all(folder).map_err(Failed::system(format!("making {}", folder.display())))?;
        let address = free_address()?;
        crate::city::write(&folder.join("clearing-house.toml"), &config(address, fixtures, devices))?;
        let program = programs.join("clearing-house");
        let books = Self { program, folder: folder.to_owned(), address, serving: Mutex::new(None) };
        books.serve()?;
        Ok(books)
    }

    /// Where it listens, also after a restart.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(&self) -> Result<(), Failed> {
        self.serving().take().map_or(Ok(()), Program::kill)
    }

    /// Serves, again after a kill.
    ///
    /// # Errors
    /// It does not listen within [`PATIENCE`].
    pub fn serve(&self) -> Result<(), Failed> {
        let log = self.log_path();
        let mut command = self.command("serve");
        *self.serving() = Some(Program::start("clearing-house", &log, command.stdout(Stdio::null()))?);
        let deadline = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(self.address).is_err() {
            if Instant::now() > deadline {
                return Err(Failed::Unexpected(format!("the clearing house does not listen; see {}", log.display())));
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// The taps of one validator that are in the books, in order, as they are kept there.
    ///
    /// # Errors
    /// The books cannot be read.
    pub fn taps(&self, device: u32) -> Result<Vec<Vec<u8>>, Failed> {
        let read = || -> rusqlite::Result<Vec<Vec<u8>>> {
            let path = self.folder.join("clearing-house.sqlite");
            let books = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            let mut taps = books.prepare("SELECT bytes FROM tap WHERE device = ?1 ORDER BY epoch, sequence")?;
            taps.query_map([device], |row| row.get(0))?.collect()
        };
        read().map_err(|error| Failed::Unexpected(format!("reading the books: {error}")))
    }

    /// Verifies the books and compares their sums with what the cards say; what is not as expected. A clock that is ahead
    /// must be a finding where one was, and nothing else may be one.
    ///
    /// # Errors
    /// It does not answer.
    pub fn examine(&self, taps: usize, paid_minor: i64, clock_ahead: bool) -> Result<Vec<String>, Failed> {
        let mut problems = Vec::new();
        let verification = self.ask("verify")?;
        if verification["sound"] != true {
            problems.push(format!("the books do not verify: {}", verification["wrong"]));
        }
        let status = self.ask("status")?;
        if status["taps"] != taps {
            problems.push(format!("{} taps are in the books, and {taps} in the logs", status["taps"]));
        }
        let kinds = |of: &Value| of.as_object().map(|of| of.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
        let expected: &[&str] = if clock_ahead { &["clock_ahead"] } else { &[] };
        if !kinds(&status["alarms"]).is_empty() || kinds(&status["findings"]) != expected {
            problems.push(format!("alarms {} and findings {}", status["alarms"], status["findings"]));
        }
        // Their validators have read of each that its card took it; the card's proof comes with its next ride.
        if status["pending"]["taps"] != status["pending"]["claimed"] {
            problems.push(format!("taps are pending that no validator speaks of: {}", status["pending"]));
        }
        let balances: BTreeMap<String, i64> = serde_json::from_value(status["balances_minor"].clone())
            .map_err(|error| Failed::Unexpected(format!("the balances cannot be read: {error}")))?;
        let float = balances.get("cards:float").copied().unwrap_or_default();
        if balances.values().sum::<i64>() != 0 || float.abs() != paid_minor {
            problems.push(format!("the cards paid {paid_minor}, and the ledger says {balances:?}"));
        }
        let said = fs::read_to_string(self.log_path()).unwrap_or_default();
        problems.extend(said.lines().filter(|line| line.contains("panicked")).map(str::to_owned));
        Ok(problems)
    }

    /// SIGTERM.
    ///
    /// # Errors
    /// It does not end well.
    pub fn end(self) -> Result<(), Failed> {
        self.serving().take().map_or(Ok(()), Program::terminate)
    }

    fn serving(&self) -> MutexGuard<'_, Option<Program>> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, question: &str) -> Result<Value, Failed> {
        let mut command = self.command(question);
        let output = output_of(&format!("clearing-house {question}"), command.arg("--json"))?;
        serde_json::from_slice(&output.stdout)
            .map_err(|error| Failed::Unexpected(format!("clearing-house {question} printed no JSON: {error}")))
    }

    fn command(&self, subcommand: &str) -> Command {
        clearing_house(&self.program, subcommand, &self.folder)
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("clearing-house.log")
    }
}

/// What the log lacks of what is in the books, and the other way round; empty where they are the same.
#[must_use]
pub fn compare(log: &[SealedTap], books: &[Vec<u8>]) -> Vec<String> {
    let mut problems = Vec::new();
    for (sequence, tap) in (1..).zip(log) {
        match books.get(sequence - 1) {
            Some(bytes) if bytes == tap.as_bytes() => {}
            Some(_) => problems.push(format!("tap {sequence} has other bytes in the books than in the log")),
            None => problems.push(format!("tap {sequence} is in the log and not in the books")),
        }
    }
    if books.len() > log.len() {
        problems.push(format!("the books have {} taps, and the log {}", books.len(), log.len()));
    }
    problems
}

fn config(listen: SocketAddr, fixtures: &Path, devices: u32) -> String {
    let validators = (FIRST_DEVICE..FIRST_DEVICE + devices).map(|number| (number, 1));
    clearing_house_config((&listen.to_string(), "clearing-house.sqlite"), fixtures, the_operator(), validators)
}

/// The one operator of a soak.
pub(crate) fn the_operator() -> [(u16, String); 1] {
    [(1, "Transerco BRT".to_owned())]
}
