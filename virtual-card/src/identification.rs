//! SelectApplication, and what a card tells about itself, its keys and its files.

use std::collections::VecDeque;

use crate::{
    file::{CommunicationMode, Content, File},
    picc::{Generation, Picc, instruction},
    status::Status,
};

impl Picc {
    /// `5A AID`: always plain; ends the session and the transaction. libfreefare; AN12343 section 5.
    ///
    /// The second identifier that EV2 accepts is not supported.
    pub(crate) fn select_application(&mut self, data: &[u8]) -> Result<Vec<u8>, Status> {
        const CARD_LEVEL: [u8; 3] = [0; 3];
        let aid: [u8; 3] = data.try_into().map_err(|_| Status::Length)?;
        self.end_session();
        self.selected = None;
        if aid != CARD_LEVEL {
            let index = self.applications.iter().position(|application| application.aid == aid);
            self.selected = Some(index.ok_or(Status::ApplicationNotFound)?);
        }
        Ok(vec![])
    }

    /// `60`: three frames of 7, 7 and 14 bytes, the last with a MAC over all within a session. libfreefare; proxmark3.
    pub(crate) fn get_version(&mut self, data: &[u8]) -> Result<VecDeque<Vec<u8>>, Status> {
        const NXP: u8 = 0x04;
        const DESFIRE: u8 = 0x01;
        const EIGHT_KILOBYTES: u8 = 0x1A;
        const ISO_14443_3_AND_4: u8 = 0x05;
        const BATCH_WEEK_YEAR: [u8; 7] = [0xBA, 0x00, 0x00, 0x00, 0x01, 0x30, 0x26];
        self.open_empty(instruction::GET_VERSION, data)?;
        let (hardware, software) = match self.identity.generation {
            Generation::Ev1 => ([0x01, 0x00], [0x01, 0x04]),
            Generation::Ev2 => ([0x12, 0x00], [0x02, 0x01]),
            Generation::Ev3 => ([0x33, 0x00], [0x03, 0x00]),
        };
        let block =
            |version: [u8; 2]| vec![NXP, DESFIRE, 0x01, version[0], version[1], EIGHT_KILOBYTES, ISO_14443_3_AND_4];
        let mut version = [block(hardware), block(software)].concat();
        version.extend(self.identity.uid);
        version.extend(BATCH_WEEK_YEAR);
        let mut sealed = self.seal(self.command_mode(), &version);
        let last = sealed.split_off(14);
        let second = sealed.split_off(7);
        Ok(VecDeque::from([sealed, second, last]))
    }

    /// `64 KeyNo`: MAC within a session. proxmark3. Every key of this card has version 0.
    pub(crate) fn get_key_version(&mut self, data: &[u8]) -> Result<Vec<u8>, Status> {
        const KEY_VERSION: u8 = 0;
        let mode = self.command_mode();
        let parameters = self.open(mode, instruction::GET_KEY_VERSION, &[], data)?;
        let [key_number] = parameters[..] else { return Err(Status::Length) };
        if usize::from(key_number) >= self.application()?.keys.len() {
            return Err(Status::NoSuchKey);
        }
        Ok(self.seal(mode, &[KEY_VERSION]))
    }

    /// `6F`: MAC within a session. libfreefare. Listing is allowed without the master key.
    pub(crate) fn get_file_ids(&mut self, data: &[u8]) -> Result<Vec<u8>, Status> {
        self.open_empty(instruction::GET_FILE_IDS, data)?;
        let numbers: Vec<u8> = self.application()?.files.iter().map(|file| file.number).collect();
        Ok(self.seal(self.command_mode(), &numbers))
    }

    /// `F5 FileNo`: MAC within a session. libfreefare; for the Transaction MAC file MF2DL section 10.3.
    pub(crate) fn get_file_settings(&mut self, data: &[u8]) -> Result<Vec<u8>, Status> {
        let mode = self.command_mode();
        let parameters = self.open(mode, instruction::GET_FILE_SETTINGS, &[], data)?;
        let [number] = parameters[..] else { return Err(Status::Length) };
        let settings = settings(self.application()?.file(number).ok_or(Status::FileNotFound)?);
        Ok(self.seal(mode, &settings))
    }

    /// Checks a command without parameters.
    fn open_empty(&self, instruction: u8, data: &[u8]) -> Result<(), Status> {
        let parameters = self.open(self.command_mode(), instruction, &[], data)?;
        if parameters.is_empty() { Ok(()) } else { Err(Status::Length) }
    }
}

/// Kind, mode, access rights, and what the kind adds.
fn settings(file: &File) -> Vec<u8> {
    const AES: u8 = 0x02;
    const KEY_VERSION: u8 = 0;
    const LIMITED_CREDIT_AND_FREE_GET_VALUE_OFF: u8 = 0;
    let (kind, details) = match &file.content {
        Content::StandardData(data) => (0x00, three_bytes(data.len()).to_vec()),
        Content::BackupData(data) => (0x01, three_bytes(data.committed.len()).to_vec()),
        Content::Value(value) => {
            let limits = [value.lower_limit.to_le_bytes(), value.upper_limit.to_le_bytes()].concat();
            let credit = [&value.last_debits.to_le_bytes()[..], &[LIMITED_CREDIT_AND_FREE_GET_VALUE_OFF]].concat();
            (0x02, [limits, credit].concat())
        }
        Content::CyclicRecords(records) => {
            let sizes = [records.record_length, records.slots, records.committed.len()];
            (0x04, sizes.map(three_bytes).concat())
        }
        Content::TransactionMac(_) => (0x05, vec![AES, KEY_VERSION]),
    };
    let mode = match file.mode {
        CommunicationMode::Plain => 0x00,
        CommunicationMode::Mac => 0x01,
        CommunicationMode::Full => 0x03,
    };
    let rights = file.rights.bytes();
    [&[kind, mode, rights[0], rights[1]][..], &details].concat()
}

/// Sizes and counts travel in three bytes, least significant first; the layout keeps them below 2^24.
fn three_bytes(number: usize) -> [u8; 3] {
    let bytes = number.to_le_bytes();
    [bytes[0], bytes[1], bytes[2]]
}
