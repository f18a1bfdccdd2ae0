//! `validator core` as a process of its own, behind a private pcscd with virtual readers.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use transit::screen::{Screen, State};
use virtual_card::pcscd::{PrivatePcscd, SOCKET_VARIABLE};
use virtual_card::sam::Sam;
use virtual_card::sam_reader::SamInReader;
use virtual_card::vpcd::{Event, Holder};
use virtual_card::{CardInField, Fault, Picc};

use crate::world::fixtures;

/// Long enough for a busy machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(30);
const NOTHING_HAPPENS: Duration = Duration::from_secs(5);
/// pcscd looks for cards every 400 ms: a card must be away for two looks before the next one counts as another.
/// It is not a race that is waited out but the reader's own period, as a rider's hand is slower than a gate's reader.
pub(crate) const TWO_LOOKS: Duration = Duration::from_millis(900);

/// What a process holds in this range of addresses, as `/proc` writes them; nothing where the range is gone.
fn part_of(memory: &fs::File, range: &str) -> Vec<u8> {
    let (start, end) = range.split_once('-').unwrap();
    let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).unwrap());
    let mut part = vec![0; usize::try_from(end - start).unwrap()];
    if memory.read_exact_at(&mut part, start).is_ok() { part } else { vec![] }
}

fn holds_a_master_key(memory: &[u8]) -> bool {
    const BYTES: [u8; 8] = [0x7E, 0x57, 0x7E, 0x57, 0, 0, 0, 0];
    memory.windows(BYTES.len()).any(|window| window == BYTES || window.eq_ignore_ascii_case(b"7E577E57"))
}

