//! The whole way through a real pcscd: reader, core process, log, screen.

use std::process::Command;

use transit::screen::{OutOfServiceReason, Screen, State};
use validator::status::Status;
use virtual_card::vpcd::Event;
use virtual_card::{Fault, Picc};

use crate::process::{Gate, TWO_LOOKS};
use crate::world::Cards;

pub(crate) fn accepted(state: &State) -> bool {
    matches!(state, State::Accepted { .. })
}

/// Lays the card on the reader until the screen shows what is waited for, then takes it away for two looks.
pub(crate) fn tap(gate: &Gate, card: Picc, what: &str, is_it: impl FnMut(&State) -> bool) -> (Picc, Screen) {
    let (holder, _events) = gate.present(card, None);
    let screen = gate.wait_for(what, is_it);
    let card = holder.remove().unwrap();
    std::thread::park_timeout(TWO_LOOKS);
    (card.remove(), screen)
}

#[test]
fn a_tap_through_pcscd_is_accepted_and_sigterm_ends_the_core() {
    let mut gate = Gate::new();
    gate.start();
    let (card, screen) = tap(&gate, Cards::new().take("adult"), "green", accepted);
    assert_eq!(card.value([0x01, 0x4E, 0x48], 2), Some(42_000));
    let figures = screen.tap.unwrap();
    assert_eq!((figures.exchanges, figures.tap.as_deref()), (7, Some("101-1-1")));
    assert_eq!((screen.line.as_str(), screen.stop.as_str()), ("BRT 01", "Kim Mã"));
    // Keys in a file are in memory too; with a SAM, below, they are not.
    assert_ne!(gate.core_holds_a_master_key(), Some(false));
    gate.terminate();
    let status = Status::read(&gate.log_path()).unwrap();
    assert_eq!((status.done, status.taps, status.durable, status.intent), (1, 1, 1, false));
}

#[test]
fn a_tap_with_keys_in_a_sam_behind_the_same_pcscd() {
    let (mut gate, sam) = Gate::with_a_sam(crate::keys::sam());
    gate.start();
    let (card, screen) = tap(&gate, Cards::new().take("adult"), "green", accepted);
    assert_eq!(card.value([0x01, 0x4E, 0x48], 2), Some(42_000));
    assert_eq!(screen.tap.unwrap().exchanges, 7);
    assert_ne!(gate.core_holds_a_master_key(), Some(true));
    gate.terminate();
    assert_eq!(sam.remove().unwrap().exchanges(), 8, "3 to open it, 1 to activate the token key, 4 for the tap");
}

#[test]
fn a_core_killed_while_the_card_holds_its_commit_admits_once_after_the_restart() {
    let mut gate = Gate::new();
    gate.start();
    let (holder, events) = gate.present(Cards::new().take("adult"), Some(Fault::Hold(7)));
    while !matches!(events.recv().unwrap(), Event::Holding { number: 7 }) {}
    gate.kill();
    let card = holder.remove().unwrap().remove();
    assert_eq!(card.value([0x01, 0x4E, 0x48], 2), Some(42_000), "the card had acted");
    std::thread::park_timeout(TWO_LOOKS);

    gate.start();
    let status = Status::read(&gate.log_path()).unwrap();
    assert_eq!((status.unknown, status.taps), (1, 1));
    let (card, screen) = tap(&gate, card, "green", accepted);
    assert!(matches!(screen.state, State::Accepted { recovered: true, .. }), "{:?}", screen.state);
    let (card, _) = tap(&gate, card, "amber", |state| matches!(state, State::Attention { .. }));
    assert_eq!(card.value([0x01, 0x4E, 0x48], 2), Some(42_000), "charged once");
}

/// Nobody taps after the power came back: the tap before must not wait for the next one to be sent.
#[test]
fn what_a_killed_core_had_not_flushed_is_flushed_after_the_restart() {
    let mut gate = Gate::new();
    gate.start();
    let (holder, _events) = gate.present(Cards::new().take("adult"), None);
    gate.wait_for("green", accepted);
    gate.kill();
    holder.remove().unwrap();
    let status = Status::read(&gate.log_path()).unwrap();
    assert_eq!((status.taps, status.durable), (1, 0), "killed before it was flushed");
    std::thread::park_timeout(TWO_LOOKS);

    gate.start();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while Status::read(&gate.log_path()).unwrap().durable == 0 {
        assert!(std::time::Instant::now() < deadline, "{}", gate.core_log());
        std::thread::park_timeout(std::time::Duration::from_millis(10));
    }
}

