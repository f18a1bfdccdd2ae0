//! Commands of ISO/IEC 7816-4 that a DESFire knows beside its own: SELECT, READ BINARY, UPDATE BINARY, READ RECORD.
//!
//! Source: AN12343 section 5 for SELECT; ISO/IEC 7816-4 for the others. Files are read and written in clear, where the
//! right is free; numbers are most significant first.

use crate::{
    data_files::overwrite,
    file::{Access, Content, File, Right},
    picc::Picc,
};

/// SW1 and SW2.
type StatusWord = [u8; 2];

const DONE: StatusWord = [0x90, 0x00];
const WRONG_LENGTH: StatusWord = [0x67, 0x00];
const NOT_THIS_KIND_OF_FILE: StatusWord = [0x69, 0x81];
const NOT_ALLOWED: StatusWord = [0x69, 0x82];
const FILE_NOT_FOUND: StatusWord = [0x6A, 0x82];
const RECORD_NOT_FOUND: StatusWord = [0x6A, 0x83];
const WRONG_PARAMETERS: StatusWord = [0x6A, 0x86];
const WRONG_OFFSET: StatusWord = [0x6B, 0x00];
const INSTRUCTION_NOT_SUPPORTED: StatusWord = [0x6D, 0x00];

/// The name of the card level.
const CARD_NAME: [u8; 7] = [0xD2, 0x76, 0x00, 0x00, 0x85, 0x01, 0x00];
/// The identifier of the card level.
const MASTER_FILE: u16 = 0x3F00;

struct Command<'a> {
    instruction: u8,
    p1: u8,
    p2: u8,
    data: &'a [u8],
    /// The most bytes that the reader takes.
    expected: usize,
}

impl Picc {
    /// Answers a command of class 00.
    pub(crate) fn handle_iso7816(&mut self, apdu: &[u8]) -> Vec<u8> {
        let outcome = match Command::parse(apdu) {
            Some(command) => self.execute_iso7816(&command),
            None => Err(WRONG_LENGTH),
        };
        match outcome {
            Ok(mut data) => {
                data.extend(DONE);
                data
            }
            Err(status) => {
                self.fail();
                status.to_vec()
            }
        }
    }

    fn execute_iso7816(&mut self, command: &Command<'_>) -> Result<Vec<u8>, StatusWord> {
        match command.instruction {
            0xA4 => self.select(command),
            0xB0 => self.read_binary(command),
            0xD6 => self.update_binary(command),
            0xB2 => self.read_record(command),
            _ => Err(INSTRUCTION_NOT_SUPPORTED),
        }
    }

    /// `A4`: by name (P1 04), or by identifier (P1 00 to 02). An application that is found is selected as by
    /// SelectApplication; there is no file control information to return.
    fn select(&mut self, command: &Command<'_>) -> Result<Vec<u8>, StatusWord> {
        const BY_NAME: u8 = 0x04;
        let applications = &self.memory.applications;
        let found = match (command.p1, command.data) {
            (_, []) => return Err(WRONG_LENGTH),
            (BY_NAME, name) if name == CARD_NAME => None,
            (BY_NAME, name) => {
                let index = applications.iter().position(|application| application.df_name == name);
                Some(index.ok_or(FILE_NOT_FOUND)?)
            }
            (0x00..=0x02, &[high, low]) => {
                let identifier = u16::from_be_bytes([high, low]);
                let has_identifier = |file: &&File| file.iso_file_id == Some(identifier);
                let file =
                    self.application().ok().and_then(|application| application.files.iter().find(has_identifier));
                if let Some(number) = file.map(|file| file.number).filter(|_| command.p1 != 0x01) {
                    self.selected_file = Some(number);
                    return Ok(vec![]);
                }
                let index = applications.iter().position(|application| application.iso_file_id == Some(identifier));
                if index.is_none() && identifier != MASTER_FILE {
                    return Err(FILE_NOT_FOUND);
                }
                index
            }
            (0x00..=0x02, _) => return Err(WRONG_LENGTH),
            _ => return Err(WRONG_PARAMETERS),
        };
        self.end_session();
        self.selected = found;
        self.selected_file = None;
        Ok(vec![])
    }

