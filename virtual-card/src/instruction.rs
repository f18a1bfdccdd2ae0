//! Command bytes, their names, and which generation of the chip knows them.
//!
//! Source: proxmark3 `protocols.h` and libfreefare, which agree; for the generations also the AN12343 command set.

use crate::picc::Generation;

pub(crate) const AUTHENTICATE: u8 = 0x0A;
pub(crate) const AUTHENTICATE_ISO: u8 = 0x1A;
pub(crate) const AUTHENTICATE_AES: u8 = 0xAA;
pub(crate) const AUTHENTICATE_EV2_FIRST: u8 = 0x71;
pub(crate) const AUTHENTICATE_EV2_NON_FIRST: u8 = 0x77;
pub(crate) const GET_VERSION: u8 = 0x60;
pub(crate) const GET_CARD_UID: u8 = 0x51;
pub(crate) const FREE_MEMORY: u8 = 0x6E;
pub(crate) const READ_SIGNATURE: u8 = 0x3C;
pub(crate) const FORMAT_PICC: u8 = 0xFC;
pub(crate) const SET_CONFIGURATION: u8 = 0x5C;
pub(crate) const SELECT_APPLICATION: u8 = 0x5A;
pub(crate) const GET_APPLICATION_IDS: u8 = 0x6A;
pub(crate) const GET_DF_NAMES: u8 = 0x6D;
pub(crate) const CREATE_APPLICATION: u8 = 0xCA;
pub(crate) const DELETE_APPLICATION: u8 = 0xDA;
pub(crate) const GET_KEY_SETTINGS: u8 = 0x45;
pub(crate) const CHANGE_KEY_SETTINGS: u8 = 0x54;
pub(crate) const GET_KEY_VERSION: u8 = 0x64;
pub(crate) const CHANGE_KEY: u8 = 0xC4;
pub(crate) const CHANGE_KEY_EV2: u8 = 0xC6;
pub(crate) const INITIALIZE_KEY_SET: u8 = 0x56;
pub(crate) const FINALIZE_KEY_SET: u8 = 0x57;
pub(crate) const ROLL_KEY_SET: u8 = 0x55;
pub(crate) const GET_FILE_IDS: u8 = 0x6F;
pub(crate) const GET_ISO_FILE_IDS: u8 = 0x61;
pub(crate) const GET_FILE_SETTINGS: u8 = 0xF5;
pub(crate) const CHANGE_FILE_SETTINGS: u8 = 0x5F;
pub(crate) const CREATE_STANDARD_DATA_FILE: u8 = 0xCD;
pub(crate) const CREATE_BACKUP_DATA_FILE: u8 = 0xCB;
pub(crate) const CREATE_VALUE_FILE: u8 = 0xCC;
pub(crate) const CREATE_LINEAR_RECORD_FILE: u8 = 0xC1;
pub(crate) const CREATE_CYCLIC_RECORD_FILE: u8 = 0xC0;
pub(crate) const CREATE_TRANSACTION_MAC_FILE: u8 = 0xCE;
pub(crate) const DELETE_FILE: u8 = 0xDF;
pub(crate) const READ_DATA: u8 = 0xBD;
pub(crate) const WRITE_DATA: u8 = 0x3D;
pub(crate) const GET_VALUE: u8 = 0x6C;
pub(crate) const CREDIT: u8 = 0x0C;
pub(crate) const DEBIT: u8 = 0xDC;
pub(crate) const LIMITED_CREDIT: u8 = 0x1C;
pub(crate) const READ_RECORDS: u8 = 0xBB;
pub(crate) const WRITE_RECORD: u8 = 0x3B;
pub(crate) const UPDATE_RECORD: u8 = 0xDB;
pub(crate) const CLEAR_RECORD_FILE: u8 = 0xEB;
pub(crate) const COMMIT_TRANSACTION: u8 = 0xC7;
pub(crate) const ABORT_TRANSACTION: u8 = 0xA7;
pub(crate) const COMMIT_READER_ID: u8 = 0xC8;
pub(crate) const PREPARE_PROXIMITY_CHECK: u8 = 0xF0;
pub(crate) const PROXIMITY_CHECK: u8 = 0xF2;
pub(crate) const VERIFY_PROXIMITY_CHECK: u8 = 0xFD;
pub(crate) const ADDITIONAL_FRAME: u8 = 0xAF;

/// The same commands with the chaining of ISO/IEC 14443-4 in place of additional frames: one APDU, however many blocks
/// the reader makes of it.
pub(crate) mod chained {
    pub(crate) const READ_DATA: u8 = 0xAD;
    pub(crate) const WRITE_DATA: u8 = 0x8D;
    pub(crate) const READ_RECORDS: u8 = 0xAB;
    pub(crate) const WRITE_RECORD: u8 = 0x8B;
    pub(crate) const UPDATE_RECORD: u8 = 0xBA;
}

