//! How a card's applications and files are named, and how their data travels.

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
