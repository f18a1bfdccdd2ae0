//! The cards and test keys of the project.

use std::path::{Path, PathBuf};

use card_crypto::Key;
use key_store::{KeyFile, KeyRole, KeySet, Origin};
use transit::config::KeysClass;
use virtual_card::{CardInField, Fixture, Random, TestKeys};

/// The UID of `adult.toml`.
pub(crate) const UID: [u8; 7] = [0x04, 0xA1, 0x00, 0x00, 0x00, 0xC1, 0x01];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// The adult's card, in a field.
pub(crate) fn adult() -> CardInField {
    adult_made_with(&TestKeys::load(&fixtures().join("keys/test-card-keys.toml")).unwrap())
}

/// The adult's card, made with other keys for validating and loading.
pub(crate) fn adult_of(keys: &KeySet) -> CardInField {
    let mut of_card = TestKeys::load(&fixtures().join("keys/test-card-keys.toml")).unwrap();
    of_card.validate = *keys.master(KeyRole::Validate, 1).unwrap().expose_secret();
    of_card.load = *keys.master(KeyRole::Load, 1).unwrap().expose_secret();
    adult_made_with(&of_card)
}

fn adult_made_with(keys: &TestKeys) -> CardInField {
    let moment = virtual_card::Moment { now: 1_795_489_200, today: 9824 };
    let cards = Fixture::load_directory(&fixtures().join("cards"), keys, moment).unwrap();
    let adult = cards.iter().find(|card| card.name() == "adult").unwrap();
    CardInField::new(adult.card(counting_random()))
}

/// The test keys of the project under the first of these versions; the others are other keys.
pub(crate) fn project_keys(versions: &[u8]) -> KeySet {
    let path = fixtures().join("keys/test-issuer-keys.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let KeyFile::Plain(project) = KeyFile::parse(&path, &text, Origin::Disk, KeysClass::Test).unwrap() else {
        panic!("test keys are not sealed")
    };
    let mut keys = KeySet::new(KeysClass::Test);
    for role in KeyRole::ALL {
        for (place, &version) in versions.iter().enumerate() {
            let mut bytes = *project.master(role, 0).unwrap().expose_secret();
            bytes[0] ^= u8::try_from(place).unwrap();
            keys.insert(role, version, Key::new(bytes)).unwrap();
        }
    }
    keys
}

/// Challenges that differ from call to call.
pub(crate) fn counting_random() -> Random {
    let mut next = 0_u64;
    Box::new(move || {
        next = next.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bytes = [0x5A; 16];
        bytes[..8].copy_from_slice(&next.to_be_bytes());
        bytes
    })
}
