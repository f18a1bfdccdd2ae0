//! Every published known answer that touches this crate.

use aes::{
    Aes128Enc,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use card_crypto::{
    Command, CommunicationMode, Ev2, FileNumber, Key, Misbehaviour, SecureMessaging, TransactionMacInput,
    auth::Ev2First,
    channel::SessionKeys,
    diversify_aes128,
    mac::{cmac, truncated_cmac},
    transaction_mac,
};

use crate::{
    scripted::{ANY, seal},
    vectors::{self, Vector},
};

const FILES: [&str; 5] = [
    include_str!("../vectors/authenticate_ev2_first.txt"),
    include_str!("../vectors/cmac.txt"),
    include_str!("../vectors/diversification.txt"),
    include_str!("../vectors/secure_messaging.txt"),
    include_str!("../vectors/transaction_mac.txt"),
];

#[test]
fn every_vector_holds() {
    let vectors: Vec<Vector> = FILES.iter().flat_map(|file| vectors::parse(file)).collect();
    for vector in &vectors {
        match vector.text("kind") {
            "aes_cmac" => aes_cmac(vector),
            "cmac_subkeys" => cmac_subkeys(vector),
            "an10922_aes128" => an10922_aes128(vector),
            "ev2_first" => ev2_first(vector),
            "ev2_iv" => ev2_iv(vector),
            "ev2_mac" => ev2_mac(vector),
            "ev2_full_command" => ev2_full_command(vector),
            "ev2_full_response" => ev2_full_response(vector),
            "tmac_keys" => tmac_keys(vector),
            "tmac_value" => tmac_value(vector),
            "tmac_model" => tmac_model(vector),
            other => panic!("{vector:?}: no test for the kind {other}"),
        }
    }
    println!("{} known answers", vectors.len());
    assert_eq!(vectors.len(), 32, "a vector was lost or added");
}

fn aes_cmac(vector: &Vector) {
    assert_eq!(cmac(&vector.key("key"), &vector.bytes("msg")), vector.array("cmac"), "{vector:?}");
}

/// Subkeys are seen from outside in what they do: K2 closes a padded diversification input, K1 a full one.
fn cmac_subkeys(vector: &Vector) {
    let key = vector.key("key");
    assert_eq!(encrypt(&key, [0; 16]), vector.array("k0"), "{vector:?}");

    let diversified_with = |subkey: [u8; 16], message: [u8; 32]| {
        let (first, last) = message.split_at(16);
        let state = encrypt(&key, first.try_into().expect("half of 32 bytes"));
        Key::new(encrypt(&key, std::array::from_fn(|i| state[i] ^ last[i] ^ subkey[i])))
    };
    let full: [u8; 32] = std::array::from_fn(|i| if i == 0 { 1 } else { 0xA0 ^ byte(i) });
    assert_eq!(diversify_aes128(&key, &full[1..]), Ok(diversified_with(vector.array("k1"), full)), "{vector:?}");
    for length in 1..31 {
        let mut padded = [0; 32];
        padded[..=length].copy_from_slice(&full[..=length]);
        padded[length + 1] = 0x80;
        let expected = diversified_with(vector.array("k2"), padded);
        assert_eq!(diversify_aes128(&key, &full[1..=length]), Ok(expected), "{vector:?}, {length} bytes");
    }
}

fn an10922_aes128(vector: &Vector) {
    let diversified = diversify_aes128(&vector.key("key"), &vector.bytes("input"));
    assert_eq!(diversified, Ok(vector.key("diversified")), "{vector:?}");
}

fn ev2_first(vector: &Vector) {
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

/// The IV itself as data cancels out in the first block, which leaves E(0).
fn ev2_iv(vector: &Vector) {
    assert_eq!(vector.text("dir"), "command", "{vector:?}");
    let keys = SessionKeys { encryption: vector.key("ses_enc"), authentication: Key::new([0; 16]) };
    let mut channel = Ev2::new(&keys, vector.array("ti"), vector.number("ctr"));
    let sealed =
        seal(&mut channel, CommunicationMode::Full, 0x8D, &[], &vector.bytes("iv")).expect("the counter is low");
    assert_eq!(sealed[..16], encrypt(&keys.encryption, [0; 16]), "{vector:?}");
}

fn ev2_mac(vector: &Vector) {
    let keys = || SessionKeys { encryption: Key::new([0; 16]), authentication: vector.key("ses_mac") };
    let ([first], counter) = (vector.array("cmd_or_rc"), vector.number::<u16>("ctr"));
    let data = vector.bytes("data");
    let with_mac = [data.clone(), vector.bytes("mact")].concat();
    if first == 0 {
        let mut channel = Ev2::new(&keys(), vector.array("ti"), counter);
        assert_eq!(channel.open(CommunicationMode::Mac, with_mac, &ANY), Ok(data), "{vector:?}");
    } else {
        let mut channel = Ev2::new(&keys(), vector.array("ti"), counter);
        assert_eq!(seal(&mut channel, CommunicationMode::Mac, first, &data, &[]), Ok(with_mac), "{vector:?}");
    }
}

fn ev2_full_command(vector: &Vector) {
    let mut channel = session(vector, vector.number("ctr"));
    let [instruction] = vector.array("cmd");
    let sealed =
        seal(&mut channel, CommunicationMode::Full, instruction, &vector.bytes("header"), &vector.bytes("data"));
    assert_eq!(sealed, Ok(vector.bytes("wire")), "{vector:?}");
    if vector.find("response_mact").is_some() {
        let answer = channel.open(CommunicationMode::Full, vector.bytes("response_mact"), &ANY);
        assert_eq!(answer, Ok(Vec::new()), "{vector:?}");
    }
}

fn ev2_full_response(vector: &Vector) {
    let mut channel = session(vector, vector.number("ctr_after"));
    let opened = channel.open(CommunicationMode::Full, vector.bytes("response"), &ANY);
    assert_eq!(opened, Ok(vector.bytes("data")), "{vector:?}");
}

/// SesTMENCKey serves CommitReaderID only, which this crate does not speak; its vector checks the CMAC alone.
fn tmac_keys(vector: &Vector) {
    let (key, uid, counter) =
        (vector.key("app_tmac_key"), vector.array("uid"), vector.number::<u32>("tmc_after_commit"));
    assert_eq!(transaction_mac::session_mac_key(&key, &uid, counter), vector.key("ses_tm_mac"), "{vector:?}");

    let derivation = [&[0xA5, 0x00, 0x01, 0x00, 0x80], counter.to_le_bytes().as_slice(), &uid].concat();
    assert_eq!(cmac(&key, &derivation), vector.array("ses_tm_enc"), "{vector:?}");
}

fn tmac_value(vector: &Vector) {
    assert_eq!(truncated_cmac(&vector.key("ses_tm_mac"), &vector.bytes("tmi")), vector.array("tmv"), "{vector:?}");
}

fn tmac_model(vector: &Vector) {
    tmac_keys(vector);
    tmac_value(vector);

    let input = vector.bytes("tmi");
    if input[0] == Command::WriteRecord.code() {
        let (key, uid) = (vector.key("app_tmac_key"), vector.array("uid"));
        let counter = vector.number("tmc_after_commit");
        let built = TransactionMacInput::new()
            .write_record(file(2), 0, &input[16..36])
            .expect("20 bytes are few")
            .debit(file(4), 3500);
        assert_eq!(built.as_bytes(), input, "{vector:?}");

        let value: [u8; 8] = vector.array("tmv");
        assert_eq!(transaction_mac::compute(&key, &uid, counter, &built), value, "{vector:?}");
        assert!(transaction_mac::verify(&key, &uid, counter, &built, &value), "{vector:?}");
        for bit in 0..64 {
            let mut changed = value;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!transaction_mac::verify(&key, &uid, counter, &built, &changed), "{vector:?}, bit {bit}");
        }
        assert!(!transaction_mac::verify(&key, &uid, counter + 1, &built, &value), "{vector:?}");
    }
}

/// The input of a whole purse tap, item by item, as MF2DL(H)x0 section 10.3 lays it out.
#[test]
fn transaction_mac_input_is_laid_out_as_published() {
    let input = TransactionMacInput::new()
        .read_records(file(3), 0, 1, &[0x11; 20])
        .unwrap()
        .read_data(file(1), 0x010203, 16, &[0x22; 16])
        .unwrap()
        .get_value(file(2), -2)
        .debit(file(2), 8000)
        .write_record(file(3), 4, &[0x33; 1])
        .unwrap();
    let expected = [
        "BB030000000100000000000000000000",
        "11111111111111111111111111111111",
        "11111111000000000000000000000000",
        "BD010302011000000000000000000000",
        "22222222222222222222222222222222",
        "6C02FEFFFFFF00000000000000000000",
        "DC02401F000000000000000000000000",
        "3B030400000100000000000000000000",
        "33000000000000000000000000000000",
    ];
    assert_eq!(hex::encode_upper(input.as_bytes()), expected.concat());
    assert!(TransactionMacInput::new().read_records(file(3), 0x0100_0000, 1, &[]).is_err());
}

/// From 16 bytes on, the input fills a second block by itself, and AN10922 is plain CMAC of `01 ‖ input`.
#[test]
fn long_diversification_inputs_agree_with_cmac() {
    let master = Key::new(std::array::from_fn(|i| 0x5A ^ byte(i)));
    for length in 16..=31 {
        let message: Vec<u8> = (0..=length).map(|i| if i == 0 { 1 } else { i }).collect();
        assert_eq!(diversify_aes128(&master, &message[1..]), Ok(Key::new(cmac(&master, &message))), "{length} bytes");
    }
    for length in [0, 32, 1000] {
        assert!(diversify_aes128(&master, &vec![0; length]).is_err(), "{length} bytes");
    }
}

fn session(vector: &Vector, counter: u16) -> Ev2 {
    let keys = SessionKeys { encryption: vector.key("ses_enc"), authentication: vector.key("ses_mac") };
    Ev2::new(&keys, vector.array("ti"), counter)
}

fn encrypt(key: &Key, mut block: [u8; 16]) -> [u8; 16] {
    Aes128Enc::new(key.expose_secret().into()).encrypt_block((&mut block).into());
    block
}

fn file(number: u8) -> FileNumber {
    FileNumber::new(number).expect("below 32")
}

fn byte(index: usize) -> u8 {
    u8::try_from(index).expect("an index into a few bytes")
}
