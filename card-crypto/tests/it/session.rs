//! A session from its handshake to its end.

use card_crypto::{
    Card, Command, Commit, CommunicationMode, Error, FileNumber, FrameSize, Key, KeyNumber, Lost, Misbehaviour, Misuse,
    OutOfRange, RecordRange, Status, TransactionMac,
};

use crate::scripted::{Peer, ScriptedCard, ok, seal, with_status};

const PURSE: FileNumber = FileNumber::new(2).expect("below 32");
const RECORDS: FileNumber = FileNumber::new(3).expect("below 32");
const NEWEST: RecordRange = RecordRange { first: 0, count: 1, record_length: 60 };

const MAC: CommunicationMode = CommunicationMode::Mac;

/// Answers to: read the newest record, debit, write a record, commit.
fn tap_answers(peer: &Peer, mode: CommunicationMode) -> Vec<Vec<u8>> {
    let mut answers = peer.handshake().to_vec();
    answers.push(ok(peer.answer(mode, 1, &[0x5A; 60])));
    answers.push(ok(peer.answer(mode, 2, &[])));
    answers.push(ok(peer.answer(mode, 3, &[])));
    answers.push(ok(peer.answer(MAC, 4, &[9, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8])));
    answers
}

#[test]
fn a_tap_in_every_mode() {
    let peer = Peer::example();
    for mode in [CommunicationMode::Plain, MAC, CommunicationMode::Full] {
        let mut script = ScriptedCard::new(tap_answers(&peer, mode));
        let mut card = peer.authenticated(&mut script, FrameSize::Bytes128);
        assert_eq!(card.read_records(RECORDS, mode, NEWEST), Ok(vec![0x5A; 60]));
        let staged = card.stage().debit(PURSE, mode, 8000).unwrap();
        let Commit::Done { transaction_mac, .. } = staged.write_record(RECORDS, mode, 0, &[0xA5; 60]).unwrap().commit()
        else {
            panic!("{mode:?}: the commit is genuine")
        };
        assert_eq!(transaction_mac, TransactionMac { counter: 9, value: [1, 2, 3, 4, 5, 6, 7, 8] });

        let data = [0xA5; 60];
        let body = |counter, instruction, header: &[u8], data: &[u8], mode| {
            seal(&mut peer.channel(counter), mode, instruction, header, data).unwrap()
        };
        let expected = [
            (0xBB, body(0, 0xBB, &[3, 0, 0, 0, 1, 0, 0], &[], mode)),
            (0xDC, body(1, 0xDC, &[2], &[0x40, 0x1F, 0, 0], mode)),
            (0x3B, body(2, 0x3B, &[3, 0, 0, 0, 60, 0, 0], &data, mode)),
            (0xC7, body(3, 0xC7, &[1], &[], MAC)),
        ];
        for (apdu, (instruction, body)) in script.sent[2..].iter().zip(expected) {
            let length = u8::try_from(body.len()).unwrap();
            assert_eq!(apdu, &[&[0x90, instruction, 0, 0, length], body.as_slice(), &[0]].concat(), "{mode:?}");
        }
    }
}

#[test]
fn data_values_and_abort() {
    let peer = Peer::example();
    let answers = [
        ok(peer.answer(MAC, 1, &(-700_i32).to_le_bytes())),
        ok(peer.answer(CommunicationMode::Full, 2, &[7; 32])),
        ok(peer.answer(MAC, 3, &[])),
        ok(peer.answer(MAC, 4, &[])),
        ok(peer.answer(MAC, 5, &5_i32.to_le_bytes())),
    ];
    let mut card =
        peer.authenticated(ScriptedCard::new(peer.handshake().into_iter().chain(answers)), FrameSize::Bytes64);
    assert_eq!(card.get_value(PURSE, MAC), Ok(-700));
    assert_eq!(card.read_data(FileNumber::new(1).unwrap(), CommunicationMode::Full, 0, 32), Ok(vec![7; 32]));
    let mut card = card.stage().debit(PURSE, MAC, 1).unwrap().abort().unwrap();
    assert_eq!(card.get_value(PURSE, MAC), Ok(5));
    let script = card.into_transport();
    assert_eq!(script.sent.iter().map(|apdu| apdu[1]).collect::<Vec<_>>(), [0x71, 0xAF, 0x6C, 0xBD, 0xDC, 0xA7, 0x6C]);
}

