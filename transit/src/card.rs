//! Our application on a card, layout version 1, as data (byte tables: `docs/card-layout.md`).
//!
//! A card carries one application with four files. The newest record of the cyclic file is state, receipt and purse
//! mirror in one, so that a tap reads once and writes once. The desk that makes a card and the linter that reads it
//! back take keys, files and rights from [`APPLICATION`].

mod desk;
mod issuer;
mod profile;
mod record;

pub use desk::{
    ACTION_SEQUENCES, DeskRecordError, DeskWrite, record_of_issue, record_of_load, record_of_refund, record_of_sale,
    record_of_surrender, record_of_transfer,
};
pub use issuer::{ISSUER_FIELDS, Issuer, PRODUCTS, Product, ProductKind};
pub use profile::Profile;
pub use record::{CarriedFields, RECORD_FIELDS, Record, RecordKind};

/// The application identifier as transmitted (least significant byte first on the wire, so 0x484E01).
pub const APPLICATION_ID: [u8; 3] = [0x01, 0x4E, 0x48];
/// The last part of every key diversification input: UID ‖ AID ‖ key number ‖ this.
pub const SYSTEM_ID: [u8; 4] = *b"CHAM";
/// Key 0, application master: held by the issuer; changes keys and settings.
pub const KEY_APPLICATION_MASTER: u8 = 0;
/// Key 1, inspect: held by inspectors; reads records and nothing else.
pub const KEY_INSPECT: u8 = 1;
/// Key 2, validate: held by validators; reads, debits and writes records, never raises a balance.
pub const KEY_VALIDATE: u8 = 2;
/// Key 3, load: held by desks; credits the purse and writes the issuer file.
pub const KEY_LOAD: u8 = 3;
/// The key number that stands for the Transaction MAC key in its diversification input.
pub const KEY_TRANSACTION_MAC: u8 = 0x0F;
/// Backup data file: profile and products, written by the issuer.
pub const FILE_ISSUER: u8 = 0x01;
/// Value file: the purse.
pub const FILE_PURSE: u8 = 0x02;
/// Cyclic record file: one [`Record`] per tap or desk action.
pub const FILE_RECORD: u8 = 0x03;
/// Transaction MAC file; EV1 cards have none.
pub const FILE_TRANSACTION_MAC: u8 = 0x0F;
/// Length of a record in bytes.
pub const RECORD_LEN: usize = 60;
/// Records that a card keeps: one slot of the cyclic file is spare.
pub const RECORDS_KEPT: u32 = 11;
/// Length of the issuer file in bytes.
pub const ISSUER_LEN: usize = 64;
/// The layout that this crate reads and writes.
pub const LAYOUT_VERSION: u8 = 1;

/// The most that a purse holds, in minor units: a load past it is refused by the card.
pub const PURSE_UPPER_LIMIT: i32 = 2_000_000;

/// What every card of this layout carries.
pub const APPLICATION: ApplicationLayout = ApplicationLayout {
    identifier: APPLICATION_ID,
    keys: &[
        KeyLayout { number: KEY_APPLICATION_MASTER, name: "application_master", role: "changes keys and settings" },
        KeyLayout { number: KEY_INSPECT, name: "inspect", role: "reads records only" },
        KeyLayout { number: KEY_VALIDATE, name: "validate", role: "reads, debits and writes records" },
        KeyLayout { number: KEY_LOAD, name: "load", role: "credits the purse, writes the issuer file" },
    ],
    key_settings: 0x01,
    key_sets: 2,
    roll_key: KEY_VALIDATE,
    files: &[
        FileLayout {
            number: FILE_ISSUER,
            name: "issuer",
            kind: FileKind::BackupData { length: 64 },
            rights: rights(Right::Key(KEY_VALIDATE), Right::Key(KEY_LOAD)),
            mode: Mode::Mac,
        },
        FileLayout {
            number: FILE_PURSE,
            name: "purse",
            kind: FileKind::Value {
                lower_limit: 0,
                upper_limit: PURSE_UPPER_LIMIT,
                limited_credit: false,
                free_value: false,
            },
            rights: rights(Right::Key(KEY_VALIDATE), Right::Key(KEY_LOAD)),
            mode: Mode::Mac,
        },
        FileLayout {
            number: FILE_RECORD,
            name: "record",
            kind: FileKind::CyclicRecords { record_length: 60, slots: RECORDS_KEPT + 1 },
            rights: rights(Right::Key(KEY_INSPECT), Right::Key(KEY_VALIDATE)),
            mode: Mode::Mac,
        },
        FileLayout {
            number: FILE_TRANSACTION_MAC,
            name: "transaction_mac",
            kind: FileKind::TransactionMac,
            rights: rights(Right::Never, Right::Never),
            mode: Mode::Mac,
        },
    ],
};
const _: () = assert!(ISSUER_LEN == 64 && RECORD_LEN == 60, "the file table names these lengths");

