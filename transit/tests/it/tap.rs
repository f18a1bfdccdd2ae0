use proptest::prelude::*;
use transit::fare::{Gate, GateKind};
use transit::id::{CardToken, DeviceId, LineNumber, OperatorId, StopNumber, TapId};
use transit::money::Amount;
use transit::tap::{CHAIN_START, Outcome, Reason, SealedTap, TAP_FIELDS, TAP_LEN, Tap, TapError, TransactionMac};
use transit::time::Moment;

fn id(sequence: u32) -> TapId {
    TapId { device: DeviceId::new(0x010203).unwrap(), epoch: 4, sequence }
}

fn tap(outcome: Outcome) -> Tap {
    Tap {
        id: id(0x05060708),
        at: Moment(0x11121314),
        operator: OperatorId(0x2122),
        line: LineNumber(0x3132),
        stop: StopNumber(0x4142),
        gate: Gate::ENTRY,
        tariff_version: 0x51525354,
        deny_list_version: 0x61626364,
        card: CardToken([0x77; 16]),
        outcome,
        fare: Amount::from(8000),
        debited: Some(Amount::from(8000)),
        transaction_mac: Some(TransactionMac { counter: 0x81828384, value: [0x99; 8] }),
        record_read: Some([0xAA; 60]),
        issuer_read: None,
        record_written: Some([0xCC; 60]),
    }
}

const OUTCOMES: [Outcome; 7] = [
    Outcome::Done,
    Outcome::Unknown,
    Outcome::Void,
    Outcome::Declined(Reason::UseSameGate),
    Outcome::Confirmed { names: TapId { device: DeviceId::new(9).unwrap(), epoch: 1, sequence: 3 }, admitted: true },
    Outcome::Voided { names: TapId { device: DeviceId::new(9).unwrap(), epoch: 1, sequence: 3 } },
    Outcome::Evidence,
];

#[test]
fn every_outcome_survives_a_round_trip() {
    for outcome in OUTCOMES {
        let sealed = tap(outcome).seal(&CHAIN_START).unwrap();
        assert_eq!(sealed.open(), Ok(tap(outcome)), "{outcome:?}");
        assert_eq!(sealed.claimed_id(), Some(id(0x05060708)));
        assert_eq!(sealed.previous_hash(), CHAIN_START);
    }
}

#[test]
fn any_part_may_be_missing() {
    let names = id(3);
    for missing in 0..64_u8 {
        let has = |bit: u8| missing >> bit & 1 == 0;
        let whole = tap(Outcome::Confirmed { names, admitted: has(0) });
        let tap = Tap {
            debited: whole.debited.filter(|_| has(1)),
            transaction_mac: whole.transaction_mac.filter(|_| has(2)),
            record_read: whole.record_read.filter(|_| has(3)),
            issuer_read: Some([0xBB; 64]).filter(|_| has(4)),
            record_written: whole.record_written.filter(|_| has(5)),
            ..whole
        };
        assert_eq!(tap.seal(&CHAIN_START).unwrap().open(), Ok(tap), "{missing:06b}");
    }
}

/// Version 1 for ever: these bytes were written by hand from docs/tap-record.md.
#[test]
fn a_sealed_tap_has_these_bytes_for_ever() {
    let sealed = tap(Outcome::Done).seal(&[0xEE; 32]).unwrap();
    let expected = [
        "01010037 00010203 0004 05060708 11121314 2122 3132 4142 51525354 61626364".to_owned(),
        "77".repeat(16),
        "00001f40 00001f40 81828384".to_owned(),
        "99".repeat(8),
        "00".repeat(10),
        "aa".repeat(60),
        "00".repeat(64),
        "cc".repeat(60),
        "00".repeat(26),
        "ee".repeat(32),
    ];
    let expected = expected.concat().replace(' ', "");
    assert_eq!(hex::encode(&sealed.as_bytes()[..320]), expected);
    let hash = ring::digest::digest(&ring::digest::SHA256, &hex::decode(expected).unwrap());
    assert_eq!(&sealed.as_bytes()[320..], hash.as_ref());
    assert_eq!((sealed.hash().as_slice(), sealed.previous_hash()), (hash.as_ref(), [0xEE; 32]));
    assert_eq!(format!("{sealed:?}"), "SealedTap(01010037000102030004050607081112…)");
}

