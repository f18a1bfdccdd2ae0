//! Roles, versions, diversification, custody, fingerprints.

use card_crypto::Key;
use key_store::{Custody, KeyRole, KeySet, KeySetError, LIVE_VERSIONS};
use transit::config::KeysClass;

use crate::{counting, test_set};

const UID: [u8; 7] = [0x04, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66];

#[test]
fn a_generated_set_has_a_different_key_of_each_role() {
    let set = test_set();
    assert_eq!(set.contents().collect::<Vec<_>>(), KeyRole::ALL.map(|role| (role, 1)));
    for (index, one) in KeyRole::ALL.into_iter().enumerate() {
        for other in KeyRole::ALL.into_iter().skip(index + 1) {
            assert!(set.master(one, 1).unwrap() != set.master(other, 1).unwrap(), "{one} and {other}");
        }
    }
}

#[test]
fn two_versions_live_at_once_and_no_third() {
    let mut random = counting();
    let mut set = test_set();
    assert_eq!(set.roll(KeyRole::Validate, &mut random), Ok(2));
    assert_eq!(set.versions(KeyRole::Validate), [2, 1]);
    assert_eq!(set.versions(KeyRole::Validate).len(), LIVE_VERSIONS);
    assert!(set.master(KeyRole::Validate, 1).unwrap() != set.master(KeyRole::Validate, 2).unwrap());

    assert_eq!(set.roll(KeyRole::Validate, &mut random), Err(KeySetError::TwoLive(KeyRole::Validate)));
    let newest = KeySetError::Newest { role: KeyRole::Validate, version: 2 };
    assert_eq!(set.retire(KeyRole::Validate, 2), Err(newest));
    assert_eq!(set.retire(KeyRole::Validate, 1), Ok(()));
    let gone = KeySetError::NoVersion { role: KeyRole::Validate, version: 1 };
    assert_eq!(set.retire(KeyRole::Validate, 1), Err(gone));
    assert_eq!(set.roll(KeyRole::Validate, &mut random), Ok(3));
    assert_eq!(set.versions(KeyRole::Validate), [3, 2]);
    assert_eq!(set.versions(KeyRole::Load), [1], "only the role that was rolled");
}

#[test]
fn version_255_is_the_last() {
    let mut set = KeySet::new(KeysClass::Test);
    set.insert(KeyRole::Load, 255, Key::new([1; 16])).unwrap();
    assert_eq!(set.roll(KeyRole::Load, &mut counting()), Err(KeySetError::VersionsUsedUp(KeyRole::Load)));
    let twice = KeySetError::Twice { role: KeyRole::Load, version: 255 };
    assert_eq!(set.insert(KeyRole::Load, 255, Key::new([2; 16])), Err(twice));
}

/// AN10922 over UID ‖ AID ‖ key number ‖ "CHAM", computed with an implementation of its own (the card's).
#[test]
fn a_card_key_is_what_the_card_has() {
    let set = test_set();
    for (role, aid, number) in [
        (KeyRole::CardMaster, [0, 0, 0], 0),
        (KeyRole::ApplicationMaster, [0x01, 0x4E, 0x48], 0),
        (KeyRole::Inspect, [0x01, 0x4E, 0x48], 1),
        (KeyRole::Validate, [0x01, 0x4E, 0x48], 2),
        (KeyRole::Load, [0x01, 0x4E, 0x48], 3),
        (KeyRole::TransactionMac, [0x01, 0x4E, 0x48], 0x0F),
    ] {
        let input = [&UID[..], &aid, &[number], b"CHAM"].concat();
        let master = set.master(role, 1).unwrap().expose_secret();
        let expected = virtual_card::diversify_aes128(master, &input).unwrap();
        assert_eq!(set.card_key(role, 1, &UID).unwrap().expose_secret(), &expected, "{role}");
    }
    assert_eq!(set.card_key(KeyRole::Token, 1, &UID).err(), Some(KeySetError::NoKey(KeyRole::Token)));
}

#[test]
fn every_custody_gets_its_keys_and_no_other() {
    let mut set = test_set();
    set.roll(KeyRole::Validate, &mut counting()).unwrap();
    for (custody, names) in [
        (Custody::Issuer, "card_master application_master inspect validate validate load transaction_mac token"),
        (Custody::Desk, "validate validate load token"),
        (Custody::Validator, "validate validate token"),
        (Custody::Inspector, "inspect token"),
        (Custody::Vault, "transaction_mac token"),
    ] {
        let part = set.export(custody).unwrap();
        let held: Vec<&str> = part.contents().map(|(role, _)| role.name()).collect();
        assert_eq!(held.join(" "), names, "{custody}");
        for (role, version) in part.contents() {
            assert!(part.master(role, version).unwrap() == set.master(role, version).unwrap());
        }
    }
    let vault = set.export(Custody::Vault).unwrap();
    assert_eq!(vault.export(Custody::Desk).err(), Some(KeySetError::NoKey(KeyRole::Validate)));
}

/// The check value of NIST SP 800-38B's AES-128 example key, by OpenSSL 3: `openssl mac -cipher aes-128-cbc -macopt
/// hexkey:2B7E151628AED2A6ABF7158809CF4F3C -in SIXTEEN-ZERO-BYTES CMAC`.
#[test]
fn a_fingerprint_is_the_check_value_that_others_compute() {
    let mut set = KeySet::new(KeysClass::Test);
    let key = 0x2B7E_1516_28AE_D2A6_ABF7_1588_09CF_4F3C_u128.to_be_bytes();
    set.insert(KeyRole::Load, 1, Key::new(key)).unwrap();
    let [fingerprint] = set.fingerprints().try_into().unwrap();
    assert_eq!(fingerprint.to_string(), "load                 1  7AD386");
}

#[test]
fn what_is_printed_for_debugging_holds_no_key() {
    let set = test_set();
    let printed = format!("{set:?} {:?}", set.fingerprints());
    for (role, version) in set.contents() {
        let key = set.master(role, version).unwrap().expose_secret();
        assert!(!printed.to_lowercase().contains(&hex::encode(key)));
    }
    assert!(printed.contains("validate 1"));
}
