//! A card, three validators and a clearing house in one process, and what one card's taps come to in the end.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use card_crypto::Transport;
use ring::digest::{Context, SHA256};
use tempfile::TempDir;
use transit::card::{Record, RecordKind};
use transit::id::TapId;
use transit::money::Amount;
use transit::tariff::Tariff;
use transit::time::Moment;
use virtual_card::{CardInField, Fixture, Memory, Picc, TestKeys};

use crate::Failed;
use crate::torn_books::{Booked, Books, outbox};
use crate::torn_fault::Fault;
use crate::torn_gate::{Gate, Intents, Left, Log, Presentation, Site};

/// The validators: two side by side, of different operators, and one elsewhere.
pub const SITES: [Site; 3] = [
    Site { device: 101, operator: 1, stop: 23 },
    Site { device: 102, operator: 2, stop: 23 },
    Site { device: 103, operator: 1, stop: 5 },
];
/// The validator that stands elsewhere.
pub const ELSEWHERE: usize = 2;

/// 2026-11-24 10:00 in Hanoi, and its service day in days since 2000-01-01.
const MORNING: virtual_card::Moment = virtual_card::Moment { now: 1_795_489_200, today: 9824 };
/// An ordinary card, with the money for as many rides as it keeps records.
const CARD: &str = "torn";
const PURSE: (&str, &str) = ("50000", "100000");
/// What a ride costs, in đồng.
pub const FARE: i64 = 8000;
/// The pass-back window of the tariff.
const PASS_BACK_WINDOW_S: u32 = 300;
/// As validators read where their configuration does not say.
const OLDER_RECORDS: u8 = 2;
/// From the last presentation to the later good tap.
const BEFORE_LATER_TAP_S: u32 = 3600;

/// Where a schedule has come to: all that there is of the card, of the logs and of the rider.
#[derive(Debug, Clone)]
pub struct State {
    /// What the card keeps.
    pub card: Memory,
    /// The logs, in order of [`SITES`].
    pub logs: [Log; SITES.len()],
    /// When the card was last presented.
    pub at: Moment,
    /// How often the rider saw green.
    pub greens: u32,
    /// By how much the greens have exceeded the card's debits, at most.
    pub free_rides: u32,
    presentations: u8,
}

/// A debit that a card has committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Debit {
    tap: TapId,
    at: Moment,
    stop: u16,
}

/// What one card's taps came to, in numbers of taps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Committed debits that are neither booked nor waiting in suspense, with their taps or without.
    pub lost: u32,
    /// Fares booked for an operator that the card was not charged.
    pub phantom: u32,
    /// Second debits at one place within the pass-back window.
    pub double: u32,
    /// Greens beyond debits.
    pub free_rides: u32,
    /// Unknown taps that wait in suspense.
    pub suspense: u32,
    /// Debits in suspense whose taps have not come.
    pub named: u32,
    /// Lost debits that the board of gaps does not count as missing.
    pub unshown: u32,
    /// The money of the books is not that of their taps.
    pub money_differs: u32,
}

/// What a schedule came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Whether a log was destroyed in it.
    pub log_destroyed: bool,
    /// Everything uploaded, and the card not seen again.
    pub at_once: Count,
    /// After one later good tap, at each of [`SITES`].
    pub after_tap: [Count; SITES.len()],
    /// At how many of [`SITES`] the later tap let the rider in on an earlier debit, so that one more had to come.
    pub recoveries: u32,
    /// Where a log was destroyed: after one later good tap that read older records after its green, at each of [`SITES`].
    pub after_older_records: Option<[Count; SITES.len()]>,
}

/// Everything that schedules are played with.
#[derive(Debug)]
pub struct Bench {
    /// Kept as long as the bench is used.
    _folder: TempDir,
    gates: [Gate; SITES.len()],
    /// The same where they read older records after each green.
    reads_older: [Gate; SITES.len()],
    books: Books,
    fixture: Fixture,
    tariff: Tariff,
}

