//! D40 secure messaging, after Authenticate (0A): DES, a vector of zeros in every operation, a reader that only ever
//! deciphers.
//!
//! Source: libfreefare, whose suite ran on real cards.

use crate::{
    cipher::{Cipher, crc16},
    file::CommunicationMode,
    key::{CardKey, KeyType},
    session::{Protection, SentKey, before_checksum},
    status::Status,
};

const BLOCK: usize = 8;
const MAC_LENGTH: usize = 4;
const CHECKSUM_LENGTH: usize = 2;

/// The state of a D40 session: nothing but its key.
pub(crate) struct D40 {
    cipher: Cipher,
}

impl D40 {
    pub(crate) fn new(session_key: &CardKey) -> Self {
        Self { cipher: Cipher::new(session_key) }
    }

    pub(crate) fn open_data(
        &self,
        protection: Protection,
        body: &[u8],
        length: Option<usize>,
    ) -> Result<Vec<u8>, Status> {
        match protection {
            Protection::Command | Protection::File(CommunicationMode::Plain) => Ok(body.to_vec()),
            Protection::File(CommunicationMode::Mac) => {
                let (data, mac) = body.split_last_chunk::<MAC_LENGTH>().ok_or(Status::Length)?;
                if self.mac(data) == *mac { Ok(data.to_vec()) } else { Err(Status::Integrity) }
            }
            Protection::Enciphered | Protection::File(CommunicationMode::Full) => {
                before_checksum(&self.decrypt(body)?, length, BLOCK, crc16)
            }
        }
    }

    pub(crate) const fn protected_length(protection: Protection, length: usize) -> usize {
        match protection {
            Protection::Command | Protection::File(CommunicationMode::Plain) => length,
            Protection::File(CommunicationMode::Mac) => length + MAC_LENGTH,
            Protection::Enciphered | Protection::File(CommunicationMode::Full) => {
                (length + CHECKSUM_LENGTH).next_multiple_of(BLOCK)
            }
        }
    }

    /// An answer without data brings no MAC.
    pub(crate) fn seal(&self, protection: Protection, data: &[u8]) -> Vec<u8> {
        match protection {
            _ if data.is_empty() => vec![],
            Protection::Command | Protection::File(CommunicationMode::Plain) => data.to_vec(),
            Protection::File(CommunicationMode::Mac) => [data, &self.mac(data)].concat(),
            Protection::Enciphered | Protection::File(CommunicationMode::Full) => {
                let checked = [data, &crc16(data)].concat();
                self.cipher.encrypt_cbc(&mut self.cipher.zero(), &padded(checked))
            }
        }
    }

    /// ChangeKey: the first checksum is over what was sent, the second over the key.
    pub(crate) fn open_key(
        &self,
        cryptogram: &[u8],
        key_type: KeyType,
        old: Option<&CardKey>,
    ) -> Result<CardKey, Status> {
        let plain = self.decrypt(cryptogram)?;
        let sent = SentKey::split(&plain, key_type)?;
        let clear = sent.clear(old);
        let over_sent = crc16(&sent.sent_with_version());
        match old {
            None => sent.ends_with(&over_sent)?,
            Some(_) => sent.ends_with(&[over_sent, crc16(&clear)].concat())?,
        }
        sent.key(key_type, &clear)
    }

    fn decrypt(&self, sent: &[u8]) -> Result<Vec<u8>, Status> {
        if sent.is_empty() || !sent.len().is_multiple_of(BLOCK) {
            return Err(Status::Length);
        }
        Ok(self.cipher.undo_decrypting_sender(sent))
    }

    /// The first half of the last block of a DES-CBC over the data, filled up with zeros.
    fn mac(&self, data: &[u8]) -> [u8; MAC_LENGTH] {
        let mut vector = self.cipher.zero();
        self.cipher.encrypt_cbc(&mut vector, &padded(data.to_vec()));
        std::array::from_fn(|index| vector[index])
    }
}

fn padded(mut data: Vec<u8>) -> Vec<u8> {
    data.resize(data.len().next_multiple_of(BLOCK), 0);
    data
}