/// A gate: reader, service and configuration, with or without its core running.
pub(crate) struct Gate {
    pub(crate) pcscd: PrivatePcscd,
    folder: TempDir,
    core: Option<Child>,
    screens: Option<Receiver<Screen>>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pcscd = PrivatePcscd::start(&folder.path().join("pcscd"), None).unwrap();
        let example = include_str!("../../core.example.toml");
        let config = example
            .replace("../fixtures", &fixtures().display().to_string())
            .replace("ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC] 00 00", &pcscd.reader_names()[0])
            .replace("\"tap-log.db", "\"log/tap-log.db")
            .replace("answer_shown_ms = 1500", "answer_shown_ms = 60000")
            // A busy machine stalls for longer than a validator puts up with.
            .replace("exchange_deadline_ms = 400", "exchange_deadline_ms = 3000")
            .replace("intent_deadline_ms = 150", "intent_deadline_ms = 20000");
        fs::write(folder.path().join("core.toml"), config).unwrap();
        fs::create_dir(folder.path().join("log")).unwrap();
        Self { pcscd, folder, core: None, screens: None }
    }

    /// A gate whose keys are in a SAM, in the second reader.
    pub(crate) fn with_a_sam(sam: Sam) -> (Self, SamInReader) {
        let gate = Self::new();
        let stream = TcpStream::connect(gate.pcscd.address(1)).unwrap();
        let sam = SamInReader::insert(stream, sam).unwrap();
        let path = gate.folder.path().join("core.toml");
        let config = fs::read_to_string(&path).unwrap();
        let (before, rest) = config.split_once("keys = \"").unwrap();
        let (_, after) = rest.split_once('\n').unwrap();
        let reader = &gate.pcscd.reader_names()[1];
        let keys = format!("keys = {{ sam_reader = \"{reader}\", entries = {{ validate = 2, token = 3 }} }}");
        fs::write(&path, format!("{before}{keys}\n{after}")).unwrap();
        thread::park_timeout(TWO_LOOKS);
        (gate, sam)
    }

    /// Starts the core and waits until it takes cards.
    pub(crate) fn start(&mut self) {
        self.start_with("exec \"$@\"");
        self.wait_for("idle", |state| *state == State::Idle);
    }

    /// Starts the core from a shell that may limit it first; the script ends with `exec "$@"`.
    pub(crate) fn start_with(&mut self, script: &str) {
        let log = fs::File::create(self.folder.path().join("core.log")).unwrap();
        let core = Command::new("/bin/sh")
            .args(["-c", script, "sh", env!("CARGO_BIN_EXE_validator"), "core", "--config"])
            .arg(self.folder.path().join("core.toml"))
            .env(SOCKET_VARIABLE, self.pcscd.socket())
            .stderr(log)
            .spawn()
            .unwrap();
        self.core = Some(core);
        self.screens = Some(self.listen());
    }

    /// Whether the memory of the core holds a master key of `fixtures/keys`, as bytes or as digits: each begins with
    /// 7E577E57. None where only root may look.
    pub(crate) fn core_holds_a_master_key(&self) -> Option<bool> {
        let process = self.core.as_ref().unwrap().id();
        let memory = match fs::File::open(format!("/proc/{process}/mem")) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return None,
            memory => memory.unwrap(),
        };
        let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
        let writable = maps.lines().filter_map(|line| line.split_once(" rw")).map(|(range, _)| range);
        Some(writable.map(|range| part_of(&memory, range)).any(|part| holds_a_master_key(&part)))
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        let mut core = self.core.take().unwrap();
        core.kill().unwrap();
        core.wait().unwrap();
    }

    /// SIGTERM; the exit status must be 0.
    pub(crate) fn terminate(&mut self) {
        let mut core = self.core.take().unwrap();
        let killed = Command::new("kill").arg(core.id().to_string()).status().unwrap();
        assert!(killed.success());
        let status = core.wait().unwrap();
        assert!(status.success(), "{status}: {}", self.core_log());
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.folder.path().join("log/tap-log.db")
    }

    pub(crate) fn panel_path(&self) -> PathBuf {
        self.folder.path().join("panel.sock")
    }

    pub(crate) fn core_log(&self) -> String {
        fs::read_to_string(self.folder.path().join("core.log")).unwrap()
    }

    /// Waits for a screen; other screens before it are let pass.
    pub(crate) fn wait_for(&self, what: &str, mut is_it: impl FnMut(&State) -> bool) -> Screen {
        let deadline = Instant::now() + PATIENCE;
        let mut last = None;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screens.as_ref().unwrap().recv_timeout(left) {
                Ok(screen) if is_it(&screen.state) => return screen,
                Ok(screen) => last = Some(screen),
                Err(_) => panic!("no {what}; the last screen was {last:?}; {}", self.core_log()),
            }
        }
    }

    /// Lays a card on the reader and waits until the reader talks to it; the later events of the card come back.
    ///
    /// A reader that was not looking when the last card left takes this one for it. Then it is laid there again, as
    /// anybody would.
    pub(crate) fn present(&self, mut card: Picc, fault: Option<Fault>) -> (Holder, Receiver<Event>) {
        for _ in 0..3 {
            let (holder, events) = self.lay_down(card, fault);
            if events.recv_timeout(NOTHING_HAPPENS).is_ok() {
                return (holder, events);
            }
            card = holder.remove().unwrap().remove();
            thread::park_timeout(TWO_LOOKS);
        }
        panic!("the reader does not notice the card; {}", self.core_log());
    }

    /// Lays a card on the reader; the events of the card come back.
    pub(crate) fn lay_down(&self, card: Picc, fault: Option<Fault>) -> (Holder, Receiver<Event>) {
        let (sender, events) = channel();
        let stream = TcpStream::connect(self.pcscd.address(0)).unwrap();
        let field = CardInField::new(card);
        let field = match fault {
            Some(fault) => field.with_fault(fault),
            None => field,
        };
        let holder = Holder::present(stream, field, move |event| {
            let _ = sender.send(event);
        });
        (holder.unwrap(), events)
    }

    fn listen(&self) -> Receiver<Screen> {
        let path = self.panel_path();
        let deadline = Instant::now() + PATIENCE;
        let stream = loop {
            match UnixStream::connect(&path) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < deadline, "{error}: {}", self.core_log()),
            }
            thread::yield_now();
        };
        let (sender, screens) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        screens
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(mut core) = self.core.take() {
            let _ = core.kill();
            let _ = core.wait();
        }
    }
}
