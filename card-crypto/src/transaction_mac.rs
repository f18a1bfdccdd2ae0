//! The Transaction MAC: a card's own proof that it made exactly one transaction.
//!
//! DESFire EV2 and EV3 cards compute it over everything that a transaction read and wrote, under a key that only the
//! card and the back office hold, and hand it out with the answer to a commit. Nothing here talks to a card, so a back
//! office can use this module alone.
//!
//! Sources: NXP MF2DL(H)x0 data sheet rev 3.3, section 10.3, the only public text by the maker; the item formats agree
//! with proxmark3 and NXP's published reader sources. **No Transaction MAC of real silicon with known inputs is
//! public**: try this against one real card before a verdict depends on it.

use aes::{
    Aes128,
    cipher::{BlockCipherDecrypt, KeyInit},
};

use crate::{
    command::Command,
    error::{Misbehaviour, OutOfRange},
    file::FileNumber,
    key::Key,
    mac::{ScheduledMac, cmac, same},
    wire::{exactly, three_bytes},
};

/// The version of the input format that [`TransactionMacInput`] builds.
pub const FORMAT_VERSION: u8 = 1;

/// What a card returns with a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionMac {
    /// The application's transaction counter after this transaction; a gap in a back office's list is a missing one.
    pub counter: u32,
    /// The Transaction MAC value.
    pub value: [u8; 8],
}

impl TransactionMac {
    /// What a commit answered: TMC ‖ TMV.
    pub(crate) fn decode(answer: &[u8]) -> Result<Self, Misbehaviour> {
        let bytes: [u8; 12] = exactly(answer)?;
        let (counter, value) = bytes.split_at(4);
        Ok(Self { counter: u32::from_le_bytes(exactly(counter)?), value: exactly(value)? })
    }
}

/// Everything that one transaction read and wrote, in the order of execution, as the card hashes it.
///
/// Data enters in clear whatever the communication mode. Lengths and offsets are those of the command that was sent.
/// What reads the Transaction MAC file itself does not enter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionMacInput(Vec<u8>);

impl TransactionMacInput {
    /// The input of a transaction that has done nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a ReadRecords: `record_number` is that of the newest record read (0 is the newest of all), `data` is what
    /// the card answered.
    ///
    /// # Errors
    /// [`OutOfRange`] when the number or the count needs more than three bytes.
    pub fn read_records(
        self,
        file: FileNumber,
        record_number: u32,
        count: u32,
        data: &[u8],
    ) -> Result<Self, OutOfRange> {
        let range = [three_bytes("record number", record_number)?, three_bytes("record count", count)?];
        Ok(self.item(Command::ReadRecords, file, range.as_flattened(), data))
    }

    /// Adds a ReadData: `length` as asked for (where it was 0, the length read), `data` what the card answered.
    ///
    /// # Errors
    /// [`OutOfRange`] when the offset or the length needs more than three bytes.
    pub fn read_data(self, file: FileNumber, offset: u32, length: u32, data: &[u8]) -> Result<Self, OutOfRange> {
        let range = [three_bytes("offset", offset)?, three_bytes("length", length)?];
        Ok(self.item(Command::ReadData, file, range.as_flattened(), data))
    }

    /// Adds a GetValue and the value that the card answered.
    #[must_use]
    pub fn get_value(self, file: FileNumber, value: i32) -> Self {
        self.item(Command::GetValue, file, &value.to_le_bytes(), &[])
    }

    /// Adds a Credit.
    #[must_use]
    pub fn credit(self, file: FileNumber, amount: u32) -> Self {
        self.item(Command::Credit, file, &amount.to_le_bytes(), &[])
    }

    /// Adds a LimitedCredit.
    #[must_use]
    pub fn limited_credit(self, file: FileNumber, amount: u32) -> Self {
        self.item(Command::LimitedCredit, file, &amount.to_le_bytes(), &[])
    }

    /// Adds a Debit.
    #[must_use]
    pub fn debit(self, file: FileNumber, amount: u32) -> Self {
        self.item(Command::Debit, file, &amount.to_le_bytes(), &[])
    }

    /// Adds a WriteData, also one into a standard data file.
    ///
    /// # Errors
    /// [`OutOfRange`] when the offset or the length of the data needs more than three bytes.
    pub fn write_data(self, file: FileNumber, offset: u32, data: &[u8]) -> Result<Self, OutOfRange> {
        let range = [three_bytes("offset", offset)?, length(data)?];
        Ok(self.item(Command::WriteData, file, range.as_flattened(), data))
    }

