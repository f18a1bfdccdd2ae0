//! A private pcscd with one card on it, and foreign programs that are run there.

use std::{
    io,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use ring::rand::{SecureRandom, SystemRandom};
use virtual_card::{
    CardInField, Fixture, Moment, Picc, Random, TestKeys, Traffic,
    field::{Exchange, Step},
    pcscd::{PrivatePcscd, SOCKET_VARIABLE},
    vpcd::Holder,
};

use crate::outcome::{Done, NotDone, Outcome};

/// A PC/SC service of one's own, this project's cards, and the clients that were fetched.
#[derive(Debug)]
pub struct Stand {
    service: PrivatePcscd,
    _folder: tempfile::TempDir,
    /// This project's program, whose hidden commands are the clients that are Rust crates.
    program: PathBuf,
    peers: PathBuf,
    fixtures: PathBuf,
    keys: TestKeys,
}

/// How long a client may take; the longest of them takes three seconds on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

/// What a program said, and what it cost.
#[derive(Debug)]
pub struct Run {
    /// Standard output.
    pub said: String,
    /// What the card saw.
    pub traffic: Traffic,
}

impl Stand {
    /// Starts a service. `program` is the built `interoperability`, beside whose folder the fetched clients lie, and
    /// `fixtures` the project's folder of that name.
    ///
    /// # Errors
    /// pcscd is not installed or does not start, or the test keys cannot be read.
    pub fn open(program: &Path, fixtures: &Path) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let service = PrivatePcscd::start(folder.path(), None)?;
        let built = program.ancestors().nth(2).unwrap_or(Path::new("."));
        let keys = TestKeys::load(&fixtures.join("keys/test-card-keys.toml")).map_err(io::Error::other)?;
        Ok(Self {
            service,
            _folder: folder,
            program: program.to_owned(),
            peers: built.join("interoperability-peers"),
            fixtures: fixtures.to_owned(),
            keys,
        })
    }

    /// The folder of a fetched client.
    ///
    /// # Errors
    /// [`NotDone::Skipped`]: it was not fetched; says why.
    pub fn peer(&self, name: &str) -> Result<PathBuf, NotDone> {
        let folder = self.peers.join(name);
        if folder.exists() {
            return Ok(folder);
        }
        let why = std::fs::read_to_string(self.peers.join(format!("{name}.skipped")));
        Err(NotDone::Skipped(why.map_or_else(|_| "run `make peers`".to_owned(), |why| why.trim().to_owned())))
    }

    /// A card of `fixtures/cards`, and what it was made from.
    ///
    /// # Errors
    /// The card file cannot be used.
    pub fn card(&self, name: &str) -> Result<(Fixture, Picc), NotDone> {
        // A day on which the project's cards are valid; no clock is needed.
        const MOMENT: Moment = Moment { now: 1_795_395_600, today: 9823 };
        let path = self.fixtures.join(format!("cards/{name}.toml"));
        let fixture = Fixture::load(&path, &self.keys, MOMENT).map_err(|error| failed(&error))?;
        let card = fixture.card(system_random());
        Ok((fixture, card))
    }

    /// A blank card on which these commands were carried out in plain; each must be answered 91 00.
    ///
    /// # Errors
    /// The card file cannot be used, or the card refuses a command.
    pub fn prepared_card(&self, name: &str, commands: &[&[u8]]) -> Result<Picc, NotDone> {
        let (_, card) = self.card(name)?;
        let mut field = CardInField::new(card);
        for command in commands {
            let step = field.step(command);
            if step != Step::Answered(vec![0x91, 0x00]) {
                return Err(NotDone::Failed(format!("{name} answers {command:02X?} with {step:02X?}")));
            }
        }
        Ok(field.remove())
    }

    /// The master keys of the project's cards.
    #[must_use]
    pub const fn keys(&self) -> &TestKeys {
        &self.keys
    }

    /// The PC/SC name of the reader on which the card lies.
    #[must_use]
    pub fn reader_name(&self) -> String {
        let [first, _] = self.service.reader_names();
        first
    }

    /// One of the clients that are part of this project's program.
    #[must_use]
    pub fn own_client(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(name).arg(self.reader_name());
        command
    }

    /// Lays the card on the reader, runs the program, and gives the card back as it then is.
    ///
    /// # Errors
    /// [`NotDone::Failed`] with the program's last words where it ends badly.
    pub fn run(&self, card: Picc, command: &mut Command) -> Result<(Picc, Run), NotDone> {
        let fail = |error: io::Error| failed(&error);
        let stream = TcpStream::connect(self.service.address(0)).map_err(fail)?;
        let holder = Holder::present(stream, CardInField::new(card), |_| {}).map_err(fail)?;
        // The service looks for cards only so often.
        let output = self.words_of(&mut self.own_client("wait-for-card")).and_then(|_| self.words_of(command));
        let field = holder.remove().map_err(fail)?;
        let traffic = field.traffic();
        // Whatever the program did, the next card must not be taken for this one.
        let gone = self.words_of(self.own_client("wait-for-card").arg("--gone"));
        let said = output.map_err(|why| with_last_exchange(why, &field))?;
        gone?;
        Ok((field.remove(), Run { said, traffic }))
    }

    /// What a program says on this service; it must end well, and soon: a reader waits for a mute card for ever.
    fn words_of(&self, command: &mut Command) -> Result<String, NotDone> {
        let fail = |error: io::Error| failed(&error);
        command.env(SOCKET_VARIABLE, self.service.socket()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(fail)?;
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait().map_err(fail)?.is_none() {
            if Instant::now() > deadline {
                child.kill().map_err(fail)?;
            }
            thread::sleep(LOOK);
        }
        let Output { status, stdout, stderr } = child.wait_with_output().map_err(fail)?;
        let said = String::from_utf8_lossy(&stdout).into_owned();
        if status.success() {
            return Ok(said);
        }
        let complaints = String::from_utf8_lossy(&stderr);
        let last = |text: &str| text.trim().lines().last().unwrap_or("nothing").to_owned();
        Err(NotDone::Failed(format!("{} after `{}`: {}", status, last(&said), last(&complaints))))
    }
}

impl Run {
    /// A client that prints a line for each thing that it did.
    #[must_use]
    pub fn lines(&self) -> Done {
        Done { checks: self.said.lines().count(), exchanges: self.traffic.exchanges }
    }
}

/// An outcome of this client.
pub(crate) fn outcome(client: &str, task: &str, result: Result<Done, NotDone>) -> Outcome {
    Outcome { client: client.to_owned(), task: task.to_owned(), result }
}

/// An error as a failure, with its causes.
pub(crate) fn failed(error: &dyn std::error::Error) -> NotDone {
    let mut causes = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    NotDone::Failed(causes.join(": "))
}

/// A failure with what the card last said, which is where the two of them parted.
fn with_last_exchange(why: NotDone, field: &CardInField) -> NotDone {
    match (why, field.transcript().last()) {
        (NotDone::Failed(why), Some(Exchange { command, answer, .. })) => {
            let answer = hex::encode_upper(answer.as_deref().unwrap_or_default());
            NotDone::Failed(format!("{why}; last exchange: {} → {answer}", hex::encode_upper(command)))
        }
        (why, _) => why,
    }
}

/// The operating system's randomness.
fn system_random() -> Random {
    let random = SystemRandom::new();
    Box::new(move || {
        let mut bytes = [0; 16];
        random.fill(&mut bytes).expect("Linux has randomness once it has booted");
        bytes
    })
}
