//! What `core` believes of what `sync` hands over.

use proptest::prelude::*;
use ring::signature::{Ed25519KeyPair, KeyPair};
use transit::id::DeviceId;
use transit::sync::{Acknowledgement, TapAcknowledgement, Verdict, signed_bytes};
use transit::time::Moment;
use validator::link::{NotAcknowledged, ToCore, check_acknowledgement};
use validator::log::Acknowledged;

fn clearing_house() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

fn acknowledgement() -> String {
    let tap = |name: &str, hash: &str| TapAcknowledgement {
        tap: Some(name.to_owned()),
        hash: hash.to_owned(),
        verdict: Verdict::Accepted,
        detail: None,
    };
    let hash = "ab".repeat(32);
    let taps = vec![tap("101-1-5", &hash), tap("102-1-6", &hash), tap("101-2-7", &hash), tap("101-1-8", "short")];
    serde_json::to_string(&Acknowledgement { at: Moment(0), taps }).unwrap()
}

fn check(text: &str, signature: &str, key: &Ed25519KeyPair) -> Result<Vec<Acknowledged>, NotAcknowledged> {
    let public_key = key.public_key().as_ref().try_into().unwrap();
    check_acknowledgement(text, signature, &public_key, DeviceId::new(101).unwrap(), 1)
}

fn sign(text: &str) -> String {
    hex::encode(clearing_house().sign(&signed_bytes(text)))
}

#[test]
fn only_taps_of_this_log_are_taken() {
    let text = acknowledgement();
    let taken = check(&text, &sign(&text), &clearing_house()).unwrap();
    assert_eq!(taken, [Acknowledged { sequence: 5, hash: [0xAB; 32], verdict: Verdict::Accepted }]);
}

#[test]
fn every_changed_character_and_every_other_key_is_noticed() {
    let text = acknowledgement();
    let signature = sign(&text);
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] ^= 1;
        let Ok(changed) = String::from_utf8(changed) else { continue };
        assert!(matches!(check(&changed, &signature, &clearing_house()), Err(NotAcknowledged::Signature)), "{at}");
    }
    let other = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
    assert!(matches!(check(&text, &signature, &other), Err(NotAcknowledged::Signature)));
}

#[test]
fn a_signature_of_something_else_is_no_acknowledgement() {
    let text = "\"hello\"";
    assert!(matches!(check(text, &sign(text), &clearing_house()), Err(NotAcknowledged::Text(_))));
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,80}", signature in "\\PC{0,140}") {
        prop_assert!(check(&text, &signature, &clearing_house()).is_err());
        prop_assert!(check(&text, &sign(&text), &clearing_house()).is_err());
        let _ = serde_json::from_str::<ToCore>(&text);
    }
}
