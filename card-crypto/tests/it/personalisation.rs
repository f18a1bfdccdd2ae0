//! From a blank card to a session under another key: what changes the state of a card, and what needs none.

use card_crypto::{
    Access, AccessRights, Aid, Authenticated, AuthenticationError, Card, Command, Commit, CommunicationMode, DesKey,
    DfName, Error, FileKind, FileNumber, FileSettings, FrameSize, IsoName, Key, KeyHolder, KeyNumber, KeySetNumber,
    KeySettings, Lost, Misbehaviour, Misuse, NewKey, NoTransactionMac, RecordFile, RecordRange, Status, ValueFile,
    auth::Opened,
    channel::SessionKeys,
    mac::truncated_cmac,
    settings::{ApplicationSettings, ChangeKeyRight},
};
use proptest::prelude::*;

use crate::{
    peer::{CardSide, Ev1Card, Ev2Card, Expected},
    scripted::{Peer, ScriptedCard, ok, with_status},
    vectors::{self, Vector},
};

const FILE: FileNumber = FileNumber::new(3).expect("below 32");
const KEY_ONE: KeyNumber = KeyNumber::new(1).expect("below 14");
const KEY: Key = Key::new([0x42; 16]);
const NEW_KEY: NewKey<'_> = NewKey { key: &KEY, version: 1 };
const MAC: CommunicationMode = CommunicationMode::Mac;

fn factory() -> Vector {
    const FILE: &str = include_str!("../vectors/authenticate_des.txt");
    vectors::named(FILE, "AuthenticateISO 0x1A factory DES PICC key (all zero)")
}

/// The published session of a blank card; its ChangeKey is of the length that a new AES key needs.
#[test]
fn a_blank_card_is_taken_to_aes() {
    let vector = factory();
    let mut card = ScriptedCard::new([
        ok(vec![]),
        with_status(vector.bytes("enc_rndb"), 0xAF),
        ok(vector.bytes("enc_rnda_rot")),
        ok(vec![]),
        ok(vec![]),
    ]);
    let mut idle = Card::new(&mut card, FrameSize::Bytes64);
    idle.select_application(Aid::PICC).unwrap();
    let authenticated = idle.authenticate_iso(&DesKey::FACTORY, vector.array("rnda")).unwrap();
    let mut idle = authenticated.change_picc_master_key(NEW_KEY).unwrap();
    idle.select_application(Aid::PICC).unwrap();

    assert_eq!(hex::encode_upper(&card.sent[1]), "901A0000010000");
    let challenge = [&[0x90, 0xAF, 0, 0, 16], vector.bytes("enc_rnda_rndb_rot").as_slice(), &[0]].concat();
    assert_eq!(card.sent[2], challenge);
    assert_eq!(card.sent[3][..6], [0x90, 0xC4, 0, 0, 25, 0x80]);
    assert_eq!(card.sent[3].len(), 5 + 1 + 24 + 1);
}

#[test]
fn a_blank_card_that_does_not_know_its_key_is_found_out() {
    let vector = factory();
    let challenge = || with_status(vector.bytes("enc_rndb"), 0xAF);
    let check = |proof: Vec<u8>, expected: Error| {
        let card = Card::new(ScriptedCard::new([challenge(), proof]), FrameSize::Bytes64);
        assert_eq!(card.authenticate_iso(&DesKey::FACTORY, vector.array("rnda")).err(), Some(expected));
    };
    check(ok(vec![0; 8]), Misbehaviour::WrongChallenge.into());
    check(ok(vec![0; 7]), Misbehaviour::WrongLength { expected: 8, actual: 7 }.into());
    let refused = Error::Refused { command: Command::AuthenticateIso, status: Status::Authentication };
    check(with_status(vec![], 0xAE), refused);
}

#[test]
fn keys_do_not_print_and_halves_are_compared_without_parity() {
    assert_eq!(format!("{:?} {:?}", DesKey::FACTORY, NEW_KEY), "DesKey(..) NewKey { key: Key(..), version: 1 }");
    assert!(DesKey::FACTORY.is_single());
    assert!(DesKey::new([[0x10; 8], [0x11; 8]].concat().try_into().unwrap()).is_single());
    assert!(!DesKey::new([[0x10; 8], [0x12; 8]].concat().try_into().unwrap()).is_single());
}

