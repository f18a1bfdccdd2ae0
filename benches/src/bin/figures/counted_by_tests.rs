//! Counts that tests make and print: each test is run once more, and its lines are read.

use std::process::Command;

use benches::Failure;

use crate::{
    figure::{Bound, Figure},
    tools,
};

pub(crate) fn measure() -> Result<Vec<Figure>, Failure> {
    let known = Said::by("card-crypto", "known_answers::every_vector_holds")?;
    let reader = Said::by("card-crypto", "commands::every_flipped_bit_of_every_message_is_rejected")?;
    let fare = Said::by("transit", "fare_cost::deciding_allocates_nothing")?;
    let card = Said::by("virtual-card", "bit_flips::every_bit_of_every_command")?;

    // The card's side says how many flips it tried, and that none was accepted.
    let at_card = card.sum_before(" flips, none accepted")?;
    let (tried, rejected) = (reader.sum_before(" tried")? + at_card, reader.sum_before(" rejected")? + at_card);
    Ok(vec![
        Figure::new("fare_decide_allocations", fare.sum_before(" allocations")?, Bound::Exactly(0.0)),
        Figure::new("kat_outside", known.sum_before(" outside")?, Bound::AtLeast(59.0)),
        Figure::new("kat_passed", known.sum_before(" passed")?, Bound::AtLeast(120.0)),
        Figure::unbounded("bitflips", tried),
        Figure::new("bitflips_rejected_percent", 100.0 * rejected / tried, Bound::Exactly(100.0)),
    ])
}

/// What a test printed.
struct Said {
    test: &'static str,
    lines: String,
}

impl Said {
    fn by(package: &str, test: &'static str) -> Result<Self, Failure> {
        let mut command = Command::new(env!("CARGO"));
        command.args(["test", "--locked", "--quiet", "--package", package, "--test", "it", "--"]);
        command.args(["--exact", "--nocapture", test]);
        let lines = String::from_utf8(tools::run(&mut command, "cargo")?.stdout)?;
        Ok(Self { test, lines })
    }

    /// The sum of the numbers that stand right before `words`.
    fn sum_before(&self, words: &str) -> Result<f64, Failure> {
        let numbers: Vec<f64> = self
            .lines
            .lines()
            .filter_map(|line| line.split_once(words))
            .filter_map(|(before, _)| before.rsplit(' ').next()?.parse().ok())
            .collect();
        if numbers.is_empty() { Err(self.silent(words)) } else { Ok(numbers.iter().sum()) }
    }

    fn silent(&self, words: &str) -> Failure {
        format!("the test {} does not say `{words}`", self.test).into()
    }
}
