//! Answers that others have published.

use virtual_card::{
    Application, CardKey, Generation, Identity, KeyType, Memory, Picc, diversify_aes128, framing::FrameSize,
};

use crate::raw_reader::{decrypt, wrap};

/// sotechcllc/RFDoorLock, "Desfire EV1 Communication Examples.htm": a trace of a real EV1 of 8 KB, from 2013.
const TRACE: &str = "published trace of a real EV1";

fn ev1() -> Identity {
    Identity {
        uid: [0x04, 0x3F, 0x72, 0x63, 0x34, 0x80, 0],
        generation: Generation::Ev1,
        frame_size: FrameSize::Bytes64,
    }
}

/// A card with this key at its top level, whose next random number is this one.
fn card_with(key: CardKey, rnd_b: &[u8]) -> Picc {
    let mut random = [0; 16];
    random[..rnd_b.len()].copy_from_slice(rnd_b);
    Picc::with_memory(ev1(), Memory { master_key: key, ..Memory::factory() }, Box::new(move || random))
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).expect("hexadecimal")
}

#[test]
fn diversification() {
    const MASTER: &str = "00112233445566778899AABBCCDDEEFF";
    let cases = [
        ("AN10922 rev 2.2 table 2", "04782E21801D803042F54E585020416275", "A8DD63A3B89D54B37CA802473FDA9175"),
        // Computed by GtechGovind/desfire-sdk, tests/unit/ev3_security_test.cpp diversification().
        ("1 byte", "00", "281049D52ECBC8F60961993D34DE3D54"),
        ("7 bytes", "00010203040506", "E8B7F67C78C34AF1446E331EF7E6D3FF"),
        ("16 bytes", "000102030405060708090A0B0C0D0E0F", "FEED9FBD36CDB16819A72D30BCF9240B"),
    ];
    let master = bytes(MASTER).try_into().expect("a key");
    for (source, input, key) in cases {
        let diversified = diversify_aes128(&master, &bytes(input)).expect("1 to 31 bytes");
        assert_eq!(hex::encode_upper(diversified), key, "{source}");
    }
    assert_eq!(diversify_aes128(&master, &[]), None);
    assert!(diversify_aes128(&master, &[0; 31]).is_some());
    assert_eq!(diversify_aes128(&master, &[0; 32]), None);
}

/// A whole AuthenticateEV2First: the card, given the published random numbers, answers the published bytes.
#[test]
fn handshakes() {
    // (source, enciphered RndB, reader's answer, transaction identifier, card's answer); the key is zero in all
    let cases = [
        (
            "AN12343 rev 1.1 table 16",
            "24677DDBD46349E623798FD729006E79",
            "3B50445F21D21D77D500794DEB245E5A754F5F901844259F4C9B31A5C7335ACD",
            "8CF141F3",
            "04C6DBD67417ED0D31DDDE4D2E3FFAC2B4B074F638EEF7FFF9254963B65C7759",
        ),
        (
            "AN12196 section 5.6",
            "A04C124213C186F22399D33AC2A30215",
            "35C3E05A752E0144BAC0DE51C1F22C56B34408A23D8AEA266CAB947EA8E0118D",
            "9D00C4DF",
            "3FA64DB5446D1F34CD6EA311167F5E4985B89690C04A05F17FA7AB2F08120663",
        ),
        (
            "a capture in crates.io ntag424 0.1.1, session/tests.rs authenticate_aes_hw_key0_full_handshake",
            "457B8458856FA7D114513E5A65A37405",
            "BD8315EF8B1AFF79FB51287D1E93DCE49EE4EC2EEFD5285A499B9EDC59219922",
            "704B5F99",
            "94A3D20D1035D7FF691B611360578F7765EC56EC456739A4533FDBA50F9CDFBB",
        ),
    ];
    for (source, challenge, response, identifier, expected) in cases {
        let mut second = [0; 16];
        second[..4].copy_from_slice(&bytes(identifier));
        let first = decrypt([0; 16], &bytes(challenge)).try_into().expect("a block");
        let mut randoms = vec![second, first];
        let identity =
            Identity { uid: [0x04, 1, 2, 3, 4, 5, 6], generation: Generation::Ev2, frame_size: FrameSize::Bytes128 };
        let application = Application::new([1, 2, 3], vec![[0; 16]], vec![]);
        let random = Box::new(move || randoms.pop().expect("two random numbers"));
        let mut card = Picc::new(identity, vec![application], random);
        assert_eq!(card.handle(&wrap(0x5A, &[1, 2, 3])), [0x91, 0x00]);
        let answer = card.handle(&wrap(0x71, &[0, 0]));
        assert_eq!(answer, [&bytes(challenge)[..], &[0x91, 0xAF]].concat(), "{source}");
        let answer = card.handle(&wrap(0xAF, &bytes(response)));
        assert_eq!(answer, [&bytes(expected)[..], &[0x91, 0x00]].concat(), "{source}");
    }
}

