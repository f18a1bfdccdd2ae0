//! `virtual-card`: plays a person who holds cards to a virtual reader.

#![forbid(unsafe_code)]

use std::{
    collections::BTreeMap,
    error::Error,
    io::{self, BufRead, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    time::Duration,
};

use clap::Parser;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use virtual_card::{
    CardInField, Fault, Fixture, Moment, Picc, Random, TestKeys, Traffic,
    layout::days_since_2000,
    vpcd::{self, Holder},
};

/// Holds virtual DESFire cards to the virtual reader of a PC/SC service (vpcd).
///
/// Commands come on standard input, one a line; every event goes to standard output as one JSON object a line.
#[derive(Parser)]
#[command(version, after_help = COMMANDS)]
struct Arguments {
    /// Where vpcd listens for a card; may be given several times, the first is where the person stands at first
    #[arg(long = "reader", value_name = "ADDRESS:PORT", required = true)]
    readers: Vec<SocketAddr>,
    /// Directory of card files and their layout
    #[arg(long, value_name = "DIRECTORY")]
    cards: PathBuf,
    /// Master keys of class "test"
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// Where the cards are used: their `today` is the service day there, which begins at 04:00
    #[arg(long, value_name = "ZONE", default_value = "Asia/Ho_Chi_Minh")]
    time_zone: String,
    /// How long after the last exchange the hand of a `tap` takes the card away, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 300)]
    hand_ms: u64,
    /// How long a `tap` waits for the reader's first exchange, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    patience_ms: u64,
    /// Take the time over each command that a chip takes
    #[arg(long)]
    chip_times: bool,
    /// Where each card is saved when it leaves the field, as a card file that can be given to --cards
    #[arg(long, value_name = "DIRECTORY")]
    save_state: Option<PathBuf>,
}

const COMMANDS: &str = "\
Commands:
  tap NAME                     present the card, and take it away when nothing more happens
  present NAME                 present the card and leave it there
  present NAME lose-before N   … the field is lost before the card acts on exchange N
  present NAME lose-after N    … the field is lost after the card acted, before its answer
  present NAME lose-in-command N BYTES
                               … the field is lost within the command of exchange N, of which so many bytes arrive
  present NAME lose-in-answer N BYTES
                               … the field is lost within the answer to exchange N, of which so many bytes arrive
  present NAME hold N          … the answer to exchange N is held back
  at N                         go to the N-th reader, from 1
  release                      let the held answer go
  remove                       take the card away
  list                         name the cards
  state NAME                   purse, transaction counter and newest record of a card that is not in the field
  quit                         take the card away and end; so does the end of the input, after a tap has ended

Cards keep their state until the program ends, and beyond with --save-state: where that directory has the card's file
from an earlier time, it is the one that is loaded.";

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut causes = vec![error.to_string()];
            let mut cause = error.source();
            while let Some(error) = cause {
                causes.push(error.to_string());
                cause = error.source();
            }
            eprintln!("virtual-card: {}", causes.join(": "));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let keys = TestKeys::load(&arguments.keys)?;
    let moment = moment(&arguments.time_zone)?;
    let mut slots = BTreeMap::new();
    for fixture in Fixture::load_directory(&arguments.cards, &keys, moment)? {
        let fixture = match &arguments.save_state {
            Some(directory) => {
                let saved = directory.join(format!("{}.toml", fixture.name()));
                if saved.exists() { Fixture::load(&saved, &keys, moment)? } else { fixture }
            }
            None => fixture,
        };
        let card = fixture.card(system_random());
        slots.insert(fixture.name().to_owned(), Slot { fixture, card: Some(card) });
    }
    if let Some(directory) = &arguments.save_state {
        copy_layouts(&arguments.cards, directory)?;
    }
    if slots.is_empty() {
        return Err(format!("no card file (*.toml) in {}", arguments.cards.display()).into());
    }
    let (inputs, received) = channel();
    let lines = inputs.clone();
    std::thread::spawn(move || read_lines(&lines));
    let hand = Duration::from_millis(arguments.hand_ms);
    let patience = Duration::from_millis(arguments.patience_ms);
    let mut person = Person {
        readers: arguments.readers.clone(),
        at: 0,
        hand,
        patience,
        has_chip_times: arguments.chip_times,
        save_state: arguments.save_state.clone(),
        slots,
        holding: None,
        presentations: 0,
        inputs,
    };
    person.play(&received)?;
    Ok(())
}

/// A saved card names its layout file, which must lie beside it.
fn copy_layouts(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let name = entry?.file_name();
        let target = to.join(&name);
        if name.to_string_lossy().starts_with("layout") && !target.exists() {
            std::fs::copy(from.join(&name), target)?;
        }
    }
    Ok(())
}

