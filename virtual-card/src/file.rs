//! Files, their access rights, and what is pending on them until a commit.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::status::Status;

/// How a file's data travels within a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommunicationMode {
    /// In clear, without a MAC.
    Plain,
    /// In clear, with a MAC.
    Mac,
    /// Enciphered, with a MAC.
    Full,
}

impl CommunicationMode {
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::Plain => 0x00,
            Self::Mac => 0x01,
            Self::Full => 0x03,
        }
    }

    /// The two lowest bits count; additional access rights (bit 7, EV2) are not supported.
    pub(crate) const fn from_byte(byte: u8) -> Result<Self, Status> {
        match byte {
            0x00 | 0x02 => Ok(Self::Plain),
            0x01 => Ok(Self::Mac),
            0x03 => Ok(Self::Full),
            _ => Err(Status::Parameter),
        }
    }
}

/// Who may use a file in one way. Written as a key number, `"free"` or `"never"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(from = "Who", into = "Who")]
pub enum Access {
    /// Whoever is authenticated with this key.
    Key(u8),
    /// Anybody; the data then travels in clear whatever the file's mode.
    Free,
    /// Nobody.
    Never,
}

impl Access {
    /// The nibble of the access rights word.
    const fn nibble(self) -> u8 {
        match self {
            Self::Key(number) => number,
            Self::Free => 0xE,
            Self::Never => 0xF,
        }
    }

    const fn from_nibble(nibble: u8) -> Self {
        match nibble & 0xF {
            0xE => Self::Free,
            0xF => Self::Never,
            number => Self::Key(number),
        }
    }
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(untagged, expecting = "an access right is a key number, \"free\" or \"never\"")]
enum Who {
    Key(u8),
    Word(Word),
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Free,
    Never,
}

impl From<Who> for Access {
    fn from(who: Who) -> Self {
        match who {
            Who::Key(number) => Self::Key(number),
            Who::Word(Word::Free) => Self::Free,
            Who::Word(Word::Never) => Self::Never,
        }
    }
}

impl From<Access> for Who {
    fn from(access: Access) -> Self {
        match access {
            Access::Key(number) => Self::Key(number),
            Access::Free => Self::Word(Word::Free),
            Access::Never => Self::Word(Word::Never),
        }
    }
}

/// The four access rights of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AccessRights {
    /// Read; on a value file also Debit.
    pub read: Access,
    /// Write; on a value file also Debit and LimitedCredit.
    pub write: Access,
    /// Both; on a value file also Credit.
    pub read_write: Access,
    /// Change these rights.
    pub change: Access,
}

/// One of the four access rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    Read,
    Write,
    ReadWrite,
    Change,
}

impl AccessRights {
    pub(crate) const fn of(&self, right: Right) -> Access {
        match right {
            Right::Read => self.read,
            Right::Write => self.write,
            Right::ReadWrite => self.read_write,
            Right::Change => self.change,
        }
    }

    /// The two bytes as they travel: ReadWrite and Change, then Read and Write.
    pub(crate) fn bytes(self) -> [u8; 2] {
        [self.read_write.nibble() << 4 | self.change.nibble(), self.read.nibble() << 4 | self.write.nibble()]
    }
    pub(crate) const fn from_bytes(bytes: [u8; 2]) -> Self {
        Self {
            read: Access::from_nibble(bytes[1] >> 4),
            write: Access::from_nibble(bytes[1]),
            read_write: Access::from_nibble(bytes[0] >> 4),
            change: Access::from_nibble(bytes[0]),
        }
    }
}

/// One file of an application.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// 0 to 31.
    pub number: u8,
    /// The identifier for ISO/IEC 7816-4 commands, in applications that use them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iso_file_id: Option<u16>,
    /// How its data travels when a key gives the right to it.
    pub mode: CommunicationMode,
    /// Who may do what.
    pub rights: AccessRights,
    /// The kind and the content.
    pub content: Content,
}

/// A file's kind, its committed content and what waits for a commit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Content {
    /// Bytes that are written at once.
    StandardData(StandardData),
    /// Bytes that are written by a commit.
    BackupData(BackupData),
    /// A signed amount between two limits.
    Value(Value),
    /// Records of one length: a linear file fills up, in a cyclic one the oldest makes room for the newest.
    Records(Records),
    /// The counter and the last value of the Transaction MAC.
    TransactionMac(TransactionMac),
}

