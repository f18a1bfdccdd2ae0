//! Every command of a session: what is sent, to the byte, what is made of the answer, and that no flipped bit of either
//! goes unnoticed.

use card_crypto::{
    Access, AccessRights, AesMessaging, Aid, ApplicationSettings, Authenticated, Card, Commit, CommunicationMode,
    Configuration, DataFile, Error, FileKind, FileNumber, IsoName, Key, KeyKind, KeyNumber, KeySetNumber, KeySets,
    KeySettings, NewKey, NoTransactionMac, RecordFile, RecordRange, TransactionMac, ValueFile,
};

use crate::peer::{
    CardSide, Ev1Card, Ev2Card, Exchange, Flip, PeerCard,
    Travels::{self, File, Full, Last, Mac},
};

type Run<P> =
    fn(Card<&mut PeerCard<P>, Authenticated<<P as CardSide>::Messaging>>, CommunicationMode) -> Result<(), Error>;

/// One command, or a few that belong together, and the exchanges that it needs.
pub(crate) struct Case<P: CardSide> {
    pub(crate) name: &'static str,
    pub(crate) run: Run<P>,
    pub(crate) exchanges: Vec<Exchange>,
}

const FILE: FileNumber = FileNumber::new(3).expect("below 32");
const SET: KeySetNumber = KeySetNumber::new(2).expect("below 16");
const KEY_ONE: KeyNumber = KeyNumber::new(1).expect("below 14");
const AID: Aid = Aid([0x56, 0x34, 0x12]);
const OLD_KEY: Key = Key::new([0x11; 16]);
const NEW_KEY: NewKey<'_> = NewKey { key: &Key::new(*b"0123456789ABCDEF"), version: 0x2A };

/// The new key and its version.
const NEW: &str = "303132333435363738394142434445462A";
/// The new key masked by the old one, its version, and its checksum.
const MASKED: &str = "212023222524272629285053525554572A4AC8C367";

const RIGHTS: AccessRights = AccessRights {
    read: Access::Key(KEY_ONE),
    write: Access::Never,
    read_write: Access::Free,
    change: Access::Key(KeyNumber::MASTER),
};

const APPLICATION: ApplicationSettings<'_> = ApplicationSettings {
    key_settings: KeySettings::CLOSED,
    number_of_keys: 5,
    key_sets: None,
    iso_name: None,
    iso_file_ids: false,
};

const DATA_FILE: DataFile =
    DataFile { mode: CommunicationMode::Mac, rights: RIGHTS, length: 0x010203, iso_file_id: None };

const RECORD_FILE: RecordFile = RecordFile {
    mode: CommunicationMode::Full,
    rights: RIGHTS,
    record_length: 60,
    records_max: 12,
    iso_file_id: Some(0xE104),
};

const VALUE_FILE: ValueFile = ValueFile {
    mode: CommunicationMode::Plain,
    rights: RIGHTS,
    lower_limit: -2,
    upper_limit: 0x0102_0304,
    value: 7,
    limited_credit: true,
    free_get_value: true,
};

fn case<P: CardSide, const N: usize>(name: &'static str, exchanges: [Exchange; N], run: Run<P>) -> Case<P> {
    Case { name, run, exchanges: exchanges.to_vec() }
}