#[test]
fn pcscd_dies_and_comes_back() {
    let mut gate = Gate::new();
    gate.start();
    let reader_is_gone = |state: &State| *state == State::OutOfService { reason: OutOfServiceReason::Reader };
    gate.pcscd.stop();
    gate.wait_for("out of service", reader_is_gone);
    gate.pcscd.restart().unwrap();
    gate.wait_for("idle", |state| *state == State::Idle);
    tap(&gate, Cards::new().take("adult"), "green", accepted);
}

#[test]
fn a_card_that_never_answers_is_shown_and_survived() {
    let mut gate = Gate::new();
    gate.start();
    let (holder, _events) = gate.present(Cards::new().take("adult"), Some(Fault::Hold(4)));
    gate.wait_for("present again", |state| *state == State::PresentAgain);
    gate.wait_for("out of service", |state| matches!(state, State::OutOfService { .. }));
    let card = holder.remove().unwrap().remove();
    gate.wait_for("idle", |state| *state == State::Idle);
    std::thread::park_timeout(TWO_LOOKS);
    tap(&gate, card, "green", accepted);
}

#[test]
fn a_card_pulled_at_the_commit_is_recovered() {
    let mut gate = Gate::new();
    gate.start();
    let (holder, _events) = gate.present(Cards::new().take("torn"), Some(Fault::LoseAfter(7)));
    gate.wait_for("present again", |state| *state == State::PresentAgain);
    let card = holder.wait().unwrap().remove();
    std::thread::park_timeout(TWO_LOOKS);
    let (_, screen) = tap(&gate, card, "green", accepted);
    assert!(matches!(screen.state, State::Accepted { recovered: true, .. }), "{:?}", screen.state);
}

/// The file-size limit of the process stands for a disk that is full.
#[test]
fn a_full_disk_is_out_of_service_before_money_moves() {
    let mut gate = Gate::new();
    gate.start();
    gate.terminate();
    let size = std::fs::metadata(gate.log_path()).unwrap().len();
    // The WAL starts empty and may grow to this many blocks of 512 bytes: less than one tap.
    assert!(size > 0);
    serves_nobody_until_restarted(&mut gate, "trap '' XFSZ; ulimit -f 8; exec \"$@\"");
}

/// A file system that turned read-only, as worn-out flash does: a mount of the core's own, where the system lets us.
#[test]
fn a_read_only_disk_is_out_of_service_before_money_moves() {
    let own_mounts = |script: &str| Command::new("unshare").args(["--mount", "sh", "-c", script]).status();
    if !own_mounts("mount --bind /tmp /tmp").is_ok_and(|status| status.success()) {
        eprintln!("skipped: this system gives us no mounts of our own");
        return;
    }
    let mut gate = Gate::new();
    gate.start();
    gate.terminate();
    let folder = gate.log_path().parent().unwrap().display().to_string();
    let script = format!(
        "exec unshare --mount sh -c 'mount --bind {folder} {folder} && mount -o remount,bind,ro {folder} && exec \"$@\"' \
         sh \"$@\""
    );
    serves_nobody_until_restarted(&mut gate, &script);
}

/// A core started by `script` cannot keep taps: it says so, talks to no card, and a core without the limit serves again.
fn serves_nobody_until_restarted(gate: &mut Gate, script: &str) {
    gate.start_with(script);
    gate.wait_for("out of service", |state| *state == State::OutOfService { reason: OutOfServiceReason::Storage });
    let (holder, events) = gate.lay_down(Cards::new().take("adult"), None);
    std::thread::park_timeout(TWO_LOOKS);
    let card = holder.remove().unwrap().remove();
    assert!(!events.try_iter().any(|event| matches!(event, Event::Exchange { .. })), "no card is talked to");
    assert_eq!(card.value([0x01, 0x4E, 0x48], 2), Some(50_000));
    gate.kill();
    gate.start();
}

#[test]
fn a_broken_configuration_is_refused_with_exit_code_2() {
    let output = Command::new(env!("CARGO_BIN_EXE_validator"))
        .args(["core", "--config", "/nowhere/core.toml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("/nowhere/core.toml: cannot be read"), "{text}");
}
