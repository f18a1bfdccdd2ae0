//! A bad network between `validator sync` and a clearing house that is killed again and again, while riders tap.

use std::time::Duration;

use crate::Failed;
use crate::soak::{Target, splitmix64};
use crate::soak_books::Books;
use crate::soak_gate::Fire;
use crate::soak_proxy::Trouble;
use crate::soak_validator::Lane;

/// With so many of eight requests something goes wrong.
const BAD_IN_8: u64 = 5;
/// One of so many taps is followed by a SIGKILL of the clearing house.
const TAPS_PER_KILL: u64 = 4;

impl Lane<'_> {
    /// So many taps of new riders behind a bad network, and until every kind of trouble has been there; then the network
    /// is well again, and everything must agree.
    ///
    /// # Errors
    /// A program does not start, or the trouble does not come.
    pub fn behind_bad_network(&mut self, taps: u32, seed: u64) -> Result<(), Failed> {
        let mut gate = self.gate()?;
        let mut problems = Vec::new();
        let mut riders = Vec::new();
        let mut random = seed;
        gate.start_core(Fire::None)?;
        gate.start_sync(Fire::None)?;
        self.proxy.make_trouble(BAD_IN_8);
        while riders.len() < taps as usize || self.proxy.troubles().len() < Trouble::ALL.len() {
            if riders.len() > taps as usize + 500 {
                return Err(Failed::Unexpected(format!("the network is too good: {:?}", self.proxy.troubles())));
            }
            let mut rider = self.deck.rider()?;
            gate.tap(&mut rider)?;
            riders.push(rider);
            std::thread::sleep(Duration::from_micros(splitmix64(&mut random) % 100_000));
            if splitmix64(&mut random).is_multiple_of(TAPS_PER_KILL) {
                kill_and_serve(self.books)?;
                self.report.kills += 1;
                self.report.kills_behind_bad_network += 1;
            }
        }
        self.proxy.make_trouble(0);
        for (trouble, count) in self.proxy.troubles() {
            *self.report.troubles.entry(format!("{trouble:?}")).or_default() += count;
        }
        self.agree(Target::Sync, &gate, &riders, &mut problems)?;
        gate.end()?;
        self.report.problems.extend(problems.into_iter().map(|problem| format!("bad network, seed {seed}: {problem}")));
        Ok(())
    }
}

fn kill_and_serve(books: &Books) -> Result<(), Failed> {
    books.kill()?;
    books.serve()
}
