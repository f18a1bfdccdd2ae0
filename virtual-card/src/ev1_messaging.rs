//! EV1 secure messaging: one running vector for MAC and encryption, moved by every command and every answer.
//!
//! Sources: a published trace of a real EV1 (sotechcllc/RFDoorLock, "Desfire EV1 Communication Examples"); AN0945; the
//! suite of libfreefare.

use crate::{
    cipher::{Cipher, crc32},
    file::CommunicationMode,
    key::{CardKey, KeyType},
    session::{Length, Protection, SentKey, before_checksum},
    status::Status,
};

const MAC_LENGTH: usize = 8;
const CHECKSUM_LENGTH: usize = 4;

/// The state of an EV1 session.
pub(crate) struct Ev1 {
    cipher: Cipher,
    vector: Vec<u8>,
}

impl Ev1 {
    /// A session under a session key; its vector is zero.
    pub(crate) fn new(session_key: &CardKey) -> Self {
        let cipher = Cipher::new(session_key);
        let vector = cipher.zero();
        Self { cipher, vector }
    }

    /// A command without data brings no MAC, whatever the mode; it moves the vector.
    pub(crate) fn open_parameters(&mut self, instruction: u8, data: &[u8]) -> Vec<u8> {
        self.mac(&[&[instruction], data]);
        data.to_vec()
    }

    pub(crate) fn open_data(
        &mut self,
        protection: Protection,
        instruction: u8,
        header: &[u8],
        body: &[u8],
        length: Option<usize>,
    ) -> Result<Vec<u8>, Status> {
        match protection {
            Protection::Command | Protection::File(CommunicationMode::Plain) => {
                self.mac(&[&[instruction], header, body]);
                Ok(body.to_vec())
            }
            Protection::File(CommunicationMode::Mac) => {
                let (data, mac) = body.split_last_chunk::<MAC_LENGTH>().ok_or(Status::Length)?;
                if self.mac(&[&[instruction], header, data]) == *mac {
                    Ok(data.to_vec())
                } else {
                    Err(Status::Integrity)
                }
            }
            Protection::Enciphered | Protection::File(CommunicationMode::Full) => {
                let plain = self.decrypt(body)?;
                let checksum = |data: &[u8]| crc32(&[&[instruction], header, data]);
                before_checksum(&plain, length, self.cipher.block_length(), checksum)
            }
        }
    }

    pub(crate) const fn protected_length(&self, protection: Protection, length: usize) -> usize {
        match protection {
            Protection::Command | Protection::File(CommunicationMode::Plain) => length,
            Protection::File(CommunicationMode::Mac) => length + MAC_LENGTH,
            Protection::Enciphered | Protection::File(CommunicationMode::Full) => {
                (length + CHECKSUM_LENGTH).next_multiple_of(self.cipher.block_length())
            }
        }
    }

    /// Every answer ends with a MAC, that of a plain read too, unless it is enciphered.
    pub(crate) fn seal(&mut self, protection: Protection, data: &[u8], length: Length) -> Vec<u8> {
        let is_enciphered = matches!(protection, Protection::Enciphered | Protection::File(CommunicationMode::Full));
        if is_enciphered && !data.is_empty() {
            let mut plain = [data, &crc32(&[data, &[Status::Ok.byte()]])].concat();
            if length == Length::Unknown {
                plain.push(0x80);
            }
            plain.resize(plain.len().next_multiple_of(self.cipher.block_length()), 0);
            return self.cipher.encrypt_cbc(&mut self.vector, &plain);
        }
        let mac = self.mac(&[data, &[Status::Ok.byte()]]);
        [data, &mac].concat()
    }

    /// ChangeKey: AN0945 tables 32 and 33. The checksum over the command covers what was sent, the second one the key.
    pub(crate) fn open_key(
        &mut self,
        instruction: u8,
        header: &[u8],
        cryptogram: &[u8],
        key_type: KeyType,
        old: Option<&CardKey>,
    ) -> Result<CardKey, Status> {
        let plain = self.decrypt(cryptogram)?;
        let sent = SentKey::split(&plain, key_type)?;
        let clear = sent.clear(old);
        let over_command = crc32(&[&[instruction], header, &sent.sent_with_version()]);
        match old {
            None => sent.ends_with(&over_command)?,
            Some(_) => sent.ends_with(&[over_command, crc32(&[&clear])].concat())?,
        }
        sent.key(key_type, &clear)
    }

    fn decrypt(&mut self, enciphered: &[u8]) -> Result<Vec<u8>, Status> {
        if enciphered.is_empty() || !enciphered.len().is_multiple_of(self.cipher.block_length()) {
            return Err(Status::Length);
        }
        Ok(self.cipher.decrypt_cbc(&mut self.vector, enciphered))
    }

    /// The transmitted part of the CMAC: its first eight bytes.
    fn mac(&mut self, parts: &[&[u8]]) -> [u8; MAC_LENGTH] {
        let whole = self.cipher.cmac(&mut self.vector, &parts.concat());
        std::array::from_fn(|index| whole[index])
    }
}
