//! Key files: in the clear, sealed, and what is refused.

use std::path::Path;

use key_store::{Custody, KeyFile, KeyRole, KeySet, OpenError, Origin, Passphrase, PassphraseCost, SealedKeyFile};
use proptest::prelude::*;
use transit::config::KeysClass;
use zeroize::Zeroizing;

use crate::{counting, passphrase, test_set};

const FILE: &str = "keys.toml";

fn parse(text: &str, origin: Origin, class: KeysClass) -> Result<KeyFile, String> {
    KeyFile::parse(Path::new(FILE), text, origin, class).map_err(|error| error.to_string())
}

fn plain(text: &str) -> Result<KeySet, String> {
    match parse(text, Origin::Disk, KeysClass::Test)? {
        KeyFile::Plain(set) => Ok(set),
        KeyFile::Sealed(_) => panic!("it is in the clear"),
    }
}

fn sealed(set: &KeySet) -> SealedKeyFile {
    SealedKeyFile::seal(set, &passphrase("five words drawn by lot"), PassphraseCost::LEAST, [7; 16]).unwrap()
}

#[test]
fn the_test_keys_of_the_project_load() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/keys");
    for (file, roles) in [
        ("test-validator-keys.toml", vec![KeyRole::Validate, KeyRole::Token]),
        ("test-desk-keys.toml", vec![KeyRole::Validate, KeyRole::Load, KeyRole::Token]),
        ("test-issuer-keys.toml", KeyRole::ALL.to_vec()),
        ("test-clearing-house-keys.toml", vec![KeyRole::TransactionMac, KeyRole::Token]),
    ] {
        let set = plain(&std::fs::read_to_string(folder.join(file)).unwrap()).unwrap();
        let contents: Vec<_> = set.contents().collect();
        assert_eq!(contents, roles.into_iter().map(|role| (role, 0)).collect::<Vec<_>>(), "{file}");
        let signs = ["clearing-house", "desk", "issuer"].iter().any(|who| file.contains(who));
        assert_eq!(set.signing_seed().is_some(), signs, "{file}");
    }
}

#[test]
fn what_is_written_in_the_clear_is_read_again() {
    let mut set = test_set().with_signing_seed(&[0x5E; 32]);
    set.roll(KeyRole::Token, &mut counting()).unwrap();
    let text = set.to_plain_text();
    assert!(plain(&text).unwrap() == set);
    assert!(text.len() < 2048, "it fits what was allocated for it: {}", text.len());
}

#[test]
fn a_file_in_the_clear_is_refused_by_line_and_without_its_keys() {
    let key = "7E577E570000000000000000000000A2";
    for (text, message) in [
        ("validate = \"00\"\nclass = \"test\"".to_owned(), "keys.toml:1: a key here is 32 hexadecimal digits"),
        (format!("class = \"test\"\nmaster = \"{key}\""), "keys.toml:2: there is no key `master`"),
        (format!("class = \"test\"\n\ntoken = {{ 256 = \"{key}\" }}"), "keys.toml:3: a key's version is 0 to 255"),
        ("class = \"test\"\ntoken = {}".to_owned(), "keys.toml:2: a key has at least one version"),
        (format!("token = \"{key}\""), "keys.toml:1: missing field `class`"),
        (format!("class = \"test\"\ntoken = {{ 1 = \"{key}\", 2 = \"{key}\", 3 = \"{key}\" }}"), "two versions"),
        ("class = \"test\"\ntoken = 7".to_owned(), "keys.toml:2: invalid type: integer `7`, expected a key"),
        ("class = \"tset\"".to_owned(), "keys.toml:1: unknown variant `tset`"),
    ] {
        let error = plain(&text).unwrap_err();
        assert!(error.contains(message), "{error}");
        assert!(!error.contains(key), "{error}");
    }
}

#[test]
fn classes_do_not_mix_and_production_keys_do_not_lie_in_the_clear() {
    let production = KeySet::generate(KeysClass::Production, &mut counting()).export(Custody::Validator).unwrap();
    let (clear, shut) = (production.to_plain_text(), sealed(&production).to_text());
    for (text, origin, class, refused) in [
        (&*clear, Origin::Disk, KeysClass::Production, Some("in the clear")),
        (&*clear, Origin::Disk, KeysClass::Test, Some("Production keys, and the configuration lets only Test")),
        (&*clear, Origin::Credential, KeysClass::Test, Some("Production keys, and the configuration lets only Test")),
        (&*clear, Origin::Credential, KeysClass::Production, None),
        (&shut, Origin::Disk, KeysClass::Production, None),
        (&shut, Origin::Disk, KeysClass::Test, Some("Production keys, and the configuration lets only Test")),
    ] {
        let parsed = parse(text, origin, class);
        match refused {
            Some(why) => assert!(parsed.unwrap_err().contains(why)),
            None => assert_eq!(parsed.unwrap().class(), class),
        }
    }
}

