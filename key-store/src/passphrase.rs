//! What a person types to open a sealed key file.

use std::fmt;

use zeroize::Zeroizing;

/// A passphrase; wiped when dropped, never printed.
pub struct Passphrase(Zeroizing<String>);

/// A passphrase is too short to keep a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a passphrase has at least {least} characters; this one has {length}: take five words drawn by lot", least = Passphrase::LEAST_CHARACTERS)]
pub struct TooShort {
    length: usize,
}

impl Passphrase {
    /// The fewest characters of a new passphrase (NIST SP 800-63B-4, section 3.1.1.2: 15 where it stands alone).
    pub const LEAST_CHARACTERS: usize = 15;

    /// A passphrase to open a file with: as typed, without the line's end.
    #[must_use]
    pub fn typed(mut text: Zeroizing<String>) -> Self {
        let length = text.trim_end_matches(['\r', '\n']).len();
        text.truncate(length);
        Self(text)
    }

    /// A new passphrase, to seal a file with.
    ///
    /// # Errors
    /// [`TooShort`].
    pub fn new(text: Zeroizing<String>) -> Result<Self, TooShort> {
        let passphrase = Self::typed(text);
        let length = passphrase.0.chars().count();
        if length < Self::LEAST_CHARACTERS { Err(TooShort { length }) } else { Ok(passphrase) }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}
