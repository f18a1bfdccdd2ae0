//! An authenticated session: what is checked in a command and added to an answer, whichever the messaging.

use crate::{
    d40_messaging::D40,
    ev1_messaging::Ev1,
    ev2_messaging::Ev2,
    file::CommunicationMode,
    key::{CardKey, KeyType},
    status::Status,
};

/// How a part of a command or of an answer travels within a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// A command that belongs to no file. EV2 adds a MAC both ways, EV1 to the answer alone, D40 none.
    Command,
    /// Enciphered by its nature: settings on their way in, the UID on its way out.
    Enciphered,
    /// Data of a file.
    File(CommunicationMode),
}

/// How long data is, where padding does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// The other side knows it.
    Known,
    /// Only the padding says where the data ends: a read of "everything".
    Unknown,
}

/// An authenticated session.
pub(crate) struct Session {
    /// The key that was shown.
    pub(crate) key_number: u8,
    pub(crate) messaging: Messaging,
}

pub(crate) enum Messaging {
    /// After Authenticate (0A).
    D40(D40),
    /// After AuthenticateISO (1A) and AuthenticateAES (AA).
    Ev1(Ev1),
    /// After AuthenticateEV2First and AuthenticateEV2NonFirst.
    Ev2(Ev2),
}

impl Session {
    /// Whether any error status ends it. A D40 session survives: seen by libfreefare on real cards.
    pub(crate) const fn ends_on_error(&self) -> bool {
        !matches!(self.messaging, Messaging::D40(_))
    }

    /// Checks a command that has parameters and no data, and returns the parameters.
    pub(crate) fn open_parameters(
        &mut self,
        protection: Protection,
        instruction: u8,
        data: &[u8],
    ) -> Result<Vec<u8>, Status> {
        match &mut self.messaging {
            Messaging::D40(_) => Ok(data.to_vec()),
            Messaging::Ev1(ev1) => Ok(ev1.open_parameters(instruction, data)),
            Messaging::Ev2(ev2) => ev2.open_parameters(ev2_mode(protection), instruction, data),
        }
    }

    /// Checks the body of a command behind its header and returns its data in clear. `length` is how much data there
    /// should be, where the command says so.
    pub(crate) fn open_data(
        &mut self,
        protection: Protection,
        instruction: u8,
        header: &[u8],
        body: &[u8],
        length: Option<usize>,
    ) -> Result<Vec<u8>, Status> {
        match &mut self.messaging {
            Messaging::D40(d40) => d40.open_data(protection, body, length),
            Messaging::Ev1(ev1) => ev1.open_data(protection, instruction, header, body, length),
            Messaging::Ev2(ev2) => ev2.open(ev2_mode(protection), instruction, header, body),
        }
    }

    /// How long `length` bytes of a command's data are once they are protected.
    pub(crate) const fn protected_length(&self, protection: Protection, length: usize) -> usize {
        match &self.messaging {
            Messaging::D40(_) => D40::protected_length(protection, length),
            Messaging::Ev1(ev1) => ev1.protected_length(protection, length),
            Messaging::Ev2(_) => Ev2::protected_length(ev2_mode(protection), length),
        }
    }

    /// Counts a command that was accepted and protects the data of its answer.
    pub(crate) fn seal(&mut self, protection: Protection, data: &[u8], length: Length) -> Vec<u8> {
        match &mut self.messaging {
            Messaging::D40(d40) => d40.seal(protection, data),
            Messaging::Ev1(ev1) => ev1.seal(protection, data, length),
            Messaging::Ev2(ev2) => ev2.seal(ev2_mode(protection), data),
        }
    }

