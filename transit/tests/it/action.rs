use std::num::NonZeroU64;

use proptest::prelude::*;
use ring::signature::{Ed25519KeyPair, KeyPair};
use transit::action::{ACTION_FIELDS, ACTION_LEN, Action, ActionError, ActionKind, SealedAction, Step, signed_bytes};
use transit::card::{Product, ProductKind};
use transit::id::{CardToken, DeviceId, HolderReference, LineNumber, OperatorId, TapId};
use transit::money::Amount;
use transit::tap::{CHAIN_START, TransactionMac};
use transit::time::{Moment, ServiceDay};

const HASHED: usize = ACTION_LEN - 96;

fn desk() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[0x44; 32]).unwrap()
}

fn public_key(pair: &Ed25519KeyPair) -> [u8; 32] {
    pair.public_key().as_ref().try_into().unwrap()
}

fn sign(bytes: &[u8]) -> [u8; 64] {
    desk().sign(bytes).as_ref().try_into().unwrap()
}

fn id(sequence: u32) -> TapId {
    TapId { device: DeviceId::new(0x010203).unwrap(), epoch: 4, sequence }
}

/// A load with everything that an action can carry.
fn action(kind: ActionKind, step: Step) -> Action {
    Action {
        id: id(0x05060708),
        at: Moment(0x11121314),
        operator: OperatorId(0x2122),
        staff: 0x31323334,
        kind,
        step,
        names: Some(id(0x41424344)),
        card: CardToken([0x77; 16]),
        other_card: Some(CardToken([0x88; 16])),
        holder: Some(HolderReference(NonZeroU64::new(0x9192939495969798).unwrap())),
        tariff_version: 0x51525354,
        amount: Amount::from(50_000),
        product: Some(Product {
            kind: ProductKind::OneRoutePass,
            line: LineNumber(0x6162),
            valid_from: ServiceDay(0x6364),
            valid_until: ServiceDay(0x6566),
        }),
        grant: Some(0x71727374),
        record_read: Some([0xAA; 60]),
        issuer_read: Some([0xBB; 64]),
        credited: Some(Amount::from(50_000)),
        debited: None,
        issuer_written: Some([0xCC; 64]),
        record_written: Some([0xDD; 60]),
        transaction_mac: Some(TransactionMac { counter: 0x81828384, value: [0x99; 8] }),
    }
}

const KINDS: [ActionKind; 7] = [
    ActionKind::Issue,
    ActionKind::TopUp,
    ActionKind::Sale,
    ActionKind::Refund,
    ActionKind::Block,
    ActionKind::Transfer,
    ActionKind::Exchange,
];

fn steps() -> [Step; 8] {
    let resolves = id(0x21222324);
    [
        Step::Paid,
        Step::Written,
        Step::Unknown,
        Step::Void,
        Step::Confirmed { resolves },
        Step::Voided { resolves },
        Step::Refunded,
        Step::Done,
    ]
}

#[test]
fn every_step_of_every_action_survives_a_round_trip_or_is_none_of_it() {
    let mut none = 0;
    for kind in KINDS {
        for step in steps() {
            let action = action(kind, step);
            match action.seal(&CHAIN_START, sign) {
                Ok(sealed) => {
                    assert_eq!(sealed.open(), Ok(action), "{kind:?} {step:?}");
                    assert_eq!(sealed.claimed_id(), Some(id(0x05060708)));
                    assert_eq!(sealed.previous_hash(), CHAIN_START);
                    assert!(sealed.is_signed_by(&public_key(&desk())));
                }
                Err(error) => {
                    assert_eq!(error, ActionError::Field("step"), "{kind:?} {step:?}");
                    none += 1;
                }
            }
        }
    }
    // A block is done at once and nothing else is; only an issue, a load and a sale take cash.
    assert_eq!(none, 7 + 6 + 3 * 2);
}

/// Version 1 for ever: these bytes were written by hand from docs/desk-action.md.
#[test]
fn a_sealed_action_has_these_bytes_for_ever() {
    let resolves = id(0x21222324);
    let sealed = action(ActionKind::TopUp, Step::Confirmed { resolves }).seal(&[0xEE; 32], sign).unwrap();
    let expected = [
        "01 02 05 077f 00010203 0004 05060708 11121314 2122 31323334".to_owned(),
        "00010203 0004 41424344 00010203 0004 21222324".to_owned(),
        "77".repeat(16),
        "88".repeat(16),
        "9192939495969798 51525354 0000c350 01 6162 6364 6566 71727374".to_owned(),
        "aa".repeat(60),
        "bb".repeat(64),
        "0000c350 00000000".to_owned(),
        "cc".repeat(64),
        "dd".repeat(60),
        "81828384".to_owned(),
        "99".repeat(8),
        "00".repeat(12),
        "ee".repeat(32),
    ];
    let expected = expected.concat().replace(' ', "");
    assert_eq!(hex::encode(&sealed.as_bytes()[..HASHED]), expected);
    let hash = ring::digest::digest(&ring::digest::SHA256, &hex::decode(expected).unwrap());
    assert_eq!(&sealed.as_bytes()[HASHED..HASHED + 32], hash.as_ref());
    // RFC 8032, section 5.1.6: Ed25519 has no randomness, so that the signature is one of the bytes for ever too.
    let signature = desk().sign(&[b"cham action 1\0", hash.as_ref()].concat());
    assert_eq!(&sealed.as_bytes()[HASHED + 32..], signature.as_ref());
}

