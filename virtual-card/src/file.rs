//! Files, their access rights, and what is pending on them until a commit.

use std::collections::VecDeque;

use crate::status::Status;

/// How a file's data travels within a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommunicationMode {
    /// In clear, without a MAC.
    Plain,
    /// In clear, with a MAC.
    Mac,
    /// Enciphered, with a MAC.
    Full,
}

/// Who may use a file in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

/// The four access rights of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessRights {
    /// Read; on a value file also Debit.
    pub read: Access,
    /// Write; on a value file also Debit.
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
}

impl AccessRights {
    pub(crate) const fn of(&self, right: Right) -> Access {
        match right {
            Right::Read => self.read,
            Right::Write => self.write,
            Right::ReadWrite => self.read_write,
        }
    }

    /// The two bytes as they travel: ReadWrite and Change, then Read and Write.
    pub(crate) fn bytes(self) -> [u8; 2] {
        [self.read_write.nibble() << 4 | self.change.nibble(), self.read.nibble() << 4 | self.write.nibble()]
    }
}

/// One file of an application.
#[derive(Clone, Debug)]
pub struct File {
    /// 0 to 31.
    pub number: u8,
    /// How its data travels when a key gives the right to it.
    pub mode: CommunicationMode,
    /// Who may do what.
    pub rights: AccessRights,
    /// The kind and the content.
    pub content: Content,
}

/// A file's kind, its committed content and what waits for a commit.
#[derive(Clone, Debug)]
pub enum Content {
    /// Bytes that are written at once.
    StandardData(Vec<u8>),
    /// Bytes that are written by a commit.
    BackupData(BackupData),
    /// A signed amount between two limits.
    Value(Value),
    /// Records of one length, of which the oldest makes room for the newest.
    CyclicRecords(CyclicRecords),
    /// The counter and the last value of the Transaction MAC.
    TransactionMac(TransactionMac),
}

/// The content of a backup data file.
#[derive(Clone, Debug)]
pub struct BackupData {
    pub(crate) committed: Vec<u8>,
    pub(crate) pending: Option<Vec<u8>>,
}

impl BackupData {
    /// A file that holds `committed`.
    #[must_use]
    pub const fn new(committed: Vec<u8>) -> Self {
        Self { committed, pending: None }
    }
}

/// The content of a value file; limited credit and free GetValue are off.
#[derive(Clone, Debug)]
pub struct Value {
    pub(crate) lower_limit: i32,
    pub(crate) upper_limit: i32,
    pub(crate) committed: i32,
    /// The debits of the last committed transaction that had one: what a LimitedCredit could give back, were it on.
    pub(crate) last_debits: u32,
    pub(crate) pending: Option<PendingValue>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingValue {
    pub(crate) value: i32,
    pub(crate) debits: u32,
}

impl Value {
    /// A file that holds `committed`, with both limits inclusive. `None` when the value lies outside.
    #[must_use]
    pub const fn new(lower_limit: i32, committed: i32, upper_limit: i32) -> Option<Self> {
        if committed < lower_limit || upper_limit < committed {
            return None;
        }
        Some(Self { lower_limit, upper_limit, committed, last_debits: 0, pending: None })
    }

    /// Adds `change` to the pending value; limits hold for the pending value, not for the committed one.
    pub(crate) fn change(&mut self, change: i32, debit: u32) -> Result<(), Status> {
        let before = self.pending.unwrap_or(PendingValue { value: self.committed, debits: 0 });
        let value = before.value.checked_add(change).ok_or(Status::Boundary)?;
        if value < self.lower_limit || self.upper_limit < value {
            return Err(Status::Boundary);
        }
        self.pending = Some(PendingValue { value, debits: before.debits.saturating_add(debit) });
        Ok(())
    }
}

/// The content of a cyclic record file.
#[derive(Clone, Debug)]
pub struct CyclicRecords {
    pub(crate) record_length: usize,
    /// As created: one more than can be stored, because a commit writes into the spare one.
    pub(crate) slots: usize,
    /// Newest first.
    pub(crate) committed: VecDeque<Vec<u8>>,
    pub(crate) pending: Option<Vec<u8>>,
}

impl CyclicRecords {
    /// An empty file. `None` when there are fewer than two slots or records of no length.
    #[must_use]
    pub const fn new(record_length: usize, slots: usize) -> Option<Self> {
        if record_length == 0 || slots < 2 {
            return None;
        }
        Some(Self { record_length, slots, committed: VecDeque::new(), pending: None })
    }

    /// Stores a committed record; the oldest makes room. `false` when its length is not the file's.
    #[must_use]
    pub fn push(&mut self, record: Vec<u8>) -> bool {
        if record.len() != self.record_length {
            return false;
        }
        self.committed.push_front(record);
        self.committed.truncate(self.slots - 1);
        true
    }
}

/// The content of a Transaction MAC file.
#[derive(Clone)]
pub struct TransactionMac {
    pub(crate) key: [u8; 16],
    pub(crate) counter: u32,
    pub(crate) value: [u8; 8],
}

impl TransactionMac {
    /// A file of an application that has not committed anything yet.
    #[must_use]
    pub const fn new(key: [u8; 16]) -> Self {
        Self { key, counter: 0, value: [0; 8] }
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
            Content::CyclicRecords(records) => records.pending.is_some(),
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
            Content::Value(value) => {
                if let Some(pending) = value.pending.take() {
                    value.committed = pending.value;
                    if pending.debits > 0 {
                        value.last_debits = pending.debits;
                    }
                }
            }
            Content::CyclicRecords(records) => {
                if let Some(pending) = records.pending.take() {
                    records.committed.push_front(pending);
                    records.committed.truncate(records.slots - 1);
                }
            }
            Content::StandardData(_) | Content::TransactionMac(_) => {}
        }
    }

    /// Forgets what is pending.
    pub(crate) fn discard(&mut self) {
        match &mut self.content {
            Content::BackupData(data) => data.pending = None,
            Content::Value(value) => value.pending = None,
            Content::CyclicRecords(records) => records.pending = None,
            Content::StandardData(_) | Content::TransactionMac(_) => {}
        }
    }
}