impl Bench {
    /// A bench in a folder of its own, in memory where there is one: nothing of it outlives the run.
    ///
    /// # Errors
    /// The fixtures cannot be read, or the folder cannot be used.
    pub fn new(fixtures: &Path, intents: Intents) -> Result<Self, Failed> {
        let fixtures = &fixtures.canonicalize().map_err(Failed::system(format!("finding {}", fixtures.display())))?;
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let folder = folder.map_err(Failed::system("making a folder for the run"))?;
        let older = folder.path().join("older");
        fs::create_dir(&older).map_err(Failed::system(format!("making {}", older.display())))?;
        let gate = |site| Gate::new(site, folder.path(), fixtures, intents, 0);
        let gates = [gate(SITES[0])?, gate(SITES[1])?, gate(SITES[2])?];
        let gate = |site| Gate::new(site, &older, fixtures, intents, OLDER_RECORDS);
        let reads_older = [gate(SITES[0])?, gate(SITES[1])?, gate(SITES[2])?];
        let books = Books::open(folder.path(), fixtures, &SITES)?;
        let keys = TestKeys::load(&fixtures.join("keys/test-card-keys.toml")).map_err(Failed::unexpected)?;
        let path = richer_card(&fixtures.join("cards"), folder.path())?;
        let fixture = Fixture::load(&path, &keys, MORNING).map_err(Failed::unexpected)?;
        let path = fixtures.join("hanoi/tariff.toml");
        let text = fs::read_to_string(&path).map_err(Failed::system(format!("reading {}", path.display())))?;
        let tariff = Tariff::parse(&path, &text).map_err(Failed::unexpected)?;
        Ok(Self { _folder: folder, gates, reads_older, books, fixture, tariff })
    }

    /// A card that has had one good ride, elsewhere: its transaction counter is known.
    ///
    /// # Errors
    /// Something fails without a fault.
    pub fn start(&mut self) -> Result<State, Failed> {
        let card = self.fixture.card(Box::new(|| [0; 16])).memory().clone();
        let logs = [Log::new(), Log::new(), Log::new()];
        let issued = State { card, logs, at: Moment(MORNING.now), greens: 0, free_rides: 0, presentations: 0 };
        self.present(&issued, ELSEWHERE, 0, Fault::None)
    }

    /// Presents the card of `state` at a validator, `later_s` seconds later.
    ///
    /// # Errors
    /// Something fails that is none of the fault.
    pub fn present(&mut self, state: &State, gate: usize, later_s: u32, fault: Fault) -> Result<State, Failed> {
        let left = present(&mut self.gates[gate], gate, &self.fixture, state, later_s, fault)?;
        after(&self.fixture, state, gate, later_s, left)
    }

    /// Presents the card of `state` at a validator with a relay between the two, `later_s` seconds later; `afterwards` is
    /// what the relay still does to the card when the validator has answered.
    ///
    /// # Errors
    /// Something fails that is none of the relay.
    pub fn present_through<T: Transport>(
        &mut self,
        state: &State,
        (gate, later_s): (usize, u32),
        relay: impl FnOnce(CardInField) -> T,
        afterwards: impl FnOnce(T) -> CardInField,
    ) -> Result<State, Failed> {
        let challenge = state.presentations;
        let identity = self.fixture.identity();
        let card = Picc::with_memory(identity.clone(), state.card.clone(), Box::new(move || [challenge; 16]));
        let mut relay = relay(CardInField::new(card));
        let at = Moment(state.at.0 + later_s);
        let (green, log) =
            self.gates[gate].tap_through(&state.logs[gate], &mut relay, &identity.uid, (at, challenge))?;
        let card = afterwards(relay).remove().memory().clone();
        after(&self.fixture, state, gate, later_s, Left { card, log, green })
    }

    /// How many debits the card of `state` has committed.
    ///
    /// # Errors
    /// Its records cannot be read.
    pub fn debits(&self, state: &State) -> Result<u32, Failed> {
        Ok(number(debits(&self.fixture, &state.card)?.len()))
    }

    /// The tariff that the validators decide by.
    pub fn tariff(&self) -> &Tariff {
        &self.tariff
    }

    /// The validators, to deny cards.
    pub fn gates(&mut self) -> &mut [Gate] {
        &mut self.gates
    }

    /// The clearing house.
    pub fn books(&mut self) -> &mut Books {
        &mut self.books
    }

