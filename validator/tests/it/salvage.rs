//! Taps read out of damaged logs by the program itself.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use proptest::prelude::*;
use serde_json::Value;
use transit::id::{DeviceId, TapId};
use transit::sync::{Acknowledgement, SIGNATURE_HEADER, TAPS_PER_BATCH_MAX, TapAcknowledgement, Verdict};
use transit::tap::{CHAIN_START, Outcome, SealedTap, TAP_LEN, Tap};
use transit::time::Moment;
use validator::salvage::Salvage;

use crate::world::{Bus, Cards, NOW, memory_folder};

/// A chain of `count` taps, and beside each the intent that it concluded.
fn chain(count: u32) -> (Vec<SealedTap>, Vec<SealedTap>) {
    let mut bus = Bus::new(101, 23);
    bus.tap(&mut Cards::new(), "adult", NOW);
    let like = bus.taps().remove(0);
    let (mut taps, mut intents, mut last) = (Vec::new(), Vec::new(), CHAIN_START);
    for sequence in 1..=count {
        let tap = Tap { id: TapId { device: DeviceId::new(101).unwrap(), epoch: 1, sequence }, ..like.clone() };
        let intent = Tap { outcome: Outcome::Unknown, transaction_mac: None, ..tap.clone() };
        intents.push(intent.seal(&last).unwrap());
        taps.push(tap.seal(&last).unwrap());
        last = taps[taps.len() - 1].hash();
    }
    (taps, intents)
}

fn found(bytes: &[u8]) -> (Vec<SealedTap>, u32) {
    let folder = memory_folder();
    let path = folder.path().join("damaged");
    fs::write(&path, bytes).unwrap();
    let salvage = Salvage::read(&path).unwrap();
    (salvage.taps.into_iter().map(|(_, tap)| tap).collect(), salvage.left_out)
}

fn salvage(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_validator")).arg("salvage").args(arguments).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_next_tap_says_which_of_two_is_right() {
    let (taps, intents) = chain(3);
    let of = |parts: &[&SealedTap]| found(&parts.iter().flat_map(|tap| *tap.as_bytes()).collect::<Vec<u8>>());
    // Both are there, in any order.
    assert_eq!(
        of(&[&intents[0], &taps[0], &taps[1], &intents[1], &intents[2]]).0,
        [&taps[0], &taps[1], &intents[2]].map(Clone::clone)
    );
    // The conclusion is lost, and its intent is another tap than the next one names.
    assert_eq!(of(&[&taps[0], &intents[1], &taps[2]]), (vec![taps[0].clone(), taps[2].clone()], 1));
    // The conclusion of the last one counts, and without it the intent.
    assert_eq!(of(&[&intents[2], &taps[2]]).0, [taps[2].clone()]);
    assert_eq!(of(&[&intents[2]]).0, [intents[2].clone()]);
}

#[test]
fn salvaged_taps_are_told_written_and_sent() {
    let (taps, _) = chain(TAPS_PER_BATCH_MAX as u32 + 3);
    let folder = memory_folder();
    let damaged = folder.path().join("tap-log.db.damaged-x");
    let mut bytes = vec![0x55; 1000];
    taps.iter().for_each(|tap| bytes.extend(tap.as_bytes()));
    bytes[1000 + TAP_LEN + 7] ^= 1;
    fs::write(&damaged, &bytes).unwrap();
    let output = folder.path().join("taps");
    let told = salvage(&[text(&damaged), "--output", text(&output), "--json"]);
    assert!(told.status.success(), "{told:?}");
    let report: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(report["taps"], taps.len() - 1);
    assert_eq!(report["runs"][0], serde_json::json!({"device": 101, "epoch": 1, "first": 1, "last": 1}));
    assert_eq!(report["runs"][1]["first"], 3);
    let written = fs::read(&output).unwrap();
    assert_eq!(written.len(), (taps.len() - 1) * TAP_LEN);
    assert_eq!(fs::read(&damaged).unwrap(), bytes, "it is evidence");
    let again = salvage(&[text(&damaged), "--output", text(&output)]);
    assert_eq!(again.status.code(), Some(2), "nothing is written over: {again:?}");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let clearing_house = thread::spawn(move || {
        let mut heard = Vec::new();
        while heard.len() < written.len() {
            heard.extend(answer_one(&listener));
        }
        heard == written
    });
    let sent = salvage(&[text(&output), "--upload", &address]);
    assert!(sent.status.success(), "{sent:?}");
    let told = String::from_utf8(sent.stdout).unwrap();
    assert!(told.contains(&format!("the clearing house said known: {}", taps.len() - 1)), "{told}");
    assert!(clearing_house.join().unwrap());
}

/// Takes one upload and knows all of it already.
fn answer_one(listener: &TcpListener) -> Vec<u8> {
    let mut stream = BufReader::new(listener.accept().unwrap().0);
    let (mut length, mut line) = (0, String::new());
    while stream.read_line(&mut line).unwrap() > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    let known = TapAcknowledgement { tap: None, hash: String::new(), verdict: Verdict::Known, detail: None };
    let taps = vec![known; length / TAP_LEN];
    let answer = serde_json::to_string(&Acknowledgement { at: Moment(0), taps }).unwrap();
    let head = format!("HTTP/1.1 200 OK\r\n{SIGNATURE_HEADER}: 00\r\nconnection: close\r\n");
    write!(stream.get_mut(), "{head}content-length: {}\r\n\r\n{answer}", answer.len()).unwrap();
    body
}

#[test]
fn a_file_without_taps_and_no_file_are_refused_by_name() {
    let folder = memory_folder();
    let path = folder.path().join("empty");
    let refused = salvage(&[text(&path)]);
    assert_eq!(refused.status.code(), Some(2));
    fs::write(&path, [0x55; 5000]).unwrap();
    let refused = salvage(&[text(&path)]);
    assert_eq!(refused.status.code(), Some(2));
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(why.contains("holds no sealed tap that is whole"), "{why}");
}

proptest! {
    #[test]
    fn any_bytes_are_searched(bytes in proptest::collection::vec(prop_oneof![Just(1_u8), any::<u8>()], 0..2000)) {
        prop_assert_eq!(found(&bytes), (vec![], 0));
    }
}