/// Transaction identifier and counter go on through AuthenticateEV2NonFirst; so does a transaction.
#[test]
fn ev2_goes_on_under_another_key() {
    const NON_FIRST: &str = include_str!("../vectors/authenticate_ev2_non_first.txt");
    let vector = vectors::named(NON_FIRST, "AuthenticateEV2NonFirst AN12196 table 23 (key 0; TI and CmdCtr kept)");
    let peer = Peer::example();
    let later = peer.with_keys(vector.text("ses_enc"), vector.text("ses_mac"));
    let answers = [
        ok(peer.answer(MAC, 1, &[])),
        with_status(vector.bytes("enc_rndb"), 0xAF),
        ok(vector.bytes("card_response")),
        ok(later.answer(MAC, 2, &[])),
        ok(later.answer(MAC, 3, &[7; 12])),
        with_status(vector.bytes("enc_rndb"), 0xAF),
        ok(vector.bytes("card_response")),
        ok(later.answer(MAC, 4, &[5, 0, 0, 0])),
    ];
    let mut script = ScriptedCard::new(peer.handshake().into_iter().chain(answers));
    let staged = peer.authenticated(&mut script, FrameSize::Bytes128).stage().credit(FILE, MAC, 1).unwrap();
    let staged = staged.authenticate_ev2_non_first(KEY_ONE, &vector.key("key"), vector.array("rnda")).unwrap();
    let Commit::Done { card, .. } = staged.debit(FILE, MAC, 1).unwrap().commit() else { panic!("genuine") };
    let mut card =
        card.authenticate_ev2_non_first(KeyNumber::MASTER, &vector.key("key"), vector.array("rnda")).unwrap();
    assert_eq!(card.get_value(FILE, MAC), Ok(5));
    assert_eq!(hex::encode_upper(&script.sent[3]), "90770000010100");
}

/// On EV1 an AuthenticateAES inside a transaction does not abort it; the IV starts anew.
#[test]
fn ev1_goes_on_under_another_key() {
    let done_after = |command: &[u8]| {
        let mut session = Ev1Card::open();
        session.receive(MAC, command, &Expected::header_only(command.len() - 1)).expect("it has no MAC of its own");
        ok(session.send(MAC, &[]))
    };
    let [challenge, proof] = Ev1Card::handshake();
    let answers = [challenge.clone(), proof.clone(), done_after(&[0xEB, 3]), challenge, proof, done_after(&[0xC7])];
    let staged = Ev1Card::authenticate(ScriptedCard::new(answers)).stage().clear_record_file(FILE).unwrap();
    let vector = Ev1Card::vector();
    let staged = staged.authenticate_aes(KEY_ONE, &vector.key("key"), vector.array("rnda")).unwrap();
    assert!(matches!(staged.commit(), Commit::Done { transaction_mac: NoTransactionMac, .. }));
}

#[test]
fn a_failed_change_of_keys_ends_the_session() {
    let peer = Peer::example();
    for answers in [vec![with_status(vec![], 0xAE)], vec![with_status(vec![0; 16], 0xAF), ok(vec![0; 16])]] {
        let script = ScriptedCard::new(peer.handshake().into_iter().chain(answers));
        let card = peer.authenticated(script, FrameSize::Bytes128);
        assert!(card.authenticate_ev2_non_first(KEY_ONE, &KEY, [0; 16]).is_err());
    }
}

#[test]
fn the_key_in_use_is_not_changed_like_another() {
    type Attempt = fn(&mut Card<&mut ScriptedCard, Authenticated>) -> Result<(), Error>;
    let peer = Peer::example();
    let attempts: [Attempt; 2] = [
        |card| card.change_key(KeyNumber::MASTER, &KEY, NEW_KEY),
        |card| card.change_key_ev2(KeySetNumber::ACTIVE, KeyNumber::MASTER, &KEY, NEW_KEY),
    ];
    for attempt in attempts {
        let mut script = ScriptedCard::new(peer.handshake());
        let mut card = peer.authenticated(&mut script, FrameSize::Bytes128);
        assert_eq!(attempt(&mut card), Err(Misuse::KeyInUse.into()));
        assert_eq!(card.get_version(), Err(Misuse::SessionOver.into()));
        assert_eq!(script.sent.len(), 2);
    }
}

