//! Failing calls of `validator core` and `validator sync`, each on a new log, with cards on a real reader; and what
//! must hold between screens, cards, log and books whatever was done to a validator.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use transit::id::CardToken;
use transit::screen::State;
use transit::tap::{Outcome, SealedTap, Tap};

use crate::Failed;
use crate::soak::{Report, Target};
use crate::soak_books::{Books, FIRST_DEVICE, compare};
use crate::soak_cards::{Deck, Rider};
use crate::soak_gate::{Fire, Gate};
use crate::soak_presentation::Answer;
use crate::soak_proxy::FaultProxy;
use crate::soak_shim::{FailingCall, How, Reached};
use crate::soak_site::Site;

/// Enough to make more than 300 calls.
const TAPS_MAX: u32 = 60;
const TAPS_AFTER_THE_CALL: u32 = 2;
/// After a failed write the core opens its log again once a second.
const BACK_WITHIN: Duration = Duration::from_millis(1_500);
/// A `sync` that looks at its log every 20 ms makes 300 calls in this time, with room for a busy machine.
const SYNC_CALLS_WITHIN: Duration = Duration::from_secs(10);

/// One reader with its validators, one after the other.
#[derive(Debug)]
pub struct Lane<'a> {
    /// Which of the two readers.
    pub reader: u16,
    /// Where it stands.
    pub site: Site,
    /// Its network.
    pub proxy: FaultProxy,
    /// Where its taps go.
    pub books: &'a Books,
    /// Its riders.
    pub deck: Deck,
    /// Its logs.
    pub folder: PathBuf,
    /// Shared by all lanes: how many validators there have been.
    pub devices: &'a AtomicU32,
    /// What came of it.
    pub report: Report,
    /// Taps in its logs that are done with.
    pub taps: usize,
    /// What the cards of these logs have paid.
    pub paid_minor: i64,
}

