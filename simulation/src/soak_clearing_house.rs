//! `clearing-house serve` as built, on a folder of its own, while its calls fail and it is killed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::runtime::Runtime;
use transit::id::DeviceId;
use transit::sync::{Acknowledgement, SIGNATURE_HEADER, TAPS_PATH, Verdict};
use transit::tap::SealedTap;

use crate::Failed;
use crate::city::{CLEARING_HOUSE_KEY, clearing_house_config};
use crate::process::{Program, clearing_house};
use crate::soak::{Report, Target, splitmix64};
use crate::soak_books::the_operator;
use crate::soak_shim::{FailingCall, How, Reached, Shim};
use crate::soak_taps::DEVICE;

/// How long anything may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(20);
/// A restart on what was left takes no longer.
const RESTART_MAX: Duration = Duration::from_secs(1);
const TAPS_PER_UPLOAD: usize = 4;
/// A kill comes at most so long after the program listens: some uploads are through then, and one is under way.
const KILL_WITHIN_US: u64 = 60_000;

/// A clearing house, and the taps that it is to book.
#[derive(Debug)]
pub struct ClearingHouse {
    program: PathBuf,
    folder: PathBuf,
    shim: Shim,
    taps: Vec<SealedTap>,
    runtime: Runtime,
    client: reqwest::Client,
}

/// A program that listens.
struct Server {
    program: Program,
    url: String,
    started_in: Duration,
}

/// What a program under a fault did.
#[derive(Default)]
struct Uploaded {
    /// The sequences of the taps that were acknowledged as booked.
    acknowledged: BTreeSet<usize>,
    /// Taps that were acknowledged, and are new to the clearing house later.
    lost: u32,
    problems: Vec<String>,
}