/// A holder that cannot do its part is not the card's fault, and a card that fails is not the holder's.
#[test]
fn holder_and_card_are_told_apart() {
    struct Broken;
    impl KeyHolder for Broken {
        type Error = &'static str;

        fn authenticate_aes(
            self,
            _: &[u8; 16],
            _: impl FnOnce(&[u8; 32]) -> Result<[u8; 16], Error>,
        ) -> Result<Key, AuthenticationError<Self::Error>> {
            Err(AuthenticationError::Holder("no module"))
        }

        fn authenticate_ev2_first(
            self,
            _: &[u8; 16],
            card: impl FnOnce(&[u8; 32]) -> Result<[u8; 32], Error>,
        ) -> Result<Opened, AuthenticationError<Self::Error>> {
            card(&[0; 32])?;
            Err(AuthenticationError::Holder("no answer"))
        }

        fn authenticate_ev2_non_first(
            self,
            _: &[u8; 16],
            card: impl FnOnce(&[u8; 32]) -> Result<[u8; 16], Error>,
        ) -> Result<SessionKeys, AuthenticationError<Self::Error>> {
            Err(AuthenticationError::Card(card(&[0; 32]).err().unwrap_or(Error::Lost(Lost::Reader))))
        }
    }

    let challenge = || with_status(vec![0; 16], 0xAF);
    let card = |answers: Vec<Vec<u8>>| Card::new(ScriptedCard::new(answers), FrameSize::Bytes128);
    let aes = card(vec![challenge()]).authenticate_aes_by(KEY_ONE, Broken).err();
    assert_eq!(aes, Some(AuthenticationError::Holder("no module")));
    let first = card(vec![challenge(), ok(vec![0; 32])]).authenticate_ev2_first_by(KEY_ONE, Broken).err();
    assert_eq!(first, Some(AuthenticationError::Holder("no answer")));
    let refused = Error::Refused { command: Command::AuthenticateEv2First, status: Status::Authentication };
    let first = card(vec![challenge(), with_status(vec![], 0xAE)]).authenticate_ev2_first_by(KEY_ONE, Broken).err();
    assert_eq!(first, Some(AuthenticationError::Card(refused)));

    let peer = Peer::example();
    let script = ScriptedCard::new(peer.handshake().into_iter().chain([challenge()]));
    let non_first = peer.authenticated(script, FrameSize::Bytes128).authenticate_ev2_non_first_by(KEY_ONE, Broken);
    assert_eq!(non_first.err(), Some(AuthenticationError::Card(Error::Lost(Lost::Silent))));
}

#[test]
fn what_everybody_may_ask_needs_no_session() {
    let answers = [
        ok(vec![0xFE, 0xFF, 0xFF, 0xFF]),
        ok(vec![1, 2, 3]),
        ok(vec![0x11; 32]),
        ok(vec![3]),
        ok(vec![]),
        with_status(vec![0x5A; 56], 0x90),
    ];
    let mut script = ScriptedCard::new(answers);
    let mut card = Card::new(&mut script, FrameSize::Bytes64);
    assert_eq!(card.get_value(FILE), Ok(-2));
    assert_eq!(card.read_data(FILE, 0, 3), Ok(vec![1, 2, 3]));
    assert_eq!(card.read_records(FILE, RecordRange { first: 0, count: 2, record_length: 16 }), Ok(vec![0x11; 32]));
    assert_eq!(card.get_file_ids(), Ok(vec![FILE]));
    let rights = AccessRights::from_bytes([0xEE, 0xEE]);
    assert_eq!(card.change_file_settings(FILE, CommunicationMode::Plain, rights), Ok(()));
    assert_eq!(card.read_signature(), Ok([0x5A; 56]));
    let sent: Vec<String> = script.sent.iter().map(hex::encode_upper).collect();
    let expected = [
        "906C0000010300",
        "90BD0000070300000003000000",
        "90BB0000070300000002000000",
        "906F000000",
        "905F0000040300EEEE00",
        "903C0000010000",
    ];
    assert_eq!(sent, expected);
}

#[test]
fn applications_with_names_come_one_in_a_frame() {
    let frames = [
        with_status(vec![1, 2, 3, 0x10, 0xE1, b'A', b'B'], 0xAF),
        with_status(vec![4, 5, 6, 0x11, 0xE1], 0xAF),
        ok(vec![]),
    ];
    let names = |frames: &[Vec<u8>]| Card::new(ScriptedCard::new(frames.to_vec()), FrameSize::Bytes64).get_df_names();
    let first = DfName { aid: Aid([1, 2, 3]), file_id: 0xE110, name: b"AB".to_vec() };
    let second = DfName { aid: Aid([4, 5, 6]), file_id: 0xE111, name: vec![] };
    assert_eq!(names(&frames), Ok(vec![first.clone(), second]));
    assert_eq!(names(&[ok(frames[0][..7].to_vec())]), Ok(vec![first]));
    assert_eq!(names(&[ok(vec![])]), Ok(vec![]));
    for wrong in [vec![1, 2, 3, 4], vec![0; 22]] {
        let actual = wrong.len();
        assert_eq!(names(&[ok(wrong)]), Err(Misbehaviour::WrongLength { expected: 21, actual }.into()));
    }
    let endless = vec![with_status(vec![1, 2, 3, 0x10, 0xE1], 0xAF); 2000];
    assert!(matches!(names(&endless), Err(Error::Misbehaved(_))));
}

