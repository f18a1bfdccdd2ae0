//! What a back office checks: Transaction MAC, originality, delegation.

use card_crypto::{
    Command, FileNumber, NewKey, TransactionMacInput, delegation,
    mac::truncated_cmac,
    originality::{OriginalityKey, is_genuine},
    transaction_mac,
};

use crate::vectors::Vector;

pub(super) fn tmac_keys(vector: &Vector) {
    let (key, uid, counter) =
        (vector.key("app_tmac_key"), vector.array("uid"), vector.number::<u32>("tmc_after_commit"));
    assert_eq!(transaction_mac::session_mac_key(&key, &uid, counter), vector.key("ses_tm_mac"), "{vector:?}");
    assert_eq!(transaction_mac::session_encryption_key(&key, &uid, counter), vector.key("ses_tm_enc"), "{vector:?}");
}

pub(super) fn tmac_value(vector: &Vector) {
    assert_eq!(truncated_cmac(&vector.key("ses_tm_mac"), &vector.bytes("tmi")), vector.array("tmv"), "{vector:?}");
}

pub(super) fn tmac_model(vector: &Vector) {
    tmac_keys(vector);
    tmac_value(vector);

    let input = vector.bytes("tmi");
    let (key, uid) = (vector.key("app_tmac_key"), vector.array("uid"));
    let counter = vector.number("tmc_after_commit");
    let sixteen = |at: usize| <[u8; 16]>::try_from(&input[at..at + 16]).expect("16 bytes");
    let built = if input[0] == Command::WriteRecord.code() {
        let written = TransactionMacInput::new().write_record(file(2), 0, &input[16..36]);
        written.expect("20 bytes are few").debit(file(4), 3500)
    } else {
        let named = TransactionMacInput::new().commit_reader_id(&sixteen(1), &sixteen(17));
        named.debit(file(4), 250).get_value(file(4), 1000)
    };
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

pub(super) fn previous_reader_id(vector: &Vector) {
    let (key, uid) = (vector.key("app_tmac_key"), vector.array("uid"));
    let counter = vector.number("tmc_after_commit");
    assert_eq!(transaction_mac::session_encryption_key(&key, &uid, counter), vector.key("ses_tm_enc"), "{vector:?}");
    let previous = transaction_mac::previous_reader_id(&key, &uid, counter, &vector.array("enc_tmri"));
    assert_eq!(previous, vector.array("prev_reader_id"), "{vector:?}");
}

pub(super) fn delegated_default_key(vector: &Vector) {
    let default_key = NewKey { key: &vector.key("app_default_key"), version: vector.number("key_version") };
    let enciphered = delegation::encipher_default_key(&vector.key("dam_enc_key"), vector.array("random7"), default_key);
    assert_eq!(enciphered, vector.array("enck"), "{vector:?}");
}

pub(super) fn delegation(vector: &Vector) {
    let input = vector.bytes("input");
    assert_eq!(input[0], Command::CreateDelegatedApplication.code(), "{vector:?}");
    let (parameters, enciphered) = input[1..].split_last_chunk::<32>().expect("EncK is 32 bytes");
    let mac = delegation::allow(&vector.key("dam_mac_key"), parameters, enciphered);
    assert_eq!(mac, vector.array("dammac"), "{vector:?}");
}

/// Every bit of the UID of a genuine signature counts, and no other key of the maker takes it.
pub(super) fn originality(vector: &Vector) {
    let key = OriginalityKey::new(&vector.array("public_key")).expect("a published key is a point");
    let (uid, signature): ([u8; 7], [u8; 56]) = (vector.array("uid"), vector.array("signature"));
    let valid: bool = vector.number("valid");
    assert_eq!(is_genuine(&uid, &signature, std::slice::from_ref(&key)), valid, "{vector:?}");

    let known = OriginalityKey::nxp_desfire();
    assert_eq!(is_genuine(&uid, &signature, &known), valid && known.contains(&key), "{vector:?}");
    let others: Vec<OriginalityKey> = known.into_iter().filter(|other| *other != key).collect();
    assert!(!is_genuine(&uid, &signature, &others), "{vector:?}");
}

#[test]
fn nxp_has_six_keys_and_nonsense_is_none() {
    let keys = OriginalityKey::nxp_desfire();
    assert_eq!(keys.len(), 6);
    assert!(!is_genuine(&[0; 7], &[0; 56], &keys));
    assert!(!is_genuine(&[0xFF; 7], &[0xFF; 56], &keys));
    assert!(OriginalityKey::new(&[0; 57]).is_err());
    assert!(OriginalityKey::new(&[4; 57]).is_err());
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
        .unwrap()
        .write_data(file(1), 0x10, &[0x44; 2])
        .unwrap()
        .credit(file(2), 1)
        .limited_credit(file(2), 0x01020304)
        .update_record(file(3), 1, 2, &[0x55; 3])
        .unwrap()
        .clear_record_file(file(3))
        .commit_reader_id(&[0x66; 16], &[0x77; 16]);
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
        "3D011000000200000000000000000000",
        "44440000000000000000000000000000",
        "0C020100000000000000000000000000",
        "1C020403020100000000000000000000",
        "DB030100000200000300000000000000",
        "55555500000000000000000000000000",
        "EB030000000000000000000000000000",
        "C8666666666666666666666666666666",
        "66777777777777777777777777777777",
        "77000000000000000000000000000000",
    ];
    assert_eq!(hex::encode_upper(input.as_bytes()), expected.concat());
    assert!(TransactionMacInput::new().read_records(file(3), 0x0100_0000, 1, &[]).is_err());
}

fn file(number: u8) -> FileNumber {
    FileNumber::new(number).expect("below 32")
}