/// Authenticate, AuthenticateISO and AuthenticateAES whole: the card, given the published RndB, answers the published
/// bytes to the published reader.
#[test]
fn handshakes_of_ev1_and_d40() {
    const AES: KeyType = KeyType::Aes;
    const DES: KeyType = KeyType::TwoKeyTripleDes;
    const ZERO: &str = "00000000000000000000000000000000";
    // (source, command, key, RndB, enciphered RndB, reader's answer, card's answer)
    let cases = [
        (
            TRACE,
            0xAA,
            (AES, ZERO),
            "C05DDD714FD788A6B7B754F3C4D066E8",
            "B969FDFE56FD91FC9DE6F6F213B8FD1E",
            "36AAD7DF6E436BA08D18613830A70D5AD43E3D3F4A8D47541EEE623A934E4774",
            "800DB680BC146BD121D6578F2D2E2059",
        ),
        (
            TRACE,
            0xAA,
            (AES, "00102030405060708090A0B0B0A09080"),
            "",
            "CCC8316C2B2613FE9A189BAC9CC89D03",
            "C02E061E72E17726489CAEEC997C523758BF863EFE7671C55B4665D06ACCD97B",
            "72ACCC0BDEA482B53185BB5AD0086246",
        ),
        (
            TRACE,
            0xAA,
            (AES, "10182028303840485058606870788088"),
            "",
            "B351CB2465D4F33AC627FD6E87A168F2",
            "044B6CAC343A0865895149649CA8DDE1F5AC4EC67BD208900AF02F049E05F0B0",
            "A2EE144B1012FBEB7B2F11132D95A454",
        ),
        (
            "crates.io desfire 0.2.0-alpha3, a capture in the test authenticate_aes",
            0xAA,
            (AES, ZERO),
            "",
            "A33856932308775CF464610C2B17A558",
            "CBE9726FAF54BC76B2055D0B9700E7DC97ECAD5627F1D1702A16E8408D2A0ADA",
            "8FDC476F6BAC44FE9150E285ABD68D48",
        ),
        (TRACE, 0x1A, (DES, ZERO), "@", "5D994CE085F24089", "21D0AD5F2FD97454A746CC80567F1B1C", "913C6DED84221C41"),
        (
            TRACE,
            0x1A,
            (DES, "00102031405060708090A0B0B0A09080"),
            "@",
            "B295579926155AE3",
            "70F349740C945DAE159BA9FEDBCC461A",
            "B8FD7FE56B241FC4",
        ),
        (
            "mifare.net support forum, reply 12600 of 3 August 2015, a real card",
            0x0A,
            (DES, ZERO),
            "D6F77968D2767EA3",
            "57B0C35A080AE608",
            "5BD89F653176AE3A7A1128C9D4035129",
            "B53BF499FEAC13E4",
        ),
    ];
    for (source, command, (key_type, key), rnd_b, challenge, response, answer) in cases {
        let key = CardKey::new(key_type, &bytes(key), 0).expect("a whole key");
        let rnd_b = match rnd_b {
            "" => decrypt(key.bytes().try_into().expect("an AES key"), &bytes(challenge)),
            "@" => des_decrypted(key.bytes(), &bytes(challenge)),
            given => bytes(given),
        };
        let mut card = card_with(key, &rnd_b);
        let given = card.handle(&wrap(command, &[0]));
        assert_eq!(given, [&bytes(challenge)[..], &[0x91, 0xAF]].concat(), "{source}, {command:02X}");
        let given = card.handle(&wrap(0xAF, &bytes(response)));
        assert_eq!(given, [&bytes(answer)[..], &[0x91, 0x00]].concat(), "{source}, {command:02X}");
    }
}

fn des_decrypted(key: &[u8], block: &[u8]) -> Vec<u8> {
    use des::cipher::{BlockCipherDecrypt, KeyInit};
    let key: [u8; 16] = key.try_into().expect("a 2K3DES key");
    let mut block: [u8; 8] = block.try_into().expect("a block");
    des::TdesEde2::new(&key.into()).decrypt_block((&mut block).into());
    block.to_vec()
}

/// The trace's session under key 1: six commands, whose answers end with the MACs that the real card gave.
#[test]
fn a_session_of_a_real_card() {
    const RND_B: &str = "B351CB2465D4F33AC627FD6E87A168F2";
    let key: [u8; 16] = bytes("10182028303840485058606870788088").try_into().expect("a key");
    let rnd_b = decrypt(key, &bytes(RND_B)).try_into().expect("a block");
    let mut application = Application::new([0x16, 0xDE, 0x00], vec![[0; 16], key], vec![]);
    application.key_settings = 0x0F;
    let mut card = Picc::new(ev1(), vec![application], Box::new(move || rnd_b));
    assert_eq!(card.handle(&wrap(0x5A, &[0x16, 0xDE, 0x00])), [0x91, 0x00]);
    card.handle(&wrap(0xAA, &[1]));
    let proof = "044B6CAC343A0865895149649CA8DDE1F5AC4EC67BD208900AF02F049E05F0B0";
    assert_eq!(card.handle(&wrap(0xAF, &bytes(proof))).last(), Some(&0x00));
    let long: String = (0..0x34).map(|byte| format!("{byte:02X}")).collect();
    let rest: String = (0x34..0x50).map(|byte| format!("{byte:02X}")).collect();
    let read: String = (0..0x30).map(|byte| format!("{byte:02X}")).collect();
    // (command, parameters, the card's data, the first half of its CMAC)
    let dialogue = [
        (0xCD, "05001100500000".to_owned(), String::new(), "A75316AD1596B953"),
        (0x6F, String::new(), "05".to_owned(), "2D5FF67FFEC9D2D3"),
        (0xF5, "05".to_owned(), "00001100500000".to_owned(), "2AAC7517024E09DC"),
        (0x3D, format!("05000000340000{long}"), String::new(), "765C9DAA50ECB62F"),
        (0x3D, format!("053400001C0000{rest}"), String::new(), "3E0AED986B8B0F37"),
        (0xBD, "05000000300000".to_owned(), read, "4C65F1F842262BAC"),
    ];
    for (instruction, parameters, data, mac) in dialogue {
        let mut answer = card.handle(&wrap(instruction, &bytes(&parameters)));
        while answer.ends_with(&[0x91, 0xAF]) {
            answer.truncate(answer.len() - 2);
            answer.extend(card.handle(&wrap(0xAF, &[])));
        }
        assert_eq!(hex::encode_upper(answer), format!("{data}{mac}9100"), "{instruction:02X}");
    }
}
