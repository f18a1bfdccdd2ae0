//! With a SAM no master key is in the memory of the process that uses it.
//!
//! A child process taps a card; its parent is the card and the SAM, and then reads the child's whole memory.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use card_crypto::{Aid, Card, CommunicationMode, FileNumber, FrameSize, KeyNumber, Lost, RecordRange, Transport};
use key_store::{KeyFile, KeyRole, KeySet, KeyStore, Keys, Origin, SamKeyStore, SamTransport};
use transit::card::APPLICATION_ID;
use transit::config::KeysClass;

use crate::cards::{UID, adult_of};
use crate::counting;
use crate::sam::{ENTRIES, sam_of};

/// Tells the child that it is one, and where its keys are: `sam` or `memory`.
const VARIABLE: &str = "KEY_STORE_TEST_CHILD";
/// The child's entry: this test, which does nothing otherwise.
const ENTRY: &str = "memory::the_child_taps_a_card";

#[test]
fn with_a_sam_no_master_key_is_in_the_process() {
    let hits = keys_found_in_a_child_whose_keys_are("sam");
    assert_eq!(hits, [] as [String; 0]);
}

/// The scan finds what is there: the same child with its keys in memory.
#[test]
fn with_keys_in_memory_the_scan_finds_them() {
    let hits = keys_found_in_a_child_whose_keys_are("memory");
    for role in [KeyRole::Validate, KeyRole::Load, KeyRole::Token] {
        assert!(hits.iter().any(|hit| hit.starts_with(role.name())), "{role} in {hits:?}");
    }
}

fn keys_found_in_a_child_whose_keys_are(place: &str) -> Vec<String> {
    let keys = KeySet::generate(KeysClass::Test, &mut counting());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", ENTRY, "--nocapture", "--test-threads=1"])
        .env(VARIABLE, place)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut to_child, mut from_child) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    serve(&keys, &mut to_child, &mut from_child);
    let hits = scan(&child, &keys);
    writeln!(to_child, "end").unwrap();
    assert!(child.wait().unwrap().success());
    hits
}

/// Answers the child until it has tapped.
fn serve(keys: &KeySet, to_child: &mut ChildStdin, from_child: &mut BufReader<ChildStdout>) {
    let mut sam = sam_of(keys);
    let mut card = adult_of(keys);
    for line in from_child.lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match words[..] {
            ["?sam", command] => sam.exchange(&hex::decode(command).unwrap()).unwrap(),
            ["?card", command] => card.exchange(&hex::decode(command).unwrap()).unwrap(),
            ["?keys"] => keys.to_plain_text().as_bytes().to_vec(),
            ["?tapped"] => return,
            // The harness's own lines.
            _ => continue,
        };
        writeln!(to_child, "{}", hex::encode(answer)).unwrap();
    }
    panic!("the child ended before it tapped");
}

/// Every master key, as bytes and as digits, in every readable page of the child.
fn scan(child: &Child, keys: &KeySet) -> Vec<String> {
    let mut patterns = Vec::new();
    for (role, version) in keys.contents() {
        let bytes = keys.master(role, version).unwrap().expose_secret();
        patterns.push((format!("{role} as bytes"), bytes.to_vec()));
        patterns.push((format!("{role} as digits"), hex::encode(bytes).into_bytes()));
        patterns.push((format!("{role} as digits"), hex::encode_upper(bytes).into_bytes()));
    }
    let mut begins = vec![false; 1 << 16];
    patterns.iter().for_each(|(_, pattern)| begins[usize::from(u16::from_be_bytes([pattern[0], pattern[1]]))] = true);

    let process = format!("/proc/{}", child.id());
    let memory = File::open(format!("{process}/mem")).unwrap();
    let mut hits = Vec::new();
    let mut scanned = 0;
    for line in fs::read_to_string(format!("{process}/maps")).unwrap().lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut region = vec![0; usize::try_from(end - start).unwrap()];
        if !rest.starts_with('r') || memory.read_exact_at(&mut region, start).is_err() {
            continue;
        }
        scanned += region.len();
        for (at, pair) in region.windows(2).enumerate() {
            if begins[usize::from(u16::from_be_bytes([pair[0], pair[1]]))] {
                let found = patterns.iter().find(|(_, pattern)| region[at..].starts_with(pattern));
                hits.extend(found.map(|(name, _)| name.clone()));
            }
        }
    }
    assert!(scanned > 1 << 20, "a process has more than {scanned} bytes");
    hits
}

#[test]
fn the_child_taps_a_card() {
    let Ok(place) = std::env::var(VARIABLE) else { return };
    let mut keys = match place.as_str() {
        "sam" => Keys::Sam(Box::new(SamKeyStore::open(SamTransport::new(Parent("?sam")), &ENTRIES).unwrap())),
        _ => {
            let text = String::from_utf8(ask("?keys")).unwrap();
            let file = KeyFile::parse(Path::new("keys"), &text, Origin::Credential, KeysClass::Test).unwrap();
            let KeyFile::Plain(set) = file else { panic!("they are in the clear") };
            Keys::from(set)
        }
    };
    keys.token(&UID).unwrap();
    for (role, number) in [(KeyRole::Load, 3), (KeyRole::Validate, 2)] {
        let mut card = Card::new(Parent("?card"), FrameSize::Bytes128);
        card.select_application(Aid(APPLICATION_ID)).unwrap();
        let holder = keys.holder(role, 1, &UID, [7; 16]).unwrap();
        let number = KeyNumber::new(number).unwrap();
        let mut session = card.authenticate_ev2_first_by(number, holder).unwrap();
        let range = RecordRange { first: 0, count: 1, record_length: 60 };
        let record = session.read_records(FileNumber::new(3).unwrap(), CommunicationMode::Mac, range);
        assert_eq!(record.is_ok(), role == KeyRole::Validate, "only the validate key reads records");
    }
    say("?tapped");
    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
    drop(keys);
}

/// A card or a SAM that the parent process is.
struct Parent(&'static str);

impl Transport for Parent {
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Lost> {
        Ok(ask(&format!("{} {}", self.0, hex::encode(command))))
    }
}

fn ask(line: &str) -> Vec<u8> {
    say(line);
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).unwrap();
    hex::decode(answer.trim()).unwrap()
}

/// On a line of its own: the harness has begun one with this test's name.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    write!(out, "\n{line}\n").and_then(|()| out.flush()).unwrap();
}