const COMMANDS: [(u8, &str, Generation); 57] = [
    (AUTHENTICATE, "Authenticate", Generation::Ev1),
    (AUTHENTICATE_ISO, "AuthenticateISO", Generation::Ev1),
    (AUTHENTICATE_AES, "AuthenticateAES", Generation::Ev1),
    (AUTHENTICATE_EV2_FIRST, "AuthenticateEV2First", Generation::Ev2),
    (AUTHENTICATE_EV2_NON_FIRST, "AuthenticateEV2NonFirst", Generation::Ev2),
    (GET_VERSION, "GetVersion", Generation::Ev1),
    (GET_CARD_UID, "GetCardUID", Generation::Ev1),
    (FREE_MEMORY, "FreeMem", Generation::Ev1),
    (READ_SIGNATURE, "Read_Sig", Generation::Ev1),
    (FORMAT_PICC, "FormatPICC", Generation::Ev1),
    (SET_CONFIGURATION, "SetConfiguration", Generation::Ev1),
    (SELECT_APPLICATION, "SelectApplication", Generation::Ev1),
    (GET_APPLICATION_IDS, "GetApplicationIDs", Generation::Ev1),
    (GET_DF_NAMES, "GetDFNames", Generation::Ev1),
    (CREATE_APPLICATION, "CreateApplication", Generation::Ev1),
    (DELETE_APPLICATION, "DeleteApplication", Generation::Ev1),
    (GET_KEY_SETTINGS, "GetKeySettings", Generation::Ev1),
    (CHANGE_KEY_SETTINGS, "ChangeKeySettings", Generation::Ev1),
    (GET_KEY_VERSION, "GetKeyVersion", Generation::Ev1),
    (CHANGE_KEY, "ChangeKey", Generation::Ev1),
    (CHANGE_KEY_EV2, "ChangeKeyEV2", Generation::Ev2),
    (INITIALIZE_KEY_SET, "InitializeKeySet", Generation::Ev2),
    (FINALIZE_KEY_SET, "FinalizeKeySet", Generation::Ev2),
    (ROLL_KEY_SET, "RollKeySet", Generation::Ev2),
    (GET_FILE_IDS, "GetFileIDs", Generation::Ev1),
    (GET_ISO_FILE_IDS, "GetISOFileIDs", Generation::Ev1),
    (GET_FILE_SETTINGS, "GetFileSettings", Generation::Ev1),
    (CHANGE_FILE_SETTINGS, "ChangeFileSettings", Generation::Ev1),
    (CREATE_STANDARD_DATA_FILE, "CreateStdDataFile", Generation::Ev1),
    (CREATE_BACKUP_DATA_FILE, "CreateBackupDataFile", Generation::Ev1),
    (CREATE_VALUE_FILE, "CreateValueFile", Generation::Ev1),
    (CREATE_LINEAR_RECORD_FILE, "CreateLinearRecordFile", Generation::Ev1),
    (CREATE_CYCLIC_RECORD_FILE, "CreateCyclicRecordFile", Generation::Ev1),
    (CREATE_TRANSACTION_MAC_FILE, "CreateTransactionMACFile", Generation::Ev2),
    (DELETE_FILE, "DeleteFile", Generation::Ev1),
    (READ_DATA, "ReadData", Generation::Ev1),
    (WRITE_DATA, "WriteData", Generation::Ev1),
    (GET_VALUE, "GetValue", Generation::Ev1),
    (CREDIT, "Credit", Generation::Ev1),
    (DEBIT, "Debit", Generation::Ev1),
    (LIMITED_CREDIT, "LimitedCredit", Generation::Ev1),
    (READ_RECORDS, "ReadRecords", Generation::Ev1),
    (WRITE_RECORD, "WriteRecord", Generation::Ev1),
    (UPDATE_RECORD, "UpdateRecord", Generation::Ev2),
    (CLEAR_RECORD_FILE, "ClearRecordFile", Generation::Ev1),
    (COMMIT_TRANSACTION, "CommitTransaction", Generation::Ev1),
    (ABORT_TRANSACTION, "AbortTransaction", Generation::Ev1),
    (COMMIT_READER_ID, "CommitReaderID", Generation::Ev2),
    (PREPARE_PROXIMITY_CHECK, "PreparePC", Generation::Ev2),
    (PROXIMITY_CHECK, "ProximityCheck", Generation::Ev2),
    (VERIFY_PROXIMITY_CHECK, "VerifyPC", Generation::Ev2),
    (ADDITIONAL_FRAME, "AdditionalFrame", Generation::Ev1),
    (chained::READ_DATA, "ReadData (ISO chaining)", Generation::Ev2),
    (chained::WRITE_DATA, "WriteData (ISO chaining)", Generation::Ev2),
    (chained::READ_RECORDS, "ReadRecords (ISO chaining)", Generation::Ev2),
    (chained::WRITE_RECORD, "WriteRecord (ISO chaining)", Generation::Ev2),
    (chained::UPDATE_RECORD, "UpdateRecord (ISO chaining)", Generation::Ev2),
];

/// The command's name in the documents.
pub(crate) fn name(instruction: u8) -> &'static str {
    let known = COMMANDS.iter().find(|(code, ..)| *code == instruction);
    known.map_or("unknown", |(_, name, _)| name)
}

/// Whether some chip knows this command.
pub(crate) fn is_name(instruction: u8) -> bool {
    is_known(instruction, Generation::Ev3)
}

/// Whether a chip of this generation knows the command: EV1 has no EV2 authentication, no Transaction MAC, no key sets,
/// no UpdateRecord, no proximity check and no chaining of ISO/IEC 14443-4.
pub(crate) fn is_known(instruction: u8, generation: Generation) -> bool {
    COMMANDS.iter().any(|&(code, _, since)| code == instruction && since <= generation)
}

/// Whether data and answer may be longer than a frame.
pub(crate) const fn is_chained(instruction: u8) -> bool {
    matches!(
        instruction,
        chained::READ_DATA
            | chained::WRITE_DATA
            | chained::READ_RECORDS
            | chained::WRITE_RECORD
            | chained::UPDATE_RECORD
    )
}