    /// Adds a WriteRecord.
    ///
    /// # Errors
    /// [`OutOfRange`] when the offset or the length of the data needs more than three bytes.
    pub fn write_record(self, file: FileNumber, offset: u32, data: &[u8]) -> Result<Self, OutOfRange> {
        let range = [three_bytes("offset", offset)?, length(data)?];
        Ok(self.item(Command::WriteRecord, file, range.as_flattened(), data))
    }

    /// Adds an UpdateRecord; `record_number` is counted back from the newest record, which is 0.
    ///
    /// # Errors
    /// [`OutOfRange`] when the number, the offset or the length of the data needs more than three bytes.
    pub fn update_record(
        self,
        file: FileNumber,
        record_number: u32,
        offset: u32,
        data: &[u8],
    ) -> Result<Self, OutOfRange> {
        let range = [three_bytes("record number", record_number)?, three_bytes("offset", offset)?, length(data)?];
        Ok(self.item(Command::UpdateRecord, file, range.as_flattened(), data))
    }

    /// Adds a ClearRecordFile.
    #[must_use]
    pub fn clear_record_file(self, file: FileNumber) -> Self {
        self.item(Command::ClearRecordFile, file, &[], &[])
    }

    /// Adds a CommitReaderID in a session: the reader's name as sent, and the enciphered name of the reader before it as
    /// the card answered.
    #[must_use]
    pub fn commit_reader_id(mut self, reader_id: &[u8; 16], previous: &[u8; 16]) -> Self {
        let Self(bytes) = &mut self;
        bytes.push(Command::CommitReaderId.code());
        bytes.extend_from_slice(reader_id);
        bytes.extend_from_slice(previous);
        bytes.resize(bytes.len().next_multiple_of(16), 0);
        self
    }

    /// The bytes that the card hashes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Header and data, each filled up with zeros to whole blocks.
    fn item(mut self, command: Command, file: FileNumber, parameters: &[u8], data: &[u8]) -> Self {
        let Self(bytes) = &mut self;
        bytes.extend_from_slice(&[command.code(), file.get()]);
        for part in [parameters, data] {
            bytes.extend_from_slice(part);
            bytes.resize(bytes.len().next_multiple_of(16), 0);
        }
        self
    }
}

/// The Transaction MAC value that a card with this key and UID gives for this input.
///
/// `key` is the card's own AppTransactionMACKey, `uid` its real UID even where it shows random ones, and `counter` the
/// counter **after** the transaction, as the commit returned it.
#[must_use]
pub fn compute(key: &Key, uid: &[u8; 7], counter: u32, input: &TransactionMacInput) -> [u8; 8] {
    let mut mac = ScheduledMac::new(&session_mac_key(key, uid, counter));
    mac.update(input.as_bytes());
    mac.finish_truncated()
}

/// Whether a card with this key and UID made exactly this transaction; compared in constant time.
///
/// The parameters are those of [`compute`].
#[must_use]
pub fn verify(key: &Key, uid: &[u8; 7], counter: u32, input: &TransactionMacInput, value: &[u8; 8]) -> bool {
    same(&compute(key, uid, counter, input), value)
}

/// SesTMMACKey: the key of the one transaction that this counter names.
#[must_use]
pub fn session_mac_key(key: &Key, uid: &[u8; 7], counter: u32) -> Key {
    session_key(0x5A, key, uid, counter)
}

/// SesTMENCKey: enciphers the name of the reader before, in the one transaction that this counter names.
#[must_use]
pub fn session_encryption_key(key: &Key, uid: &[u8; 7], counter: u32) -> Key {
    session_key(0xA5, key, uid, counter)
}

/// The name of the reader of the transaction before (TMRIPrev), from what CommitReaderID answered (EncTMRI).
///
/// The parameters are those of [`compute`]: `counter` is that of the transaction in which the answer came, after it.
#[must_use]
pub fn previous_reader_id(key: &Key, uid: &[u8; 7], counter: u32, enciphered: &[u8; 16]) -> [u8; 16] {
    let cipher = Aes128::new(session_encryption_key(key, uid, counter).expose_secret().into());
    let mut reader_id = *enciphered;
    cipher.decrypt_block((&mut reader_id).into()); // CBC of one block with a zero IV
    reader_id
}

fn session_key(label: u8, key: &Key, uid: &[u8; 7], counter: u32) -> Key {
    let mut vector = [0; 16];
    vector[..5].copy_from_slice(&[label, 0x00, 0x01, 0x00, 0x80]);
    vector[5..9].copy_from_slice(&counter.to_le_bytes());
    vector[9..].copy_from_slice(uid);
    Key::new(cmac(key, &vector))
}

fn length(data: &[u8]) -> Result<[u8; 3], OutOfRange> {
    three_bytes("length", u32::try_from(data.len()).unwrap_or(u32::MAX))
}
