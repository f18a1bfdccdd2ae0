//! The project's own reader makes, fills and empties a card, command by command, in EV1 and EV2 and every mode: two
//! implementations that share no code.

use card_crypto::{
    Access, AccessRights, AesMessaging, Aid, ApplicationSettings, Authenticated, Card, Commit, CommunicationMode,
    Configuration, DataFile, DesKey, Error, Ev1, FileKind, FileNumber, FrameSize, Idle, IsoName, Key, KeyNumber,
    KeySetNumber, KeySets, KeySettings, NewKey, RecordFile, RecordRange, Staged, Transport, ValueFile,
    originality::{OriginalityKey, is_genuine},
};
use virtual_card::CardInField;

use crate::raw_reader::{RND_A, cmac, counting, decrypt, fixture, wrap};

const ZERO: Key = Key::new([0; 16]);
const MASTER_KEY: Key = Key::new([0x0A; 16]);
const NEW_KEY: Key = Key::new([0x0B; 16]);
const APPLICATION: Aid = Aid([0x11, 0x22, 0x33]);
const MODES: [CommunicationMode; 3] = [CommunicationMode::Plain, CommunicationMode::Mac, CommunicationMode::Full];
const ONE: KeyNumber = KeyNumber::new(1).expect("a key number");
const FIRST_SET: KeySetNumber = KeySetNumber::new(1).expect("a key set");
const RIGHTS: AccessRights = AccessRights {
    read: Access::Key(KeyNumber::MASTER),
    write: Access::Key(KeyNumber::MASTER),
    read_write: Access::Key(KeyNumber::MASTER),
    change: Access::Key(KeyNumber::MASTER),
};

const fn file(number: u8) -> FileNumber {
    FileNumber::new(number).expect("a file number")
}

const STANDARD: FileNumber = file(1);
const BACKUP: FileNumber = file(2);
const VALUE: FileNumber = file(3);
const LINEAR: FileNumber = file(4);
const CYCLIC: FileNumber = file(5);
const TRANSACTION_MAC: FileNumber = file(15);

/// A blank card whose master key has become an AES key, through the factory's DES key.
fn card_of(name: &str) -> CardInField {
    let mut field = CardInField::new(fixture(name).card(counting()));
    let card = Card::new(&mut field, FrameSize::Bytes64);
    let card = card.authenticate_iso(&DesKey::FACTORY, [7; 8]).expect("the factory's key");
    card.change_picc_master_key(NewKey { key: &MASTER_KEY, version: 3 }).expect("a card without owner");
    field
}

/// Everything at card level, in a session of either kind.
fn card_level<T: Transport, S: AesMessaging>(
    mut card: Card<T, Authenticated<S>>,
    key_sets: Option<KeySets>,
) -> Result<(), Error> {
    assert_eq!(card.get_key_version(KeyNumber::MASTER)?, 3);
    card.get_version()?;
    assert_eq!(card.get_card_uid()?[0], 0x04);
    card.set_configuration(Configuration::DefaultKey(NewKey { key: &NEW_KEY, version: 9 }))?;
    card.set_configuration(Configuration::DefaultKey(NewKey { key: &ZERO, version: 0 }))?;
    let free = card.free_memory()?;
    let iso_name = IsoName { file_id: 0xE110, df_name: b"app" };
    let settings = ApplicationSettings {
        key_settings: KeySettings::CLOSED,
        number_of_keys: 3,
        key_sets,
        iso_name: Some(iso_name),
        iso_file_ids: false,
    };
    let other = ApplicationSettings { iso_name: None, key_sets: None, ..settings };
    card.create_application(APPLICATION, &settings)?;
    card.create_application(Aid([1, 1, 1]), &other)?;
    assert!(card.free_memory()? < free);
    assert_eq!(card.get_application_ids()?, [APPLICATION, Aid([1, 1, 1])]);
    card.delete_application(Aid([1, 1, 1]))?;
    assert_eq!(card.get_application_ids()?, [APPLICATION]);
    card.change_key_settings(KeySettings::CLOSED)?;
    assert_eq!(card.get_key_settings()?.settings, KeySettings::CLOSED);
    Ok(())
}