/// The content of a standard data file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StandardData {
    #[serde(with = "hex")]
    pub(crate) data: Vec<u8>,
}

impl StandardData {
    /// A file that holds `data`.
    #[must_use]
    pub const fn new(data: Vec<u8>) -> Self {
        Self { data }
    }
}

/// The content of a backup data file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BackupData {
    #[serde(with = "hex")]
    pub(crate) committed: Vec<u8>,
    #[serde(skip)]
    pub(crate) pending: Option<Vec<u8>>,
}

impl BackupData {
    /// A file that holds `committed`.
    #[must_use]
    pub const fn new(committed: Vec<u8>) -> Self {
        Self { committed, pending: None }
    }
}

/// The content of a value file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Value {
    pub(crate) lower_limit: i32,
    pub(crate) upper_limit: i32,
    pub(crate) committed: i32,
    /// What one LimitedCredit may give back: the debits of the last committed transaction that had one.
    pub(crate) limited_credit: u32,
    pub(crate) is_limited_credit_enabled: bool,
    pub(crate) is_get_value_free: bool,
    #[serde(skip)]
    pub(crate) pending: Option<PendingValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PendingValue {
    pub(crate) value: i32,
    pub(crate) debits: u32,
    pub(crate) has_used_limited_credit: bool,
}

impl Value {
    /// A file that holds `committed`, with both limits inclusive, limited credit and free GetValue off. `None` when the
    /// value lies outside.
    #[must_use]
    pub const fn new(lower_limit: i32, committed: i32, upper_limit: i32) -> Option<Self> {
        if committed < lower_limit || upper_limit < committed {
            return None;
        }
        Some(Self {
            lower_limit,
            upper_limit,
            committed,
            limited_credit: 0,
            is_limited_credit_enabled: false,
            is_get_value_free: false,
            pending: None,
        })
    }

    pub(crate) fn debit(&mut self, amount: i32) -> Result<(), Status> {
        let pending = self.changed(-amount)?;
        let debits = pending.debits.saturating_add(amount.unsigned_abs());
        self.pending = Some(PendingValue { debits, ..pending });
        Ok(())
    }

    pub(crate) fn credit(&mut self, amount: i32) -> Result<(), Status> {
        self.pending = Some(self.changed(amount)?);
        Ok(())
    }

    /// Once after a transaction with debits, and no more than they were; what is not given back then is lost.
    pub(crate) fn credit_limited(&mut self, amount: i32) -> Result<(), Status> {
        if !self.is_limited_credit_enabled {
            return Err(Status::PermissionDenied);
        }
        let pending = self.changed(amount)?;
        if pending.has_used_limited_credit || amount.unsigned_abs() > self.limited_credit {
            return Err(Status::Boundary);
        }
        self.pending = Some(PendingValue { has_used_limited_credit: true, ..pending });
        Ok(())
    }

    /// Limits hold for the pending value, not for the committed one.
    fn changed(&self, change: i32) -> Result<PendingValue, Status> {
        let before = PendingValue { value: self.committed, debits: 0, has_used_limited_credit: false };
        let before = self.pending.unwrap_or(before);
        let value = before.value.checked_add(change).ok_or(Status::Boundary)?;
        if value < self.lower_limit || self.upper_limit < value {
            return Err(Status::Boundary);
        }
        Ok(PendingValue { value, ..before })
    }

    fn commit(&mut self) {
        let Some(pending) = self.pending.take() else { return };
        self.committed = pending.value;
        if pending.has_used_limited_credit {
            self.limited_credit = 0;
        }
        if pending.debits > 0 {
            self.limited_credit = pending.debits;
        }
    }
}

/// The content of a record file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Records {
    pub(crate) is_cyclic: bool,
    pub(crate) record_length: usize,
    /// As created: a cyclic file stores one less, because a commit writes into the spare one.
    pub(crate) slots: usize,
    /// Newest first.
    #[serde(with = "hexadecimal_records")]
    pub(crate) committed: VecDeque<Vec<u8>>,
    #[serde(skip)]
    pub(crate) pending: Option<PendingRecord>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PendingRecord {
    /// A new record.
    New(Vec<u8>),
    /// Another content of the record of this index, from the newest.
    Update(usize, Vec<u8>),
    /// No records at all.
    Clear,
}

impl Records {
    /// An empty cyclic file. `None` when there are fewer than two slots or records of no length.
    #[must_use]
    pub const fn cyclic(record_length: usize, slots: usize) -> Option<Self> {
        if slots < 2 { None } else { Self::new(true, record_length, slots) }
    }

