//! How long a chip takes over a command, so that a demonstration feels real.
//!
//! **No DESFire has been timed for this project.** "Trace" is a radio capture published with proxmark3 (its folder
//! `traces`) of a DESFire of the EV1 or D40 kind; everything else is assumed, in steps of one programming cycle (1 ms, NXP
//! MIFARE DESFire EV2 short data sheet).

use std::time::Duration;

use crate::instruction;

/// From the end of the command to the start of the answer. `previous` is the command before, which says what an
/// additional frame belongs to.
pub(crate) fn chip_time(command: &[u8], previous: Option<&[u8]>) -> Duration {
    let microseconds = match code(command) {
        // Trace: 0.77 ms.
        instruction::SELECT_APPLICATION => 770,
        // Trace, of ISO SELECT: 1.24 ms.
        0xA4 => 1240,
        // Trace, with 3DES: 2.47 ms, and 2.03 ms for the second half.
        instruction::AUTHENTICATE | instruction::AUTHENTICATE_ISO => 2470,
        instruction::AUTHENTICATE_AES
        | instruction::AUTHENTICATE_EV2_FIRST
        | instruction::AUTHENTICATE_EV2_NON_FIRST => 2500,
        instruction::ADDITIONAL_FRAME => match previous.map(code) {
            Some(instruction::AUTHENTICATE | instruction::AUTHENTICATE_ISO) => 2030,
            Some(
                instruction::AUTHENTICATE_AES
                | instruction::AUTHENTICATE_EV2_FIRST
                | instruction::AUTHENTICATE_EV2_NON_FIRST,
            ) => 2500,
            _ => 1000,
        },
        // Trace: 1.02 ms.
        instruction::GET_FILE_SETTINGS => 1020,
        // Trace: 1.07 ms for seven bytes in plain; more with a MAC.
        instruction::READ_DATA | instruction::chained::READ_DATA => 1500,
        instruction::READ_RECORDS | instruction::chained::READ_RECORDS => 1700,
        instruction::GET_VALUE => 1200,
        instruction::CREDIT | instruction::DEBIT | instruction::LIMITED_CREDIT => 3000,
        instruction::WRITE_DATA
        | instruction::chained::WRITE_DATA
        | instruction::WRITE_RECORD
        | instruction::chained::WRITE_RECORD
        | instruction::UPDATE_RECORD
        | instruction::chained::UPDATE_RECORD => 5000,
        instruction::COMMIT_TRANSACTION => 6000,
        instruction::CREATE_APPLICATION
        | instruction::CREATE_STANDARD_DATA_FILE
        | instruction::CREATE_BACKUP_DATA_FILE
        | instruction::CREATE_VALUE_FILE
        | instruction::CREATE_LINEAR_RECORD_FILE
        | instruction::CREATE_CYCLIC_RECORD_FILE
        | instruction::CREATE_TRANSACTION_MAC_FILE
        | instruction::CHANGE_KEY
        | instruction::CHANGE_KEY_EV2
        | instruction::FORMAT_PICC => 10_000,
        _ => 1000,
    };
    Duration::from_micros(microseconds)
}

/// The instruction byte, wrapped or not.
fn code(command: &[u8]) -> u8 {
    match *command {
        [0x00 | 0x90, code, ..] | [code, ..] => code,
        [] => 0,
    }
}
