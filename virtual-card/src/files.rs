//! Files as such: the Create commands, DeleteFile, GetFileIDs, GetISOFileIDs, GetFileSettings, ChangeFileSettings.

use crate::{
    applications::{Bytes, key_settings},
    file::{
        Access, AccessRights, BackupData, CommunicationMode, Content, File, Records, Right, StandardData,
        TransactionMac, Value,
    },
    instruction,
    picc::{Generation, Outcome, Picc},
    session::Protection,
    status::Status,
};

const NUMBER_MAX: u8 = 31;
const AES: u8 = 0x02;

impl Picc {
    /// `CD|CB FileNo [ISO FID] Mode Rights Size`. libfreefare.
    pub(crate) fn create_data_file(&mut self, instruction: u8, data: &[u8]) -> Outcome {
        let parameters = self.open_command(instruction, data)?;
        let mut bytes = Bytes(&parameters);
        let file = self.common_part(&mut bytes, true)?;
        let size = bytes.take_number()?;
        bytes.end()?;
        if size == 0 {
            return Err(Status::Parameter);
        }
        if size > self.memory.free_bytes() {
            return Err(Status::OutOfMemory);
        }
        let content = match instruction {
            instruction::CREATE_STANDARD_DATA_FILE => Content::StandardData(StandardData::new(vec![0; size])),
            _ => Content::BackupData(BackupData::new(vec![0; size])),
        };
        self.create(File { content, ..file })
    }

    /// `CC FileNo Mode Rights Lower Upper Value Flags`: bit 0 limited credit, bit 1 free GetValue. libfreefare.
    pub(crate) fn create_value_file(&mut self, data: &[u8]) -> Outcome {
        const LIMITED_CREDIT: u8 = 0x01;
        const FREE_GET_VALUE: u8 = 0x02;
        let parameters = self.open_command(instruction::CREATE_VALUE_FILE, data)?;
        let mut bytes = Bytes(&parameters);
        let file = self.common_part(&mut bytes, false)?;
        let [lower, upper, value] = [bytes.take()?, bytes.take()?, bytes.take()?].map(i32::from_le_bytes);
        let [flags] = bytes.take::<1>()?;
        bytes.end()?;
        let value = Value::new(lower, value, upper).ok_or(Status::Boundary)?;
        if flags & !(LIMITED_CREDIT | FREE_GET_VALUE) != 0 {
            return Err(Status::Parameter);
        }
        let content = Content::Value(Value {
            is_limited_credit_enabled: flags & LIMITED_CREDIT != 0,
            is_get_value_free: flags & FREE_GET_VALUE != 0,
            ..value
        });
        self.create(File { content, ..file })
    }

    /// `C1|C0 FileNo [ISO FID] Mode Rights RecordSize MaxRecords`. libfreefare.
    pub(crate) fn create_record_file(&mut self, instruction: u8, data: &[u8]) -> Outcome {
        let parameters = self.open_command(instruction, data)?;
        let mut bytes = Bytes(&parameters);
        let file = self.common_part(&mut bytes, true)?;
        let (record_length, slots) = (bytes.take_number()?, bytes.take_number()?);
        bytes.end()?;
        let records = match instruction {
            instruction::CREATE_LINEAR_RECORD_FILE => Records::linear(record_length, slots),
            _ => Records::cyclic(record_length, slots),
        };
        let content = Content::Records(records.ok_or(Status::Parameter)?);
        self.create(File { content, ..file })
    }

    /// `CE FileNo Mode Rights KeyOption`, and enciphered the key and its version. MF2DL section 10.3.
    ///
    /// In clear without a session, where KS1 lets anybody create files.
    pub(crate) fn create_transaction_mac_file(&mut self, data: &[u8]) -> Outcome {
        let (header, body) = data.split_first_chunk::<5>().ok_or(Status::Length)?;
        let mut bytes = Bytes(header);
        let file = self.common_part(&mut bytes, false)?;
        let [option] = bytes.take::<1>()?;
        if option != AES || file.rights.write != Access::Never {
            return Err(Status::Parameter);
        }
        let instruction = instruction::CREATE_TRANSACTION_MAC_FILE;
        let opened = self.open_data(Protection::Enciphered, instruction, header, body, Some(17))?;
        let Some((key, &[version])) = opened.split_first_chunk::<16>() else { return Err(Status::Length) };
        if self.application()?.files.iter().any(|file| matches!(file.content, Content::TransactionMac(_))) {
            return Err(Status::Duplicate);
        }
        self.create(File { content: Content::TransactionMac(TransactionMac::new(*key, version)), ..file })
    }

    /// What every new file has, with a content to be replaced.
    fn common_part(&self, bytes: &mut Bytes<'_>, may_have_iso_file_id: bool) -> Result<File, Status> {
        let uses_iso_file_ids = self.application()?.uses_iso_file_ids;
        let [number] = bytes.take::<1>()?;
        let iso_file_id = match uses_iso_file_ids && may_have_iso_file_id {
            true => Some(u16::from_le_bytes(bytes.take::<2>()?)),
            false => None,
        };
        let [mode, first, second] = bytes.take::<3>()?;
        if number > NUMBER_MAX {
            return Err(Status::Parameter);
        }
        Ok(File {
            number,
            iso_file_id,
            mode: CommunicationMode::from_byte(mode)?,
            rights: AccessRights::from_bytes([first, second]),
            content: Content::StandardData(StandardData::new(vec![])),
        })
    }

