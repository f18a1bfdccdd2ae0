//! The project's own reader, `card-crypto`, against this card: two implementations that share no code.

use card_crypto::{
    Aid, CommunicationMode, FileNumber, FrameSize, Key, KeyNumber, TransactionMacInput,
    card::{Card, Commit},
    command::RecordRange,
    transaction_mac,
};
use virtual_card::{CardInField, Traffic, diversify_aes128};

use crate::raw_reader::{AID, RND_A, card, card_key, fixture, keys};

const VALIDATE: KeyNumber = KeyNumber::new(2).expect("a key number");
const PURSE: FileNumber = FileNumber::new(2).expect("a file number");
const RECORD: FileNumber = FileNumber::new(3).expect("a file number");

#[test]
fn a_purse_tap_takes_seven_exchanges() {
    let uid = fixture("adult").identity().uid;
    let mut field = CardInField::new(card("adult"));
    let mut idle = Card::new(&mut field, FrameSize::Bytes128);
    idle.select_application(Aid(AID)).expect("our application");
    let key = Key::new(card_key(uid, VALIDATE.get()));
    let mut card = idle.authenticate_ev2_first(VALIDATE, &key, RND_A).expect("the right key");
    let range = RecordRange { first: 0, count: 1, record_length: 60 };
    let record = card.read_records(RECORD, CommunicationMode::Mac, range).expect("a record");
    let staged = card.stage().debit(PURSE, CommunicationMode::Mac, 8000).expect("enough money");
    let staged = staged.write_record(RECORD, CommunicationMode::Mac, 0, &[5; 60]).expect("a whole record");
    let transaction_mac = match staged.commit() {
        Commit::Done { transaction_mac, .. } => transaction_mac,
        Commit::Unknown { why } => panic!("{why}"),
    };
    assert_eq!(field.traffic(), Traffic { exchanges: 7, bytes_on_air: 399 });

    let input = TransactionMacInput::new()
        .read_records(RECORD, 0, 1, &record)
        .and_then(|input| input.debit(PURSE, 8000).write_record(RECORD, 0, &[5; 60]))
        .expect("short");
    let diversification = [&uid[..], &AID, &[0x0F], b"CHAM"].concat();
    let key = Key::new(diversify_aes128(&keys().transaction_mac, &diversification).expect("15 bytes"));
    assert!(transaction_mac::verify(&key, &uid, transaction_mac.counter, &input, &transaction_mac.value));
}
