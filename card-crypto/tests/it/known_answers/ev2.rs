//! EV2: handshakes, session keys, messages.

use aes::{
    Aes128Enc,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use card_crypto::{
    CommunicationMode, Ev2, Key, Misbehaviour, SecureMessaging,
    auth::{Ev2First, Ev2NonFirst},
    channel::{Plaintext, SessionKeys},
    checksum::crc32,
};

use crate::{scripted::seal, vectors::Vector};

pub(super) fn first(vector: &Vector) {
    let handshake = || Ev2First::respond(&vector.key("key"), vector.array("rnda"), &vector.array("enc_rndb"));
    assert_eq!(handshake().cryptogram(), &vector.array("pcd_cryptogram"), "{vector:?}");

    let card_response = vector.array("card_response");
    let echo: [u8; 6] = vector.find("pcdcap2").map_or([0; 6], |_| vector.array("pcdcap2"));
    let sent = echo.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    for not_sent in [[&echo[..sent], &[1]].concat(), vec![0xFF; 6], [&echo[..], &[0]].concat()] {
        let opened = handshake().open(&card_response, &not_sent);
        assert_eq!(opened.err(), Some(Misbehaviour::WrongCapabilities), "{vector:?}, {not_sent:02X?}");
    }
    if sent > 0 {
        let downgraded = handshake().open(&card_response, &echo[..sent - 1]);
        assert_eq!(downgraded.err(), Some(Misbehaviour::WrongCapabilities), "{vector:?}");
    }
    let opened = handshake().open(&card_response, &echo[..sent]).expect("a published handshake holds");
    assert_eq!(opened.transaction_identifier, vector.array("ti"), "{vector:?}");
    if vector.find("pdcap2").is_some() {
        assert_eq!(opened.card_capabilities, vector.array("pdcap2"), "{vector:?}");
    }
    if vector.find("ses_enc").is_some() {
        let keys = SessionKeys { encryption: vector.key("ses_enc"), authentication: vector.key("ses_mac") };
        assert_eq!(opened.keys, keys, "{vector:?}");
    }
}

pub(super) fn non_first(vector: &Vector) {
    let handshake = || Ev2NonFirst::respond(&vector.key("key"), vector.array("rnda"), &vector.array("enc_rndb"));
    assert_eq!(handshake().cryptogram(), &vector.array("pcd_cryptogram"), "{vector:?}");
    let proof: [u8; 16] = vector.array("card_response");
    for bit in 0..128 {
        let mut changed = proof;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(handshake().open(&changed), Err(Misbehaviour::WrongChallenge), "{vector:?}, bit {bit}");
    }
    let keys = handshake().open(&proof).expect("a published handshake holds");
    if vector.find("ses_enc").is_some() {
        let expected = SessionKeys { encryption: vector.key("ses_enc"), authentication: vector.key("ses_mac") };
        assert_eq!(keys, expected, "{vector:?}");
    }
}

/// The IV itself as data cancels out in the first block, which leaves E(0).
pub(super) fn initialization_vector(vector: &Vector) {
    assert_eq!(vector.text("dir"), "command", "{vector:?}");
    let keys = SessionKeys { encryption: vector.key("ses_enc"), authentication: Key::new([0; 16]) };
    let mut channel = Ev2::new(&keys, vector.array("ti"), vector.number("ctr"));
    let sealed =
        seal(&mut channel, CommunicationMode::Full, 0x8D, &[], &vector.bytes("iv")).expect("the counter is low");
    assert_eq!(sealed[..16], encrypt(&keys.encryption, [0; 16]), "{vector:?}");
}

pub(super) fn mac(vector: &Vector) {
    let keys = || SessionKeys { encryption: Key::new([0; 16]), authentication: vector.key("ses_mac") };
    let ([first], counter) = (vector.array("cmd_or_rc"), vector.number::<u16>("ctr"));
    let data = vector.bytes("data");
    let with_mac = [data.clone(), vector.bytes("mact")].concat();
    if first == 0 {
        let mut channel = Ev2::new(&keys(), vector.array("ti"), counter);
        assert_eq!(channel.open(CommunicationMode::Mac, with_mac, usize::MAX), Ok(data), "{vector:?}");
    } else {
        let mut channel = Ev2::new(&keys(), vector.array("ti"), counter);
        assert_eq!(seal(&mut channel, CommunicationMode::Mac, first, &data, &[]), Ok(with_mac), "{vector:?}");
    }
}

pub(super) fn full_command(vector: &Vector) {
    let mut channel = session(vector, vector.number("ctr"));
    let [instruction] = vector.array("cmd");
    let sealed =
        seal(&mut channel, CommunicationMode::Full, instruction, &vector.bytes("header"), &vector.bytes("data"));
    assert_eq!(sealed, Ok(vector.bytes("wire")), "{vector:?}");
    if vector.find("response_mact").is_some() {
        let answer = channel.open(CommunicationMode::Full, vector.bytes("response_mact"), usize::MAX);
        assert_eq!(answer, Ok(Vec::new()), "{vector:?}");
    }
}

pub(super) fn full_response(vector: &Vector) {
    let mut channel = session(vector, vector.number("ctr_after"));
    let opened = channel.open(CommunicationMode::Full, vector.bytes("response"), usize::MAX);
    assert_eq!(opened, Ok(vector.bytes("data")), "{vector:?}");
}

/// One block of ciphertext under the IV of an answer. As an answer it has no MAC, and padding neither, so it is not opened
/// as one; the arithmetic is what [`Ev2::seal`] does to the other direction.
pub(super) fn decrypt_response(vector: &Vector) {
    let key = vector.key("ses_enc");
    let counter = vector.number::<u16>("ctr_after").to_le_bytes();
    let iv: [u8; 16] = [&[0x5A, 0xA5], vector.bytes("ti").as_slice(), &counter, &[0; 8]]
        .concat()
        .try_into()
        .expect("2 + 4 + 2 + 8 bytes");
    let (iv, plain): ([u8; 16], [u8; 16]) = (encrypt(&key, iv), vector.array("plaintext"));
    let ciphertext = encrypt(&key, std::array::from_fn(|i| iv[i] ^ plain[i]));
    assert_eq!(ciphertext, vector.array("ciphertext"), "{vector:?}");
}

/// A sealed command, to the byte; returns the session that waits for its answer.
pub(super) fn command(vector: &Vector) -> Ev2 {
    let mut session = session(vector, vector.number("ctr"));
    let apdu = vector.bytes("apdu");
    let body = seal(&mut session, vector.mode("mode"), apdu[1], &vector.bytes("header"), &vector.bytes("data"));
    assert_eq!(body.as_deref(), Ok(wrapped(&apdu)), "{vector:?}");
    session
}

pub(super) fn exchange(vector: &Vector) {
    let opened = command(vector).open(vector.mode("answer_mode"), vector.bytes("answer"), usize::MAX);
    assert_eq!(opened, Ok(vector.bytes("said")), "{vector:?}");
}

pub(super) fn change_key(vector: &Vector) {
    let mut session = session(vector, vector.number("ctr"));
    let [number, version] = [vector.number("keyno"), vector.number("newver")];
    let new = vector.bytes("newkey");
    let old = vector.find("oldkey").map_or([0; 16], |_| vector.array("oldkey"));
    let masked: Vec<u8> = new.iter().zip(old).map(|(new, old)| new ^ old).chain([version]).collect();
    let checksum = vector.find("oldkey").map(|_| crc32(&[&new]));
    let mode = CommunicationMode::Full;
    let body = session.seal(&Plaintext { mode, instruction: 0xC4, header: &[number], data: &masked, checksum });
    assert_eq!(body.as_deref(), Ok(wrapped(&vector.bytes("apdu"))), "{vector:?}");
    if vector.find("response").is_some() {
        let answer = session.open(CommunicationMode::Mac, vector.bytes("response"), usize::MAX);
        assert_eq!(answer, Ok(vec![]), "{vector:?}");
    }
}

/// What a wrapped command carries; nothing where it has no length byte.
fn wrapped(apdu: &[u8]) -> &[u8] {
    apdu.get(5..apdu.len() - 1).unwrap_or_default()
}

fn session(vector: &Vector, counter: u16) -> Ev2 {
    let keys = SessionKeys { encryption: vector.key("ses_enc"), authentication: vector.key("ses_mac") };
    Ev2::new(&keys, vector.array("ti"), counter)
}

fn encrypt(key: &Key, mut block: [u8; 16]) -> [u8; 16] {
    Aes128Enc::new(key.expose_secret().into()).encrypt_block((&mut block).into());
    block
}
