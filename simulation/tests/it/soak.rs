//! A small part of `make soak`: the first calls, and a few kills.

use std::path::Path;
use std::process::Command;

use simulation::soak::{Extent, Report, Target, run};
use simulation::soak_proxy::Trouble;
use simulation::soak_shim::{FailingCall, How, Reached, Shim};

const NOTHING: Extent = Extent {
    kills: 0,
    nth: 0,
    taps: 24,
    kills_validator: 0,
    nth_validator: 0,
    nth_validator_step: 1,
    taps_on_bad_network: 0,
    clock_jumps: 0,
    damaged_logs: 0,
    dead_pcscd_s: None,
    restart_rows: 0,
    seed: 7,
};

fn soak(extent: Extent) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let mut progress = Vec::new();
    let report = run(extent, &folder.path().join("soak"), &fixtures, &mut progress).unwrap();
    assert_eq!(report.problems, [""; 0]);
    assert_eq!(report.acknowledged_taps_lost, 0);
    assert!(report.targets.values().all(|of| (of.wrong_greens, of.panics) == (0, 0)), "{:?}", report.targets);
    report
}

#[test]
fn the_clearing_house_keeps_what_it_acknowledged_through_failing_calls_and_kills() {
    let mut report = soak(Extent { kills: 15, nth: 15, ..NOTHING });
    // Each of the fifteen calls was reached in each way.
    let failures = report.of(Target::ClearingHouse).nth_call_failures;
    assert_eq!((failures, report.kills_at_calls, report.kills), (45, 15, 30));
}

// A start makes some 56 calls, a tap 10 or more: the third and the fourth call that fail are of taps.
#[test]
fn a_validator_lets_nobody_in_unpaid_and_loses_no_tap_through_failing_calls_kills_and_a_bad_network() {
    let extent = Extent {
        nth_validator: 130,
        nth_validator_step: 43,
        kills_validator: 24,
        clock_jumps: 20,
        damaged_logs: 10,
        ..NOTHING
    };
    let mut report = soak(Extent { taps_on_bad_network: 6, dead_pcscd_s: Some(0), ..extent });
    let failures = [Target::Core, Target::Sync].map(|target| report.of(target).nth_call_failures);
    assert_eq!((failures, report.kills_at_calls), ([12, 12], 8));
    assert_eq!(report.kills_at_steps.values().sum::<u32>(), 24);
    assert_eq!((report.clock_jumps, report.damage_of_logs.files), (20, 10));
    assert_eq!(report.troubles.len(), Trouble::ALL.len(), "{:?}", report.troubles);
}

/// What the shim does to a program whose calls are known: `dd` opens, then writes three times.
#[test]
fn the_chosen_call_fails_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let shim = Shim::build(&folder).unwrap();
    let below = folder.join("counted");
    std::fs::create_dir(&below).unwrap();
    let write = |nth, how| {
        let file = below.join("file");
        let mut command = Command::new("dd");
        command.args(["if=/dev/zero", "bs=1", "count=3"]).arg(format!("of={}", file.display()));
        shim.preload(&mut command, &below, FailingCall { nth, how });
        let output = command.output().unwrap();
        let reached = Reached::find(&String::from_utf8_lossy(&output.stderr)).map(|reached| reached.function);
        let length = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
        let _ = std::fs::remove_file(file);
        (output.status.success(), reached, length)
    };
    let function = |name: &str| Some(name.to_owned());
    assert_eq!(write(1, How::ReadOnly), (false, function("open"), 0));
    assert_eq!(write(3, How::Full), (false, function("write"), 1));
    assert_eq!(write(4, How::InputOutput), (false, function("write"), 2));
    assert_eq!(write(4, How::Kill), (false, function("write"), 2));
    assert_eq!(write(5, How::Kill), (true, None, 3));
}

#[test]
fn figures_of_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("figures.json");
    std::fs::write(&path, "{\"tap_exchanges\": 7, \"kills\": 1}").unwrap();
    Report { kills: 40, ..Report::default() }.merge_into(folder.path()).unwrap();
    let figures: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!((figures["tap_exchanges"].as_u64(), figures["kills"].as_u64()), (Some(7), Some(40)));
    std::fs::write(&path, "no figures").unwrap();
    assert!(Report::default().merge_into(folder.path()).is_err());
}
