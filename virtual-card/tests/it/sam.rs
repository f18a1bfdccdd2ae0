//! The SAM: whatever it is sent, it neither falls over nor gives a key out; and in a virtual reader.

use std::net::TcpStream;

use proptest::prelude::*;
use virtual_card::{
    Random,
    sam::{ATR, KeyEntry, Sam},
    sam_reader::SamInReader,
};

use crate::virtual_reader::VirtualReader;

const PICC_KEY: [u8; 16] = [0xC1; 16];
const TOKEN_KEY: [u8; 16] = [0xC2; 16];

fn random() -> Random {
    Box::new(|| [0x5A; 16])
}

fn sam() -> Sam {
    let mut sam = Sam::new(random());
    sam.load(2, KeyEntry { allow_dump_secret_key: true, ..KeyEntry::picc(&[(1, PICC_KEY)]) });
    sam.load(3, KeyEntry::offline_crypto(&[(1, TOKEN_KEY)]));
    sam
}

#[test]
fn commands_and_states_that_do_not_fit_are_refused() {
    let authenticate = [&[0x80, 0x0A, 0x91, 0x00, 0x22, 0x02, 0x01, 0x00][..], &[1; 16], &[4; 15], &[0x00]].concat();
    for (name, command, answer) in [
        ("another class", &[0x90, 0x60, 0, 0, 0][..], &[0x6E, 0x00][..]),
        ("an unknown instruction", &[0x80, 0x61, 0, 0, 0], &[0x6D, 0x00]),
        ("no header", &[0x80, 0x60], &[0x67, 0x00]),
        ("a wrong length", &[0x80, 0x01, 0, 0, 3, 3, 1], &[0x67, 0x00]),
        ("an entry that is not there", &[0x80, 0x64, 0x07, 0x01, 0], &[0x65, 0x02]),
        ("a counter that is not there", &[0x80, 0x6C, 0x07, 0, 0], &[0x65, 0x03]),
        ("a version that is not there", &[0x80, 0x01, 0, 0, 2, 3, 9], &[0x6A, 0x82]),
        ("an empty place of an entry", &[0x80, 0x01, 0, 0, 2, 3, 0], &[0x6A, 0x82]),
        ("a key of another class", &[0x80, 0x01, 0, 0, 2, 2, 1], &[0x69, 0x85]),
        ("no active key", &[0x80, 0x0E, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[0x69, 0x85]),
        ("no session", &[0x80, 0xD5, 0, 0, 0], &[0x69, 0x85]),
        ("the master key itself", &[0x80, 0xD6, 0, 0, 2, 2, 1, 0], &[0x69, 0x85]),
        ("the token key", &[0x80, 0xD6, 0, 0, 2, 3, 1, 0], &[0x69, 0x86]),
    ] {
        assert_eq!(sam().answer(command), answer, "{name}");
    }
    let mut sam = sam();
    assert_eq!(sam.answer(&authenticate).len(), 34);
    assert_eq!(sam.answer(&[0x80, 0x60, 0, 0, 0]), [0x68, 0x83], "the second part was expected");
    assert_eq!(sam.answer(&[0x80, 0x60, 0, 0, 0]).len(), 33, "and the handshake is over");
    assert_eq!(sam.answer(&authenticate).len(), 34);
    assert_eq!(sam.answer(&[0x80, 0x0A, 0, 0, 1, 0xAE, 0]), [0xAE, 0x90, 0xDF]);
    assert_eq!(sam.answer(&[0x80, 0xD5, 0, 0, 0]), [0x69, 0x85], "a handshake that failed leaves no session");
}

#[test]
fn a_sam_in_a_reader_answers_and_forgets_with_its_power() {
    let (listener, address) = VirtualReader::listen();
    let inserted =
        SamInReader::insert(TcpStream::connect(address).expect("the reader listens"), sam()).expect("a thread");
    let mut reader = VirtualReader::accept(&listener);
    assert_eq!(reader.exchange(&[0x04]).as_deref(), Some(&ATR[..]));
    let encipher = [&[0x81, 0x0E, 0, 0, 16][..], &[0; 17]].concat();
    assert_eq!(reader.exchange(&[0x81, 0x01, 0, 0, 2, 3, 1]), Some(vec![0x90, 0x00]));
    assert_eq!(reader.exchange(&encipher).expect("an answer").len(), 18);
    reader.send(&[0x02]);
    assert_eq!(reader.exchange(&encipher), Some(vec![0x69, 0x85]));
    assert_eq!(inserted.remove().expect("no panic").exchanges(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn arbitrary_commands_never_panic_and_give_no_master_key(commands in proptest::collection::vec(command(), 1..8)) {
        let mut sam = sam();
        for command in commands {
            let answer = sam.answer(&command);
            prop_assert!(answer.len() >= 2);
            for key in [PICC_KEY, TOKEN_KEY] {
                prop_assert!(!answer.windows(16).any(|window| window == key), "{command:02X?}");
            }
        }
    }
}

/// Any bytes, or a command that is nearly right.
fn command() -> impl Strategy<Value = Vec<u8>> {
    let instruction = prop::sample::select(vec![0x60_u8, 0x64, 0x6C, 0x0A, 0xD5, 0xD6, 0x01, 0x0E, 0xCA]);
    let nearly =
        (0x80_u8..0x84, instruction, any::<[u8; 2]>(), 1_u8..4, 0_u8..2, prop::collection::vec(any::<u8>(), 0..40));
    let nearly = nearly.prop_map(|(class, instruction, p1_p2, entry, version, rest)| {
        let data = [&[entry, version][..], &rest].concat();
        let length = u8::try_from(data.len()).expect("short");
        [&[class, instruction][..], &p1_p2, &[length], &data, &[0x00]].concat()
    });
    prop_oneof![prop::collection::vec(any::<u8>(), 0..40), nearly]
}