/// A genuine card gives what was asked for, no more and no less, however well its answer is protected.
#[test]
fn a_record_of_another_length_is_misbehaviour() {
    let peer = Peer::example();
    for mode in [CommunicationMode::Plain, MAC, CommunicationMode::Full] {
        for length in [0, 1, 59, 61, 63, 64, 120] {
            let answer = ok(peer.answer(mode, 1, &vec![0x5A; length]));
            let script = ScriptedCard::new(peer.handshake().into_iter().chain([answer]));
            let read = peer.authenticated(script, FrameSize::Bytes128).read_records(RECORDS, mode, NEWEST);
            assert!(
                matches!(read, Err(Error::Misbehaved(Misbehaviour::WrongLength { .. }))),
                "{mode:?}, {length} bytes: {read:?}"
            );
        }
    }
}

/// After an error nothing more is sent, and nothing can look like success.
#[test]
fn the_first_error_ends_the_session() {
    let peer = Peer::example();
    let genuine = ok(peer.answer(MAC, 1, &[1, 0, 0, 0]));
    let command = Command::GetValue;
    let table: [(&str, Vec<u8>, Error); 5] = [
        ("refused", with_status(vec![], 0xBE), Error::Refused { command, status: Status::Boundary }),
        ("no MAC", ok(vec![1, 0, 0, 0]), Misbehaviour::WrongMac.into()),
        ("bare success", ok(vec![]), Misbehaviour::WrongMac.into()),
        (
            "MACed, too short",
            ok(peer.answer(MAC, 1, &[1])),
            Misbehaviour::WrongLength { expected: 4, actual: 1 }.into(),
        ),
        ("torn", vec![0x91], Error::Lost(Lost::Card)),
    ];
    for (name, answer, expected) in table {
        let answers = peer.handshake().into_iter().chain([answer, genuine.clone(), genuine.clone()]);
        let mut script = ScriptedCard::new(answers);
        let mut card = peer.authenticated(&mut script, FrameSize::Bytes128);
        assert_eq!(card.get_value(PURSE, MAC), Err(expected), "{name}");
        assert_eq!(card.get_value(PURSE, MAC), Err(Misuse::SessionOver.into()), "{name}");
        assert_eq!(card.get_version(), Err(Misuse::SessionOver.into()), "{name}");
        let Commit::Unknown { why } = card.stage().commit() else { panic!("{name}: green after an error") };
        assert_eq!(why, Misuse::SessionOver.into(), "{name}");
        assert_eq!(script.sent.len(), 3, "{name}: nothing may be sent after the error");
    }
}

#[test]
fn misuse_is_refused_before_anything_is_sent() {
    let peer = Peer::example();
    type Attempt = fn(Card<&mut ScriptedCard, card_crypto::Authenticated>) -> Result<(), Error>;
    let table: [(&str, Attempt); 8] = [
        ("no records", |mut card| card.read_records(RECORDS, MAC, RecordRange { count: 0, ..NEWEST }).map(drop)),
        ("empty records", |mut card| {
            card.read_records(RECORDS, MAC, RecordRange { record_length: 0, ..NEWEST }).map(drop)
        }),
        ("too much", |mut card| card.read_records(RECORDS, MAC, RecordRange { count: 0xFF_FFFF, ..NEWEST }).map(drop)),
        ("record number", |mut card| {
            card.read_records(RECORDS, MAC, RecordRange { first: 0x100_0000, ..NEWEST }).map(drop)
        }),
        ("no length", |mut card| card.read_data(RECORDS, MAC, 0, 0).map(drop)),
        ("offset", |mut card| card.read_data(RECORDS, MAC, u32::MAX, 1).map(drop)),
        ("negative amount", |card| card.stage().debit(PURSE, MAC, 1 << 31).map(drop)),
        ("nothing to write", |card| card.stage().write_record(RECORDS, MAC, 0, &[]).map(drop)),
    ];
    for (name, attempt) in table {
        let mut script = ScriptedCard::new(peer.handshake());
        let tried = attempt(peer.authenticated(&mut script, FrameSize::Bytes128));
        assert!(matches!(tried, Err(Error::Misused(Misuse::OutOfRange(OutOfRange { .. })))), "{name}: {tried:?}");
        assert_eq!(script.sent.len(), 2, "{name}");
    }
}

