//! Secure messaging against every small change of what travels.

use card_crypto::{CommunicationMode, Ev2, Misbehaviour, Misuse, SecureMessaging, channel::SessionKeys};
use proptest::prelude::*;

use crate::{
    scripted::{Peer, seal},
    vectors::{self, Vector},
};

const FILE: &str = include_str!("../vectors/secure_messaging.txt");

/// A genuine answer and the counter that it belongs to, one enciphered and one only authenticated.
fn genuine_answers() -> [(CommunicationMode, Vec<u8>, Ev2, Ev2); 2] {
    let full = vectors::named(FILE, "EV2 Full ReadData 48-byte response (full extra padding block)");
    let mac = vectors::named(FILE, "EV2 MACed ReadData response with data");
    let answer = [mac.bytes("data"), mac.bytes("mact")].concat();
    let channel = |vector: &Vector, encryption: &str, counter: u16| {
        let encryption = vector.find(encryption).map_or(vector.key("ses_mac"), |_| vector.key(encryption));
        let keys = SessionKeys { encryption, authentication: vector.key("ses_mac") };
        Ev2::new(&keys, vector.array("ti"), counter)
    };
    [
        (CommunicationMode::Full, full.bytes("response"), channel(&full, "ses_enc", 2), channel(&full, "ses_enc", 3)),
        (CommunicationMode::Mac, answer, channel(&mac, "ses_enc", 2), channel(&mac, "ses_enc", 3)),
    ]
}

#[test]
fn every_flipped_bit_of_an_answer_is_rejected() {
    for (mode, answer, mut channel, _) in genuine_answers() {
        for bit in 0..answer.len() * 8 {
            let mut changed = answer.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(channel.open(mode, changed, usize::MAX), Err(Misbehaviour::WrongMac), "{mode:?}, bit {bit}");
        }
        assert!(channel.open(mode, answer, usize::MAX).is_ok(), "{mode:?}: the genuine answer must still pass");
    }
}

#[test]
fn a_shorter_longer_or_repeated_answer_is_rejected() {
    for (mode, answer, mut channel, mut later) in genuine_answers() {
        for length in 0..answer.len() {
            let short = channel.open(mode, answer[..length].to_vec(), usize::MAX);
            assert_eq!(short, Err(Misbehaviour::WrongMac), "{mode:?}, first {length} bytes");
            let late = channel.open(mode, answer[answer.len() - length..].to_vec(), usize::MAX);
            assert_eq!(late, Err(Misbehaviour::WrongMac), "{mode:?}, last {length} bytes");
        }
        let long = channel.open(mode, [answer.as_slice(), &[0]].concat(), usize::MAX);
        assert_eq!(long, Err(Misbehaviour::WrongMac), "{mode:?}, one byte more");
        assert_eq!(later.open(mode, answer, usize::MAX), Err(Misbehaviour::WrongMac), "{mode:?}, one command later");
    }
}

/// What a command's MAC covers: the card must see each changed bit of it.
#[test]
fn every_flipped_bit_of_a_sealed_command_is_seen_by_the_card() {
    let peer = Peer::example();
    for (mode, data) in [(CommunicationMode::Mac, &[0x5A; 60][..]), (CommunicationMode::Full, &[0x5A; 15])] {
        let sealed = seal(&mut peer.channel(7), mode, 0x3B, &[3, 0, 0, 0, 60, 0, 0], data).unwrap();
        let (body, mac) = sealed.split_at(sealed.len() - 8);
        assert_eq!(peer.mac(0x3B, 7, body), mac);
        for bit in 0..body.len() * 8 {
            let mut changed = body.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(peer.mac(0x3B, 7, &changed), mac, "{mode:?}, bit {bit}");
        }
    }
}

#[test]
fn wrong_padding_under_a_right_mac_is_a_wrong_mac() {
    let peer = Peer::example();
    let table: [(&str, Vec<u8>); 5] = [
        ("no padding", vec![0x11; 16]),
        ("zeros only", vec![0; 16]),
        ("a whole block of it too much", [vec![0x11; 15], vec![0x80], vec![0; 16]].concat()),
        ("not a whole block", vec![0x80; 15]),
        ("empty block count", vec![0x80]),
    ];
    for (name, plain) in table {
        let answer = peer.full_answer_of_padded(1, plain);
        let opened = peer.channel(1).open(CommunicationMode::Full, answer, usize::MAX);
        assert_eq!(opened, Err(Misbehaviour::WrongMac), "{name}");
    }
}

#[test]
fn the_counter_advances_in_every_mode_and_does_not_wrap() {
    let peer = Peer::example();
    for mode in [CommunicationMode::Plain, CommunicationMode::Mac, CommunicationMode::Full] {
        let mut channel = peer.channel(u16::MAX - 1);
        seal(&mut channel, mode, 0x6C, &[2], &[]).unwrap();
        assert_eq!(seal(&mut channel, mode, 0x6C, &[2], &[]), Err(Misuse::CounterExhausted), "{mode:?}");
        assert_eq!(seal(&mut channel, mode, 0x6C, &[2], &[]), Err(Misuse::CounterExhausted), "{mode:?}, again");
    }

    let mut channel = peer.channel(0);
    seal(&mut channel, CommunicationMode::Plain, 0x6C, &[2], &[]).unwrap();
    let second = seal(&mut channel, CommunicationMode::Mac, 0x6C, &[2], &[]).unwrap();
    assert_eq!(second[1..], peer.mac(0x6C, 1, &[2]));
}

proptest! {
    #[test]
    fn what_the_card_seals_the_reader_opens(data in prop::collection::vec(any::<u8>(), 0..200), counter: u16) {
        let peer = Peer::example();
        for mode in [CommunicationMode::Plain, CommunicationMode::Mac, CommunicationMode::Full] {
            let answer = peer.answer(mode, counter, &data);
            prop_assert_eq!(peer.channel(counter).open(mode, answer, usize::MAX), Ok(data.clone()));
        }
    }

    #[test]
    fn arbitrary_answers_never_open(answer in prop::collection::vec(any::<u8>(), 0..200), counter: u16) {
        for mode in [CommunicationMode::Mac, CommunicationMode::Full] {
            let opened = Peer::example().channel(counter).open(mode, answer.clone(), usize::MAX);
            prop_assert_eq!(opened, Err(Misbehaviour::WrongMac));
        }
    }
}
