//! Files as they are made and as GetFileSettings shows them.
//!
//! Source: NXP AN0945 and AN12343, the Create commands and GetFileSettings; flipperzero-firmware issue 4159 for the
//! counter limit of a Transaction MAC file, seen on a transport card of Sofia.

use crate::{
    error::{Misbehaviour, Misuse},
    file::{AccessRights, CommunicationMode, FileNumber},
    wire::{three_bytes, within},
};

/// A standard or backup data file to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataFile {
    /// How its data travel.
    pub mode: CommunicationMode,
    /// Who may do what.
    pub rights: AccessRights,
    /// Its length in bytes, at least 1.
    pub length: u32,
    /// Its ISO file identifier: exactly where the application was made with them.
    pub iso_file_id: Option<u16>,
}

/// A value file to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueFile {
    /// How its data travel.
    pub mode: CommunicationMode,
    /// Who may do what. Whoever may read may debit.
    pub rights: AccessRights,
    /// The least value, at most `value`.
    pub lower_limit: i32,
    /// The greatest value, at least `value`.
    pub upper_limit: i32,
    /// The value that it starts with.
    pub value: i32,
    /// LimitedCredit is on.
    pub limited_credit: bool,
    /// Everybody may read the value, and no more.
    pub free_get_value: bool,
}

/// A record file to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordFile {
    /// How its data travel.
    pub mode: CommunicationMode,
    /// Who may do what.
    pub rights: AccessRights,
    /// Bytes of one record, at least 1.
    pub record_length: u32,
    /// How many records it has room for.
    pub records_max: u32,
    /// Its ISO file identifier: exactly where the application was made with them.
    pub iso_file_id: Option<u16>,
}

/// Value file option: LimitedCredit is on.
const LIMITED_CREDIT: u8 = 0x01;
/// Value file option: everybody may read the value.
const FREE_GET_VALUE: u8 = 0x02;

impl DataFile {
    pub(crate) fn encode(&self, file: FileNumber) -> Result<Vec<u8>, Misuse> {
        within("length", self.length, 1, u32::MAX)?;
        let mut bytes = head(file, self.iso_file_id, self.mode, self.rights);
        bytes.extend_from_slice(&three_bytes("length", self.length)?);
        Ok(bytes)
    }
}

impl ValueFile {
    pub(crate) fn encode(&self, file: FileNumber) -> Result<Vec<u8>, Misuse> {
        let &Self { mode, rights, lower_limit, upper_limit, value, limited_credit, free_get_value } = self;
        if !(lower_limit..=upper_limit).contains(&value) {
            return Err(Misuse::ValueOutsideLimits);
        }
        let mut bytes = head(file, None, mode, rights);
        bytes.extend_from_slice(&lower_limit.to_le_bytes());
        bytes.extend_from_slice(&upper_limit.to_le_bytes());
        bytes.extend_from_slice(&value.to_le_bytes());
        let limited_credit = if limited_credit { LIMITED_CREDIT } else { 0 };
        let free_get_value = if free_get_value { FREE_GET_VALUE } else { 0 };
        bytes.push(limited_credit | free_get_value);
        Ok(bytes)
    }
}

impl RecordFile {
    pub(crate) fn encode(&self, file: FileNumber, records_min: u32) -> Result<Vec<u8>, Misuse> {
        within("record length", self.record_length, 1, u32::MAX)?;
        within("number of records", self.records_max, records_min, u32::MAX)?;
        let mut bytes = head(file, self.iso_file_id, self.mode, self.rights);
        bytes.extend_from_slice(&three_bytes("record length", self.record_length)?);
        bytes.extend_from_slice(&three_bytes("number of records", self.records_max)?);
        Ok(bytes)
    }
}

/// FileNo [FID] Comm Rights.
fn head(file: FileNumber, iso_file_id: Option<u16>, mode: CommunicationMode, rights: AccessRights) -> Vec<u8> {
    let mut bytes = vec![file.get()];
    bytes.extend_from_slice(iso_file_id.map(u16::to_le_bytes).as_slice().as_flattened());
    bytes.push(mode.code());
    bytes.extend_from_slice(&rights.to_bytes());
    bytes
}

