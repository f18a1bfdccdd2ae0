//! A validator with the limits of the product whose card path dies: a pcscd that hangs, a card that never answers.

use std::process::Command;
use std::time::{Duration, Instant};

use transit::screen::State;
use virtual_card::Fault;

use crate::Failed;
use crate::soak_gate::{Fire, Gate, PATIENCE};
use crate::soak_presentation::{Answer, take_away};
use crate::soak_validator::Lane;

/// Out of service is shown within so much, in ms.
const SHOWN_MS_MAX: f64 = 1_500.0;
/// Each way of dying comes so often; a machine that others use as well may stall for longer than the margin once or twice.
const TIMES: usize = 5;
/// Taken from a card that does not answer any more.
const READ_RECORDS: u32 = 4;

impl Lane<'_> {
    /// Stops the pcscd of this process number again and again, once for `dead_for`, and lays down cards that fall silent.
    ///
    /// # Errors
    /// A program does not start.
    pub fn with_dead_card_path(&mut self, dead_for: Duration, pcscd: u32) -> Result<(), Failed> {
        self.site.patient = false;
        let gate = self.gate();
        self.site.patient = true;
        let mut gate = gate?;
        gate.start_core(Fire::None)?;
        let mut problems = Vec::new();
        let mut shown = Vec::new();
        for time in 0..TIMES {
            signal("STOP", pcscd)?;
            let began = Instant::now();
            let is_shown = gate.wait_for(PATIENCE, out_of_service);
            shown.push(ms(began.elapsed()));
            if time == 0 {
                std::thread::sleep(dead_for.saturating_sub(began.elapsed()));
            }
            let stayed = !gate.is_in_service();
            signal("CONT", pcscd)?;
            if !is_shown || !stayed || !gate.wait_for(PATIENCE, |state| *state == State::Idle) {
                problems.push("a pcscd that hangs is not shown, or not survived".to_owned());
            }
        }
        let mut silent = Vec::new();
        for _ in 0..TIMES {
            let mut rider = self.deck.rider()?;
            let laid = gate.lay_down(&mut rider, Some(Fault::Hold(READ_RECORDS)))?;
            let laid = laid.ok_or_else(|| Failed::Unexpected("the reader does not notice a card".to_owned()))?;
            let began = Instant::now();
            if !laid.wait_until_holding() || !gate.wait_for(PATIENCE, out_of_service) {
                problems.push("a card that never answers is not shown".to_owned());
            }
            silent.push(ms(began.elapsed()));
            take_away(laid, &mut rider)?;
            gate.wait_for(PATIENCE, |state| *state == State::Idle);
            if !let_in(&mut gate, &mut rider)? {
                problems.push("nobody is let in after a card that never answers".to_owned());
            }
        }
        gate.end()?;
        for (what, times) in [("pcscd that hangs", &mut shown), ("card that never answers", &mut silent)] {
            times.sort_unstable_by(f64::total_cmp);
            if times[0] > SHOWN_MS_MAX {
                problems.push(format!("a {what} was shown after {times:.0?} ms"));
            }
        }
        self.report.out_of_service_ms = Some(shown[TIMES / 2]);
        self.report.card_silent_ms = Some(silent[TIMES / 2]);
        self.report.problems.extend(problems.into_iter().map(|problem| format!("dead card path: {problem}")));
        Ok(())
    }
}

/// With these limits a busy machine may need more than one try.
fn let_in(gate: &mut Gate, rider: &mut crate::soak_cards::Rider) -> Result<bool, Failed> {
    for _ in 0..TIMES {
        let answer = gate.tap(rider)?;
        if matches!(&answer, Answer::Screen(screen) if matches!(screen.state, State::Accepted { .. })) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn out_of_service(state: &State) -> bool {
    matches!(state, State::OutOfService { .. })
}

fn signal(name: &str, process: u32) -> Result<(), Failed> {
    let sent = Command::new("kill").args(["-s", name, &process.to_string()]).status();
    sent.map(drop).map_err(Failed::system("sending a signal to pcscd"))
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
