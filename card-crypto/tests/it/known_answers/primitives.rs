//! CMAC, CRC and key diversification.

use aes::{
    Aes128Enc,
    cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};
use card_crypto::{
    CommunicationMode, DesKey, Ev1, FactoryDes, Key, SecureMessaging, channel::Plaintext, checksum, diversify_aes128,
    mac::cmac,
};

use super::byte;
use crate::vectors::Vector;

/// Both implementations: the one of EV2, and the one of EV1, whose IV is zero at first and the whole CMAC afterwards.
pub(super) fn aes_cmac(vector: &Vector) {
    let (key, message) = (vector.key("key"), vector.bytes("msg"));
    assert_eq!(cmac(&key, &message), vector.array("cmac"), "{vector:?}");
    if let Some((&instruction, header)) = message.split_first() {
        let mut session = Ev1::new(&key);
        session.seal(&plain(instruction, header)).expect("EV1 counts nothing");
        assert_eq!(session.initialization_vector(), &vector.array("cmac"), "{vector:?}");
    }
}

pub(super) fn tdes_cmac(vector: &Vector) {
    let message = vector.bytes("msg");
    let mut session = FactoryDes::new(&DesKey::new(vector.array("key")));
    session.seal(&plain(message[0], &message[1..])).expect("EV1 counts nothing");
    assert_eq!(session.initialization_vector(), vector.array("cmac"), "{vector:?}");
}

fn plain(instruction: u8, header: &[u8]) -> Plaintext<'_> {
    Plaintext { mode: CommunicationMode::Plain, instruction, header, data: &[], checksum: None }
}

pub(super) fn crc32(vector: &Vector) {
    let data = vector.bytes("data");
    for at in 0..=data.len() {
        let (first, second) = data.split_at(at);
        assert_eq!(checksum::crc32(&[first, second]), vector.array("crc_lsb_first"), "{vector:?}");
    }
}

/// Authenticate (0A) of the first generation, which this crate does not speak: its vector holds for the cipher alone. The
/// reader only ever deciphers.
pub(super) fn d40_auth(vector: &Vector) {
    let single: [u8; 8] = vector.array("key");
    let cipher = des::TdesEde2::new(<&[u8; 16]>::try_from([single, single].as_flattened()).expect("16 bytes").into());
    let decipher = |mut block: [u8; 8]| {
        cipher.decrypt_block((&mut block).into());
        block
    };
    let (mut rnd_a, rnd_b): ([u8; 8], _) = (vector.array("rnda"), decipher(vector.array("enc_rndb")));
    assert_eq!(rnd_b, vector.array("rndb"), "{vector:?}");
    let mut rotated = rnd_b;
    rotated.rotate_left(1);
    let first = decipher(rnd_a);
    let second = decipher(std::array::from_fn(|i| rotated[i] ^ first[i]));
    assert_eq!([first, second].as_flattened(), vector.bytes("pcd_cryptogram"), "{vector:?}");
    assert_eq!([&rnd_a[..4], &rnd_b[..4]].concat(), vector.bytes("session_key"), "{vector:?}");
    rnd_a.rotate_left(1);
    assert_eq!(decipher(vector.array("enc_rnda_rot")), rnd_a, "{vector:?}");
}

/// Subkeys are seen from outside in what they do: K2 closes a padded diversification input, K1 a full one.
pub(super) fn cmac_subkeys(vector: &Vector) {
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

pub(super) fn an10922_aes128(vector: &Vector) {
    let diversified = diversify_aes128(&vector.key("key"), &vector.bytes("input"));
    assert_eq!(diversified, Ok(vector.key("diversified")), "{vector:?}");
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

fn encrypt(key: &Key, mut block: [u8; 16]) -> [u8; 16] {
    Aes128Enc::new(key.expose_secret().into()).encrypt_block((&mut block).into());
    block
}