/// Every file command but those of the Transaction MAC, in a session of either kind.
fn files<T: Transport, S: AesMessaging>(
    mut card: Card<T, Authenticated<S>>,
    mode: CommunicationMode,
    committed: impl Fn(Card<T, Staged<S>>) -> Card<T, Authenticated<S>>,
) -> Result<Card<T, Authenticated<S>>, Error> {
    let data = DataFile { mode, rights: RIGHTS, length: 100, iso_file_id: None };
    card.create_standard_data_file(STANDARD, &data)?;
    card.create_backup_data_file(BACKUP, &data)?;
    let value = ValueFile {
        mode,
        rights: RIGHTS,
        lower_limit: -50,
        upper_limit: 1000,
        value: 500,
        limited_credit: true,
        free_get_value: false,
    };
    card.create_value_file(VALUE, &value)?;
    let records = RecordFile { mode, rights: RIGHTS, record_length: 60, records_max: 3, iso_file_id: None };
    card.create_linear_record_file(LINEAR, &records)?;
    card.create_cyclic_record_file(CYCLIC, &records)?;
    assert_eq!(card.get_file_ids()?, [STANDARD, BACKUP, VALUE, LINEAR, CYCLIC]);

    let whole: Vec<u8> = (0..100).collect();
    card.write_standard_data(STANDARD, mode, 0, &whole)?;
    assert_eq!(card.read_data(STANDARD, mode, 0, 100)?, whole);
    assert_eq!(card.read_data(STANDARD, mode, 90, 10)?, whole[90..], "the end");

    for amount in [100, 30] {
        let staged = card.stage().debit(VALUE, mode, amount)?.credit(VALUE, mode, 1)?;
        let staged = staged.write_data(BACKUP, mode, 1, &[7; 99])?;
        let staged = staged.write_record(LINEAR, mode, 0, &[amount.to_le_bytes()[0]; 60])?;
        card = committed(staged.write_record(CYCLIC, mode, 0, &[amount.to_le_bytes()[0]; 60])?);
    }
    assert_eq!(card.get_value(VALUE, mode)?, 500 - 130 + 2);
    card = committed(card.stage().limited_credit(VALUE, mode, 30)?);
    assert_eq!(card.get_value(VALUE, mode)?, 402);
    assert_eq!(card.read_data(BACKUP, mode, 0, 2)?, [0, 7]);
    let range = RecordRange { first: 0, count: 2, record_length: 60 };
    for records in [LINEAR, CYCLIC] {
        assert_eq!(card.read_records(records, mode, range)?, [[100; 60], [30; 60]].concat(), "oldest first");
    }
    card = committed(card.stage().clear_record_file(LINEAR)?);
    card = card.stage().debit(VALUE, mode, 5)?.abort()?;
    assert_eq!(card.get_value(VALUE, mode)?, 402);
    let FileKind::LinearRecord(left) = card.get_file_settings(LINEAR)?.kind else {
        panic!("it is a linear record file")
    };
    assert_eq!((left.records, left.records_max), (0, 3));

    let rights = AccessRights { read: Access::Free, ..RIGHTS };
    card.change_file_settings(STANDARD, CommunicationMode::Plain, rights)?;
    assert_eq!(card.get_file_settings(STANDARD)?.rights, rights);
    card.delete_file(STANDARD)?;
    card.change_key(ONE, &ZERO, NewKey { key: &NEW_KEY, version: 4 })?;
    assert_eq!(card.get_key_version(ONE)?, 4);
    Ok(card)
}

fn committed<T: Transport>(staged: Card<T, Staged<Ev1>>) -> Card<T, Authenticated<Ev1>> {
    match staged.commit() {
        Commit::Done { card, .. } => card,
        Commit::Unknown { why } => panic!("{why}"),
    }
}

/// On EV2 a commit that asks for a Transaction MAC where there is none is refused.
fn committed_without_transaction_mac<T: Transport>(staged: Card<T, Staged>) -> Card<T, Authenticated> {
    match staged.commit_without_transaction_mac() {
        Commit::Done { card, .. } => card,
        Commit::Unknown { why } => panic!("{why}"),
    }
}

fn selected(field: &mut CardInField) -> Card<&mut CardInField, Idle> {
    let mut card = Card::new(field, FrameSize::Bytes64);
    card.select_application(APPLICATION).expect("it was created");
    card
}