/// Lost, refused, wrong MAC, wrong length: a commit without a genuine answer is never more than unknown.
#[test]
fn a_commit_that_did_not_verify_is_unknown() {
    let peer = Peer::example();
    let genuine = tap_answers(&peer, MAC);
    let (before, commit) = genuine.split_at(genuine.len() - 1);
    let run = |script: ScriptedCard| {
        let mut card = peer.authenticated(script, FrameSize::Bytes128);
        card.read_records(RECORDS, MAC, NEWEST).unwrap();
        let staged = card.stage().debit(PURSE, MAC, 8000).unwrap();
        staged.write_record(RECORDS, MAC, 0, &[0; 60]).unwrap().commit()
    };
    let script = || ScriptedCard::new(before.to_vec());

    for lost in [Lost::Card, Lost::Silent, Lost::Reader] {
        assert!(matches!(run(script().then_lost(lost)), Commit::Unknown { why: Error::Lost(why) } if why == lost));
    }
    for status in 1..=u8::MAX {
        let answer = with_status(commit[0][..20].to_vec(), status);
        let answers = before.iter().cloned().chain([answer]);
        assert!(matches!(run(ScriptedCard::new(answers)), Commit::Unknown { .. }), "status {status:02X}");
    }
    for length in 0..12 {
        let answer = ok(peer.answer(MAC, 4, &vec![0; length]));
        let answers = before.iter().cloned().chain([answer]);
        assert!(matches!(run(ScriptedCard::new(answers)), Commit::Unknown { .. }), "{length} bytes");
    }
    assert!(matches!(run(ScriptedCard::new(genuine.clone())), Commit::Done { .. }));
}

#[test]
fn a_card_that_does_not_know_the_key_is_found_out() {
    let peer = Peer::example();
    let [challenge, proof] = peer.handshake();
    let authenticate = |answers: Vec<Vec<u8>>| peer.authenticate(ScriptedCard::new(answers), FrameSize::Bytes128).err();
    let command = Command::AuthenticateEv2First;

    let refused = Error::Refused { command, status: Status::Authentication };
    assert_eq!(authenticate(vec![challenge.clone(), with_status(vec![], 0xAE)]), Some(refused));
    assert_eq!(authenticate(vec![with_status(vec![], 0xAE)]), Some(refused));
    let impostor = authenticate(vec![challenge.clone(), ok(vec![0x11; 32])]);
    assert_eq!(impostor, Some(Misbehaviour::WrongChallenge.into()));
    let short = authenticate(vec![challenge.clone(), ok(vec![0x11; 31])]);
    assert_eq!(short, Some(Misbehaviour::WrongLength { expected: 32, actual: 31 }.into()));
    let not_chained = authenticate(vec![ok(challenge[..16].to_vec()), proof.clone()]);
    assert_eq!(not_chained, Some(Misbehaviour::UnexpectedFrame.into()));

    let other_key = Key::new([1; 16]);
    let card = Card::new(ScriptedCard::new(vec![challenge, proof]), FrameSize::Bytes128);
    let wrong_key = card.authenticate_ev2_first(KeyNumber::MASTER, &other_key, [0; 16]);
    assert_eq!(wrong_key.err(), Some(Misbehaviour::WrongChallenge.into()));
}

#[test]
fn secrets_are_not_printed() {
    let peer = Peer::example();
    let card = peer.authenticated(ScriptedCard::new(peer.handshake()), FrameSize::Bytes128);
    let printed = format!("{:?} {:?}", card, Key::new([0x42; 16]));
    assert_eq!(
        printed,
        "Card { frame_size: Bytes128, state: Authenticated(Session { messaging: Ev2 { counter: 0, .. }, number: KeyNumber(0), alive: true }), .. } Key(..)"
    );
}
