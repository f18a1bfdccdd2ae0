//! python-desfire 0.1.5 over pyscard: EV1 AES with every CMAC checked, in native frames.

use std::process::Command;

use crate::{
    outcome::Outcome,
    stand::{Stand, outcome},
};

const CLIENT: &str = "python-desfire";

/// Application 112233, free to create files, with three AES keys of zeros.
const CREATE_APPLICATION: [u8; 11] = [0x90, 0xCA, 0x00, 0x00, 0x05, 0x11, 0x22, 0x33, 0x0F, 0x83, 0x00];

/// Lists, authenticates, creates files of every mode, writes, reads, and changes keys.
#[must_use]
pub fn run(stand: &Stand) -> Outcome {
    let result = stand.peer(CLIENT).and_then(|folder| {
        let card = stand.prepared_card("blank-ev1", &[&CREATE_APPLICATION])?;
        let client = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/python_desfire_client.py");
        let mut command = Command::new(folder.join("bin/python3"));
        let (_, run) = stand.run(card, command.arg(client).arg(stand.reader_name()))?;
        Ok(run.lines())
    });
    outcome(CLIENT, "list, AES, standard files of every mode, ChangeKey", result)
}