#[test]
fn a_proximity_check_counts_its_rounds() {
    let transcript =
        [&[0x00, 0x20, 0x03][..], &[0xA1, 0xA2, 1, 2], &[0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 3, 4, 5, 6, 7, 8]];
    let transcript = transcript.concat();
    let mac = |first: u8| truncated_cmac(&KEY, &[&[first], transcript.as_slice()].concat()).to_vec();
    let run = |proof: Vec<u8>| {
        let answers = [vec![0x00, 0x20, 0x03], vec![0xA1, 0xA2], vec![0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8], proof];
        let mut script = ScriptedCard::new(answers.into_iter().map(|data| with_status(data, 0x90)));
        let card = Card::new(&mut script, FrameSize::Bytes64);
        let mut card = card.prepare_proximity_check().unwrap();
        assert_eq!(card.answer_time(), 0x0320);
        card.proximity_check(&[1, 2]).unwrap();
        assert!(matches!(card.proximity_check(&[0; 7]), Err(Error::Misused(Misuse::OutOfRange(_)))));
        assert!(matches!(card.proximity_check(&[]), Err(Error::Misused(Misuse::OutOfRange(_)))));
        card.proximity_check(&[3, 4, 5, 6, 7, 8]).unwrap();
        let verified = card.verify_proximity_check(&KEY).map(drop);
        (verified, script.sent.into_iter().map(hex::encode_upper).collect::<Vec<_>>())
    };
    let (verified, sent) = run(mac(0x90));
    assert_eq!(verified, Ok(()));
    assert_eq!(sent[..3], ["90F0000000", "90F200000302010200", "90F20000070603040506070800"]);
    assert_eq!(sent[3], format!("90FD000008{}00", hex::encode_upper(mac(0xFD))));
    for bit in 0..64 {
        let mut changed = mac(0x90);
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(run(changed).0, Err(Misbehaviour::WrongMac.into()), "bit {bit}");
    }

    let early = ScriptedCard::new([with_status(vec![0x00, 0x20, 0x03], 0x90)]);
    let early = Card::new(early, FrameSize::Bytes64).prepare_proximity_check().unwrap();
    assert!(matches!(early.verify_proximity_check(&KEY).err(), Some(Error::Misused(_))));
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let rights = AccessRights::from_bytes([0, 0]);
    let value = ValueFile {
        mode: MAC,
        rights,
        lower_limit: 0,
        upper_limit: 10,
        value: 11,
        limited_credit: false,
        free_get_value: false,
    };
    let records = RecordFile { mode: MAC, rights, record_length: 60, records_max: 1, iso_file_id: None };
    let application = ApplicationSettings {
        key_settings: KeySettings::CLOSED,
        number_of_keys: 15,
        key_sets: None,
        iso_name: None,
        iso_file_ids: false,
    };
    let mut card = Card::new(ScriptedCard::new([]), FrameSize::Bytes64);
    assert_eq!(card.create_value_file(FILE, &value), Err(Misuse::ValueOutsideLimits.into()));
    assert_eq!(card.create_value_file(FILE, &ValueFile { value: -1, ..value }), Err(Misuse::ValueOutsideLimits.into()));
    let tried = [
        card.create_cyclic_record_file(FILE, &records),
        card.create_linear_record_file(FILE, &RecordFile { record_length: 0, ..records }),
        card.create_linear_record_file(FILE, &RecordFile { records_max: 0x100_0000, ..records }),
        card.create_application(Aid([1, 2, 3]), &application),
        card.create_application(
            Aid([1, 2, 3]),
            &ApplicationSettings {
                number_of_keys: 1,
                iso_name: Some(IsoName { file_id: 1, df_name: &[0; 17] }),
                ..application
            },
        ),
    ];
    for (number, tried) in tried.into_iter().enumerate() {
        assert!(matches!(tried, Err(Error::Misused(Misuse::OutOfRange(_)))), "{number}: {tried:?}");
    }
    assert!(card.into_transport().sent.is_empty());
}

