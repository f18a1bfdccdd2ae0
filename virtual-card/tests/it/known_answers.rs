//! Answers that others have published.

use virtual_card::{Application, Generation, Identity, Picc, diversify_aes128, framing::FrameSize};

use crate::raw_reader::{decrypt, wrap};

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
