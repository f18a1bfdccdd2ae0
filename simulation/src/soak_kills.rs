//! SIGKILL to `validator core` at every named step of a tap, and at random moments of one.

use std::fmt;
use std::time::{Duration, Instant};

use transit::screen::State;
use virtual_card::Fault;

use crate::Failed;
use crate::soak::{Target, splitmix64};
use crate::soak_cards::Rider;
use crate::soak_gate::{Fire, Gate};
use crate::soak_presentation::{Answer, note, take_away};
use crate::soak_proxy::FaultProxy;
use crate::soak_shim::{FailingCall, How};
use crate::soak_validator::Lane;

/// Where in a tap the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// While the intent is written and synced, the card having been read.
    Intent,
    /// Debit and record are staged; the commit has not been sent.
    Staged,
    /// The card has committed, and its answer is on the way.
    Commit,
    /// While the outcome is written.
    Outcome,
    /// After the green, while the log is flushed and its WAL written back.
    Flush,
    /// While an acknowledgement of the clearing house is noted.
    Acknowledge,
    /// Anywhere.
    Random,
}

impl Step {
    const AIMED: [Self; 6] = [Self::Intent, Self::Staged, Self::Commit, Self::Outcome, Self::Acknowledge, Self::Random];
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Intent => "intent",
            Self::Staged => "staged",
            Self::Commit => "commit",
            Self::Outcome => "outcome",
            Self::Flush => "flush",
            Self::Acknowledge => "acknowledge",
            Self::Random => "random",
        })
    }
}

// The exchanges of a purse tap.
const READ_RECORDS: u32 = 4;
const WRITE_RECORD: u32 = 6;
const COMMIT: u32 = 7;
/// The calls of a step are fewer; a process that survives them is killed by hand.
const CALLS_OF_A_STEP: u64 = 10;
const KILLS_PER_LOG: u32 = 60;
/// A random kill comes within so long after the card is seen: a tap takes less.
const KILL_WITHIN_US: u64 = 12_000;
const DIES_WITHIN: Duration = Duration::from_millis(400);

impl Lane<'_> {
    /// Kills a core so many times; whoever was before it then taps again, once it is up.
    ///
    /// # Errors
    /// It does not start again.
    pub fn under_kills(&mut self, count: u32, seed: u64) -> Result<(), Failed> {
        let mut random = seed;
        let mut left = count;
        while left > 0 {
            let kills = left.min(KILLS_PER_LOG);
            let before = random;
            let mut problems = Vec::new();
            self.kills_on_one_log(kills, &mut random, &mut problems)?;
            let what = format!("kills from state {before:#x} of the seed {seed}");
            self.report.problems.extend(problems.into_iter().map(|problem| format!("{what}: {problem}")));
            left -= kills;
        }
        Ok(())
    }

    fn kills_on_one_log(&mut self, kills: u32, random: &mut u64, problems: &mut Vec<String>) -> Result<(), Failed> {
        let mut gate = self.gate()?;
        let mut riders = Vec::new();
        gate.start_sync(Fire::None)?;
        for kill in 0..kills {
            let aim = usize::try_from(splitmix64(random)).unwrap_or(0) % Step::AIMED.len();
            let aim = Step::AIMED[aim];
            let nth = u32::try_from(splitmix64(random) % CALLS_OF_A_STEP).unwrap_or(0) + 1;
            self.up_again(&mut gate, Fire::WhenArmed(FailingCall { nth, how: How::Kill }), kill > 0)?;
            if let Some(last) = riders.last_mut() {
                admit(&mut gate, last, problems)?;
            }
            let mut rider = self.deck.rider()?;
            let step = kill_at(aim, &mut gate, &mut rider, random, &self.proxy)?;
            self.proxy.hold_answers(false);
            gate.kill_core()?;
            self.report.kills += 1;
            *self.report.kills_at_steps.entry(step.to_string()).or_default() += 1;
            riders.push(rider);
        }
        self.up_again(&mut gate, Fire::None, true)?;
        if let Some(last) = riders.last_mut() {
            admit(&mut gate, last, problems)?;
        }
        self.agree(Target::Core, &gate, &riders, problems)?;
        gate.end()
    }

    fn up_again(&mut self, gate: &mut Gate, fire: Fire, again: bool) -> Result<(), Failed> {
        gate.kill_core()?;
        let took = gate.start_core(fire)?.ok_or_else(|| Failed::Unexpected("core does not start".to_owned()))?;
        if again {
            self.report.restarted(took.as_secs_f64() * 1_000.0);
        }
        if !gate.is_in_service() {
            return Err(Failed::Unexpected("core is out of service after a kill".to_owned()));
        }
        Ok(())
    }
}

