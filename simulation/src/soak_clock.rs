//! A validator whose wall clock jumps by years, forwards and backwards, while riders tap.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failed;
use crate::soak::{Target, splitmix64};
use crate::soak_gate::Fire;
use crate::soak_shim::compile;
use crate::soak_validator::Lane;

/// Jumps are within so much of the right time, either way.
const TEN_YEARS_S: u64 = 10 * 365 * 24 * 60 * 60;

/// A wall clock that jumps: `shim/jumping_clock.c`.
#[derive(Debug, Clone)]
pub struct JumpingClock {
    library: PathBuf,
    offset: PathBuf,
}

impl JumpingClock {
    /// A clock in `folder` that is right until it jumps.
    ///
    /// # Errors
    /// The library cannot be compiled.
    pub fn build(folder: &Path) -> Result<Self, Failed> {
        let library = compile("jumping_clock", include_str!("../shim/jumping_clock.c"), folder)?;
        Ok(Self { library, offset: folder.join("clock-offset") })
    }

    /// Gives `command` this clock.
    pub fn preload(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("JUMPING_CLOCK", &self.offset);
    }

    /// It is off by so many seconds from now on.
    ///
    /// # Errors
    /// The file that says so cannot be written.
    pub fn jump(&self, offset_s: i64) -> Result<(), Failed> {
        // A program that looks meanwhile sees the old number or the new one.
        let next = self.offset.with_extension("next");
        let written = fs::write(&next, offset_s.to_string()).and_then(|()| fs::rename(&next, &self.offset));
        written.map_err(Failed::system("letting a clock jump"))
    }
}

impl Lane<'_> {
    /// So many jumps of the clock of both processes; after each of them a new rider taps, and one of before.
    ///
    /// # Errors
    /// A program does not start.
    pub fn under_clock_jumps(&mut self, jumps: u32, seed: u64) -> Result<(), Failed> {
        if jumps == 0 {
            return Ok(());
        }
        let clock = JumpingClock::build(&self.folder)?;
        let mut random = seed;
        let mut problems = Vec::new();
        let mut riders = Vec::new();
        self.site.clock = Some(clock.clone());
        let gate = self.gate();
        self.site.clock = None;
        let mut gate = gate?;
        gate.start_core(Fire::None)?;
        gate.start_sync(Fire::None)?;
        for _ in 0..jumps {
            let offset = i64::try_from(splitmix64(&mut random) % (2 * TEN_YEARS_S)).unwrap_or(0);
            clock.jump(offset - i64::try_from(TEN_YEARS_S).unwrap_or(0))?;
            let mut rider = self.deck.rider()?;
            gate.tap(&mut rider)?;
            riders.push(rider);
            let earlier = usize::try_from(splitmix64(&mut random)).unwrap_or(0) % riders.len();
            gate.tap(&mut riders[earlier])?;
            if gate.core_is_dead()? || gate.sync_is_dead()? {
                problems.push(format!("a process died at a clock that is off by {offset} s"));
                break;
            }
            self.report.clock_jumps += 1;
        }
        self.agree(Target::Core, &gate, &riders, &mut problems)?;
        gate.end()?;
        self.report.problems.extend(problems.into_iter().map(|problem| format!("clock, seed {seed}: {problem}")));
        Ok(())
    }
}