#[test]
fn ev1() {
    for name in ["blank-ev1", "blank-ev2", "blank-ev3"] {
        for mode in MODES {
            let mut field = card_of(name);
            let card = Card::new(&mut field, FrameSize::Bytes64);
            let card = card.authenticate_aes(KeyNumber::MASTER, &MASTER_KEY, RND_A).expect("the master key");
            card_level(card, None).expect("what a card level does");
            let card = selected(&mut field).authenticate_aes(KeyNumber::MASTER, &ZERO, RND_A).expect("the default key");
            let card = files(card, mode, committed).expect("what an application does");
            card.change_own_key(NewKey { key: &NEW_KEY, version: 1 }).expect("the session's key");
            let again = selected(&mut field).authenticate_aes(KeyNumber::MASTER, &ZERO, RND_A);
            assert!(again.is_err(), "the old key");
            selected(&mut field).authenticate_aes(ONE, &NEW_KEY, RND_A).expect("the other new key");

            let card = Card::new(&mut field, FrameSize::Bytes64);
            let mut card = card.authenticate_aes(KeyNumber::MASTER, &MASTER_KEY, RND_A);
            if card.is_err() {
                // The application is still selected: the card level comes first.
                let mut idle = Card::new(&mut field, FrameSize::Bytes64);
                idle.select_application(Aid::PICC).expect("every card has it");
                card = idle.authenticate_aes(KeyNumber::MASTER, &MASTER_KEY, RND_A);
            }
            card.expect("the master key").format_picc().expect("under the master key");
        }
    }
}

#[test]
fn ev2() {
    let key_sets = KeySets { count: 2, active_version: 1, roll_key: ONE };
    for name in ["blank-ev2", "blank-ev3"] {
        for mode in MODES {
            let mut field = card_of(name);
            let card = Card::new(&mut field, FrameSize::Bytes64);
            let card = card.authenticate_ev2_first(KeyNumber::MASTER, &MASTER_KEY, RND_A).expect("the master key");
            card_level(card, Some(key_sets)).expect("what a card level does");
            let card = selected(&mut field).authenticate_ev2_first(KeyNumber::MASTER, &ZERO, RND_A);
            let card = files(card.expect("the default key"), mode, committed_without_transaction_mac)
                .expect("what an application does");
            transaction_mac(card, mode).expect("what EV2 added");
            key_sets_rolled(&mut field).expect("a new set of keys");
        }
    }
}

fn transaction_mac<T: Transport>(mut card: Card<T, Authenticated>, mode: CommunicationMode) -> Result<(), Error> {
    let rights = AccessRights { write: Access::Never, ..RIGHTS };
    card.create_transaction_mac_file(TRANSACTION_MAC, mode, rights, NewKey { key: &NEW_KEY, version: 5 })?;
    let FileKind::TransactionMac { key_version, .. } = card.get_file_settings(TRANSACTION_MAC)?.kind else {
        panic!("it is a Transaction MAC file")
    };
    assert_eq!(key_version, 5);
    let key = NEW_KEY;
    let uid = card.get_card_uid()?;
    let mut previous = [0; 16];
    for counter in 1..=2u32 {
        let (staged, told) = card.stage().update_record(CYCLIC, mode, 1, 3, &[0xAA; 4])?.commit_reader_id([6; 16])?;
        // Only the holder of the key can read who the last transaction was with: MF2DL section 10.3.
        let vector = [&[0xA5, 0, 1, 0, 0x80, counter.to_le_bytes()[0], 0, 0, 0][..], &uid].concat();
        assert_eq!(decrypt(cmac(*key.expose_secret(), &vector), &told), previous);
        previous = [6; 16];
        match staged.commit() {
            Commit::Done { card: next, transaction_mac } => {
                assert_eq!(transaction_mac.counter, counter);
                assert_ne!(transaction_mac.value, [0; 8]);
                card = next;
            }
            Commit::Unknown { why } => panic!("{why}"),
        }
    }
    let range = RecordRange { first: 1, count: 1, record_length: 60 };
    assert_eq!(card.read_records(CYCLIC, mode, range)?[2..8], [100, 0xAA, 0xAA, 0xAA, 0xAA, 100]);
    card.authenticate_ev2_non_first(ONE, &NEW_KEY, RND_A)?;
    Ok(())
}