impl Lane<'_> {
    /// A new validator.
    ///
    /// # Errors
    /// Its folder cannot be made.
    pub fn gate(&self) -> Result<Gate, Failed> {
        let device = FIRST_DEVICE + self.devices.fetch_add(1, Ordering::Relaxed);
        Gate::new(&self.site, &self.folder.join(device.to_string()), device)
    }

    /// One program under one failing call. Whether the call was reached.
    ///
    /// # Errors
    /// A program does not start or end even without a fault.
    pub fn under_failing_call(&mut self, program: Target, call: FailingCall) -> Result<bool, Failed> {
        let mut gate = self.gate()?;
        let mut problems = Vec::new();
        let fire = Fire::FromStart(call);
        let (core_fire, sync_fire) = if program == Target::Core { (fire, Fire::None) } else { (Fire::None, fire) };
        gate.start_core(core_fire)?;
        gate.start_sync(sync_fire)?;
        let mut riders = self.taps_under_fire(program, call.how, &mut gate)?;
        let Some(Reached { function, path }) = gate.reached() else {
            gate.end()?;
            return Ok(false);
        };
        if call.how == How::Kill {
            self.report.kills += 1;
            self.report.kills_at_calls += 1;
        } else {
            self.report.of(program).nth_call_failures += 1;
        }
        // Half of the validators lose their power then, the others are told to end.
        if call.nth.is_multiple_of(2) || call.how == How::Kill {
            gate.kill_core()?;
            gate.kill_sync()?;
        } else if let Err(error) = gate.end() {
            problems.push(error.to_string());
        }
        self.after_fire(program, &mut gate, &mut riders, &mut problems)?;
        let what = format!("{program}, {call}, {function} of {path}");
        self.report.problems.extend(problems.into_iter().map(|problem| format!("{what}: {problem}")));
        Ok(true)
    }

    /// New riders, one after the other, until the call has come and a few more have tried.
    fn taps_under_fire(&mut self, program: Target, how: How, gate: &mut Gate) -> Result<Vec<Rider>, Failed> {
        let mut riders = Vec::new();
        let mut since = 0;
        // A `sync` makes its calls by itself; it needs something to send now and then.
        let taps_max = if program == Target::Core { TAPS_MAX } else { 3 };
        for _ in 0..taps_max {
            if gate.core_is_dead()? || since == TAPS_AFTER_THE_CALL {
                break;
            }
            let mut rider = self.deck.rider()?;
            let answer = gate.tap(&mut rider)?;
            if matches!(&answer, Answer::Screen(screen) if screen.state == State::PresentAgain) {
                gate.tap(&mut rider)?;
            }
            riders.push(rider);
            // A disk that is full or read-only stays so.
            if answer == Answer::OutOfService && how == How::InputOutput {
                gate.wait_for(BACK_WITHIN, |state| *state == State::Idle);
            }
            if program == Target::Sync {
                let until = Instant::now() + SYNC_CALLS_WITHIN;
                while gate.reached().is_none() && !gate.sync_is_dead()? && Instant::now() < until {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            if gate.reached().is_some() {
                since += 1;
            }
        }
        Ok(riders)
    }

    /// Starts both without a fault on what is left; everybody who was not let in taps again; then everything must agree.
    fn after_fire(
        &mut self,
        program: Target,
        gate: &mut Gate,
        riders: &mut [Rider],
        problems: &mut Vec<String>,
    ) -> Result<(), Failed> {
        let Some(took) = gate.start_core(Fire::None)? else {
            problems.push("core does not start again".to_owned());
            return Ok(());
        };
        self.report.restarted(took.as_secs_f64() * 1_000.0);
        gate.start_sync(Fire::None)?;
        if !gate.is_in_service() {
            problems.push("core is out of service after the restart".to_owned());
            return Ok(());
        }
        for rider in riders.iter_mut().filter(|rider| rider.greens.is_empty()) {
            let answer = gate.tap(rider)?;
            if !matches!(&answer, Answer::Screen(screen) if matches!(screen.state, State::Accepted { .. })) {
                problems.push(format!("a rider who was not let in is told {answer:?}"));
            }
        }
        self.agree(program, gate, riders, problems)?;
        gate.end()
    }

    /// Waits until all is acknowledged, and compares screens, cards, log and books. `gate` runs without a fault.
    ///
    /// # Errors
    /// Something cannot be read.
    pub fn agree(
        &mut self,
        program: Target,
        gate: &Gate,
        riders: &[Rider],
        problems: &mut Vec<String>,
    ) -> Result<(), Failed> {
        let acknowledged = gate.wait_until_acknowledged();
        let sealed = gate.taps()?;
        let differences = compare(&sealed, &self.books.taps(gate.device)?);
        match acknowledged {
            Ok(status) if status.kept_aside == 0 => {
                self.report.acknowledged_taps_lost += u32::try_from(differences.len()).unwrap_or(u32::MAX);
            }
            Ok(status) => problems.push(format!("{} taps are kept aside", status.kept_aside)),
            Err(error) => problems.push(error.to_string()),
        }
        problems.extend(differences);
        let (log, gaps) = open(&sealed);
        problems.extend(gaps);
        for rider in riders {
            let wrong = wrong_greens(rider, &log);
            self.report.of(program).wrong_greens += u32::try_from(wrong.len()).unwrap_or(u32::MAX);
            problems.extend(wrong);
            let token = rider.some_tap.as_ref().and_then(|tap| log.get(tap)).map(|tap| tap.card);
            let logged = token.map_or(0, |token| logged_minor(&log, token));
            if logged != rider.paid_minor() {
                problems.push(format!("a card paid {}, and the log says {logged}", rider.paid_minor()));
            }
            self.paid_minor += rider.paid_minor();
        }
        self.taps += sealed.len();
        let panics = gate.panics();
        self.report.of(program).panics += u32::from(!panics.is_empty());
        problems.extend(panics);
        Ok(())
    }
}

/// The taps of a log by name, and where its sequence breaks.
fn open(sealed: &[SealedTap]) -> (BTreeMap<String, Tap>, Vec<String>) {
    let mut log = BTreeMap::new();
    let mut problems = Vec::new();
    for (sequence, tap) in (1..).zip(sealed) {
        match tap.open() {
            Ok(tap) if tap.id.sequence == sequence => {
                log.insert(tap.id.to_string(), tap);
            }
            Ok(tap) => problems.push(format!("tap {} stands where {sequence} is expected", tap.id)),
            Err(error) => problems.push(format!("tap {sequence} cannot be read: {error}")),
        }
    }
    (log, problems)
}

/// Who was let in has paid: the log holds the debit under the name that was shown, and the card has made it.
fn wrong_greens(rider: &Rider, log: &BTreeMap<String, Tap>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut fares = 0;
    for green in &rider.greens {
        match log.get(green) {
            Some(Tap { outcome: Outcome::Done | Outcome::Confirmed { .. }, fare, .. }) => fares += fare.minor(),
            Some(_) | None => wrong.push(format!("wrong green: {green} is not in the log as a debit")),
        }
    }
    if fares != rider.paid_minor() {
        let rides = rider.greens.len();
        wrong.push(format!("{rides} rides for {fares}, and the card paid {}", rider.paid_minor()));
    }
    wrong
}

fn logged_minor(log: &BTreeMap<String, Tap>, card: CardToken) -> i64 {
    let of_card = log.values().filter(|tap| tap.card == card);
    let committed = of_card.filter(|tap| matches!(tap.outcome, Outcome::Done | Outcome::Confirmed { .. }));
    committed.map(|tap| tap.fare.minor()).sum()
}