/// Whoever was not let in when the power went is let in now, and whoever was is not again.
fn admit(gate: &mut Gate, rider: &mut Rider, problems: &mut Vec<String>) -> Result<(), Failed> {
    let was_in = !rider.greens.is_empty();
    let answer = gate.tap(rider)?;
    let right = match &answer {
        Answer::Screen(screen) => match screen.state {
            State::Accepted { .. } => !was_in,
            State::Attention { .. } => was_in,
            State::Idle | State::Declined { .. } | State::PresentAgain | State::OutOfService { .. } => false,
        },
        Answer::OutOfService | Answer::Dead | Answer::Nothing => false,
    };
    if !right {
        problems.push(format!("a rider who {} in is told {answer:?}", if was_in { "was" } else { "was not" }));
    }
    Ok(())
}

/// Brings a tap to the step and kills there; the step that was hit.
fn kill_at(
    aim: Step,
    gate: &mut Gate,
    rider: &mut Rider,
    random: &mut u64,
    proxy: &FaultProxy,
) -> Result<Step, Failed> {
    let hold = match aim {
        Step::Intent => Some(READ_RECORDS),
        Step::Staged => Some(WRITE_RECORD),
        Step::Commit | Step::Outcome | Step::Flush => Some(COMMIT),
        Step::Acknowledge | Step::Random => None,
    };
    proxy.hold_answers(aim == Step::Acknowledge);
    let laid = gate.lay_down(rider, hold.map(Fault::Hold))?;
    let laid = laid.ok_or_else(|| Failed::Unexpected("the reader does not notice a card".to_owned()))?;
    if hold.is_some() && !laid.wait_until_holding() {
        return Err(Failed::Unexpected("a card does not get as far as it should".to_owned()));
    }
    let hit = match aim {
        Step::Staged | Step::Commit => {
            gate.kill_core()?;
            aim
        }
        Step::Random => {
            std::thread::sleep(Duration::from_micros(splitmix64(random) % KILL_WITHIN_US));
            gate.kill_core()?;
            // It may have said something before.
            note(&gate.answer(&laid)?, rider);
            aim
        }
        Step::Intent => {
            gate.arm()?;
            laid.release();
            let answer = gate.answer(&laid)?;
            note(&answer, rider);
            // Calls beyond the intent's are the outcome's and those after it.
            if answer == Answer::Dead { Step::Intent } else { after_green(gate)? }
        }
        Step::Outcome | Step::Flush => {
            gate.arm()?;
            laid.release();
            let answer = gate.answer(&laid)?;
            note(&answer, rider);
            if answer == Answer::Dead { Step::Outcome } else { after_green(gate)? }
        }
        Step::Acknowledge => {
            let answer = gate.answer(&laid)?;
            note(&answer, rider);
            let began = Instant::now();
            while proxy.answers_waiting() == 0 {
                if began.elapsed() > crate::soak_gate::PATIENCE {
                    return Err(Failed::Unexpected("a tap is not uploaded".to_owned()));
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            gate.arm()?;
            proxy.hold_answers(false);
            if dies(gate)? { Step::Acknowledge } else { Step::Random }
        }
    };
    take_away(laid, rider)?;
    Ok(hit)
}

fn after_green(gate: &mut Gate) -> Result<Step, Failed> {
    Ok(if dies(gate)? { Step::Flush } else { Step::Random })
}

fn dies(gate: &mut Gate) -> Result<bool, Failed> {
    let until = Instant::now() + DIES_WITHIN;
    while Instant::now() < until {
        if gate.core_is_dead()? {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(false)
}
