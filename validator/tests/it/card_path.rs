//! A validator that cannot take a card says so within 1.5 s, whatever the reason, and takes cards again by itself.

use std::io::Read;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use transit::screen::{OutOfServiceReason, State};

use validator::liveness::Service;

use crate::process::{Gate, TWO_LOOKS};
use crate::real::{accepted, tap};
use crate::world::Cards;

const SHOWN_WITHIN: Duration = Duration::from_millis(1_500);
/// A machine that others use as well may stall a program for longer than its margin: one of these tries must be in time.
const TRIES: u32 = 5;

fn out_of_service(state: &State) -> bool {
    *state == State::OutOfService { reason: OutOfServiceReason::Reader }
}

fn idle(state: &State) -> bool {
    *state == State::Idle
}

/// Breaks the card path again and again: how long the fastest of the tries took to show it.
fn fastest<T>(gate: &Gate, mut break_it: impl FnMut(&Gate) -> T, mut mend_it: impl FnMut(&Gate, T)) -> Duration {
    let mut fastest = Duration::MAX;
    for _ in 0..TRIES {
        let began = Instant::now();
        let broken = break_it(gate);
        gate.wait_for("out of service", out_of_service);
        fastest = fastest.min(began.elapsed());
        mend_it(gate, broken);
        gate.wait_for("idle", idle);
        if fastest < SHOWN_WITHIN {
            break;
        }
    }
    fastest
}

fn signal(gate: &Gate, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &gate.pcscd.process_id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn a_core_tells_whether_it_takes_cards_and_how_its_card_path_answers() {
    let mut gate = Gate::new();
    gate.start();
    let first = Service::ask(&gate.panel_path()).unwrap();
    assert!(first.takes_cards);
    std::thread::park_timeout(TWO_LOOKS);
    let polls = |service: &Service| service.card_path.map_or(0, |path| path.polls);
    let later = Service::ask(&gate.panel_path()).unwrap();
    assert!(polls(&later) > polls(&first), "{first:?}, {later:?}");

    signal(&gate, "STOP");
    gate.wait_for("out of service", out_of_service);
    let silent = Service::ask(&gate.panel_path()).unwrap();
    assert_eq!(silent.reason, Some(OutOfServiceReason::Reader));
    assert!(silent.card_path.unwrap().last_ago_ms >= 1_200, "{silent:?}");
    signal(&gate, "CONT");
    gate.wait_for("idle", idle);

    let mut asked = Command::new(env!("CARGO_BIN_EXE_validator"));
    asked.args(["status", "--json", "--log"]).arg(gate.log_path()).arg("--panel").arg(gate.panel_path());
    let status = asked.output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!((&status["taps"], &status["takes_cards"]), (&0.into(), &true.into()), "{status}");
    assert!(status["card_path"]["polls"].as_u64() > Some(1), "{status}");
}

#[test]
fn a_pcscd_that_hangs_is_shown_and_survived() {
    let mut gate = Gate::new();
    gate.start();
    let took = fastest(&gate, |gate| signal(gate, "STOP"), |gate, ()| signal(gate, "CONT"));
    assert!(took < SHOWN_WITHIN, "{took:?}");
    tap(&gate, Cards::new().take("adult"), "green", accepted);
}

/// pcscd itself is well and says that no card is there; its driver waits for ever behind something in the field that
/// takes the power and gives no answer.
#[test]
fn a_driver_that_hangs_is_shown_and_survived() {
    let mut gate = Gate::new();
    gate.start();
    let mute = |gate: &Gate| {
        let mut stream = TcpStream::connect(gate.pcscd.address(0)).unwrap();
        // The driver has asked for the ATR.
        stream.read_exact(&mut [0; 3]).unwrap();
        stream
    };
    let took = fastest(&gate, mute, |_, stream| {
        drop(stream);
        std::thread::park_timeout(TWO_LOOKS);
    });
    assert!(took < SHOWN_WITHIN, "{took:?}");
    std::thread::park_timeout(TWO_LOOKS);
    tap(&gate, Cards::new().take("adult"), "green", accepted);
}