#[test]
fn every_changed_bit_is_noticed() {
    let sealed = action(ActionKind::TopUp, Step::Written).seal(&CHAIN_START, sign).unwrap();
    for bit in 0..ACTION_LEN * 8 {
        let mut bytes = *sealed.as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let changed = SealedAction::from_bytes(&bytes).unwrap();
        assert!(changed.open().is_err() || !changed.is_signed_by(&public_key(&desk())), "bit {bit}");
    }
}

#[test]
fn another_desk_s_signature_is_refused() {
    let sealed = action(ActionKind::TopUp, Step::Written).seal(&CHAIN_START, sign).unwrap();
    let other = Ed25519KeyPair::from_seed_unchecked(&[0x45; 32]).unwrap();
    assert!(!sealed.is_signed_by(&public_key(&other)));
    assert!(!sealed.is_signed_by(&[0; 32]));
    assert_eq!(signed_bytes(&sealed.hash()).len(), 46);
}

#[test]
fn the_document_has_the_record() {
    let document = include_str!("../../../docs/desk-action.md");
    let mut at = 0;
    for (name, length) in ACTION_FIELDS.into_iter().chain([("hash", 32), ("signature", 64)]) {
        let row = format!("| {at} | {length} | `{name}` |");
        assert!(document.contains(&row), "docs/desk-action.md lacks `{row}`");
        at += length;
    }
    assert_eq!(at, ACTION_LEN);
    for (index, kind) in KINDS.into_iter().enumerate() {
        let words = format!("{} {}", index + 1, kind.name());
        assert!(document.contains(&words), "docs/desk-action.md lacks `{words}`");
    }
    for (index, step) in steps().into_iter().enumerate() {
        let words = format!("{} {}", index + 1, step.name());
        assert!(document.contains(&words), "docs/desk-action.md lacks `{words}`");
    }
}

#[test]
fn what_takes_of_the_allowance() {
    use ActionKind::{Block, Exchange, Issue, Refund, Sale, TopUp, Transfer};
    let takes = |kind, step| action(kind, step).takes_of_allowance().minor();
    for kind in [Issue, TopUp, Sale, Exchange] {
        assert_eq!((takes(kind, Step::Written), takes(kind, Step::Unknown)), (50_000, 50_000), "{kind:?}");
        assert_eq!((takes(kind, Step::Void), takes(kind, Step::Paid)), (0, 0), "{kind:?}");
    }
    for kind in [Refund, Transfer, Block] {
        assert_eq!((takes(kind, Step::Written), takes(kind, Step::Unknown)), (0, 0), "{kind:?}");
    }
    // A record of kind refund: the old card of an exchange.
    let mut record = [0; 60];
    record[0] = 0x15;
    let old_card = Action { record_written: Some(record), ..action(Exchange, Step::Written) };
    assert!(old_card.gives_up());
    assert_eq!(old_card.takes_of_allowance(), Amount::ZERO);
}

#[test]
fn an_amount_past_the_card_s_is_named() {
    let wide = Amount::from_minor(1 << 31).unwrap();
    let base = action(ActionKind::TopUp, Step::Written);
    for (action, field) in [
        (Action { amount: wide, ..base.clone() }, "amount_minor"),
        (Action { credited: Some(wide), ..base.clone() }, "credited_minor"),
        (Action { debited: Some(wide), ..base }, "debited_minor"),
    ] {
        assert_eq!(action.seal(&CHAIN_START, sign), Err(ActionError::Field(field)));
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(sealed) = SealedAction::from_bytes(&bytes) {
            let _ = (sealed.open(), sealed.claimed_id(), sealed.is_signed_by(&[7; 32]));
        }
    }

    /// Bytes whose hash holds reach the field checks, and what opens has one spelling.
    #[test]
    fn hashed_bytes_never_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), ACTION_LEN),
        plain in any::<bool>(),
    ) {
        if plain {
            let sealed = action(ActionKind::TopUp, Step::Written).seal(&CHAIN_START, sign).unwrap();
            let at = usize::from(bytes[0]) * 2 % HASHED;
            let value = bytes[1];
            bytes = sealed.as_bytes().to_vec();
            bytes[at] = value;
        }
        bytes[0] = 1;
        let hash = ring::digest::digest(&ring::digest::SHA256, &bytes[..HASHED]);
        bytes[HASHED..HASHED + 32].copy_from_slice(hash.as_ref());
        let sealed = SealedAction::from_bytes(&bytes).unwrap();
        if let Ok(action) = sealed.open() {
            let again = action.seal(&sealed.previous_hash(), sign).unwrap();
            prop_assert_eq!(&again.as_bytes()[..HASHED + 32], &sealed.as_bytes()[..HASHED + 32]);
        }
    }
}
