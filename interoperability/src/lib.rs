//! DESFire clients that others wrote, against the virtual card through a real PC/SC service.
//!
//! None of them shares a line with this project, so a mistake that `card-crypto` and `virtual-card` might share cannot
//! hide from them. `docs/interoperability.md` tells how to try them and what was seen.
//!
//! | module | what it is |
//! |---|---|
//! | [`stand`] | a private pcscd with one card on it, and foreign programs that are run there |
//! | [`outcome`] | what a client did |
//! | [`libfreefare`] | libfreefare (C): its own suite for real cards, its stock tools, a purse client |
//! | [`python_desfire`] | python-desfire over pyscard |
//! | [`ntag424`] | the crate `ntag424`: EV2 sessions |
//! | [`desfire`] | the crate `desfire`: EV1 sessions |
//! | [`reader`] | what the two crates need of PC/SC, in a process of its own |
#![forbid(unsafe_code)]

pub mod desfire;
pub mod libfreefare;
pub mod ntag424;
pub mod outcome;
pub mod python_desfire;
pub mod reader;
pub mod stand;

use outcome::Outcome;
use stand::Stand;

/// Runs every client. They come one after the other, each with a card of its own.
#[must_use]
pub fn run_all(stand: &Stand) -> Vec<Outcome> {
    let mut outcomes = libfreefare::run_suite(stand);
    outcomes.push(libfreefare::run_tools(stand));
    outcomes.push(libfreefare::run_purse_client(stand));
    outcomes.push(python_desfire::run(stand));
    outcomes.push(ntag424::run(stand));
    outcomes.push(desfire::run(stand));
    outcomes
}
