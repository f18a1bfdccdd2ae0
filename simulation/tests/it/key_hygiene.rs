//! Master keys are in the key files and in the memory of the programs that need them, and nowhere else: no log, no
//! database, no core image, no other program.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use simulation::city::{City, DESK_READER};
use simulation::process::Program;
use transit::screen::State;

/// What each program may hold: the names in its key file under `fixtures/keys`. A program that is not named: nothing.
const HOLDERS: [(&str, &[&str]); 4] = [
    ("validator-101 core", &["validate", "token"]),
    ("validator-102 core", &["validate", "token"]),
    ("clearing-house", &["transaction_mac", "token", "signing_seed"]),
    // A desk that makes cards.
    ("counter", ISSUER_KEYS),
];

const ISSUER_KEYS: &[&str] =
    &["card_master", "application_master", "inspect", "validate", "load", "transaction_mac", "token", "signing_seed"];

/// How a key may have been written.
fn forms(key: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let decimal: Vec<String> = key.iter().map(u8::to_string).collect();
    vec![
        key.to_vec(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
        // What `Debug` writes for an array.
        decimal.join(", ").into_bytes(),
    ]
}

/// Every master key of the test set, in every form, by name.
fn keys() -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut keys: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for entry in fs::read_dir(fixtures().join("keys")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let table: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        for (name, value) in table {
            let Some(digits) = value.as_str().filter(|text| text.len() >= 32) else { continue };
            if let Some(bytes) = bytes_of(digits) {
                // Several files may hold another key of the same name: each is searched for.
                keys.entry(name).or_default().extend(forms(&bytes));
            }
        }
    }
    assert!(keys.len() >= 7, "the keys of {:?}", keys.keys());
    keys
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// The names of the keys that are somewhere in these bytes.
fn found_in<'a>(bytes: &[u8], keys: &'a BTreeMap<String, Vec<Vec<u8>>>) -> Vec<&'a str> {
    let forms: Vec<(&str, &[u8])> =
        keys.iter().flat_map(|(name, forms)| forms.iter().map(|form| (name.as_str(), form.as_slice()))).collect();
    let mut first = [false; 256];
    for (_, form) in &forms {
        first[usize::from(form[0])] = true;
    }
    let mut found = Vec::new();
    for (at, &byte) in bytes.iter().enumerate() {
        if first[usize::from(byte)] {
            let here = forms.iter().filter(|(_, form)| bytes[at..].starts_with(form));
            found.extend(here.map(|(name, _)| *name));
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// No file under the folder of a run holds a key in any form.
pub(crate) fn no_file_holds_a_key(folder: &Path) {
    let keys = keys();
    let (mut folders, mut searched) = (vec![folder.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type().unwrap())).unwrap();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let bytes = fs::read(&path).unwrap();
                assert_eq!(found_in(&bytes, &keys), [""; 0], "{}", path.display());
                searched += 1;
            }
        }
    }
    assert!(searched > 0, "nothing was searched in {}", folder.display());
}

/// What a process can write to, as it is now.
fn memory_of(process: u32) -> std::io::Result<Vec<u8>> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
    let mut memory = File::open(format!("/proc/{process}/mem"))?;
    let mut bytes = Vec::new();
    for (start, end) in writable_ranges(&maps) {
        let mut part = vec![0; usize::try_from(end - start).map_err(std::io::Error::other)?];
        memory.seek(SeekFrom::Start(start))?;
        // A mapping may go while it is looked at.
        if memory.read_exact(&mut part).is_ok() {
            bytes.extend(part);
        }
    }
    Ok(bytes)
}

/// Start and end of what a process can write to, as `/proc` tells it.
fn writable_ranges(maps: &str) -> Vec<(u64, u64)> {
    let writable = maps.lines().filter_map(|line| line.split_once(" rw")).map(|(range, _)| range);
    let address = |digits| u64::from_str_radix(digits, 16).unwrap();
    writable.map(|range| range.split_once('-').unwrap()).map(|(start, end)| (address(start), address(end))).collect()
}