impl ClearingHouse {
    /// A clearing house in `folder`, which is made.
    ///
    /// # Errors
    /// Its configuration cannot be written.
    pub fn new(
        programs: &Path,
        folder: &Path,
        fixtures: &Path,
        shim: Shim,
        taps: Vec<SealedTap>,
    ) -> Result<Self, Failed> {
        let doing = || Failed::system(format!("preparing {}", folder.display()));
        fs::create_dir_all(folder).map_err(doing())?;
        fs::write(folder.join("clearing-house.toml"), config(fixtures)).map_err(doing())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Failed::system("preparing uploads"))?;
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
        let client = client.map_err(|error| Failed::Unexpected(format!("preparing uploads: {error}")))?;
        Ok(Self { program: programs.join("clearing-house"), folder: folder.to_owned(), shim, taps, runtime, client })
    }

    /// Uploads everything to a new clearing house of which `call` fails, then to one without a fault on the same
    /// books, and compares. Whether the call was reached.
    ///
    /// # Errors
    /// It does not start or end even without a fault.
    pub fn under_failing_call(&self, call: FailingCall, report: &mut Report) -> Result<bool, Failed> {
        self.forget_books()?;
        let mut uploaded = Uploaded::default();
        if let Some(server) = self.start(Some(call))? {
            self.upload_under_fault(&server, &mut uploaded)?;
            self.end(server, &mut uploaded)?;
        }
        let Some(reached) = Reached::find(&self.log()?) else {
            return Ok(false);
        };
        if call.how == How::Kill {
            report.kills += 1;
            report.kills_at_calls += 1;
        } else {
            report.of(Target::ClearingHouse).nth_call_failures += 1;
        }
        self.examine(&mut uploaded, report)?;
        let Reached { function, path } = reached;
        let what = format!("{call}, {function} of {path}");
        report.problems.extend(uploaded.problems.into_iter().map(|problem| format!("{what}: {problem}")));
        Ok(true)
    }

    /// Kills a clearing house at `count` random moments while taps are uploaded, each time starting it again on the
    /// same books; once everything is booked they are examined, and new ones begun.
    ///
    /// # Errors
    /// It does not start.
    pub fn under_random_kills(&self, count: u32, seed: u64, report: &mut Report) -> Result<(), Failed> {
        let began = Instant::now();
        let mut random = seed;
        let mut uploaded = Uploaded::default();
        self.forget_books()?;
        for kill in 1..=count {
            let Some(server) = self.start(None)? else {
                uploaded.problems.push("it does not start again".to_owned());
                break;
            };
            report.restarted(ms(server.started_in));
            let after = Duration::from_micros(splitmix64(&mut random) % KILL_WITHIN_US);
            self.runtime.block_on(async {
                tokio::select! {
                    () = self.upload_what_is_left(&server.url, &mut uploaded) => {}
                    () = tokio::time::sleep(after) => {}
                }
            });
            server.program.kill()?;
            report.kills += 1;
            if uploaded.acknowledged.len() == self.taps.len() || kill == count || !uploaded.problems.is_empty() {
                self.examine(&mut uploaded, report)?;
                let what = format!("seed {seed}, up to SIGKILL {kill}");
                report.problems.extend(uploaded.problems.drain(..).map(|problem| format!("{what}: {problem}")));
                uploaded = Uploaded::default();
                self.forget_books()?;
            }
        }
        report.kills_per_second = f64::from(count) / began.elapsed().as_secs_f64().max(f64::MIN_POSITIVE);
        Ok(())
    }

    /// Uploads everything, twice what fails, and notes what was acknowledged.
    fn upload_under_fault(&self, server: &Server, uploaded: &mut Uploaded) -> Result<(), Failed> {
        for first in (0..self.taps.len()).step_by(TAPS_PER_UPLOAD) {
            let before = Reached::find(&self.log()?);
            let mut answer = self.runtime.block_on(self.upload(&server.url, first));
            let after = Reached::find(&self.log()?);
            if before.is_none() && answer.is_ok() && after.is_some_and(|reached| reached.is_commit()) {
                uploaded.problems.push(format!("the upload of tap {} was acknowledged, not synced", first + 1));
            }
            if answer.is_err() {
                answer = self.runtime.block_on(self.upload(&server.url, first));
            }
            // Later taps of a device follow its earlier ones: nobody sends them before these are through.
            let Ok(verdicts) = answer else { return Ok(()) };
            uploaded.note(first, &verdicts);
        }
        Ok(())
    }

    async fn upload_what_is_left(&self, url: &str, uploaded: &mut Uploaded) {
        // The last upload that was acknowledged is sent again: it must be known.
        let through = uploaded.acknowledged.last().map_or(0, |last| last + 1);
        let first = through.saturating_sub(TAPS_PER_UPLOAD);
        for first in (first..self.taps.len()).step_by(TAPS_PER_UPLOAD) {
            match self.upload(url, first).await {
                Ok(verdicts) => uploaded.note(first, &verdicts),
                Err(why) => {
                    uploaded.problems.push(format!("the upload of tap {} fails: {why}", first + 1));
                    return;
                }
            }
        }
    }

    /// Uploads the taps from `first`; what is said of each, where that is signed.
    async fn upload(&self, url: &str, first: usize) -> Result<Vec<Verdict>, String> {
        let taps = &self.taps[first..self.taps.len().min(first + TAPS_PER_UPLOAD)];
        let body: Vec<u8> = taps.iter().flat_map(|tap| *tap.as_bytes()).collect();
        let answer = self.client.post(url).body(body).send().await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let signature = answer.headers().get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok());
        let signature = signature.unwrap_or_default().to_owned();
        let text = answer.text().await.map_err(|error| error.to_string())?;
        if !status.is_success() {
            return Err(format!("{status}: {text}"));
        }
        let mut key = [0; 32];
        hex::decode_to_slice(CLEARING_HOUSE_KEY, &mut key).map_err(|error| error.to_string())?;
        let device = DeviceId::new(DEVICE).ok_or("no such device")?;
        validator::link::check_acknowledgement(&text, &signature, &key, device, 1)
            .map_err(|error| error.to_string())?;
        let acknowledgement: Acknowledgement = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let verdicts: Vec<Verdict> = acknowledgement.taps.iter().map(|tap| tap.verdict).collect();
        if verdicts.len() == taps.len() { Ok(verdicts) } else { Err(format!("it speaks of other taps: {text}")) }
    }

    /// Starts it without a fault on what is there, uploads everything again, and looks whether all is as it must be.
    fn examine(&self, uploaded: &mut Uploaded, report: &mut Report) -> Result<(), Failed> {
        let Some(server) = self.start(None)? else {
            uploaded.problems.push(format!("it does not start again: {}", last_line(&self.log()?)));
            return Ok(());
        };
        report.restarted(ms(server.started_in));
        if server.started_in > RESTART_MAX {
            uploaded.problems.push(format!("the restart took {:.0} ms", ms(server.started_in)));
        }
        for first in (0..self.taps.len()).step_by(TAPS_PER_UPLOAD) {
            match self.runtime.block_on(self.upload(&server.url, first)) {
                Ok(verdicts) => uploaded.note(first, &verdicts),
                Err(why) => uploaded.problems.push(format!("after the restart, tap {}: {why}", first + 1)),
            }
        }
        report.acknowledged_taps_lost += uploaded.lost;
        self.end(server, uploaded)?;
        self.look_at_books(uploaded)?;
        let log = self.log()?;
        if let Some(line) = log.lines().find(|line| line.contains("panicked")) {
            report.of(Target::ClearingHouse).panics += 1;
            uploaded.problems.push(line.to_owned());
        }
        Ok(())
    }

    /// `clearing-house verify` and `clearing-house status`.
    fn look_at_books(&self, uploaded: &mut Uploaded) -> Result<(), Failed> {
        let verification = self.ask("verify")?;
        if verification["sound"] != true {
            uploaded.problems.push(format!("the books do not verify: {}", verification["wrong"]));
        }
        let status = self.ask("status")?;
        if status["taps"] != self.taps.len() {
            uploaded.problems.push(format!("{} taps are in the books, not {}", status["taps"], self.taps.len()));
        }
        let balances = status["balances_minor"].as_object().into_iter().flatten();
        let sum: i64 = balances.filter_map(|(_, balance)| balance.as_i64()).sum();
        if sum != 0 {
            uploaded.problems.push(format!("the balances sum to {sum}"));
        }
        for empty in ["alarms", "findings"] {
            if status[empty].as_object().is_none_or(|entries| !entries.is_empty()) {
                uploaded.problems.push(format!("{empty}: {}", status[empty]));
            }
        }
        Ok(())
    }

    fn ask(&self, question: &str) -> Result<Value, Failed> {
        let doing = || Failed::system(format!("running clearing-house {question}"));
        let mut command = self.command(question);
        let Output { stdout, stderr, .. } = command.arg("--json").output().map_err(doing())?;
        serde_json::from_slice(&stdout)
            .map_err(|_| Failed::Unexpected(format!("clearing-house {question}: {}", String::from_utf8_lossy(&stderr))))
    }

    /// Starts it, with a fault or without; `None` where it ends before it listens.
    fn start(&self, call: Option<FailingCall>) -> Result<Option<Server>, Failed> {
        let mut command = self.command("serve");
        command.stdout(Stdio::piped());
        if let Some(call) = call {
            self.shim.preload(&mut command, &self.books(), call);
        }
        let began = Instant::now();
        let mut program = Program::start("clearing-house", &self.log_path(), &mut command)?;
        let (sender, first_line) = channel();
        if let Some(output) = program.child().stdout.take() {
            thread::spawn(move || {
                let mut line = String::new();
                // A program that is gone has no first line, and so no receiver misses it.
                let _ = BufReader::new(output).read_line(&mut line);
                let _ = sender.send(line);
            });
        }
        let hangs = || Failed::Unexpected(format!("clearing-house hangs at start; see {}", self.log_path().display()));
        let line = first_line.recv_timeout(PATIENCE).map_err(|_| hangs())?;
        let started_in = began.elapsed();
        let address = line.trim_end().strip_prefix("listening on ");
        Ok(address.map(|address| Server { program, url: format!("{address}{TAPS_PATH}"), started_in }))
    }

    /// SIGTERM, where it is not dead already; it must end.
    fn end(&self, mut server: Server, uploaded: &mut Uploaded) -> Result<(), Failed> {
        let ending = || Failed::system("ending the clearing house");
        if server.program.child().try_wait().map_err(ending())?.is_some() {
            return Ok(());
        }
        // A call that kills may come while it ends: only what it leaves is judged.
        if let Err(error) = server.program.terminate()
            && Reached::find(&self.log()?).is_none()
        {
            uploaded.problems.push(error.to_string());
        }
        Ok(())
    }

    fn command(&self, subcommand: &str) -> Command {
        clearing_house(&self.program, subcommand, &self.folder)
    }

    fn books(&self) -> PathBuf {
        self.folder.join("books")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("clearing-house.log")
    }

    fn log(&self) -> Result<String, Failed> {
        let path = self.log_path();
        let bytes = fs::read(&path).map_err(Failed::system(format!("reading {}", path.display())))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Begins anew: no books, no log.
    fn forget_books(&self) -> Result<(), Failed> {
        let (books, log) = (self.books(), self.log_path());
        for gone in [fs::remove_dir_all(&books), fs::remove_file(&log)] {
            match gone {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Failed::system(format!("emptying {}", self.folder.display()))(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        fs::create_dir(&books).map_err(Failed::system(format!("making {}", books.display())))
    }
}

impl Uploaded {
    /// Notes what was said of the taps from `first`.
    fn note(&mut self, first: usize, verdicts: &[Verdict]) {
        for (tap, verdict) in (first..).zip(verdicts) {
            if !verdict.is_booked() {
                self.problems.push(format!("tap {} is {}", tap + 1, verdict.name()));
                continue;
            }
            if !self.acknowledged.insert(tap) && *verdict != Verdict::Known {
                self.lost += 1;
                self.problems.push(format!("tap {} was acknowledged, and is {} again", tap + 1, verdict.name()));
            }
        }
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or("it says nothing")
}

fn config(fixtures: &Path) -> String {
    let place = ("127.0.0.1:0", "books/clearing-house.sqlite");
    clearing_house_config(place, fixtures, the_operator(), [(DEVICE, 1)])
}
