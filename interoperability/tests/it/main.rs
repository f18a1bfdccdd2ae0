//! The clients of others agree with the virtual card.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use std::{
    io::{self, Write},
    path::Path,
};

use interoperability::{
    desfire, libfreefare, ntag424,
    outcome::{Done, NotDone, Outcome},
    python_desfire,
    stand::Stand,
};

fn stand() -> Stand {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    Stand::open(Path::new(env!("CARGO_BIN_EXE_interoperability")), &fixtures).unwrap()
}

/// How many checks held; none where the client is not on this machine, which is said where everybody sees it.
fn checks(outcome: &Outcome) -> Option<usize> {
    match &outcome.result {
        Ok(Done { checks, exchanges }) => {
            assert!(*exchanges > 0, "{outcome}: the card got nothing");
            Some(*checks)
        }
        Err(NotDone::Skipped(_)) => {
            // Not by `eprintln`, which the test harness keeps to itself.
            let mut everybody = io::stderr().lock();
            writeln!(everybody, "{outcome}").unwrap();
            None
        }
        Err(NotDone::Failed(_)) => panic!("{outcome}"),
    }
}

#[test]
fn libfreefares_suite_for_real_cards() {
    let outcomes = libfreefare::run_suite(&stand());
    assert_eq!(outcomes.len(), 12);
    let checks: Vec<usize> = outcomes.iter().filter_map(checks).collect();
    assert!(checks.is_empty() || checks.iter().sum::<usize>() == 7517, "{checks:?}");
}

#[test]
fn libfreefares_stock_tools() {
    let checks = checks(&libfreefare::run_tools(&stand()));
    assert!(checks.is_none_or(|checks| checks == 3), "{checks:?}");
}

#[test]
fn a_purse_transaction_through_libfreefare() {
    let checks = checks(&libfreefare::run_purse_client(&stand()));
    assert!(checks.is_none_or(|checks| checks == 10), "{checks:?}");
}

#[test]
fn python_desfire_checks_every_cmac() {
    let checks = checks(&python_desfire::run(&stand()));
    assert!(checks.is_none_or(|checks| checks == 28), "{checks:?}");
}

#[test]
fn ntag424_in_ev2_sessions() {
    assert_eq!(checks(&ntag424::run(&stand())), Some(20));
}

#[test]
fn desfire_in_ev1_sessions() {
    assert_eq!(checks(&desfire::run(&stand())), Some(12));
}
