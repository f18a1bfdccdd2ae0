//! EV1: handshakes, the running IV, messages.

use std::collections::BTreeMap;

use card_crypto::{
    CommunicationMode, DesKey, Ev1, FactoryDes, Misbehaviour, SecureMessaging,
    auth::{Aes, IsoDes},
    channel::Plaintext,
    checksum::crc32,
};

use crate::{scripted::seal, vectors::Vector};

pub(super) fn authenticate_aes(vector: &Vector) {
    let handshake = || Aes::respond(&vector.key("key"), vector.array("rnda"), &vector.array("enc_rndb"));
    assert_eq!(handshake().cryptogram(), &vector.array("enc_rnda_rndb_rot"), "{vector:?}");

    let proof: [u8; 16] = vector.array("enc_rnda_rot");
    assert_eq!(handshake().open(&proof), Ok(vector.key("session_key")), "{vector:?}");
    for bit in 0..128 {
        let mut changed = proof;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(handshake().open(&changed), Err(Misbehaviour::WrongChallenge), "{vector:?}, bit {bit}");
    }
}

pub(super) fn authenticate_iso(vector: &Vector) {
    let key = DesKey::new(vector.array("key"));
    let handshake = || IsoDes::respond(&key, vector.array("rnda"), &vector.array("enc_rndb"));
    assert_eq!(handshake().cryptogram(), &vector.array("enc_rnda_rndb_rot"), "{vector:?}");

    let proof: [u8; 8] = vector.array("enc_rnda_rot");
    let session_key = handshake().open(&proof).expect("a published handshake holds");
    let without_versions = session_key.expose_secret().map(|byte| byte & !1);
    assert_eq!(without_versions, vector.array("session_key_version_bits_cleared"), "{vector:?}");
    for bit in 0..64 {
        let mut changed = proof;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(handshake().open(&changed).err(), Some(Misbehaviour::WrongChallenge), "{vector:?}, bit {bit}");
    }
}

/// Commands and answers in turn: an answer ends with its status 00, and its MAC is the first 8 bytes of the CMAC.
pub(super) fn cmac_chain(vector: &Vector) {
    let mut session = Ev1::new(&vector.key("session_key"));
    chain(vector, &mut session, |session| session.initialization_vector().to_vec());
}

pub(super) fn des_cmac_chain(vector: &Vector) {
    let mut session = FactoryDes::new(&DesKey::new(vector.array("session_key")));
    chain(vector, &mut session, |session| session.initialization_vector().to_vec());
}

fn chain<S: SecureMessaging>(vector: &Vector, session: &mut S, iv: impl Fn(&S) -> Vec<u8>) {
    for (number, step) in (1..).map_while(|number| Some((number, vector.find(&format!("step_{number:02}"))?))) {
        let (input, expected) = step.split_once(' ').expect("input and CMAC");
        let decode = |text| hex::decode(text).expect("a step is hexadecimal");
        let (input, expected): (Vec<u8>, Vec<u8>) = (decode(input), decode(expected));
        if number % 2 == 1 {
            seal(session, CommunicationMode::Plain, input[0], &input[1..], &[]).expect("EV1 counts nothing");
        } else {
            let (&status, data) = input.split_last().expect("an answer has a status");
            assert_eq!(status, 0x00, "{vector:?}, step {number}");
            let answer = [data, &expected[..8]].concat();
            let said = session.open(CommunicationMode::Plain, answer, data.len());
            assert_eq!(said.as_deref(), Ok(data), "{vector:?}, step {number}");
        }
        assert_eq!(iv(session), expected, "{vector:?}, step {number}");
    }
}

/// Sessions of which several exchanges are published: the IV runs through all of them.
#[derive(Default)]
pub(super) struct Sessions(BTreeMap<String, Ev1>);

impl Sessions {
    pub(super) fn exchange(&mut self, vector: &Vector) {
        let session =
            self.0.entry(vector.text("session").to_owned()).or_insert_with(|| Ev1::new(&vector.key("session_key")));
        let [instruction] = vector.array("cmd");
        let (header, data, said) = (vector.bytes("header"), vector.bytes("data"), vector.bytes("said"));
        let body = seal(session, vector.mode("mode"), instruction, &header, &data);
        assert_eq!(body, Ok(vector.bytes("wire")), "{vector:?}");
        let opened = session.open(vector.mode("answer_mode"), vector.bytes("answer"), said.len());
        assert_eq!(opened, Ok(said), "{vector:?}");
    }
}

pub(super) fn change_key(vector: &Vector) {
    let iv = vector.find("iv").map_or([0; 16], |_| vector.array("iv"));
    let mut session = Ev1::with_initialization_vector(&vector.key("session_key"), iv);
    let [number, version] = [vector.number("keyno"), vector.number("newver")];
    let set: Option<u8> = vector.find("keyset").map(|_| vector.number("keyset"));
    let header: Vec<u8> = set.into_iter().chain([number]).collect();
    let new = vector.bytes("newkey");
    let old = vector.find("oldkey").map_or([0; 16], |_| vector.array("oldkey"));
    let masked: Vec<u8> = new.iter().zip(old).map(|(new, old)| new ^ old).chain([version]).collect();
    let checksum = vector.find("oldkey").map(|_| crc32(&[&new]));
    let instruction = if set.is_some() { 0xC6 } else { 0xC4 };
    let mode = CommunicationMode::Full;
    let body = session.seal(&Plaintext { mode, instruction, header: &header, data: &masked, checksum });
    assert_eq!(body, Ok(vector.bytes("wire")), "{vector:?}");
    if vector.find("response_cmac").is_some() {
        let mac = vector.bytes("response_cmac")[..8].to_vec();
        assert_eq!(session.open(CommunicationMode::Mac, mac, 0), Ok(vec![]), "{vector:?}");
    }
}

pub(super) fn change_key_2k3des(vector: &Vector) {
    let mut session = FactoryDes::new(&DesKey::new(vector.array("session_key")));
    let body = seal(&mut session, CommunicationMode::Full, 0xC4, &[vector.number("keyno")], &vector.bytes("newkey"));
    assert_eq!(body, Ok(vector.bytes("wire")), "{vector:?}");
}