    /// What `state` comes to when everything is uploaded: at once, and after one later good tap anywhere.
    ///
    /// # Errors
    /// Something fails without a fault.
    pub fn settle(&mut self, state: &State) -> Result<Verdict, Failed> {
        let mut verdict = Verdict { log_destroyed: state.log_destroyed(), ..Verdict::default() };
        for gate in 0..SITES.len() {
            let (at_once, after_tap, is_recovery) = self.settle_at(state, gate)?;
            verdict.at_once = at_once;
            verdict.after_tap[gate] = after_tap;
            verdict.recoveries += u32::from(is_recovery);
        }
        if verdict.log_destroyed {
            let mut after = [Count::default(); SITES.len()];
            for (gate, count) in after.iter_mut().enumerate() {
                let (later, _) = self.later(state, gate, true)?;
                [_, *count] = self.counts(state, &later)?;
            }
            verdict.after_older_records = Some(after);
        }
        Ok(verdict)
    }

    /// What `state` comes to at once, and after one later good tap at `gate`; and whether the rider was first let in there on
    /// an earlier debit.
    ///
    /// # Errors
    /// Something fails without a fault.
    pub fn settle_at(&mut self, state: &State, gate: usize) -> Result<(Count, Count, bool), Failed> {
        let (later, is_recovery) = self.later(state, gate, false)?;
        let [at_once, after_tap] = self.counts(state, &later)?;
        Ok((at_once, after_tap, is_recovery))
    }

    /// After one later good tap at `gate`, which then reads older records or not.
    fn later(&mut self, state: &State, gate: usize, reads_older: bool) -> Result<(State, bool), Failed> {
        let gates = if reads_older { &mut self.reads_older } else { &mut self.gates };
        let fixture = &self.fixture;
        let mut tap = |state: &State| {
            let left = present(&mut gates[gate], gate, fixture, state, BEFORE_LATER_TAP_S, Fault::None)?;
            after(fixture, state, gate, BEFORE_LATER_TAP_S, left)
        };
        let later = tap(state)?;
        let is_recovery = later.card == state.card;
        // Nothing was written on the card then, so that nothing is proven: the next tap is the one.
        Ok((if is_recovery { tap(&later)? } else { later }, is_recovery))
    }

    /// What is counted when `state` was uploaded, and when `later` was after it.
    fn counts(&mut self, state: &State, later: &State) -> Result<[Count; 2], Failed> {
        self.books.empty()?;
        let mut outboxes = SITES.map(|_| outbox());
        let mut counts = [Count::default(); 2];
        for (state, count) in [state, later].into_iter().zip(&mut counts) {
            for (site, (log, outbox)) in SITES.iter().zip(state.logs.iter().zip(&mut outboxes)) {
                self.books.upload(*site, log, outbox, Moment(state.at.0 + 60))?;
            }
            if state.at == later.at && state.log_destroyed() {
                self.books.close_day(Moment(state.at.0 + 120), &self.tariff.calendar)?;
            }
            *count = self.count(state)?;
        }
        self.books.verify()?;
        Ok(counts)
    }

    /// Compares the books with the card and with what the rider saw.
    fn count(&mut self, state: &State) -> Result<Count, Failed> {
        let debits = debits(&self.fixture, &state.card)?;
        let charged: BTreeSet<TapId> = debits.iter().map(|debit| debit.tap).collect();
        let booked = self.books.look()?;
        let waits = |tap: &TapId| booked.pending.contains(tap) || booked.missing.contains(tap);
        let is_lost = |tap: &&TapId| !booked.paid.contains_key(tap) && !waits(tap);
        let lost = number(charged.iter().filter(is_lost).count());
        let shown = if lost == 0 { 0 } else { self.books.missing_of_cards()? };
        let double = debits.windows(2).filter(|pair| is_double(pair)).count();
        let fare = Amount::from_minor(FARE).unwrap_or(Amount::ZERO);
        Ok(Count {
            lost,
            phantom: phantoms(&booked, &charged),
            double: number(double),
            free_rides: state.free_rides,
            suspense: number(booked.pending.len()),
            named: number(booked.missing.len()),
            unshown: lost.saturating_sub(shown),
            money_differs: u32::from(!booked.adds_up(fare)),
        })
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost, phantom, double, free_rides, suspense, named, unshown, money_differs } = self;
        write!(f, "lost {lost} ({unshown} not shown), phantom {phantom}, double {double}, free rides {free_rides}, ")?;
        write!(
            f,
            "in suspense {suspense} and without their taps {named}{}",
            if *money_differs > 0 { ", the money differs" } else { "" }
        )
    }
}

impl State {
    /// Whether a log was destroyed on the way.
    pub fn log_destroyed(&self) -> bool {
        self.logs.iter().any(|log| log.epoch > 1)
    }