fn key_sets_rolled(field: &mut CardInField) -> Result<(), Error> {
    let mut card = selected(field).authenticate_ev2_first(KeyNumber::MASTER, &ZERO, RND_A)?;
    card.initialize_key_set(FIRST_SET)?;
    for (number, key) in [(KeyNumber::MASTER, &MASTER_KEY), (ONE, &MASTER_KEY)] {
        card.change_key_ev2(FIRST_SET, number, &ZERO, NewKey { key, version: 8 })?;
    }
    assert_eq!(card.get_key_version_of_set(FIRST_SET, ONE)?, 8);
    card.finalize_key_set(FIRST_SET, 2)?;
    selected(field).authenticate_ev2_first(ONE, &NEW_KEY, RND_A)?.roll_key_set(FIRST_SET)?;
    assert!(selected(field).authenticate_ev2_first(ONE, &NEW_KEY, RND_A).is_err(), "the set before");
    selected(field).authenticate_ev2_first(ONE, &MASTER_KEY, RND_A)?;
    Ok(())
}

/// The test maker of `fixtures/keys` signed the chip, and no real one did.
#[test]
fn originality() {
    let maker = "04305FEEC2CEA01829A392D4F7254D6882F999C23CAC4CD66CFCADC0F89A82F3F2E6708FACD8D6E30C6F20EF08BFA5EF8C31A1F6\
                 F344D41272";
    let maker = hex::decode(maker).expect("hexadecimal").try_into().expect("a point");
    let makers = [OriginalityKey::new(&maker).expect("a point of the curve")];
    for (name, is_signed) in
        [("blank-ev1", true), ("blank-ev2", true), ("blank-ev3", true), ("adult", true), ("clone", false)]
    {
        let mut field = CardInField::new(fixture(name).card(counting()));
        let signature = Card::new(&mut field, FrameSize::Bytes64).read_signature();
        assert_eq!(signature.is_ok(), is_signed, "{name}");
        let Ok(signature) = signature else { continue };
        let uid = fixture(name).identity().uid;
        assert!(is_genuine(&uid, &signature, &makers), "{name}");
        assert!(!is_genuine(&uid, &signature, &OriginalityKey::nxp_desfire()), "{name}");
    }
}

#[test]
fn proximity_check() {
    for challenges in [&[8][..], &[1, 7], &[3, 3, 2]] {
        let mut field = CardInField::new(fixture("blank-ev3").card(counting()));
        let card = Card::new(&mut field, FrameSize::Bytes64);
        let mut card = card.prepare_proximity_check().expect("an EV3");
        for &length in challenges {
            card.proximity_check(&vec![0x5A; length]).expect("a round");
        }
        card.verify_proximity_check(&ZERO).expect("the factory's key");

        let card = Card::new(&mut field, FrameSize::Bytes64);
        let mut card = card.prepare_proximity_check().expect("an EV3");
        card.proximity_check(&[1; 8]).expect("a round");
        card.verify_proximity_check(&NEW_KEY).expect_err("another key");
    }
}

/// An EV1 chip does not know what EV2 added.
#[test]
fn an_ev1_stays_an_ev1() {
    for instruction in [0x71, 0x77, 0xC6, 0x55, 0x56, 0x57, 0xCE, 0xC8, 0xDB, 0xAD, 0x8D, 0xAB, 0x8B, 0xBA, 0xF0] {
        let answer = fixture("blank-ev1").card(counting()).handle(&wrap(instruction, &[0, 0]));
        assert_eq!(answer, [0x91, 0x1C], "{instruction:02X}");
    }
}

#[test]
fn names() {
    let mut field = card_of("blank-ev2");
    let card = Card::new(&mut field, FrameSize::Bytes64);
    let card = card.authenticate_ev2_first(KeyNumber::MASTER, &MASTER_KEY, RND_A).expect("the master key");
    card_level(card, None).expect("what a card level does");
    let mut card = field.remove();
    assert_eq!(card.handle(&[0x00, 0xA4, 0x04, 0x00, 0x03, b'a', b'p', b'p', 0x00]), [0x90, 0x00]);
    assert_eq!(card.handle(&wrap(0x64, &[2])), [0x00, 0x91, 0x00], "key 2 of the application");
    assert_eq!(card.handle(&[0x00, 0xA4, 0x00, 0x0C, 0x02, 0xE1, 0x10]), [0x90, 0x00]);
    assert_eq!(card.handle(&[0x00, 0xA4, 0x04, 0x00, 0x02, b'n', b'o', 0x00]), [0x6A, 0x82]);
}