/// Nobody has Write alone, and only the application master changes rights.
const fn rights(read: Right, read_write: Right) -> Rights {
    Rights { read, write: Right::Never, read_write, change: Right::Key(KEY_APPLICATION_MASTER) }
}

/// An application on a card: keys, files and who may do what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplicationLayout {
    /// The identifier, as transmitted.
    pub identifier: [u8; 3],
    /// Its AES-128 keys, in order of their numbers from 0.
    pub keys: &'static [KeyLayout],
    /// The application's key settings (KeySett1): every key is changed under the application master, the master may be
    /// changed, files are listed, made and deleted under it only, and these settings are frozen.
    pub key_settings: u8,
    /// Key sets of an EV2 or EV3 card: one in force, and one in which a desk lays the next key version. EV1 cards have
    /// one; their keys are changed at a desk.
    pub key_sets: u8,
    /// The key under which the next key set is rolled into force: validators hold it, so that a tap can.
    pub roll_key: u8,
    /// Its files.
    pub files: &'static [FileLayout],
}

/// A key of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyLayout {
    /// Its number on the card.
    pub number: u8,
    /// Its name.
    pub name: &'static str,
    /// What its holder can do.
    pub role: &'static str,
}

/// A file of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLayout {
    /// Its number on the card.
    pub number: u8,
    /// Its name.
    pub name: &'static str,
    /// What it is, and its sizes and limits.
    pub kind: FileKind,
    /// Who may do what.
    pub rights: Rights,
    /// How data travel.
    pub mode: Mode,
}

/// The kinds of file that the layout uses: all are under the card's transaction, so that a commit takes all or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A backup data file.
    BackupData {
        /// Its length in bytes.
        length: u32,
    },
    /// A value file.
    Value {
        /// The least that it holds, in minor units: below 0 would be a grace that a card may owe.
        lower_limit: i32,
        /// The most that it holds, in minor units: a load past it is refused by the card.
        upper_limit: i32,
        /// Whether LimitedCredit is on: whoever may debit could then give back.
        limited_credit: bool,
        /// Whether anybody may read the value.
        free_value: bool,
    },
    /// A cyclic record file.
    CyclicRecords {
        /// The length of a record in bytes.
        record_length: u32,
        /// How many records it has room for; one is spare.
        slots: u32,
    },
    /// The file whose key makes Transaction MACs. Its ReadWrite right is Never: CommitReaderID is off.
    TransactionMac,
}

/// Who may do what with a file, in the order in which a card states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// Read; of a value file, read and debit.
    pub read: Right,
    /// Write; of a value file, also limited credit.
    pub write: Right,
    /// Both; of a value file, also credit.
    pub read_write: Right,
    /// Change these rights.
    pub change: Right,
}

/// Who has a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Whoever holds this key.
    Key(u8),
    /// Everybody, without a key.
    Free,
    /// Nobody.
    Never,
}

/// How the data of a file travel between card and reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// In clear, unprotected.
    Plain,
    /// In clear, with a MAC.
    Mac,
    /// Enciphered, with a MAC.
    Full,
}

impl ApplicationLayout {
    /// The file of this number.
    pub fn file(&self, number: u8) -> Option<&FileLayout> {
        self.files.iter().find(|file| file.number == number)
    }
}

/// The layout version that the bytes of a record or of an issuer file claim, whether or not this program knows it: the
/// high four bits of a record's first byte, the first byte of an issuer file.
///
/// # Errors
/// [`LayoutError::Length`] where the bytes have the length of neither file.
pub fn layout_version(bytes: &[u8]) -> Result<u8, LayoutError> {
    match bytes.len() {
        RECORD_LEN => Ok(bytes[0] >> 4),
        ISSUER_LEN => Ok(bytes[0]),
        found => Err(LayoutError::Length { expected: RECORD_LEN, found }),
    }
}

/// Why bytes from a card are not ours to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Not the length of the file.
    #[error("{found} bytes where the layout has {expected}")]
    Length {
        /// What the layout has.
        expected: usize,
        /// What came.
        found: usize,
    },
    /// A layout that this program does not know.
    #[error("card layout version {0} is unknown; this program reads version 1")]
    Version(u8),
    /// A field that holds what no writer of ours writes.
    #[error("field `{0}` of the card holds an impossible value")]
    Field(&'static str),
}
