//! The person who holds the cards and goes from reader to reader: a `virtual-card` process.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Failed;
use crate::panel::PATIENCE;
use crate::process::Program;

/// A person who plays every card.
#[derive(Debug)]
pub struct Rider {
    program: Program,
    orders: ChildStdin,
    events: Receiver<Value>,
    /// Since when no card lies on each reader.
    away_since: Vec<Instant>,
    at: usize,
}

/// pcscd looks at a virtual reader every 400 ms: a card must be away for two looks, or the next one counts as the same.
pub const HAND_BACK: Duration = Duration::from_millis(900);
/// How long a person waits before trying again, and how often.
const NOTHING_HAPPENS: Duration = Duration::from_secs(4);
const PRESENTATIONS: u32 = 3;

impl Rider {
    /// A person with every card of `fixtures`, who can go to any of these readers.
    ///
    /// # Errors
    /// The program does not start.
    pub fn start(program: &Path, readers: &[SocketAddr], fixtures: &Path, log: &Path) -> Result<Self, Failed> {
        let mut command = Command::new(program);
        for reader in readers {
            command.arg("--reader").arg(reader.to_string());
        }
        command.arg("--cards").arg(fixtures.join("cards"));
        command.arg("--keys").arg(fixtures.join("keys/test-card-keys.toml"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut program = Program::start("virtual-card", log, &mut command)?;
        let child = program.child();
        let streams = child.stdin.take().zip(child.stdout.take());
        let (orders, output) = streams.ok_or_else(|| Failed::Unexpected("virtual-card has no streams".to_owned()))?;
        let (sender, events) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap_or(Value::Null)).is_err() {
                    return;
                }
            }
        });
        Ok(Self { program, orders, events, away_since: vec![Instant::now(); readers.len()], at: 0 })
    }

    /// Lays a card on a reader that nobody may be looking at yet, such as a desk's; `fault` as for
    /// [`present`](Self::present).
    ///
    /// # Errors
    /// The card cannot be laid down.
    pub fn lay_down(&mut self, reader: usize, card: &str, fault: &str) -> Result<(), Failed> {
        self.at = reader;
        self.order(&format!("at {}", reader + 1))?;
        thread::sleep(HAND_BACK.saturating_sub(self.away_since[reader].elapsed()));
        self.order(&format!("present {card} {fault}"))?;
        self.wait_for("presented", PATIENCE).map(drop)
    }

    /// Lays a card on the reader of a gate; `fault` as `virtual-card` spells it, such as `lose-after 7`.
    ///
    /// # Errors
    /// The card cannot be presented.
    pub fn present(&mut self, gate: usize, card: &str, fault: &str) -> Result<(), Failed> {
        for _ in 0..PRESENTATIONS {
            self.lay_down(gate, card, fault)?;
            // A reader that was not looking when the last card left takes this one for it: like anybody, try again.
            if self.wait_for("exchange", NOTHING_HAPPENS).is_ok() {
                return Ok(());
            }
            self.remove()?;
        }
        Err(Failed::Unexpected(format!("the reader does not notice {card}")))
    }

    /// Takes the card away.
    ///
    /// # Errors
    /// The program does not do it.
    pub fn remove(&mut self) -> Result<(), Failed> {
        self.order("remove")?;
        self.wait_for("removed", PATIENCE)?;
        self.away_since[self.at] = Instant::now();
        Ok(())
    }

    /// Waits until the card has left by itself.
    ///
    /// # Errors
    /// It does not.
    pub fn wait_until_lost(&mut self) -> Result<(), Failed> {
        self.wait_for("removed", PATIENCE)?;
        self.away_since[self.at] = Instant::now();
        Ok(())
    }

    /// Waits until the card holds its answer back.
    ///
    /// # Errors
    /// It does not.
    pub fn wait_until_holding(&mut self) -> Result<(), Failed> {
        self.wait_for("holding", PATIENCE).map(|_| ())
    }

    /// The purse of a card, in minor units; a foreign card has none.
    ///
    /// # Errors
    /// There is no such card.
    pub fn purse_minor(&mut self, card: &str) -> Result<Option<i64>, Failed> {
        self.order(&format!("state {card}"))?;
        Ok(self.wait_for("state", PATIENCE)?["purse"].as_i64())
    }

    /// The names of the cards.
    ///
    /// # Errors
    /// The program does not tell.
    pub fn cards(&mut self) -> Result<Vec<String>, Failed> {
        self.order("list")?;
        let mut names = Vec::new();
        // The list has no end mark: the answer to the next order is one.
        self.order("state foreign")?;
        loop {
            let event = self.next("the list of cards", PATIENCE)?;
            match (event["event"].as_str(), event["card"].as_str()) {
                (Some("card"), Some(name)) => names.push(name.to_owned()),
                (Some("state" | "error"), _) => return Ok(names),
                _ => {}
            }
        }
    }

    /// Ends the program.
    ///
    /// # Errors
    /// It does not end.
    pub fn end(mut self) -> Result<(), Failed> {
        self.order("quit")?;
        let Self { mut program, orders, .. } = self;
        drop(orders);
        program.child().wait().map_err(Failed::system("ending virtual-card"))?;
        Ok(())
    }

    fn order(&mut self, order: &str) -> Result<(), Failed> {
        writeln!(self.orders, "{order}").map_err(Failed::system(format!("telling virtual-card to {order}")))
    }

    fn wait_for(&mut self, event: &str, patience: Duration) -> Result<Value, Failed> {
        let deadline = Instant::now() + patience;
        loop {
            let next = self.next(event, deadline.saturating_duration_since(Instant::now()))?;
            match next["event"].as_str() {
                Some(name) if name == event => return Ok(next),
                Some("error") => return Err(Failed::Unexpected(format!("virtual-card: {}", next["message"]))),
                _ => {}
            }
        }
    }

    fn next(&mut self, what: &str, patience: Duration) -> Result<Value, Failed> {
        self.events
            .recv_timeout(patience)
            .map_err(|_| Failed::Unexpected(format!("virtual-card tells nothing of {what}")))
    }
}