/// Instruction; how the command travels, its header and data; how the answer travels, and what it says.
fn exchange(
    instruction: u8,
    (command, header, data): (Travels, &'static str, &'static str),
    (answer, says): (Travels, &'static str),
) -> Exchange {
    Exchange { instruction, header, data, command, answer, says }
}

fn said<T: PartialEq + std::fmt::Debug>(said: T, expected: T) -> Result<(), Error> {
    assert_eq!(said, expected);
    Ok(())
}

/// What every session has.
fn cases<P: CardSide<Messaging: AesMessaging>>() -> Vec<Case<P>> {
    let mut cases = card_cases();
    cases.extend(data_cases());
    cases
}

fn card_cases<P: CardSide<Messaging: AesMessaging>>() -> Vec<Case<P>> {
    vec![
        case(
            "GetVersion",
            [exchange(0x60, (Mac, "", ""), (Mac, "040101120018050401010201180504112233445566AABBCCDDEE1B1C"))],
            |mut card, _| said(card.get_version()?.uid, [0x04, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66]),
        ),
        case("GetCardUID", [exchange(0x51, (Mac, "", ""), (Full, "04112233445566"))], |mut card, _| {
            said(card.get_card_uid()?, [0x04, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66])
        }),
        case("FreeMemory", [exchange(0x6E, (Mac, "", ""), (Mac, "A00F01"))], |mut card, _| {
            said(card.free_memory()?, 0x01_0FA0)
        }),
        case("FormatPICC", [exchange(0xFC, (Mac, "", ""), (Mac, ""))], |mut card, _| card.format_picc()),
        case("SetConfiguration, random UID", [exchange(0x5C, (Full, "00", "02"), (Mac, ""))], |mut card, _| {
            card.set_configuration(Configuration::Card { format_disabled: false, random_uid: true })
        }),
        case(
            "SetConfiguration, default key",
            [exchange(0x5C, (Full, "01", "3031323334353637383941424344454600000000000000002A"), (Mac, ""))],
            |mut card, _| card.set_configuration(Configuration::DefaultKey(NEW_KEY)),
        ),
        case("CreateApplication", [exchange(0xCA, (Mac, "5634120985", ""), (Mac, ""))], |mut card, _| {
            card.create_application(AID, &APPLICATION)
        }),
        case(
            "CreateApplication with key sets and names",
            [exchange(0xCA, (Mac, "56341209B5010703100110E1434841", ""), (Mac, ""))],
            |mut card, _| {
                let key_sets = Some(KeySets { count: 3, active_version: 7, roll_key: KEY_ONE });
                let iso_name = Some(IsoName { file_id: 0xE110, df_name: b"CHA" });
                card.create_application(
                    AID,
                    &ApplicationSettings { key_sets, iso_name, iso_file_ids: true, ..APPLICATION },
                )
            },
        ),
        case("DeleteApplication", [exchange(0xDA, (Mac, "563412", ""), (Mac, ""))], |mut card, _| {
            card.delete_application(AID)
        }),
        case("GetApplicationIDs", [exchange(0x6A, (Mac, "", ""), (Mac, "563412010203"))], |mut card, _| {
            said(card.get_application_ids()?, vec![AID, Aid([1, 2, 3])])
        }),
        case("GetKeySettings", [exchange(0x45, (Mac, "", ""), (Mac, "0985"))], |mut card, _| {
            let table = card.get_key_settings()?;
            said((table.settings, table.number_of_keys, table.kind), (KeySettings::CLOSED, 5, KeyKind::Aes))
        }),
        case("ChangeKeySettings", [exchange(0x54, (Full, "", "09"), (Mac, ""))], |mut card, _| {
            card.change_key_settings(KeySettings::CLOSED)
        }),
        case("GetKeyVersion", [exchange(0x64, (Mac, "01", ""), (Mac, "2A"))], |mut card, _| {
            said(card.get_key_version(KEY_ONE)?, 0x2A)
        }),
        case("ChangeKey, another key", [exchange(0xC4, (Full, "01", MASKED), (Mac, ""))], |mut card, _| {
            card.change_key(KEY_ONE, &OLD_KEY, NEW_KEY)
        }),
        case("ChangeKey, the key in use", [exchange(0xC4, (Full, "00", NEW), (Last, ""))], |card, _| {
            card.change_own_key(NEW_KEY).map(drop)
        }),
        case("ChangeKey, the card's own", [exchange(0xC4, (Full, "80", NEW), (Last, ""))], |card, _| {
            card.change_picc_master_key(NEW_KEY).map(drop)
        }),
        case("CreateStdDataFile", [exchange(0xCD, (Mac, "0301E01F030201", ""), (Mac, ""))], |mut card, _| {
            card.create_standard_data_file(FILE, &DATA_FILE)
        }),
        case("CreateBackupDataFile", [exchange(0xCB, (Mac, "0304E101E01F030201", ""), (Mac, ""))], |mut card, _| {
            card.create_backup_data_file(FILE, &DataFile { iso_file_id: Some(0xE104), ..DATA_FILE })
        }),
        case(
            "CreateValueFile",
            [exchange(0xCC, (Mac, "0300E01FFEFFFFFF040302010700000003", ""), (Mac, ""))],
            |mut card, _| card.create_value_file(FILE, &VALUE_FILE),
        ),
        case(
            "CreateLinearRecordFile",
            [exchange(0xC1, (Mac, "0304E103E01F3C00000C0000", ""), (Mac, ""))],
            |mut card, _| card.create_linear_record_file(FILE, &RECORD_FILE),
        ),
        case(
            "CreateCyclicRecordFile",
            [exchange(0xC0, (Mac, "0303E01F3C00000C0000", ""), (Mac, ""))],
            |mut card, _| card.create_cyclic_record_file(FILE, &RecordFile { iso_file_id: None, ..RECORD_FILE }),
        ),
        case("DeleteFile", [exchange(0xDF, (Mac, "03", ""), (Mac, ""))], |mut card, _| card.delete_file(FILE)),
        case("GetFileIDs", [exchange(0x6F, (Mac, "", ""), (Mac, "031F"))], |mut card, _| {
            said(card.get_file_ids()?, vec![FILE, FileNumber::new(31).expect("below 32")])
        }),
        case("GetFileSettings", [exchange(0xF5, (Mac, "03", ""), (Mac, "0001E01F030201"))], |mut card, _| {
            let settings = card.get_file_settings(FILE)?;
            said((settings.rights, settings.kind), (RIGHTS, FileKind::StandardData { length: 0x010203 }))
        }),
        case("ChangeFileSettings", [exchange(0x5F, (Full, "03", "01E01F"), (Mac, ""))], |mut card, _| {
            card.change_file_settings(FILE, CommunicationMode::Mac, RIGHTS)
        }),
    ]
}

fn data_cases<P: CardSide<Messaging: AesMessaging>>() -> Vec<Case<P>> {
    vec![
        case(
            "ReadData",
            [exchange(0xBD, (File, "03040000140000", ""), (File, "000102030405060708090A0B0C0D0E0F10111213"))],
            |mut card, mode| said(card.read_data(FILE, mode, 4, 20)?, (0..20).collect()),
        ),
        case(
            "WriteData at once",
            [exchange(0x3D, (File, "03040000140000", "000102030405060708090A0B0C0D0E0F10111213"), (File, ""))],
            |mut card, mode| card.write_standard_data(FILE, mode, 4, &(0..20).collect::<Vec<u8>>()),
        ),
        case("GetValue", [exchange(0x6C, (File, "03", ""), (File, "FEFFFFFF"))], |mut card, mode| {
            said(card.get_value(FILE, mode)?, -2)
        }),
        case(
            "ReadRecords",
            [exchange(
                0xBB,
                (File, "03010000020000", ""),
                (File, "1111111111111111111111111111111111111111111111111111111111111111"),
            )],
            |mut card, mode| {
                let range = RecordRange { first: 1, count: 2, record_length: 16 };
                said(card.read_records(FILE, mode, range)?, vec![0x11; 32])
            },
        ),
        case(
            "WriteData, Credit, AbortTransaction",
            [
                exchange(0x3D, (File, "03000000100000", "22222222222222222222222222222222"), (File, "")),
                exchange(0x0C, (File, "03", "07000000"), (File, "")),
                exchange(0xA7, (Mac, "", ""), (Mac, "")),
            ],
            |card, mode| {
                let staged = card.stage().write_data(FILE, mode, 0, &[0x22; 16])?.credit(FILE, mode, 7)?;
                staged.abort().map(drop)
            },
        ),
        case(
            "LimitedCredit, UpdateRecord, ClearRecordFile, AbortTransaction",
            [
                exchange(0x1C, (File, "03", "04030201"), (File, "")),
                exchange(0xDB, (File, "03010000020000030000", "333435"), (File, "")),
                exchange(0xEB, (Mac, "03", ""), (Mac, "")),
                exchange(0xA7, (Mac, "", ""), (Mac, "")),
            ],
            |card, mode| {
                let staged = card.stage().limited_credit(FILE, mode, 0x0102_0304)?;
                let staged = staged.update_record(FILE, mode, 1, 2, &[0x33, 0x34, 0x35])?.clear_record_file(FILE)?;
                staged.abort().map(drop)
            },
        ),
    ]
}

pub(crate) fn ev1_cases() -> Vec<Case<Ev1Card>> {
    let mut cases = cases();
    cases.extend([
        case(
            "Debit, WriteRecord, CommitTransaction",
            [
                exchange(0xDC, (File, "03", "401F0000"), (File, "")),
                exchange(0x3B, (File, "030000003C0000", "A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5"), (File, "")),
                exchange(0xC7, (Mac, "", ""), (Mac, "")),
            ],
            |card, mode| {
 let staged = card.stage().debit(FILE, mode, 8000)?.write_record(FILE, mode, 0, &[0xA5; 60])?;
 match staged.commit() {
 Commit::Done { transaction_mac, .. } => said(transaction_mac, NoTransactionMac),
 Commit::Unknown { why } => Err(why),
 }
 },
        ),
    ]);
    cases
}

pub(crate) fn ev2_cases() -> Vec<Case<Ev2Card>> {
    let mut cases = cases();
    cases.extend([
        case(
            "Debit, WriteRecord, CommitTransaction",
            [
                exchange(0xDC, (File, "03", "401F0000"), (File, "")),
                exchange(0x3B, (File, "030000003C0000", "A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5"), (File, "")),
                exchange(0xC7, (Mac, "01", ""), (Mac, "090000000102030405060708")),
            ],
            |card, mode| {
 let staged = card.stage().debit(FILE, mode, 8000)?.write_record(FILE, mode, 0, &[0xA5; 60])?;
 match staged.commit() {
 Commit::Done { transaction_mac, .. } => {
 said(transaction_mac, TransactionMac { counter: 9, value: [1, 2, 3, 4, 5, 6, 7, 8] })
 }
 Commit::Unknown { why } => Err(why),
 }
 },
        ),
        case(
            "CommitTransaction without Transaction MAC",
            [
                exchange(0xC7, (Mac, "", ""), (Mac, "")),
            ],
            |card, _| match card.stage().commit_without_transaction_mac() {
 Commit::Done { transaction_mac, .. } => said(transaction_mac, NoTransactionMac),
 Commit::Unknown { why } => Err(why),
 },
        ),
        case(
            "CommitReaderID",
            [
                exchange(0xC8, (Mac, "44444444444444444444444444444444", ""), (Mac, "55555555555555555555555555555555")),
            ],
            |card, _| said(card.stage().commit_reader_id([0x44; 16])?.1, [0x55; 16]),
        ),
        case(
            "CreateTransactionMACFile",
            [
                exchange(0xCE, (Full, "0301E01F02", NEW), (Mac, "")),
            ],
            |mut card, _| {
 card.create_transaction_mac_file(FILE, CommunicationMode::Mac, RIGHTS, NEW_KEY)
 },
        ),
        case(
            "ChangeKeyEV2",
            [
                exchange(0xC6, (Full, "0200", MASKED), (Mac, "")),
            ],
            |mut card, _| card.change_key_ev2(SET, KeyNumber::MASTER, &OLD_KEY, NEW_KEY),
        ),
        case(
            "InitializeKeySet",
            [
                exchange(0x56, (Mac, "0202", ""), (Mac, "")),
            ],
            |mut card, _| card.initialize_key_set(SET),
        ),
        case(
            "FinalizeKeySet",
            [
                exchange(0x57, (Mac, "022A", ""), (Mac, "")),
            ],
            |mut card, _| card.finalize_key_set(SET, 0x2A),
        ),
        case(
            "RollKeySet",
            [
                exchange(0x55, (Mac, "02", ""), (Mac, "")),
            ],
            |card, _| card.roll_key_set(SET).map(drop),
        ),
        case(
            "GetKeyVersion of a key set",
            [
                exchange(0x64, (Mac, "4102", ""), (Mac, "2A")),
            ],
            |mut card, _| said(card.get_key_version_of_set(SET, KEY_ONE)?, 0x2A),
        ),
    ]);
    cases
}

/// Runs a case; the reader's verdict, and the card for a look at what it has seen.
fn run<P: CardSide>(case: &Case<P>, mode: CommunicationMode, flip: Option<Flip>) -> (Result<(), Error>, PeerCard<P>) {
    let mut card = PeerCard::new(mode, &case.exchanges, flip);
    let verdict = (case.run)(P::authenticate(&mut card), mode);
    (verdict, card)
}

#[test]
fn every_command_is_sent_and_understood_as_its_file_says() {
    fn check<P: CardSide>(cases: &[Case<P>]) {
        for case in cases {
            for mode in [CommunicationMode::Plain, CommunicationMode::Mac, CommunicationMode::Full] {
                let (verdict, card) = run(case, mode, None);
                assert_eq!(verdict, Ok(()), "{}, {mode:?}", case.name);
                assert!(card.has_seen_all(), "{}, {mode:?}", case.name);
            }
        }
    }
    check(&ev1_cases());
    check(&ev2_cases());
}

/// In mode Plain only EV1 protects, and there the reader finds out: the card executes a changed command whose answer then
/// does not verify. The answer that ends a session has no MAC; its data, of which there are none, cannot be flipped.
#[test]
fn every_flipped_bit_of_every_message_is_rejected() {
    /// Flips tried, and those that were rejected.
    fn check<P: CardSide>(cases: &[Case<P>], modes: &[CommunicationMode]) -> (usize, usize) {
        let (mut tried, mut rejected) = (0, 0);
        for case in cases {
            for &mode in modes {
                let (_, card) = run(case, mode, None);
                for (exchange, &(command_bits, answer_bits)) in card.lengths_bits.iter().enumerate() {
                    let commands = (0..command_bits).map(|bit| Flip::Command { exchange, bit });
                    let answers = (0..answer_bits).map(|bit| Flip::Answer { exchange, bit });
                    for flip in commands.chain(answers) {
                        let (verdict, _) = run(case, mode, Some(flip));
                        assert!(verdict.is_err(), "{}, {mode:?}, {flip:?}", case.name);
                        tried += 1;
                        rejected += usize::from(verdict.is_err());
                    }
                }
            }
        }
        (tried, rejected)
    }
    let all = [CommunicationMode::Plain, CommunicationMode::Mac, CommunicationMode::Full];
    let ev1 = check(&ev1_cases(), &all);
    let ev2 = check(&ev2_cases(), &all[1..]);
    println!("bit flips of EV1 messages: {} tried, {} rejected", ev1.0, ev1.1);
    println!("bit flips of EV2 messages: {} tried, {} rejected", ev2.0, ev2.1);
    let tried = (ev1.0, ev2.0);
    assert_eq!(tried, (24_024, 25_704), "a message was lost or added; the README says their sum");
}
