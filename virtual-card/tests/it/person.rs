//! The program: commands in, events out, with the test as the reader's service.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    raw_reader::{AID, fixtures, wrap},
    virtual_reader::VirtualReader,
};

struct Person {
    child: Child,
    events: BufReader<ChildStdout>,
    listener: TcpListener,
}

impl Person {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(options: &[&str]) -> Self {
        let (listener, address) = VirtualReader::listen();
        let mut child = Command::new(env!("CARGO_BIN_EXE_virtual-card"))
            .args(["--reader", &address.to_string(), "--hand-ms", "1"])
            .args(options)
            .arg("--cards")
            .arg(fixtures().join("cards"))
            .arg("--keys")
            .arg(fixtures().join("keys/test-card-keys.toml"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program");
        let events = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, events, listener }
    }

    fn says(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{line}").expect("the program listens");
    }

    fn event(&mut self) -> Value {
        let mut line = String::new();
        self.events.read_line(&mut line).expect("an event");
        serde_json::from_str(&line).expect("one JSON object a line")
    }

    fn ends(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().expect("the program").success());
    }
}

#[test]
fn a_tap_ends_by_itself() {
    let mut person = Person::start();
    person.says("tap adult");
    assert_eq!(person.event(), json!({"event": "presented", "card": "adult", "uid": "04A1000000C101"}));
    let mut reader = VirtualReader::accept(&person.listener);
    assert_eq!(reader.exchange(&wrap(0x5A, &AID)), Some(vec![0x91, 0x00]));
    let exchange = json!({"event": "exchange", "card": "adult", "number": 1, "instruction": "SelectApplication"});
    assert_eq!(person.event(), exchange);
    assert_eq!(person.event(), json!({"event": "removed", "card": "adult", "exchanges": 1, "bytes_on_air": 17}));
    assert_eq!(reader.receive(), None);
    person.ends();
}

#[test]
fn faults_and_the_state_of_a_card() {
    let mut person = Person::start();
    person.says("present torn lose-after 1");
    assert_eq!(person.event()["event"], "presented");
    let mut reader = VirtualReader::accept(&person.listener);
    assert_eq!(reader.exchange(&wrap(0x5A, &AID)), None);
    assert_eq!(person.event()["number"], 1);
    assert_eq!(person.event(), json!({"event": "lost", "card": "torn"}));
    assert_eq!(person.event()["event"], "removed");

    person.says("present torn hold 1");
    assert_eq!(person.event()["event"], "presented");
    let mut reader = VirtualReader::accept(&person.listener);
    reader.send(&wrap(0x5A, &AID));
    assert_eq!(person.event()["event"], "exchange");
    assert_eq!(person.event(), json!({"event": "holding", "card": "torn", "number": 1}));
    person.says("state torn");
    assert_eq!(person.event()["message"], "torn is in the field: remove it first");
    person.says("release");
    assert_eq!(reader.receive(), Some(vec![0x91, 0x00]));
    person.says("remove");
    assert_eq!(person.event()["exchanges"], 1);

    person.says("state torn");
    let state = person.event();
    assert_eq!((&state["purse"], &state["transaction_counter"]), (&json!(50_000), &json!(0)));
    assert_eq!(state["record"]["balance_after"], 50_000);
    person.says("list");
    for _ in 0..18 {
        assert_eq!(person.event()["event"], "card");
    }
    person.ends();
}

/// A card that was changed by one run of the program is as it was left in the next.
#[test]
fn state_that_survives() {
    const CREATE_APPLICATION: [u8; 5] = [0x11, 0x22, 0x33, 0x0F, 0x82];
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("state");
    let _ = std::fs::remove_dir_all(&directory);
    let options = ["--chip-times", "--save-state", directory.to_str().expect("a path in UTF-8")];
    let cases =
        [(wrap(0xCA, &CREATE_APPLICATION), vec![0x91, 0x00]), (wrap(0x6A, &[]), vec![0x11, 0x22, 0x33, 0x91, 0])];
    for (command, answer) in cases {
        let mut person = Person::start_with(&options);
        person.says("present blank-ev1");
        assert_eq!(person.event()["event"], "presented");
        let mut reader = VirtualReader::accept(&person.listener);
        assert_eq!(reader.exchange(&command), Some(answer));
        assert_eq!(person.event()["event"], "exchange");
        person.says("remove");
        assert_eq!(person.event()["event"], "removed");
        person.ends();
    }
    std::fs::remove_dir_all(&directory).expect("what was saved");
}

/// A field that is lost within an answer: the length is there, the rest is not.
#[test]
fn an_answer_that_breaks_off() {
    let mut person = Person::start();
    person.says("present blank-ev2 lose-in-answer 1 4");
    assert_eq!(person.event()["event"], "presented");
    let mut reader = VirtualReader::accept(&person.listener);
    reader.send(&wrap(0x60, &[]));
    assert_eq!(reader.receive_rest(), [0, 9, 0x04, 0x01, 0x01, 0x12]);
    assert_eq!(person.event()["event"], "exchange");
    assert_eq!(person.event()["event"], "lost");
    assert_eq!(person.event()["event"], "removed");
    person.says("present blank-ev2 lose-in-command 1 3");
    assert_eq!(person.event()["event"], "presented");
    let mut reader = VirtualReader::accept(&person.listener);
    assert_eq!(reader.exchange(&wrap(0x60, &[])), None);
    person.ends();
}

#[test]
fn lines_that_make_no_sense() {
    let mut person = Person::start();
    let cases = [
        ("tap nobody", "no card is called nobody: see list"),
        ("remove", "no card is in the field"),
        ("release", "no card is in the field"),
        ("present adult hold 0", "give lose-before, lose-after or hold, and a number from 1"),
        ("present adult lose-in-answer 1 few", "give lose-in-command or lose-in-answer, a number from 1, and bytes"),
        ("dance", "\"dance\" is no command: see --help"),
    ];
    for (line, message) in cases {
        person.says(line);
        assert_eq!(person.event(), json!({"event": "error", "message": message}), "{line}");
    }
    person.ends();
}

#[test]
fn a_missing_directory_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_virtual-card"))
        .args(["--reader", "127.0.0.1:1", "--cards", "/nowhere", "--keys"])
        .arg(fixtures().join("keys/test-card-keys.toml"))
        .output()
        .expect("the program");
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).expect("text");
    assert!(error.starts_with("virtual-card: cannot read /nowhere: No such file"), "{error}");
}
