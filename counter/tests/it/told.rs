//! What the program is told: configuration and command line.

use std::fs;
use std::path::Path;

use clap::{CommandFactory, Parser};
use counter::arguments::{Arguments, Command};
use counter::config::DeskConfig;
use counter::words::Language;
use proptest::prelude::*;

const EXAMPLE: &str = include_str!("../../counter.example.toml");

fn load(text: &str) -> Result<DeskConfig, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("counter.toml");
    fs::write(&path, text).unwrap();
    DeskConfig::load(&path).map_err(|error| error.to_string().replace(&folder.path().display().to_string(), ""))
}

#[test]
fn the_example_is_a_configuration_and_names_the_files_beside_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("counter.example.toml");
    let config = DeskConfig::load(&path).unwrap();
    assert_eq!((config.device.number(), config.language), (900, Language::Vi));
    assert_eq!(config.limits, counter::config::Limits::default(), "the example states the defaults");
    assert_eq!(config.clerk(7), Some("Nguyễn Thị Hoa"));
    assert_eq!(config.tariffs().unwrap().newest().passes.len(), 2);
    assert_eq!(counter::keys::originality_keys(&path, &config).unwrap().len(), 7, "NXP's and the test maker's");
}

#[test]
fn refusals_name_the_file_the_line_and_the_remedy() {
    let table = [
        (EXAMPLE.replace("operator = 1", "operator = \"one\""), "/counter.toml:6: invalid type: string \"one\""),
        (EXAMPLE.replace("epoch = 1", "epoch = 0"), "epoch is 1 to 255"),
        (EXAMPLE.replace("language = \"vi\"", "language = \"fr\""), "unknown variant `fr`"),
        (EXAMPLE.replace("keys_class = \"test\"", "keys_class = \"production\""), "test_originality_key is for"),
        (EXAMPLE.replace("7 = \"Ng", "seven = \"Ng"), "[staff] names clerks by number"),
        (EXAMPLE.replace("device = 900", "device = 0"), "a device number is 1 to 16777215, not 0"),
    ];
    for (text, expected) in table {
        let refusal = load(&text).unwrap_err();
        assert!(refusal.contains(expected), "`{expected}` is not in `{refusal}`");
    }
}

#[test]
fn the_command_line_is_what_clap_calls_sound_and_every_command_has_help() {
    Arguments::command().debug_assert();
    for command in Arguments::command().get_subcommands() {
        assert!(command.get_about().is_some(), "{}", command.get_name());
    }
}

#[test]
fn commands_are_read_and_impossible_ones_refused() {
    let read = |text: &str| Arguments::try_parse_from(text.split(' '));
    let top_up = read("counter top-up --staff 7 50000").unwrap();
    assert!(matches!(top_up.command, Command::TopUp(ref top_up) if top_up.amount == Some(50_000)));
    let back = read("counter top-up --staff 7 --refund 900-1-12").unwrap();
    assert!(matches!(back.command, Command::TopUp(ref top_up) if top_up.refund.is_some()));
    for refused in [
        "counter top-up --staff 7",
        "counter top-up --staff 7 0",
        "counter top-up 50000",
        "counter top-up --staff 7 50000 --refund 900-1-12",
        "counter sell --staff 7 --pass one-line --month 2026-13",
        "counter issue --staff 7 --profile king",
        "counter transfer --staff 7",
        "counter keys export --keys k --to nobody --out o",
    ] {
        assert!(read(refused).is_err(), "{refused}");
    }
}

/// Which commands settle open actions of a card first is told where each is explained, and so is what a refusal leaves.
#[test]
fn the_help_and_the_manual_say_what_is_settled_first() {
    let manual = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/counter.md")).unwrap();
    let one_line = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for command in Arguments::command().get_subcommands() {
        let settles = matches!(command.get_name(), "top-up" | "sell" | "inspect" | "refund" | "transfer" | "exchange");
        let help = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
        assert_eq!(one_line(help).contains("open with the card is settled first"), settles, "{}", command.get_name());
    }
    let heading = manual.split("### inspect").nth(1).and_then(|rest| rest.split("###").next()).unwrap();
    assert!(one_line(heading.to_owned()).contains("settled first"), "{heading}");
    let exit_codes = Arguments::command().get_after_help().unwrap().to_string();
    for text in [one_line(exit_codes), one_line(manual)] {
        assert!(!text.contains("nothing has changed"), "something may have been settled: {text}");
        assert!(text.contains("settled first stays settled"), "{text}");
    }
}

/// Every command of docs/counter.md is one that the program takes.
#[test]
fn the_manual_shows_every_command_as_it_is() {
    let manual = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/counter.md")).unwrap();
    let examples: Vec<&str> = manual.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    let mut seen = std::collections::BTreeSet::new();
    for example in &examples {
        let parsed = Arguments::try_parse_from(example.split(' '));
        let arguments = parsed.unwrap_or_else(|error| panic!("{example}: {error}"));
        let word = example.split(' ').nth(1).unwrap();
        seen.insert(if word == "keys" {
            format!("keys {}", example.split(' ').nth(2).unwrap())
        } else {
            word.to_owned()
        });
        drop(arguments);
    }
    for command in Arguments::command().get_subcommands() {
        let names: Vec<String> = if command.get_name() == "keys" {
            command.get_subcommands().map(|sub| format!("keys {}", sub.get_name())).collect()
        } else {
            vec![command.get_name().to_owned()]
        };
        for name in names {
            assert!(seen.contains(&name), "docs/counter.md has no example of `{name}`");
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}") {
        let _ = load(&text);
    }
}
