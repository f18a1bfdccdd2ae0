//! What is pending, what is committed, and what a Transaction MAC covers. Rules seen by libfreefare on real cards.

use virtual_card::{CardInField, diversify_aes128};

use crate::raw_reader::{AID, LOAD, PURSE, RECORD, RawReader, Refusal, VALIDATE, card, cmac, fixture, keys, odd_bytes};

const BOUNDARY: Refusal = Refusal::Status(0xBE);
const NO_CHANGES: Refusal = Refusal::Status(0x0C);

#[test]
fn reads_return_the_committed_state_until_the_commit() {
    let mut reader = RawReader::authenticated("adult", VALIDATE);
    let before = reader.read_records(0, 1).expect("a record");
    reader.debit(8000).expect("enough money");
    reader.write_record(0, &[1; 60]).expect("a whole record");
    assert_eq!(reader.get_value(), Ok(50_000));
    assert_eq!(reader.read_records(0, 1), Ok(before.clone()));
    reader.commit().expect("something to commit");
    assert_eq!(reader.get_value(), Ok(42_000));
    assert_eq!(reader.read_records(0, 0), Ok([before, vec![1; 60]].concat()), "oldest first");
}

#[test]
fn limits_hold_for_the_pending_value() {
    let mut reader = RawReader::authenticated("adult", VALIDATE);
    reader.debit(30_000).expect("enough money");
    reader.debit(20_000).expect("exactly enough money");
    assert_eq!(reader.debit(1), Err(BOUNDARY));
    assert_eq!(reader.get_value(), Err(Refusal::Status(0xAE)), "an error ends the session");
    reader.authenticate(VALIDATE).expect("the right key");
    assert_eq!(reader.get_value(), Ok(50_000), "an error discards what is pending");

    let mut reader = RawReader::authenticated("adult", LOAD);
    reader.credit(1_950_000).expect("up to the upper limit");
    assert_eq!(reader.credit(1), Err(BOUNDARY));
    let mut reader = RawReader::authenticated("adult", LOAD);
    assert_eq!(reader.credit(i32::MAX), Err(BOUNDARY));
    let mut reader = RawReader::authenticated("adult", VALIDATE);
    assert_eq!(reader.debit(-1), Err(Refusal::Status(0x9E)));
}

#[test]
fn one_record_a_transaction() {
    let mut reader = RawReader::authenticated("adult", VALIDATE);
    reader.write_record(0, &[1; 20]).expect("a part");
    reader.write_record(40, &[2; 20]).expect("a part");
    reader.commit().expect("something to commit");
    assert_eq!(reader.read_records(0, 1), Ok([[1; 20], [0; 20], [2; 20]].concat()));
    assert_eq!(reader.write_record(1, &[0; 60]), Err(BOUNDARY));
}

#[test]
fn the_oldest_record_makes_room() {
    let mut reader = RawReader::authenticated("adult", VALIDATE);
    for number in 1..=20 {
        reader.write_record(0, &[number; 60]).expect("a whole record");
        reader.commit().expect("something to commit");
    }
    let expected: Vec<u8> = (10..=20).flat_map(|number| [number; 60]).collect();
    let fixture = fixture("adult");
    let field = reader.field;
    let stored: Vec<u8> = fixture.records(field.card()).expect("our card").into_iter().rev().flatten().collect();
    assert_eq!(stored, expected);
    let mut reader = RawReader::new(field);
    reader.select().expect("our application");
    reader.authenticate(VALIDATE).expect("the right key");
    assert_eq!(reader.read_records(10, 1), Ok(vec![10; 60]));
    assert_eq!(reader.read_records(11, 1), Err(BOUNDARY));
}

#[test]
fn nothing_to_commit_or_abort() {
    for instruction in [0xC7, 0xA7] {
        let mut reader = RawReader::authenticated("adult", VALIDATE);
        assert_eq!(reader.maced(instruction, &[]), Err(NO_CHANGES), "{instruction:02X}");
    }
}

#[test]
fn abort_and_select_discard() {
    let mut reader = RawReader::authenticated("adult", VALIDATE);
    reader.debit(8000).expect("enough money");
    reader.maced(0xA7, &[]).expect("something to abort");
    assert_eq!(reader.maced(0xC7, &[]), Err(NO_CHANGES));

    let mut reader = RawReader::authenticated("adult", VALIDATE);
    reader.debit(8000).expect("enough money");
    reader.select().expect("our application");
    reader.authenticate(VALIDATE).expect("the right key");
    assert_eq!(reader.maced(0xC7, &[]), Err(NO_CHANGES));
}

#[test]
fn a_load_changes_the_key_within_the_transaction() {
    let mut reader = RawReader::authenticated("empty", LOAD);
    reader.credit(20_000).expect("below the upper limit");
    reader.authenticate_again(VALIDATE).expect("the right key");
    reader.write_record(0, &[9; 60]).expect("a whole record");
    reader.commit().expect("something to commit");
    assert_eq!(reader.get_value(), Ok(23_000));

    let mut reader = RawReader::new(CardInField::new(card("empty")));
    reader.select().expect("our application");
    assert_eq!(reader.authenticate_again(VALIDATE), Err(Refusal::Status(0x9D)), "without a session");
}

/// MF2DL section 10.3: the counter after the transaction, and the MAC over what it read and wrote.
#[test]
fn transaction_mac_of_a_tap() {
    let uid = fixture("adult").identity().uid;
    let input = [&uid[..], &AID, &[0x0F], b"CHAM"].concat();
    let key = diversify_aes128(&keys().transaction_mac, &input).expect("15 bytes");
    let mut reader = RawReader::authenticated("adult", VALIDATE);
    for counter in 1..=2u8 {
        let record = reader.read_records(0, 1).expect("a record");
        reader.debit(8000).expect("enough money");
        reader.write_record(0, &[counter; 60]).expect("a whole record");
        let answer = reader.commit().expect("something to commit");

        let mut hashed = vec![0xBB, RECORD, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        hashed.extend(record);
        hashed.extend([0; 4]);
        hashed.extend([0xDC, PURSE, 0x40, 0x1F, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        hashed.extend([0x3B, RECORD, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        hashed.extend([counter; 60]);
        hashed.extend([0; 4]);
        let session_key = cmac(key, &[&[0x5A, 0, 1, 0, 0x80, counter, 0, 0, 0][..], &uid].concat());
        let expected = [vec![counter, 0, 0, 0], odd_bytes(cmac(session_key, &hashed))].concat();
        assert_eq!(answer, expected, "transaction {counter}");
    }
}
