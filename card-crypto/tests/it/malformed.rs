//! Whatever answers come: no panic, and nothing green that the card did not prove.

use card_crypto::{
    AccessRights, Aid, Card, Commit, CommunicationMode, DesKey, FileNumber, FrameSize, Idle, Key, KeyNumber,
    RecordRange,
};
use proptest::prelude::*;

use crate::{
    commands::{Case, ev1_cases, ev2_cases},
    peer::{CardSide, PeerCard, Travels},
    scripted::{Peer, ScriptedCard, ok, with_status},
};

const PURSE: FileNumber = FileNumber::new(2).expect("below 32");
const RECORDS: FileNumber = FileNumber::new(3).expect("below 32");
const NEWEST: RecordRange = RecordRange { first: 0, count: 1, record_length: 60 };

/// What a tap learned from the card under a MAC before it ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Learned {
    record: Option<Vec<u8>>,
    value: Option<i32>,
    done: bool,
}

fn tap(peer: &Peer, mode: CommunicationMode, answers: Vec<Vec<u8>>) -> Learned {
    let mut learned = Learned::default();
    let Ok(mut card) = peer.authenticate(ScriptedCard::new(answers), FrameSize::Bytes128) else {
        return learned;
    };
    learned.record = card.read_records(RECORDS, mode, NEWEST).ok();
    learned.value = card.get_value(PURSE, mode).ok();
    let staged = card.stage().debit(PURSE, mode, 8000);
    let staged = staged.and_then(|staged| staged.write_record(RECORDS, mode, 0, &[1; 60]));
    learned.done = staged.is_ok_and(|staged| matches!(staged.commit(), Commit::Done { .. }));
    learned
}

fn genuine_answers(peer: &Peer, mode: CommunicationMode) -> Vec<Vec<u8>> {
    let mut answers = peer.handshake().to_vec();
    answers.push(ok(peer.answer(mode, 1, &[0x5A; 60])));
    answers.push(ok(peer.answer(mode, 2, &50_000_i32.to_le_bytes())));
    answers.push(ok(peer.answer(mode, 3, &[])));
    answers.push(ok(peer.answer(mode, 4, &[])));
    answers.push(ok(peer.answer(CommunicationMode::Mac, 5, &[7; 12])));
    answers
}

/// What a tap may at most have learned once the answer at `changed` is not genuine.
fn learned_before(changed: usize) -> Learned {
    Learned { record: (changed > 2).then(|| vec![0x5A; 60]), value: (changed > 3).then_some(50_000), done: false }
}

#[test]
fn every_flipped_bit_of_every_answer_of_a_tap_stops_it() {
    let peer = Peer::example();
    for mode in [CommunicationMode::Mac, CommunicationMode::Full] {
        let genuine = genuine_answers(&peer, mode);
        assert!(tap(&peer, mode, genuine.clone()).done);
        for (changed, answer) in genuine.iter().enumerate() {
            for bit in 0..answer.len() * 8 {
                let mut answers = genuine.clone();
                answers[changed][bit / 8] ^= 1 << (bit % 8);
                let learned = tap(&peer, mode, answers);
                assert_eq!(learned, learned_before(changed), "{mode:?}, answer {changed}, bit {bit}");
            }
        }
    }
}

/// An answer somewhere between plausible and noise.
fn any_answer() -> impl Strategy<Value = Vec<u8>> {
    let status = prop_oneof![Just(0x00), Just(0xAF), any::<u8>()];
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..100),
        (prop::collection::vec(any::<u8>(), 0..100), status).prop_map(|(data, status)| with_status(data, status)),
    ]
}