/// 0 of all taps from before there were exits, whose byte was reserved.
#[test]
fn a_gate_is_one_byte() {
    let table = [
        (GateKind::Entry, false, 0),
        (GateKind::Exit, false, 1),
        (GateKind::Both, false, 2),
        (GateKind::Entry, true, 4),
        (GateKind::Exit, true, 5),
        (GateKind::Both, true, 6),
    ];
    for (kind, incident, code) in table {
        let tap = Tap { gate: Gate { kind, incident }, ..tap(Outcome::Done) };
        let sealed = tap.seal(&CHAIN_START).unwrap();
        assert_eq!((sealed.as_bytes()[262], sealed.open()), (code, Ok(tap)));
    }
    for code in [3, 7, 8, 255] {
        let mut bytes = *tap(Outcome::Done).seal(&CHAIN_START).unwrap().as_bytes();
        bytes[262] = code;
        let hash = ring::digest::digest(&ring::digest::SHA256, &bytes[..320]);
        bytes[320..].copy_from_slice(hash.as_ref());
        assert_eq!(SealedTap::from_bytes(&bytes).unwrap().open(), Err(TapError::Field("gate")), "{code}");
    }
}

#[test]
fn every_changed_bit_is_noticed() {
    let sealed = tap(Outcome::Done).seal(&CHAIN_START).unwrap();
    for bit in 0..TAP_LEN * 8 {
        let mut bytes = *sealed.as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(SealedTap::from_bytes(&bytes).unwrap().open().is_err(), "bit {bit}");
    }
}

#[test]
fn the_document_has_the_record() {
    let document = include_str!("../../../docs/tap-record.md");
    let mut at = 0;
    for (name, length) in TAP_FIELDS.into_iter().chain([("hash", 32)]) {
        let row = format!("| {at} | {length} | `{name}` |");
        assert!(document.contains(&row), "docs/tap-record.md lacks `{row}`");
        at += length;
    }
    assert_eq!(at, TAP_LEN);
}

#[test]
fn only_one_spelling_is_taken() {
    // A declined tap with the "admitted" flag, its hash made right again: no validator writes that.
    let mut bytes = *tap(Outcome::Declined(Reason::Denied)).seal(&CHAIN_START).unwrap().as_bytes();
    bytes[3] |= 32;
    let hash = ring::digest::digest(&ring::digest::SHA256, &bytes[..320]);
    bytes[320..].copy_from_slice(hash.as_ref());
    assert_eq!(SealedTap::from_bytes(&bytes).unwrap().open(), Err(TapError::Field("flags")));
}

/// A device, an epoch and a sequence name a tap, or all three are 0 and name none.
#[test]
fn half_a_name_is_none() {
    const OWN: usize = 4;
    const NAMED: usize = 68;
    let named = tap(OUTCOMES[4]).seal(&CHAIN_START).unwrap();
    let done = tap(Outcome::Done).seal(&CHAIN_START).unwrap();
    let changed = |tap: &SealedTap, at: usize, name: &str| {
        let mut bytes = *tap.as_bytes();
        bytes[at..at + 10].copy_from_slice(&hex::decode(name.replace(' ', "")).unwrap());
        let hash = ring::digest::digest(&ring::digest::SHA256, &bytes[..320]);
        bytes[320..].copy_from_slice(hash.as_ref());
        SealedTap::from_bytes(&bytes).unwrap()
    };
    for name in [
        "00000000 0001 00000000",
        "00000000 0000 00000001",
        "00000009 0000 00000003",
        "00000009 0001 00000000",
        "00000009 0100 00000003",
        "01000000 0001 00000003",
    ] {
        assert_eq!(changed(&done, OWN, name).open(), Err(TapError::Field("device")), "{name}");
        assert_eq!(changed(&done, OWN, name).claimed_id(), None, "{name}");
        for tap in [&named, &done] {
            assert_eq!(changed(tap, NAMED, name).open(), Err(TapError::Field("names_device")), "{name}");
        }
    }
    assert_eq!(changed(&named, NAMED, "00000009 0001 00000003"), named);
    let none = "00000000 0000 00000000";
    assert_eq!(changed(&done, OWN, none).open(), Err(TapError::Field("device")));
    assert_eq!(changed(&named, NAMED, none).open(), Err(TapError::Field("names_device")), "a look back names a tap");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(sealed) = SealedTap::from_bytes(&bytes) {
            let _ = (sealed.open(), sealed.claimed_id());
        }
    }

    /// Bytes whose hash holds reach the field checks.
    #[test]
    fn hashed_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), TAP_LEN)) {
        bytes[0] = 1;
        bytes[1] %= 9;
        bytes[3] &= 0x3F;
        let hash = ring::digest::digest(&ring::digest::SHA256, &bytes[..320]);
        bytes[320..].copy_from_slice(hash.as_ref());
        let sealed = SealedTap::from_bytes(&bytes).unwrap();
        if let Ok(tap) = sealed.open() {
            prop_assert_eq!(tap.seal(&sealed.previous_hash()), Ok(sealed));
        }
    }
}
