//! A configuration that is not whole is refused with its path, and the line where there is one.

use std::path::Path;

use clearing_house::Config;
use clearing_house::silence::SilenceRule;
use clearing_house::suspense::UNKNOWN_DEADLINE_DAYS;

use crate::support::write_config;

#[test]
fn the_shipped_example_loads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("clearing-house.example.toml");
    let config = Config::read(&path, None).unwrap();
    assert_eq!(config.listen.port(), 8480);
    assert_eq!(config.unknown_deadline_days, UNKNOWN_DEADLINE_DAYS, "the example shows the default");
    assert_eq!(config.silence, SilenceRule::default(), "the example shows the default");
    assert_eq!((config.devices.len(), config.desks.len()), (1, 1));
    assert_eq!((config.deny_list.version, config.deny_list.cards.len()), (7, 1));
}

/// Replaces `old` by `new` in one of the files, and checks what is said.
fn check(file: &str, old: &str, new: &str, expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "enforce");
    let path = folder.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{file} has no `{old}`");
    std::fs::write(&path, text.replacen(old, new, 1)).unwrap();
    let error = Config::read(&config, None).unwrap_err();
    assert!(error.path.file_name().is_some_and(|name| error.to_string().contains(&*name.to_string_lossy())));
    assert!(error.to_string().contains(expected), "`{error}` does not say `{expected}`");
}

#[test]
fn refused_with_path_and_line() {
    let config = "clearing-house.toml";
    check(config, "keys_class", "key_class", "clearing-house.toml:5: unknown field `key_class`");
    check(config, "enforce", "always", "clearing-house.toml:6: unknown variant `always`");
    check(config, "127.0.0.1:0", "nowhere", "clearing-house.toml:1: ");
    check(config, "tariff = \"tariff.toml\"", "tariff = \"none.toml\"", "none.toml: cannot be read: No such file");
    check(config, "keys = \"keys.toml\"", "keys = \"none.toml\"", "none.toml: cannot be read: No such file");
    check(
        config,
        "number = 3\noperator = 2",
        "number = 3\noperator = 7",
        "device 3 belongs to operator 7, which has no",
    );
    check(config, "[[device]]\nnumber = 2", "[[device]]\nnumber = 1", "device 1 is there twice");
    check(config, "[[operator]]\nnumber = 2", "[[operator]]\nnumber = 1", "operator 1 is there twice");
    check(
        config,
        "[[desk]]\nnumber = 901",
        "[[desk]]\nnumber = 900",
        "device 900 is there twice; desks and validators",
    );
    check(config, "[[desk]]\nnumber = 900", "[[desk]]\nnumber = 3", "device 3 is there twice; desks and validators");
    check(config, "number = 900\noperator = 1", "number = 900\noperator = 7", "desk 900 belongs to operator 7");
    check(config, "public_key = \"", "public_key = \"0", "the `public_key` of desk 900 must be 64 hexadecimal digits");
    check(config, "daily_load_limit_minor = ", "daily_load_limit_minor = -", "an amount is 0 or more minor units");
    check(config, "[[operator]]", "deny_list = \"none.toml\"\n[[operator]]", "none.toml: cannot be read");
    check(config, "keys_class", "unknown_deadline_days = 0\nkeys_class", "expected a nonzero u16");
    check(config, "[[operator]]", "[silence]\nweek = 4\n[[operator]]", "unknown field `week`");
    check(config, "[[operator]]", "[silence]\none_in = 0\n[[operator]]", "expected a nonzero u32");
    check("tariff.toml", "pass_back_window_s", "window", "tariff.toml:5: unknown field `window`");
    check("keys.toml", "transaction_mac", "mac", "keys.toml:3: there is no key `mac`");
}

#[test]
fn keys_of_another_class_do_not_load() {
    let expected = "these are Production keys, and the configuration lets only Test keys load";
    check("keys.toml", "\"test\"", "\"production\"", expected);
}

#[test]
fn a_bad_key_is_named_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "enforce");
    let path = folder.path().join("keys.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("11111111", "1111111")).unwrap();
    let error = Config::read(&config, None).unwrap_err().to_string();
    assert!(error.ends_with("keys.toml:2: a key here is 32 hexadecimal digits"), "{error}");
    assert!(!error.contains("1111"));
}

#[test]
fn nothing_prints_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::read(&write_config(folder.path(), "enforce"), None).unwrap();
    let text = format!("{config:?}");
    for byte in ["1111", "2222", "3333", "17, 17", "34, 34", "51, 51"] {
        assert!(!text.contains(byte), "{byte}");
    }
}