    /// `B0`: of a data file, as many bytes as there are.
    fn read_binary(&self, command: &Command<'_>) -> Result<Vec<u8>, StatusWord> {
        let (file, offset) = self.file_and_offset(command, &[Right::Read, Right::ReadWrite])?;
        let content = match &file.content {
            Content::StandardData(data) => &data.data,
            Content::BackupData(data) => &data.committed,
            Content::Value(_) | Content::Records(_) | Content::TransactionMac(_) => return Err(NOT_THIS_KIND_OF_FILE),
        };
        let rest = content.get(offset..).filter(|rest| !rest.is_empty()).ok_or(WRONG_OFFSET)?;
        Ok(rest[..rest.len().min(command.expected)].to_vec())
    }

    /// `D6`: into a standard data file, at once.
    fn update_binary(&mut self, command: &Command<'_>) -> Result<Vec<u8>, StatusWord> {
        let (file, offset) = self.file_and_offset(command, &[Right::Write, Right::ReadWrite])?;
        let number = file.number;
        match self.content_mut(number) {
            Ok(Content::StandardData(data)) => {
                overwrite(&mut data.data, offset, command.data).map_err(|_| WRONG_OFFSET)?;
                Ok(vec![])
            }
            _ => Err(NOT_THIS_KIND_OF_FILE),
        }
    }

    /// `B2`: one record, 1 is the newest (P2 bits 0 to 2: 4), or all from there, oldest first (5).
    fn read_record(&self, command: &Command<'_>) -> Result<Vec<u8>, StatusWord> {
        let file = self.free_file(command.p2 >> 3, &[Right::Read, Right::ReadWrite])?;
        let Content::Records(records) = &file.content else { return Err(NOT_THIS_KIND_OF_FILE) };
        let newest = usize::from(command.p1.max(1)) - 1;
        let count = match command.p2 & 0x07 {
            0x04 => 1,
            0x05 => records.committed.len().saturating_sub(newest),
            _ => return Err(WRONG_PARAMETERS),
        };
        let read: Vec<u8> = records.committed.iter().skip(newest).take(count).rev().flatten().copied().collect();
        if read.is_empty() {
            return Err(RECORD_NOT_FOUND);
        }
        Ok(read[..read.len().min(command.expected)].to_vec())
    }

    /// P1 with bit 7 names a file by its number, and P2 is the offset; otherwise both are the offset in the selected file.
    fn file_and_offset(&self, command: &Command<'_>, rights: &[Right]) -> Result<(&File, usize), StatusWord> {
        const NUMBER_FOLLOWS: u8 = 0x80;
        if command.p1 & NUMBER_FOLLOWS != 0 {
            Ok((self.free_file(command.p1 & 0x1F, rights)?, usize::from(command.p2)))
        } else {
            Ok((self.free_file(0, rights)?, usize::from(u16::from_be_bytes([command.p1, command.p2]))))
        }
    }

    /// The file of this number, 0 for the selected one, if one of the rights is free.
    fn free_file(&self, number: u8, rights: &[Right]) -> Result<&File, StatusWord> {
        let application = self.application().map_err(|_| FILE_NOT_FOUND)?;
        let number = if number == 0 { self.selected_file } else { Some(number) };
        let file = number.and_then(|number| application.file(number)).ok_or(FILE_NOT_FOUND)?;
        let is_free = rights.iter().any(|right| file.rights.of(*right) == Access::Free);
        if is_free { Ok(file) } else { Err(NOT_ALLOWED) }
    }
}

impl<'a> Command<'a> {
    /// `00 INS P1 P2 [Lc data] [Le]`.
    fn parse(apdu: &'a [u8]) -> Option<Self> {
        const ALL: usize = 256;
        let expected = |le: u8| if le == 0 { ALL } else { usize::from(le) };
        let [_, instruction, p1, p2, rest @ ..] = apdu else { return None };
        let (data, expected) = match rest {
            [] => (&[][..], 0),
            &[le] => (&[][..], expected(le)),
            [length, data @ ..] if data.len() == usize::from(*length) => (data, 0),
            [length, data @ .., le] if data.len() == usize::from(*length) => (data, expected(*le)),
            _ => return None,
        };
        Some(Self { instruction: *instruction, p1: *p1, p2: *p2, data, expected })
    }
}
