//! An application: a directory of files under its own keys.

use crate::file::File;

/// One application of a card.
#[derive(Clone)]
pub struct Application {
    /// The identifier as transmitted.
    pub aid: [u8; 3],
    /// AES-128 keys, numbered from 0.
    pub keys: Vec<[u8; 16]>,
    /// In no particular order; at most one is a Transaction MAC file.
    pub files: Vec<File>,
}

impl Application {
    /// The file of this number.
    #[must_use]
    pub fn file(&self, number: u8) -> Option<&File> {
        self.files.iter().find(|file| file.number == number)
    }
}

impl std::fmt::Debug for Application {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Application")
            .field("aid", &hex::encode_upper(self.aid))
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}