    fn create(&mut self, file: File) -> Outcome {
        self.master_key_or(key_settings::CREATE_AND_DELETE_FREE)?;
        let files = &self.application()?.files;
        let has_same_id = |other: &File| file.iso_file_id.is_some() && other.iso_file_id == file.iso_file_id;
        if files.iter().any(|other| other.number == file.number || has_same_id(other)) {
            return Err(Status::Duplicate);
        }
        self.allocate(file.memory_bytes())?;
        self.application_mut()?.files.push(file);
        self.done()
    }

    /// `DF FileNo`. libfreefare.
    pub(crate) fn delete_file(&mut self, data: &[u8]) -> Outcome {
        let parameters = self.open_command(instruction::DELETE_FILE, data)?;
        let [number] = parameters[..] else { return Err(Status::Length) };
        self.master_key_or(key_settings::CREATE_AND_DELETE_FREE)?;
        let application = self.application_mut()?;
        application.file(number).ok_or(Status::FileNotFound)?;
        application.files.retain(|file| file.number != number);
        self.done()
    }

    /// `6F`: one byte each. libfreefare.
    pub(crate) fn get_file_ids(&mut self, data: &[u8]) -> Outcome {
        self.open_empty(instruction::GET_FILE_IDS, data)?;
        let numbers: Vec<u8> = self.application()?.files.iter().map(|file| file.number).collect();
        self.master_key_or(key_settings::LIST_FREE)?;
        Ok(self.seal(Protection::Command, &numbers))
    }

    /// `61`: two bytes each, of the files that have one. libfreefare.
    pub(crate) fn get_iso_file_ids(&mut self, data: &[u8]) -> Outcome {
        self.open_empty(instruction::GET_ISO_FILE_IDS, data)?;
        let identifiers = self.application()?.files.iter().filter_map(|file| file.iso_file_id);
        let identifiers: Vec<u8> = identifiers.flat_map(u16::to_le_bytes).collect();
        self.master_key_or(key_settings::LIST_FREE)?;
        Ok(self.seal(Protection::Command, &identifiers))
    }

    /// `F5 FileNo`. libfreefare; for the Transaction MAC file MF2DL section 10.3.
    pub(crate) fn get_file_settings(&mut self, data: &[u8]) -> Outcome {
        let parameters = self.open_command(instruction::GET_FILE_SETTINGS, data)?;
        let [number] = parameters[..] else { return Err(Status::Length) };
        let file = self.application()?.file(number).ok_or(Status::FileNotFound)?;
        let settings = settings(file, self.identity.generation);
        self.master_key_or(key_settings::LIST_FREE)?;
        Ok(self.seal(Protection::Command, &settings))
    }

    /// `5F FileNo Mode Rights`: enciphered under the Change key, plain where Change is free. libfreefare.
    pub(crate) fn change_file_settings(&mut self, data: &[u8]) -> Outcome {
        let (&number, body) = data.split_first().ok_or(Status::Length)?;
        let (_, protection) = self.permitted(number, &[Right::Change])?;
        let is_free = self.application()?.file(number).is_some_and(|file| file.rights.change == Access::Free);
        let (protection, answered) = match is_free {
            true => (protection, protection),
            false => (Protection::Enciphered, Protection::Command),
        };
        let instruction = instruction::CHANGE_FILE_SETTINGS;
        let opened = self.open_data(protection, instruction, &[number], body, Some(3))?;
        let [mode, first, second] = opened[..] else { return Err(Status::Length) };
        let mode = CommunicationMode::from_byte(mode)?;
        let rights = AccessRights::from_bytes([first, second]);
        let mut files = self.application_mut()?.files.iter_mut();
        let file = files.find(|file| file.number == number).ok_or(Status::FileNotFound)?;
        if matches!(file.content, Content::TransactionMac(_)) && rights.write != Access::Never {
            return Err(Status::Parameter);
        }
        file.mode = mode;
        file.rights = rights;
        Ok(self.seal(answered, &[]))
    }
}

/// Kind, mode, access rights, and what the kind adds.
fn settings(file: &File, generation: Generation) -> Vec<u8> {
    let (kind, details) = match &file.content {
        Content::StandardData(data) => (0x00, three_bytes(data.data.len()).to_vec()),
        Content::BackupData(data) => (0x01, three_bytes(data.committed.len()).to_vec()),
        Content::Value(value) => {
            let limits = [value.lower_limit.to_le_bytes(), value.upper_limit.to_le_bytes()].concat();
            let flags = u8::from(value.is_limited_credit_enabled) | u8::from(value.is_get_value_free) << 1;
            (0x02, [&limits[..], &value.limited_credit.to_le_bytes(), &[flags]].concat())
        }
        Content::Records(records) => {
            let sizes = [records.record_length, records.slots, records.committed.len()];
            (if records.is_cyclic { 0x04 } else { 0x03 }, sizes.map(three_bytes).concat())
        }
        Content::TransactionMac(mac) => {
            // Seen on an EV3: a limit of the counter, at its end unless one was set.
            let limit: &[u8] = if generation == Generation::Ev3 { &[0xFF; 4] } else { &[] };
            (0x05, [&[AES, mac.key_version], limit].concat())
        }
    };
    let rights = file.rights.bytes();
    [&[kind, file.mode.byte(), rights[0], rights[1]][..], &details].concat()
}

/// Sizes and counts travel in three bytes, least significant first.
fn three_bytes(number: usize) -> [u8; 3] {
    let bytes = number.to_le_bytes();
    [bytes[0], bytes[1], bytes[2]]
}