/// An answer cut short, lengthened, overwritten or cut into a chain.
fn distorted(answer: Vec<u8>) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let length = answer.len();
    let (cut, extended, overwritten, chained) = (answer.clone(), answer.clone(), answer.clone(), answer);
    prop_oneof![
        (0..length).prop_map(move |at| vec![cut[..at].to_vec()]),
        prop::collection::vec(any::<u8>(), 1..20).prop_map(move |tail| vec![[extended.clone(), tail].concat()]),
        (0..length, any::<u8>()).prop_map(move |(at, byte)| {
            let mut answer = overwritten.clone();
            answer[at] = byte;
            vec![answer]
        }),
        (0..length).prop_map(move |at| {
            let (first, rest) = chained.split_at(at);
            vec![with_status(first.to_vec(), 0xAF), rest.to_vec()]
        }),
        any_answer().prop_map(|answer| vec![answer]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn arbitrary_answers_teach_nothing(answers in prop::collection::vec(any_answer(), 0..12)) {
        let peer = Peer::example();
        for mode in [CommunicationMode::Mac, CommunicationMode::Full] {
            prop_assert_eq!(tap(&peer, mode, answers.clone()), Learned::default());
            let after_handshake = peer.handshake().into_iter().chain(answers.clone()).collect();
            prop_assert_eq!(tap(&peer, mode, after_handshake), Learned::default());
        }
    }

    #[test]
    fn one_distorted_answer_never_teaches_a_falsehood(
        (changed, distorted) in (0_usize..7).prop_flat_map(|at| {
            let answer = genuine_answers(&Peer::example(), CommunicationMode::Mac)[at].clone();
            (Just(at), distorted(answer))
        }),
    ) {
        let peer = Peer::example();
        let genuine = genuine_answers(&peer, CommunicationMode::Mac);
        let mut answers = genuine.clone();
        answers.splice(changed..=changed, distorted);
        let joined_again = |answers: &[Vec<u8>]| {
            let data: Vec<u8> = answers.iter().flat_map(|answer| &answer[..answer.len().saturating_sub(2)]).copied().collect();
            data
        };
        let learned = tap(&peer, CommunicationMode::Mac, answers.clone());
        // A chain that joins to the same bytes is the same answer; anything else stops the tap there.
        if joined_again(&answers) == joined_again(&genuine) {
            prop_assert!(learned.record.is_none_or(|record| record == [0x5A; 60]));
            prop_assert!(learned.value.is_none_or(|value| value == 50_000));
        } else {
            prop_assert_eq!(learned, learned_before(changed));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_answers_in_clear_never_panic(answers in prop::collection::vec(any_answer(), 0..6)) {
        for ask in IN_CLEAR {
            ask(Card::new(ScriptedCard::new(answers.clone()), FrameSize::Bytes64));
        }
        let idle = || -> Card<ScriptedCard, Idle> { Card::new(ScriptedCard::new(answers.clone()), FrameSize::Bytes64) };
        prop_assert!(idle().authenticate_ev2_first(KeyNumber::MASTER, &Key::new([3; 16]), [5; 16]).is_err());
        prop_assert!(idle().authenticate_aes(KeyNumber::MASTER, &Key::new([3; 16]), [5; 16]).is_err());
        prop_assert!(idle().authenticate_iso(&DesKey::FACTORY, [5; 8]).is_err());
    }

    /// The answer that ends a session is the only one without MAC, and its success promises nothing.
    #[test]
    fn arbitrary_answers_to_any_command_of_a_session_are_no_success(answers in prop::collection::vec(any_answer(), 0..4)) {
        fn check<P: CardSide>(cases: &[Case<P>], mode: CommunicationMode, answers: &[Vec<u8>]) -> Result<(), TestCaseError> {
            for case in cases.iter().filter(|case| !matches!(case.exchanges[0].answer, Travels::Last)) {
                let mut card = PeerCard::noisy(answers.to_vec());
                let verdict = (case.run)(P::authenticate(&mut card), mode);
                prop_assert!(verdict.is_err(), "{}, {mode:?}", case.name);
            }
            Ok(())
        }
        for mode in [CommunicationMode::Mac, CommunicationMode::Full] {
            check(&ev1_cases(), mode, &answers)?;
            check(&ev2_cases(), mode, &answers)?;
        }
        check(&ev1_cases(), CommunicationMode::Plain, &answers)?;
    }
}

/// Everything that can be asked without a session, and whether it was answered.
const IN_CLEAR: [fn(Card<ScriptedCard, Idle>) -> bool; 17] = [
    |mut card| card.get_version().is_ok(),
    |mut card| card.select_application(Aid::PICC).is_ok(),
    |mut card| card.free_memory().is_ok(),
    |mut card| card.read_signature().is_ok(),
    |mut card| card.get_application_ids().is_ok(),
    |mut card| card.get_df_names().is_ok(),
    |mut card| card.get_key_settings().is_ok(),
    |mut card| card.get_key_version(KeyNumber::MASTER).is_ok(),
    |mut card| card.get_file_ids().is_ok(),
    |mut card| card.get_file_settings(PURSE).is_ok(),
    |mut card| card.delete_file(PURSE).is_ok(),
    |mut card| card.delete_application(Aid::PICC).is_ok(),
    |mut card| card.get_value(PURSE).is_ok(),
    |mut card| card.read_data(PURSE, 0, 32).is_ok(),
    |mut card| card.read_records(RECORDS, NEWEST).is_ok(),
    |mut card| card.change_file_settings(PURSE, CommunicationMode::Mac, AccessRights::from_bytes([0, 0])).is_ok(),
    |card| {
        let Ok(mut card) = card.prepare_proximity_check() else { return false };
        card.proximity_check(&[1, 2, 3, 4, 5, 6, 7, 8]).is_ok()
            && card.verify_proximity_check(&Key::new([1; 16])).is_ok()
    },
];