/// A Transaction MAC file as a transport card of Sofia shows it, and kinds that do not exist.
#[test]
fn file_settings_of_every_kind() {
    let settings =
        |answer: &[u8]| Card::new(ScriptedCard::new([ok(answer.to_vec())]), FrameSize::Bytes64).get_file_settings(FILE);
    let kind = |answer: &str| settings(&hex::decode(answer).unwrap()).map(|settings| settings.kind);
    let limited = FileKind::TransactionMac { key_option: 2, key_version: 0x10, counter_limit: Some(0xFFFF_FFFF) };
    assert_eq!(kind("0501FFF00210FFFFFFFF"), Ok(limited));
    let unlimited = FileKind::TransactionMac { key_option: 2, key_version: 0x10, counter_limit: None };
    assert_eq!(kind("0501FFF00210"), Ok(unlimited));
    let value = FileKind::Value {
        lower_limit: 0,
        upper_limit: 1000,
        limited_credit_value: 7,
        limited_credit: false,
        free_get_value: true,
    };
    assert_eq!(kind("0201302100000000E80300000700000002"), Ok(value));
    let nothing = Misbehaviour::Unintelligible { what: "kind of file" };
    assert_eq!(kind("0601FFF0"), Err(nothing.into()));
    assert_eq!(kind("0001FFF00000"), Err(Misbehaviour::WrongLength { expected: 3, actual: 2 }.into()));

    let FileSettings { mode, option, other, .. } = settings(&hex::decode("0083E01F030201AABB").unwrap()).unwrap();
    assert_eq!((mode, option, other), (CommunicationMode::Full, 0x83, vec![0xAA, 0xBB]));
    for (option, mode) in [(0, CommunicationMode::Plain), (1, MAC), (2, CommunicationMode::Plain)] {
        assert_eq!(settings(&[0, option, 0, 0, 1, 0, 0]).unwrap().mode, mode);
    }
}

proptest! {
    #[test]
    fn every_byte_of_rights_and_settings_is_understood(bytes: [u8; 2], settings: u8) {
        let rights = AccessRights::from_bytes(bytes);
        prop_assert_eq!(rights.to_bytes(), bytes);
        let right = |access| matches!(access, Access::Key(_) | Access::Free | Access::Never);
        prop_assert!(right(rights.read));

        let table = KeySettings::from_byte(settings);
        prop_assert_eq!(table.to_byte(), settings);
        prop_assert_eq!(settings >> 4 == 0x0F, table.change_key == ChangeKeyRight::Frozen);
    }
}

proptest! {
    /// Kinds that exist and one that does not, of any length: understood or refused, and nothing of them lost.
    #[test]
    fn arbitrary_file_settings_are_understood_or_refused(kind in 0_u8..7, rest in prop::collection::vec(any::<u8>(), 0..70)) {
        let answer = [&[kind], rest.as_slice()].concat();
        let mut card = Card::new(ScriptedCard::new([ok(answer)]), FrameSize::Bytes64);
        let Ok(settings) = card.get_file_settings(FILE) else { return Ok(()) };
        let of_kind = match settings.kind {
            FileKind::StandardData { .. } | FileKind::BackupData { .. } => 3,
            FileKind::Value { .. } => 13,
            FileKind::LinearRecord(_) | FileKind::CyclicRecord(_) => 9,
            FileKind::TransactionMac { counter_limit: None, .. } => 2,
            FileKind::TransactionMac { counter_limit: Some(_), .. } => 6,
        };
        prop_assert_eq!(3 + of_kind + settings.other.len(), rest.len());
        prop_assert!(rest.len() < 64);
    }

    #[test]
    fn arbitrary_key_settings_are_understood_or_refused(answer in prop::collection::vec(any::<u8>(), 0..30)) {
        let mut card = Card::new(ScriptedCard::new([ok(answer.clone())]), FrameSize::Bytes64);
        match card.get_key_settings() {
            Ok(table) => prop_assert_eq!(table.other.len() + 2, answer.len()),
            Err(_) => prop_assert!(!(2..=22).contains(&answer.len()) || answer[1] >> 6 == 0b11),
        }
    }
}

/// Selecting another application leaves the session on both sides.
#[test]
fn a_session_ends_with_a_selection() {
    let script = ScriptedCard::new(Ev2Card::handshake().into_iter().chain([ok(vec![]), ok(vec![0xA0, 0x0F, 0])]));
    let mut idle = Ev2Card::authenticate(script).select_application(Aid::PICC).unwrap();
    assert_eq!(idle.free_memory(), Ok(4000));
}
