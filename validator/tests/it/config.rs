//! What a validator refuses to start with.

use std::fs;
use std::path::Path;

use transit::fare::{Gate, GateKind};
use validator::config::{Core, SyncConfig};

use crate::world::fixtures;

const EXAMPLE: &str = include_str!("../../core.example.toml");
const SYNC_EXAMPLE: &str = include_str!("../../sync.example.toml");

/// The example, with paths that stand from a temporary folder.
fn core(change: impl Fn(String) -> String) -> Result<Core, String> {
    let folder = tempfile::tempdir().unwrap();
    let example = EXAMPLE.replace("../fixtures", &fixtures().display().to_string());
    let path = folder.path().join("core.toml");
    fs::write(&path, change(example)).unwrap();
    Core::load(&path, None).map_err(|error| error.to_string())
}

#[test]
fn the_examples_are_read() {
    let core = core(|text| text).unwrap();
    assert_eq!((core.line.name.as_str(), core.stop.name.as_str()), ("BRT 01", "Kim Mã"));
    assert_eq!(core.deny_list.version(), 7);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sync.toml");
    fs::write(&path, SYNC_EXAMPLE).unwrap();
    assert_eq!(SyncConfig::load(&path).unwrap().log, folder.path().join("tap-log.db"));
}

/// Its line and stop must be in each version: the next one takes effect with nobody there.
#[test]
fn the_tariff_may_be_a_list_of_versions() {
    let tariff = fs::read_to_string(fixtures().join("hanoi/tariff.toml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let next = folder.path().join("next.toml");
    let listed = |text: String| {
        let now = format!("\"{}/hanoi/tariff.toml\"", fixtures().display());
        assert!(text.contains(&now));
        text.replace(&now, &format!("[{now}, \"{}\"]", next.display()))
    };
    let later = tariff.replacen("version = ", "valid_from = \"2100-01-01\"\nversion = 9", 1);
    fs::write(&next, &later).unwrap();
    let versions: Vec<u32> = core(listed).unwrap().tariffs.iter().map(|tariff| tariff.version).collect();
    assert_eq!(versions.len(), 2);
    fs::write(&next, later.replacen("number = 23", "number = 99", 1)).unwrap();
    let refusal = core(listed).unwrap_err();
    let expected = format!("version {} of the tariff: line 1 has no stop 23", versions[1]);
    assert!(refusal.contains(&expected), "{refusal}");
}

#[test]
fn refusals_name_the_file_the_line_and_the_remedy() {
    let table: [(&str, &str, &str); 9] = [
        ("device = 101", "device = 0", "core.toml:4: a device number is 1 to 16777215, not 0"),
        ("device = 101", "devise = 101", "core.toml:4: unknown field `devise`"),
        ("stop = 23", "stop = 24", "line 1 has no stop 24"),
        ("frame_size = 128", "frame_size = 100", "frame_size is 64, 128 or 256, not 100"),
        ("tariff.toml", "tarif.toml", "hanoi/tarif.toml: cannot be read"),
        ("test-validator-keys", "test-desk-keys", "it holds the load key, which the validator"),
        (
            "keys_class = \"test\"",
            "keys_class = \"production\"",
            "these are Test keys, and the configuration lets only",
        ),
        ("deny-list.toml", "tariff.toml", "hanoi/tariff.toml:"),
        ("a2574cfc", "x2574cfc", "core.toml:"),
    ];
    for (from, to, expected) in table {
        let refusal = core(|text| text.replacen(from, to, 1)).unwrap_err();
        assert!(refusal.contains(expected), "`{expected}` is not in `{refusal}`");
    }
    let missing = Core::load(Path::new("nowhere/core.toml"), None).unwrap_err().to_string();
    assert!(missing.starts_with("nowhere/core.toml: cannot be read"), "{missing}");
}

/// A validator knows which way it lets riders, where that makes a difference to what they pay.
#[test]
fn a_gate_is_for_lines_with_a_tap_out() {
    let both = Gate { kind: GateKind::Both, incident: true };
    let on = |city: &'static str, gate: &'static str| {
        core(move |text| {
            text.replace("hanoi/tariff", &format!("{city}/tariff")).replace("stop = 23", &format!("stop = 1\n{gate}"))
        })
        .map(|core| core.gate)
        .map_err(|error| error.split_once(" of the tariff: ").map_or(error.clone(), |(_, why)| why.to_owned()))
    };
    let needed = "line 1 has tap-in and tap-out: gate is \"entry\", \"exit\" or \"both\"";
    let unwanted = "line 1 has no tap-out: gate is \"entry\" or left out, and incident is for lines that have one";
    assert_eq!(on("hanoi", ""), Ok(Gate::ENTRY));
    assert_eq!(on("hanoi", "gate = \"entry\""), Ok(Gate::ENTRY));
    assert_eq!(on("hanoi", "gate = \"exit\""), Err(unwanted.to_owned()));
    assert_eq!(on("hanoi", "incident = true"), Err(unwanted.to_owned()));
    assert_eq!(on("lagoon", "gate = \"both\"\nincident = true"), Ok(both));
    assert_eq!(on("lagoon", "gate = \"entry\""), Ok(Gate::ENTRY));
    assert_eq!(on("lagoon", ""), Err(needed.to_owned()));
    assert!(on("lagoon", "gate = \"in\"").unwrap_err().contains("unknown variant `in`"));
}

/// The process that has a network is told of no card key.
#[test]
fn the_network_process_takes_no_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sync.toml");
    fs::write(&path, format!("keys = \"keys.toml\"\n{SYNC_EXAMPLE}")).unwrap();
    assert!(SyncConfig::load(&path).unwrap_err().to_string().contains("sync.toml:1: unknown field `keys`"));
}