    /// The new key in a ChangeKey cryptogram. `old` is the key that is replaced, unless it is the one of this session.
    pub(crate) fn open_key(
        &mut self,
        instruction: u8,
        header: &[u8],
        cryptogram: &[u8],
        key_type: KeyType,
        old: Option<&CardKey>,
    ) -> Result<CardKey, Status> {
        match &mut self.messaging {
            Messaging::D40(d40) => d40.open_key(cryptogram, key_type, old),
            Messaging::Ev1(ev1) => ev1.open_key(instruction, header, cryptogram, key_type, old),
            Messaging::Ev2(ev2) => ev2.open_key(instruction, header, cryptogram, key_type, old),
        }
    }
}

const fn ev2_mode(protection: Protection) -> CommunicationMode {
    match protection {
        Protection::Command => CommunicationMode::Mac,
        Protection::Enciphered => CommunicationMode::Full,
        Protection::File(mode) => mode,
    }
}

/// The parts of a decrypted ChangeKey cryptogram: the new key as it was sent, its version, and the rest.
pub(crate) struct SentKey<'a> {
    sent: &'a [u8],
    version: &'a [u8],
    rest: &'a [u8],
}

impl<'a> SentKey<'a> {
    pub(crate) fn split(plain: &'a [u8], key_type: KeyType) -> Result<Self, Status> {
        let (sent, rest) = plain.split_at_checked(key_type.length()).ok_or(Status::Length)?;
        let version_length = usize::from(key_type == KeyType::Aes);
        let (version, rest) = rest.split_at_checked(version_length).ok_or(Status::Length)?;
        Ok(Self { sent, version, rest })
    }

    /// Key and version as they were sent: what the first checksum of EV1 and D40 is over.
    pub(crate) fn sent_with_version(&self) -> Vec<u8> {
        [self.sent, self.version].concat()
    }

    /// The new key itself: what was sent, or its xor with the old one.
    pub(crate) fn clear(&self, old: Option<&CardKey>) -> Vec<u8> {
        old.map_or_else(|| self.sent.to_vec(), |old| crate::cipher::xor(self.sent, old.bytes()))
    }

    pub(crate) fn key(&self, key_type: KeyType, clear: &[u8]) -> Result<CardKey, Status> {
        CardKey::new(key_type, clear, self.version.first().copied().unwrap_or_default()).ok_or(Status::Length)
    }

    /// Whether the rest is this checksum.
    pub(crate) fn ends_exactly_with(&self, checksum: &[u8]) -> bool {
        self.rest == checksum
    }

    /// Checks that the rest is these checksums and then zeros.
    pub(crate) fn ends_with(&self, checksums: &[u8]) -> Result<(), Status> {
        let padding = self.rest.strip_prefix(checksums).ok_or(Status::Integrity)?;
        if padding.iter().all(|&byte| byte == 0) { Ok(()) } else { Err(Status::Integrity) }
    }
}

/// The data before a checksum that nothing but padding follows: zeros, or 80 and zeros.
///
/// Where the length is not known the shortest that fits is taken: behind the right one its own checksum and zeros fit
/// again.
pub(crate) fn before_checksum<const N: usize>(
    plain: &[u8],
    length: Option<usize>,
    block_length: usize,
    checksum: impl Fn(&[u8]) -> [u8; N],
) -> Result<Vec<u8>, Status> {
    let longest = plain.len().checked_sub(N).ok_or(Status::Length)?;
    let shortest = longest.saturating_sub(block_length);
    let fits = |&length: &usize| {
        let (data, rest) = plain.split_at(length);
        let padding = rest.strip_prefix(&checksum(data));
        padding.is_some_and(|padding| match padding {
            [] => true,
            [first, zeros @ ..] => matches!(first, 0 | 0x80) && zeros.iter().all(|&byte| byte == 0),
        })
    };
    let length = match length {
        Some(length) if (shortest..=longest).contains(&length) => Some(length).filter(fits),
        Some(_) => return Err(Status::Length),
        None => (shortest..=longest).find(fits),
    };
    length.map(|length| plain[..length].to_vec()).ok_or(Status::Integrity)
}