#[test]
fn a_sealed_file_opens_with_its_passphrase_only() {
    let mut set = test_set().with_signing_seed(&[0x5E; 32]);
    set.roll(KeyRole::Load, &mut counting()).unwrap();
    let text = sealed(&set).to_text();
    let file = SealedKeyFile::parse(Path::new(FILE), &text).unwrap();
    assert_eq!(file, sealed(&set));
    assert_eq!(file.contents().collect::<Vec<_>>(), set.contents().collect::<Vec<_>>());
    assert!(file.open(&passphrase("five words drawn by lot\n")).unwrap() == set, "the line's end does not count");
    for wrong in ["five words drawn by lo", "five words drawn by lot ", "Five words drawn by lot", ""] {
        assert_eq!(file.open(&passphrase(wrong)).err(), Some(OpenError::WrongPassphrase));
    }
    for (role, version) in set.contents() {
        let key = hex::encode(set.master(role, version).unwrap().expose_secret());
        assert!(!text.to_lowercase().contains(&key), "{role}");
    }
}

/// Class, roles, versions and parameters are authenticated: none can be changed unnoticed.
#[test]
fn a_changed_sealed_file_does_not_open() {
    let text = sealed(&test_set()).to_text();
    let right = passphrase("five words drawn by lot");
    for (from, to, error) in [
        ("class = \"test\"", "class = \"production\"", OpenError::Changed),
        ("\"validate 1\"", "\"validate 9\"", OpenError::Changed),
        ("\"inspect 1\", \"validate 1\"", "\"validate 1\", \"inspect 1\"", OpenError::Changed),
        ("aes_256_gcm = \"", "aes_256_gcm = \"00", OpenError::Changed),
        ("passes = 2", "passes = 3", OpenError::WrongPassphrase),
        ("memory_kib = 19456", "memory_kib = 19464", OpenError::WrongPassphrase),
        ("salt = \"07", "salt = \"08", OpenError::WrongPassphrase),
    ] {
        assert!(text.contains(from));
        let mut changed = text.replacen(from, to, 1);
        if from.starts_with("aes") {
            // The first byte replaced instead of one inserted.
            let at = changed.find(to).unwrap() + to.len();
            changed.replace_range(at..at + 2, "");
        }
        let file = SealedKeyFile::parse(Path::new(FILE), &changed).unwrap();
        assert_eq!(file.open(&right).err(), Some(error), "{from} → {to}");
    }
}

#[test]
fn a_hostile_sealed_file_costs_nothing() {
    let text = sealed(&test_set()).to_text();
    for (from, to, message) in [
        ("memory_kib = 19456", "memory_kib = 4294967295", "argon2id takes 19456 to 262144 KiB"),
        ("memory_kib = 19456", "memory_kib = 8", "argon2id takes 19456 to 262144 KiB"),
        ("passes = 2", "passes = 4000000000", "2 to 10 passes"),
        ("passes = 2", "passes = 1", "2 to 10 passes"),
        ("lanes = 1", "lanes = 0", "1 to 4 lanes"),
        ("aes_256_gcm = \"", "aes_256_gcm = \"00", "keys and tag have"),
        ("cham-sealed-keys-1", "cham-sealed-keys-2", "this program knows no other"),
        ("\"validate 1\"", "\"validate\"", "a role, a space and a version"),
        ("\"validate 1\"", "\"master 1\"", "there is no key `master`"),
        ("lanes = 1", "lanes = 1\nmore = 1", "unknown field `more`"),
    ] {
        let error = SealedKeyFile::parse(Path::new(FILE), &text.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn the_default_cost_is_within_the_limits() {
    assert_eq!(PassphraseCost::default(), PassphraseCost::new(65_536, 3, 4).unwrap());
}

#[test]
fn a_new_passphrase_is_not_short() {
    let short = Passphrase::new(Zeroizing::new("mật khẩu ngắn\n".to_owned())).unwrap_err();
    assert!(short.to_string().contains("at least 15 characters; this one has 13"), "{short}");
    assert!(Passphrase::new(Zeroizing::new("mật khẩu dài hơn".to_owned())).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn arbitrary_text_is_no_key_file_and_no_panic(text in "\\PC*|(class = \"test\"\n|format = \"cham\"\n|token = [{\"A0-9 =}]*\n){0,4}") {
        let _ = parse(&text, Origin::Disk, KeysClass::Test);
        let _ = SealedKeyFile::parse(Path::new(FILE), &text);
    }
}