    /// An empty linear file. `None` when there are no slots or records of no length.
    #[must_use]
    pub const fn linear(record_length: usize, slots: usize) -> Option<Self> {
        Self::new(false, record_length, slots)
    }

    const fn new(is_cyclic: bool, record_length: usize, slots: usize) -> Option<Self> {
        if record_length == 0 || slots == 0 {
            return None;
        }
        Some(Self { is_cyclic, record_length, slots, committed: VecDeque::new(), pending: None })
    }

    /// Stores a committed record. `false` when its length is not the file's or a linear file is full; in a cyclic file the
    /// oldest makes room.
    #[must_use]
    pub fn push(&mut self, record: Vec<u8>) -> bool {
        if record.len() != self.record_length || self.is_full() {
            return false;
        }
        self.committed.push_front(record);
        if self.is_cyclic {
            self.committed.truncate(self.slots - 1);
        }
        true
    }

    pub(crate) fn is_full(&self) -> bool {
        !self.is_cyclic && self.committed.len() >= self.slots
    }

    fn commit(&mut self) {
        match self.pending.take() {
            None => {}
            Some(PendingRecord::Clear) => self.committed.clear(),
            Some(PendingRecord::Update(index, record)) => {
                if let Some(updated) = self.committed.get_mut(index) {
                    *updated = record;
                }
            }
            Some(PendingRecord::New(record)) => {
                let is_stored = self.push(record);
                debug_assert!(is_stored, "room and length were checked when it was written");
            }
        }
    }
}

mod hexadecimal_records {
    //! Records as a list of hexadecimal texts.

    use std::collections::VecDeque;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(records: &VecDeque<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(records.iter().map(hex::encode))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<VecDeque<Vec<u8>>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| hex::decode(text).map_err(D::Error::custom)).collect()
    }
}

/// The content of a Transaction MAC file.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionMac {
    #[serde(with = "hex")]
    pub(crate) key: [u8; 16],
    pub(crate) key_version: u8,
    pub(crate) counter: u32,
    #[serde(with = "hex")]
    pub(crate) value: [u8; 8],
    /// Who the last committed transaction was with: TMRIPrev of MF2DL section 10.3.
    #[serde(with = "hex")]
    pub(crate) reader_id: [u8; 16],
}

impl TransactionMac {
    /// A file of an application that has not committed anything yet.
    #[must_use]
    pub const fn new(key: [u8; 16], key_version: u8) -> Self {
        Self { key, key_version, counter: 0, value: [0; 8], reader_id: [0; 16] }
    }
}

impl std::fmt::Debug for TransactionMac {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TransactionMac").field("counter", &self.counter).finish_non_exhaustive()
    }
}

impl File {
    /// Whether a commit would change something.
    pub(crate) const fn is_pending(&self) -> bool {
        match &self.content {
            Content::BackupData(data) => data.pending.is_some(),
            Content::Value(value) => value.pending.is_some(),
            Content::Records(records) => records.pending.is_some(),
            Content::StandardData(_) | Content::TransactionMac(_) => false,
        }
    }

    /// Makes what is pending the committed content.
    pub(crate) fn commit(&mut self) {
        match &mut self.content {
            Content::BackupData(data) => {
                if let Some(pending) = data.pending.take() {
                    data.committed = pending;
                }
            }
            Content::Value(value) => value.commit(),
            Content::Records(records) => records.commit(),
            Content::StandardData(_) | Content::TransactionMac(_) => {}
        }
    }

    /// Forgets what is pending.
    pub(crate) fn discard(&mut self) {
        match &mut self.content {
            Content::BackupData(data) => data.pending = None,
            Content::Value(value) => value.pending = None,
            Content::Records(records) => records.pending = None,
            Content::StandardData(_) | Content::TransactionMac(_) => {}
        }
    }

    /// What it takes of the card's memory, in bytes: blocks of 32, twice where there is a backup.
    pub(crate) fn memory_bytes(&self) -> usize {
        const BLOCK: usize = 32;
        let content = match &self.content {
            Content::StandardData(data) => data.data.len(),
            Content::BackupData(data) => 2 * data.committed.len().next_multiple_of(BLOCK),
            Content::Value(_) | Content::TransactionMac(_) => BLOCK,
            Content::Records(records) => records.record_length.saturating_mul(records.slots),
        };
        BLOCK + content.next_multiple_of(BLOCK)
    }
}
