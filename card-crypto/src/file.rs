//! How a card's applications and files are named, how their data travel, and who may do what with them.

use crate::key::KeyNumber;

/// An application identifier, three bytes **as transmitted**.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aid(pub [u8; 3]);

impl Aid {
    /// The card itself, outside of any application.
    pub const PICC: Self = Self([0; 3]);
}

/// The number of a file in the selected application, 0 to 31.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileNumber(u8);

impl FileNumber {
    /// The file number, or `None` above 31: an application has at most 32 files.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number <= 31 { Some(Self(number)) } else { None }
    }

    /// The number as transmitted.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// How the data of one command travels in an authenticated session.
///
/// It is the file's own mode, fixed when the file was created; a card refuses any other. One exception: where an
/// access is allowed only because it is free for everyone, its data travels [`Plain`](Self::Plain) whatever the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommunicationMode {
    /// Neither authenticated nor enciphered: whoever stands between reader and card can change it.
    Plain,
    /// Authenticated with an 8-byte MAC, both ways.
    Mac,
    /// Enciphered and authenticated, both ways.
    Full,
}

impl CommunicationMode {
    /// The mode as transmitted in settings.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Plain => 0x00,
            Self::Mac => 0x01,
            Self::Full => 0x03,
        }
    }

    /// The mode of a file option byte: its two lowest bits, of which 00 and 10 both are Plain.
    pub(crate) const fn from_option(option: u8) -> Self {
        match option & 0x03 {
            0x01 => Self::Mac,
            0x03 => Self::Full,
            _ => Self::Plain,
        }
    }
}

/// Who may do one thing with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Whoever has authenticated with this key.
    Key(KeyNumber),
    /// Everybody, without a key; the data then travel in clear.
    Free,
    /// Nobody, ever.
    Never,
}

impl Access {
    const fn nibble(self) -> u8 {
        match self {
            Self::Key(number) => number.get() & 0x0F,
            Self::Free => 0x0E,
            Self::Never => 0x0F,
        }
    }

    const fn from_nibble(nibble: u8) -> Self {
        match (KeyNumber::new(nibble & 0x0F), nibble & 0x0F) {
            (Some(number), _) => Self::Key(number),
            (None, 0x0E) => Self::Free,
            (None, _) => Self::Never,
        }
    }
}

/// Who may do what with a file. A command is allowed to whoever holds one of its rights:
///
/// | command | read | write | read and write |
/// |---|---|---|---|
/// | ReadData, ReadRecords | x | | x |
/// | WriteData, WriteRecord, UpdateRecord | | x | x |
/// | ClearRecordFile | | | x |
/// | GetValue, **Debit** | x | x | x |
/// | LimitedCredit | | x | x |
/// | Credit | | | x |
/// | CommitReaderID, of the Transaction MAC file | | | x |
///
/// Whoever may read a value may debit it: never make `read` of a value file [`Free`](Access::Free). Source: NXP AN12343,
/// access rights; the free ones as libfreefare's tests of real cards use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AccessRights {
    /// To read.
    pub read: Access,
    /// To write.
    pub write: Access,
    /// To read and to write.
    pub read_write: Access,
    /// To change these rights and the communication mode.
    pub change: Access,
}

impl AccessRights {
    /// The rights as transmitted: read and write | change, read | write.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 2] {
        [self.read_write.nibble() << 4 | self.change.nibble(), self.read.nibble() << 4 | self.write.nibble()]
    }

    /// The rights of these two bytes.
    #[must_use]
    pub const fn from_bytes([first, second]: [u8; 2]) -> Self {
        Self {
            read: Access::from_nibble(second >> 4),
            write: Access::from_nibble(second),
            read_write: Access::from_nibble(first >> 4),
            change: Access::from_nibble(first),
        }
    }
}