    /// The same with another memory in the card.
    #[must_use]
    pub fn with_card(&self, card: Memory) -> Self {
        Self { card, ..self.clone() }
    }

    /// How often the card was presented.
    pub fn presentations(&self) -> u8 {
        self.presentations
    }

    /// A digest of everything that what comes later can depend on.
    ///
    /// # Errors
    /// The card's memory cannot be written as JSON.
    pub fn key(&self) -> Result<[u8; 32], Failed> {
        let mut context = Context::new(&SHA256);
        context.update(&serde_json::to_vec(&self.card).map_err(Failed::unexpected)?);
        for log in &self.logs {
            context.update(&[log.epoch]);
            context.update(&log.len().to_be_bytes());
            context.update(&log.head());
            context.update(&number(log.perhaps_admitted.len()).to_be_bytes());
            log.perhaps_admitted.iter().for_each(|sequence| context.update(&sequence.to_be_bytes()));
        }
        for number in [self.at.0, self.greens, self.free_rides] {
            context.update(&number.to_be_bytes());
        }
        let mut key = [0; 32];
        key.copy_from_slice(context.finish().as_ref());
        Ok(key)
    }
}

/// The file of the card in `folder`, with its layout.
fn richer_card(cards: &Path, folder: &Path) -> Result<PathBuf, Failed> {
    let copying = || Failed::system(format!("copying a card of {}", cards.display()));
    let name = Path::new(CARD).with_extension("toml");
    let text = fs::read_to_string(cards.join(&name)).map_err(copying())?;
    let path = folder.join(name);
    fs::write(&path, text.replace(PURSE.0, PURSE.1)).map_err(copying())?;
    fs::copy(cards.join("layout-1.toml"), folder.join("layout-1.toml")).map_err(copying())?;
    Ok(path)
}

fn present(
    gate: &mut Gate,
    place: usize,
    fixture: &Fixture,
    state: &State,
    later_s: u32,
    fault: Fault,
) -> Result<Left, Failed> {
    let presentation = Presentation {
        card: (fixture.identity(), &state.card),
        at: Moment(state.at.0 + later_s),
        fault,
        challenge: state.presentations,
    };
    gate.present(&state.logs[place], &presentation)
}

fn after(fixture: &Fixture, before: &State, place: usize, later_s: u32, left: Left) -> Result<State, Failed> {
    let mut logs = before.logs.clone();
    logs[place] = left.log;
    let greens = before.greens + u32::from(left.green);
    let debits = number(debits(fixture, &left.card)?.len());
    Ok(State {
        card: left.card,
        logs,
        at: Moment(before.at.0 + later_s),
        greens,
        free_rides: before.free_rides.max(greens.saturating_sub(debits)),
        presentations: before.presentations + 1,
    })
}

/// The debits that a card has committed, oldest first. It keeps more records than a schedule has presentations.
fn debits(fixture: &Fixture, card: &Memory) -> Result<Vec<Debit>, Failed> {
    let card = Picc::with_memory(fixture.identity().clone(), card.clone(), Box::new(|| [0; 16]));
    let records = fixture.records(&card).ok_or_else(|| Failed::Unexpected("the card has no records".to_owned()))?;
    let mut debits = Vec::new();
    for bytes in records.iter().rev() {
        let record = Record::decode(bytes).map_err(Failed::unexpected)?;
        if let (RecordKind::Boarding, Some(tap)) = (record.kind, record.tap) {
            debits.push(Debit { tap, at: record.time, stop: record.stop.0 });
        }
    }
    Ok(debits)
}

/// Whether the later of two debits was made where and while the earlier one still let the rider in.
fn is_double(pair: &[Debit]) -> bool {
    let [earlier, later] = pair else { return false };
    earlier.stop == later.stop && earlier.at.distance_s(later.at) < PASS_BACK_WINDOW_S
}

/// How often a fare was booked, or waits without its tap, that the card was not charged, or once more than it was.
fn phantoms(booked: &Booked, charged: &BTreeSet<TapId>) -> u32 {
    let of = |(tap, times): (&TapId, &u32)| if charged.contains(tap) { times - 1 } else { *times };
    let is_made_up =
        |tap: &&TapId| !charged.contains(tap) || booked.paid.contains_key(tap) || booked.pending.contains(tap);
    booked.paid.iter().map(of).sum::<u32>() + number(booked.missing.iter().filter(is_made_up).count())
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
