//! Where a configuration says that keys are.

use std::io;
use std::path::Path;

use key_store::{Custody, KeyFiles, KeySet, KeySource, Passphrase, PassphraseCost, SamEntries, SealedKeyFile};
use serde::Deserialize;
use transit::config::KeysClass;

use crate::{counting, test_set};

const PASSPHRASE: &str = "five words drawn by lot";

#[derive(Debug, Deserialize)]
struct Configuration {
    keys: KeySource,
}

fn source(text: &str) -> Result<KeySource, String> {
    let parsed = transit::config::parse::<Configuration>(Path::new("core.toml"), text);
    parsed.map(|configuration| configuration.keys).map_err(|error| error.to_string())
}

fn read(source: &KeySource, text: &str, class: KeysClass, custody: Custody) -> Result<Option<KeySet>, String> {
    let files = |path: &Path| match path.to_str().unwrap() {
        "/etc/cham/keys.toml" | "/run/credentials/keys" => Ok(text.to_owned()),
        "/run/credentials/passphrase" => Ok(format!("{PASSPHRASE}\n")),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let files = KeyFiles {
        configuration: Path::new("/etc/cham/core.toml"),
        credentials: Some(Path::new("/run/credentials")),
        read: &files,
    };
    source.read(&files, class, custody).map_err(|error| error.to_string())
}

#[test]
fn every_place_is_understood_and_read() {
    let test = test_set().export(Custody::Validator).unwrap();
    let real = KeySet::generate(KeysClass::Production, &mut counting()).export(Custody::Validator).unwrap();
    let passphrase = Passphrase::typed(PASSPHRASE.to_owned().into());
    let sealed = SealedKeyFile::seal(&real, &passphrase, PassphraseCost::LEAST, [3; 16]).unwrap().to_text();
    for (text, keys, class, expected) in [
        ("keys = \"keys.toml\"", &*test.to_plain_text(), KeysClass::Test, &test),
        ("keys = { file = \"keys.toml\" }", &*test.to_plain_text(), KeysClass::Test, &test),
        (
            "keys = { file = \"keys.toml\", passphrase_credential = \"passphrase\" }",
            &sealed,
            KeysClass::Production,
            &real,
        ),
        ("[keys]\ncredential = \"keys\"", &*real.to_plain_text(), KeysClass::Production, &real),
    ] {
        let read = read(&source(text).unwrap(), keys, class, Custody::Validator).unwrap();
        assert!(read.as_ref() == Some(expected), "{text}");
    }
    let sam = source("keys = { sam_reader = \"SAM 00 01\", entries = { validate = 2, token = 3 } }").unwrap();
    let entries = SamEntries { validate: Some(2), token: Some(3), ..SamEntries::default() };
    assert_eq!(sam, KeySource::Sam { reader: "SAM 00 01".to_owned(), entries });
    assert!(read(&sam, "", KeysClass::Production, Custody::Validator).unwrap().is_none());
}

#[test]
fn what_is_no_place_is_refused() {
    for (text, message) in [
        ("keys = 7", "core.toml:1: invalid type: integer `7`, expected a key file's path, or a table"),
        ("keys = {}", "core.toml:1: keys have one place"),
        ("keys = { file = \"a\", credential = \"b\" }", "keys have one place"),
        ("keys = { sam_reader = \"a\" }", "keys have one place"),
        ("keys = { sam = \"a\" }", "core.toml:1: unknown field `sam`"),
        ("keys = { sam_reader = \"a\", entries = { valid = 2 } }", "unknown field `valid`"),
        ("keys = { sam_reader = \"a\", entries = { token = 256 } }", "invalid value: integer `256`"),
    ] {
        let error = source(text).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn what_does_not_belong_there_is_refused() {
    let whole = test_set().to_plain_text();
    let validator = test_set().export(Custody::Validator).unwrap();
    let sealed = SealedKeyFile::seal(
        &validator,
        &Passphrase::typed("another passphrase".to_owned().into()),
        PassphraseCost::LEAST,
        [3; 16],
    );
    let sealed = sealed.unwrap().to_text();
    for (text, keys, custody, message) in [
        (
            "keys = \"keys.toml\"",
            whole.as_str(),
            Custody::Validator,
            "keys.toml: it holds the card_master key, which the validator",
        ),
        ("keys = \"keys.toml\"", &*validator.to_plain_text(), Custody::Desk, "keys.toml: it lacks the load key"),
        ("keys = \"other.toml\"", "", Custody::Desk, "/etc/cham/other.toml: cannot be read"),
        ("keys = \"keys.toml\"", &sealed, Custody::Validator, "this file is sealed: name the credential"),
        (
            "keys = { file = \"keys.toml\", passphrase_credential = \"passphrase\" }",
            &sealed,
            Custody::Validator,
            "keys.toml: the passphrase is wrong",
        ),
        ("keys = { credential = \"../keys\" }", "", Custody::Validator, "`../keys` is no name of a credential"),
    ] {
        let error = read(&source(text).unwrap(), keys, KeysClass::Test, custody).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
    let files = KeyFiles { configuration: Path::new("core.toml"), credentials: None, read: &|_| Ok(String::new()) };
    let error = KeySource::Credential("keys".to_owned()).read(&files, KeysClass::Test, Custody::Validator).unwrap_err();
    assert!(error.to_string().contains("start the program from its systemd unit"), "{error}");
}