/// What GetFileSettings answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSettings {
    /// How the file's data travel.
    pub mode: CommunicationMode,
    /// The option byte that holds the mode, as it came: on EV2 and later cards bit 7 says that the file has further
    /// access rights than `rights`.
    pub option: u8,
    /// Who may do what.
    pub rights: AccessRights,
    /// Its kind, with what belongs to that.
    pub kind: FileKind,
    /// What follows that this crate does not know, as it came.
    pub other: Vec<u8>,
}

/// A kind of file, and its sizes and limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Written at once.
    StandardData {
        /// Length in bytes.
        length: u32,
    },
    /// Written with the commit.
    BackupData {
        /// Length in bytes.
        length: u32,
    },
    /// A value with limits.
    Value {
        /// The least value.
        lower_limit: i32,
        /// The greatest value.
        upper_limit: i32,
        /// What LimitedCredit could give now; cards show it also where that is off.
        limited_credit_value: i32,
        /// LimitedCredit is on.
        limited_credit: bool,
        /// Everybody may read the value.
        free_get_value: bool,
    },
    /// Records, full one day.
    LinearRecord(Records),
    /// Records, the newest ones.
    CyclicRecord(Records),
    /// The card's own proof of transactions.
    TransactionMac {
        /// The kind of its key; 02 is AES.
        key_option: u8,
        /// The version of its key.
        key_version: u8,
        /// The counter at which no transaction is possible any more, on cards that tell it.
        counter_limit: Option<u32>,
    },
}

/// The sizes of a record file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Records {
    /// Bytes of one record.
    pub record_length: u32,
    /// How many records it has room for, the spare one of a cyclic file included.
    pub records_max: u32,
    /// How many it holds now.
    pub records: u32,
}

impl FileSettings {
    pub(crate) fn decode(answer: &[u8]) -> Result<Self, Misbehaviour> {
        let mut rest = answer;
        let [kind, option, first, second] = take(&mut rest)?;
        let kind = match kind {
            0x00 => FileKind::StandardData { length: take_three(&mut rest)? },
            0x01 => FileKind::BackupData { length: take_three(&mut rest)? },
            0x02 => {
                let lower_limit = i32::from_le_bytes(take(&mut rest)?);
                let upper_limit = i32::from_le_bytes(take(&mut rest)?);
                let limited_credit_value = i32::from_le_bytes(take(&mut rest)?);
                let [options] = take(&mut rest)?;
                let (limited_credit, free_get_value) = (options & LIMITED_CREDIT != 0, options & FREE_GET_VALUE != 0);
                FileKind::Value { lower_limit, upper_limit, limited_credit_value, limited_credit, free_get_value }
            }
            0x03 => FileKind::LinearRecord(Records::decode(&mut rest)?),
            0x04 => FileKind::CyclicRecord(Records::decode(&mut rest)?),
            0x05 => {
                let [key_option, key_version] = take(&mut rest)?;
                let counter_limit = take(&mut rest).ok().map(u32::from_le_bytes);
                FileKind::TransactionMac { key_option, key_version, counter_limit }
            }
            _ => return Err(Misbehaviour::Unintelligible { what: "kind of file" }),
        };
        let rights = AccessRights::from_bytes([first, second]);
        Ok(Self { mode: CommunicationMode::from_option(option), option, rights, kind, other: rest.to_vec() })
    }
}

impl Records {
    fn decode(rest: &mut &[u8]) -> Result<Self, Misbehaviour> {
        let record_length = take_three(rest)?;
        let records_max = take_three(rest)?;
        Ok(Self { record_length, records_max, records: take_three(rest)? })
    }
}

fn take_three(rest: &mut &[u8]) -> Result<u32, Misbehaviour> {
    let [low, middle, high] = take(rest)?;
    Ok(u32::from_le_bytes([low, middle, high, 0]))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Misbehaviour> {
    let (&taken, after) =
        rest.split_first_chunk().ok_or(Misbehaviour::WrongLength { expected: N, actual: rest.len() })?;
    *rest = after;
    Ok(taken)
}