/// The clock's only reading: cards are dated when the program starts.
fn moment(time_zone: &str) -> Result<Moment, Box<dyn Error>> {
    const SERVICE_DAY_STARTS_AT_HOUR: i64 = 4;
    let now = Timestamp::now();
    let local = now.to_zoned_datetime(TimeZone::get(time_zone)?);
    let service_day = local.datetime().checked_sub(SERVICE_DAY_STARTS_AT_HOUR.hours())?.date();
    Ok(Moment { now: now.as_second().try_into()?, today: days_since_2000(service_day).try_into()? })
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

/// A card of the collection; it is away while it lies on the reader.
struct Slot {
    fixture: Fixture,
    card: Option<Picc>,
}

/// The card that lies on the reader.
struct Held {
    name: String,
    /// Tells this presentation from earlier ones.
    presentation: u64,
    holder: Holder,
    /// How long nothing may happen before the hand takes it away; a `present` has no such limit.
    takes_away_after: Option<Duration>,
}

enum Input {
    Line(String),
    EndOfLines,
    /// The reader has sent a command to the card.
    Exchange {
        presentation: u64,
    },
    /// The card has left by itself.
    Left {
        presentation: u64,
    },
}

/// One line of output.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Output<'a> {
    Presented { card: &'a str, uid: String },
    Exchange { card: &'a str, number: u32, instruction: &'a str },
    Holding { card: &'a str, number: u32 },
    Lost { card: &'a str },
    Removed { card: &'a str, exchanges: u32, bytes_on_air: u64 },
    Card { card: &'a str, uid: String, in_field: bool },
    State { card: &'a str, purse: Option<i32>, transaction_counter: Option<u32>, record: BTreeMap<&'a str, i64> },
    Error { message: String },
}

/// Who holds the cards.
struct Person {
    readers: Vec<SocketAddr>,
    /// Which of them the person stands at.
    at: usize,
    hand: Duration,
    patience: Duration,
    has_chip_times: bool,
    save_state: Option<PathBuf>,
    slots: BTreeMap<String, Slot>,
    holding: Option<Held>,
    presentations: u64,
    inputs: Sender<Input>,
}

impl Person {
    fn play(&mut self, received: &Receiver<Input>) -> io::Result<()> {
        let mut ends = false;
        loop {
            let limit = self.holding.as_ref().and_then(|held| held.takes_away_after);
            if ends && limit.is_none() {
                return self.take_away();
            }
            let input = match limit {
                None => received.recv().map_err(io::Error::other)?,
                Some(limit) => match received.recv_timeout(limit) {
                    Ok(input) => input,
                    Err(RecvTimeoutError::Timeout) => {
                        self.take_away()?;
                        continue;
                    }
                    Err(error @ RecvTimeoutError::Disconnected) => return Err(io::Error::other(error)),
                },
            };
            match input {
                Input::Exchange { presentation } => self.see_exchange(presentation),
                Input::Left { presentation } => {
                    if self.holding.as_ref().is_some_and(|held| held.presentation == presentation) {
                        self.take_away()?;
                    }
                }
                Input::EndOfLines => ends = true,
                Input::Line(line) => {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    if words == ["quit"] {
                        return self.take_away();
                    }
                    if let Err(message) = self.obey(&words)? {
                        say(&Output::Error { message })?;
                    }
                }
            }
        }
    }

    /// Does what a line says; the inner error is for whoever wrote the line.
    fn obey(&mut self, words: &[&str]) -> io::Result<Result<(), String>> {
        match words {
            [] => Ok(Ok(())),
            ["tap", name] => self.present(name, None, Some(self.patience)),
            ["present", name] => self.present(name, None, None),
            ["present", name, fault, number] => {
                let fault = number.parse().ok().filter(|&number| number > 0).and_then(|number| match *fault {
                    "lose-before" => Some(Fault::LoseBefore(number)),
                    "lose-after" => Some(Fault::LoseAfter(number)),
                    "hold" => Some(Fault::Hold(number)),
                    _ => None,
                });
                match fault {
                    Some(fault) => self.present(name, Some(fault), None),
                    None => Ok(Err("give lose-before, lose-after or hold, and a number from 1".to_owned())),
                }
            }
            ["present", name, fault, number, bytes] => {
                let number = number.parse().ok().filter(|&number| number > 0);
                let fault = match (*fault, number, bytes.parse().ok()) {
                    ("lose-in-command", Some(number), Some(bytes)) => Some(Fault::LoseInCommand(number, bytes)),
                    ("lose-in-answer", Some(number), Some(bytes)) => Some(Fault::LoseInAnswer(number, bytes)),
                    _ => None,
                };
                match fault {
                    Some(fault) => self.present(name, Some(fault), None),
                    None => Ok(Err("give lose-in-command or lose-in-answer, a number from 1, and bytes".to_owned())),
                }
            }
            ["at", number] => Ok(match number.parse().ok().and_then(|number: usize| number.checked_sub(1)) {
                Some(at) if at < self.readers.len() => {
                    self.at = at;
                    Ok(())
                }
                _ => Err(format!("there are readers 1 to {}", self.readers.len())),
            }),
            ["release"] => Ok(match &self.holding {
                Some(held) => {
                    held.holder.release();
                    Ok(())
                }
                None => Err("no card is in the field".to_owned()),
            }),
            ["remove"] if self.holding.is_none() => Ok(Err("no card is in the field".to_owned())),
            ["remove"] => self.take_away().map(Ok),
            ["list"] => self.list().map(Ok),
            ["state", name] => self.state(name),
            _ => Ok(Err(format!("{:?} is no command: see --help", words.join(" ")))),
        }
    }

    fn present(
        &mut self,
        name: &str,
        fault: Option<Fault>,
        takes_away_after: Option<Duration>,
    ) -> io::Result<Result<(), String>> {
        if let Some(held) = &self.holding {
            return Ok(Err(in_field(&held.name)));
        }
        let Some(slot) = self.slots.get_mut(name) else { return Ok(Err(unknown(name))) };
        let reader = self.readers[self.at];
        let stream = match TcpStream::connect(reader) {
            Ok(stream) => stream,
            Err(error) => return Ok(Err(format!("no reader listens on {reader}: {error}"))),
        };
        let Some(card) = slot.card.take() else { return Ok(Err(in_field(name))) };
        say(&Output::Presented { card: name, uid: hex::encode_upper(card.identity().uid) })?;
        let mut card = CardInField::new(card);
        if let Some(fault) = fault {
            card = card.with_fault(fault);
        }
        if self.has_chip_times {
            card = card.with_chip_times();
        }
        self.presentations += 1;
        let presentation = self.presentations;
        let on_event = report(name.to_owned(), presentation, self.inputs.clone());
        let holder = Holder::present(stream, card, on_event)?;
        self.holding = Some(Held { name: name.to_owned(), presentation, holder, takes_away_after });
        Ok(Ok(()))
    }

    /// The hand of a `tap` waits anew after each exchange.
    fn see_exchange(&mut self, presentation: u64) {
        if let Some(held) = &mut self.holding
            && held.presentation == presentation
            && held.takes_away_after.is_some()
        {
            held.takes_away_after = Some(self.hand);
        }
    }

    /// Ends a presentation; the card is back in the collection.
    fn take_away(&mut self) -> io::Result<()> {
        let Some(held) = self.holding.take() else { return Ok(()) };
        let card = held.holder.remove()?;
        let Traffic { exchanges, bytes_on_air } = card.traffic();
        if let Some(slot) = self.slots.get_mut(&held.name) {
            let card = card.remove();
            if let Some(directory) = &self.save_state {
                let path = directory.join(format!("{}.toml", held.name));
                if let Err(error) = slot.fixture.save(&path, &card) {
                    say(&Output::Error { message: error.to_string() })?;
                }
            }
            slot.card = Some(card);
        }
        say(&Output::Removed { card: &held.name, exchanges, bytes_on_air })
    }

    fn list(&self) -> io::Result<()> {
        for (name, slot) in &self.slots {
            let uid = hex::encode_upper(slot.fixture.identity().uid);
            say(&Output::Card { card: name, uid, in_field: slot.card.is_none() })?;
        }
        Ok(())
    }

    fn state(&self, name: &str) -> io::Result<Result<(), String>> {
        let Some(Slot { fixture, card }) = self.slots.get(name) else { return Ok(Err(unknown(name))) };
        let Some(card) = card else { return Ok(Err(in_field(name))) };
        let newest = fixture.records(card).unwrap_or_default().into_iter().next();
        let record = newest.iter().zip(fixture.layout()).flat_map(|(record, layout)| layout.record.decode(record));
        say(&Output::State {
            card: name,
            purse: fixture.purse(card),
            transaction_counter: fixture.transaction_counter(card),
            record: record.collect(),
        })?;
        Ok(Ok(()))
    }
}

/// Writes what a card does as it does it, and tells the person what concerns the hand.
fn report(card: String, presentation: u64, inputs: Sender<Input>) -> impl FnMut(vpcd::Event) + Send + 'static {
    move |event| {
        let card = card.as_str();
        let (output, input) = match event {
            vpcd::Event::Exchange { number, instruction } => {
                (Some(Output::Exchange { card, number, instruction }), Some(Input::Exchange { presentation }))
            }
            vpcd::Event::Holding { number } => (Some(Output::Holding { card, number }), None),
            vpcd::Event::Lost => (Some(Output::Lost { card }), None),
            vpcd::Event::Removed(_) => (None, Some(Input::Left { presentation })),
        };
        // Where nobody reads or listens any more the program is about to end.
        if let Some(output) = output {
            let _ = say(&output);
        }
        if let Some(input) = input {
            let _ = inputs.send(input);
        }
    }
}

fn in_field(name: &str) -> String {
    format!("{name} is in the field: remove it first")
}

fn unknown(name: &str) -> String {
    format!("no card is called {name}: see list")
}

fn read_lines(inputs: &Sender<Input>) {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        if inputs.send(Input::Line(line)).is_err() {
            return;
        }
    }
    // Nobody listens any more once the program ends.
    let _ = inputs.send(Input::EndOfLines);
}

fn say(output: &Output<'_>) -> io::Result<()> {
    let mut line = serde_json::to_vec(output)?;
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()
}