fn tell(what: &str) {
    // Not by `eprintln`, which the test harness keeps to itself.
    let mut everybody = std::io::stderr().lock();
    writeln!(everybody, "{what}").unwrap();
}

/// A `counter` in the middle of looking at a card, which holds its answer back.
fn counter_at_work(city: &mut City, card: &str) -> Program {
    city.rider.lay_down(DESK_READER, card, "hold 5").unwrap();
    let counter = city.desk.begin("inspect").unwrap();
    city.rider.wait_until_holding().unwrap();
    counter
}

#[test]
fn a_program_holds_the_keys_that_it_needs_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut city = City::start(&run, &fixtures(), false).unwrap();
    for (gate, card) in [(0, "adult"), (1, "elderly"), (0, "student-pass"), (1, "clone")] {
        city.rider.present(gate, card, "").unwrap();
        let answer = |state: &State| matches!(state, State::Accepted { .. } | State::Declined { .. });
        city.gates[gate].panel.wait_for("an answer", |screen| screen.tap.is_some() && answer(&screen.state)).unwrap();
        city.rider.remove().unwrap();
        city.gates[gate].panel.wait_until_idle().unwrap();
    }
    city.wait_until_synced().unwrap();

    // The desk makes a card and loads it, and is at work on it while memories are searched.
    city.desk.run("sync").unwrap();
    city.rider.lay_down(DESK_READER, "blank-ev3", "").unwrap();
    for order in ["issue --staff 7", "top-up --staff 7 50000", "refund --staff 7 10000"] {
        city.desk.run(order).unwrap();
    }
    city.rider.remove().unwrap();
    city.desk.run("sync").unwrap();
    let counter = counter_at_work(&mut city, "blank-ev3");

    let keys = keys();
    let (mut holders, mut unreadable) = (0, 0);
    let mut processes = city.processes();
    processes.push((counter.name(), counter.process_id()));
    for (program, process) in processes {
        let memory = match memory_of(process) {
            Ok(memory) => memory,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                tell(&format!("SKIPPED: the memory of {program}: only root may read it"));
                unreadable += 1;
                continue;
            }
            Err(error) => panic!("the memory of {program}: {error}"),
        };
        let allowed = HOLDERS.iter().find(|(name, _)| *name == program).map_or(&[][..], |(_, keys)| keys);
        let held = found_in(&memory, &keys);
        assert!(held.iter().all(|key| allowed.contains(key)), "{program} holds {held:?}");
        holders += usize::from(!held.is_empty());
    }
    // The search finds what is there: these four cannot work without.
    assert!(holders == 4 || unreadable > 0, "{holders} programs hold keys");
    counter.kill().unwrap();
    city.rider.remove().unwrap();
    city.end().unwrap();
    no_file_holds_a_key(folder.path());
}

/// Whether the system writes a core image of a program that aborts, where it may.
fn dumps(command: &mut Command) -> bool {
    command.status().unwrap().core_dumped()
}

#[test]
fn no_program_leaves_a_core_image() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    // Whatever is started from here may write core images of any size.
    let may = Command::new("prlimit").args(["--core=unlimited", "--pid", &std::process::id().to_string()]).status();
    let ordinary = dumps(Command::new("sh").args(["-c", "kill -ABRT $$"]).current_dir(folder.path()));
    if !may.is_ok_and(|status| status.success()) || !ordinary {
        tell("SKIPPED: no_program_leaves_a_core_image: this machine writes no core images at all");
        return;
    }
    let mut city = City::start(&run, &fixtures(), false).unwrap();
    let counter = counter_at_work(&mut city, "adult").abort().unwrap();
    for (program, status) in city.abort().unwrap().into_iter().chain([counter]) {
        assert!(status.signal().is_some() && !status.core_dumped(), "{program}: {status}");
    }
    no_file_holds_a_key(folder.path());
}
