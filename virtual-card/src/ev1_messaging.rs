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

#[cfg(test)]
mod tests {
    //! Answers from the published trace of a real EV1, for what has no public face.

    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        hex::decode(text).expect("hex")
    }

    fn session(key_type: KeyType, key: &str, vector: &str) -> Ev1 {
        let mut session = Ev1::new(&CardKey::new(key_type, &bytes(key), 0).expect("a whole key"));
        if !vector.is_empty() {
            session.vector = bytes(vector);
        }
        session
    }

    /// (key, steps: what is hashed, and the vector after it)
    #[test]
    fn cmac_chains() {
        const VERSION: &str = "04010101001A0504010101041A0504063F72633480BA4519E320491300";
        type Steps = &'static [(&'static str, &'static str)];
        const CHAINS: [(KeyType, &str, Steps); 2] = [
            (
                KeyType::TwoKeyTripleDes,
                "849A36C44ED0B658849A36C44ED0B658",
                &[
                    ("60", "5020EC826086DF12"),
                    (VERSION, "CDC810BAFA401759"),
                    ("FC", "0D89CA4BFBE69072"),
                    ("00", "9C2C813A065C45F7"),
                    ("CA16DE000F02", "EEE9BE1051A406F3"),
                    ("00", "0A1379B01D85AD47"),
                ],
            ),
            (
                KeyType::Aes,
                "90F7A20191036845EC63DECD544B9931",
                &[("6400", "257FC538618A944A3A20967B6F314348"), ("1000", "8A8FA36F55CD210DD8054658AC70D99A")],
            ),
        ];
        for (key_type, key, steps) in CHAINS {
            let mut session = session(key_type, key, "");
            for (index, (hashed, vector)) in steps.iter().enumerate() {
                let hashed = bytes(hashed);
                if index % 2 == 0 {
                    session.open_parameters(hashed[0], &hashed[1..]);
                } else {
                    let data = &hashed[..hashed.len() - 1];
                    let answer = session.seal(Protection::Command, data, Length::Known);
                    assert_eq!(answer, [data, &bytes(vector)[..8]].concat());
                }
                assert_eq!(hex::encode_upper(&session.vector), *vector, "step {index}");
            }
        }
    }

    #[test]
    fn change_key() {
        const SECOND: &str = "C2A1E47BD8100044FE6D00A74D7AB17C";
        const FIRST_KEY: &str = "00102030405060708090A0B0B0A09080";
        const ZERO: &str = "00000000000000000000000000000000";
        // (session key, vector, key number, cryptogram, old key where it is not the session's, new key, its version)
        let cases = [
            (
                "F44B26F5C05DDD7110772281C4D066E8",
                "",
                0,
                "E9F85E219496C2B58C1090DC3935FAE9E840CF61B383D9531946256B1F110C10",
                None,
                FIRST_KEY,
                0x10,
            ),
            (
                "90F7A20191036845EC63DECD544B9931",
                "8A8FA36F55CD210DD8054658AC70D99A",
                0,
                "635375E4919F8AF2E9E86B1C1BA55B0C0807EAF484D7A7EF6E0C3084160F5A61",
                None,
                ZERO,
                0,
            ),
            (
                SECOND,
                "",
                1,
                "E7ECCB6BD1CA64BC161A12B1C024F71430337408C8A87EACAB7A1FF18951FCA3",
                Some(ZERO),
                FIRST_KEY,
                0x10,
            ),
            (
                SECOND,
                "2128D3CD9C9ACFFFF6EB9546ADF35E17",
                1,
                "2841938C40A4BC2C33064482FEADA5F43EC535D34255B0286C2352CD173863C7",
                Some(FIRST_KEY),
                "10182028303840485058606870788088",
                0x10,
            ),
        ];
        for (key, vector, number, cryptogram, old, new, version) in cases {
            let mut session = session(KeyType::Aes, key, vector);
            let old = old.and_then(|old| CardKey::new(KeyType::Aes, &bytes(old), 0));
            let opened = session.open_key(0xC4, &[number], &bytes(cryptogram), KeyType::Aes, old.as_ref());
            let expected = CardKey::new(KeyType::Aes, &bytes(new), version).expect("a whole key");
            assert!(opened == Ok(expected), "{cryptogram}");
        }
        // A 2K3DES key, whose version is in its parity bits, over the factory's.
        let mut session = session(KeyType::TwoKeyTripleDes, "C86CE25E4C647E56C86CE25E4C647E56", "");
        let cryptogram = bytes("BEDE0FC6ED347DCF0D51C717DF75D97D2C5A2BA6CAC7479D");
        let opened = session.open_key(0xC4, &[0], &cryptogram, KeyType::TwoKeyTripleDes, None).expect("genuine");
        assert_eq!(
            (hex::encode_upper(opened.bytes()), opened.version()),
            ("00102031405060708090A0B0B0A09080".into(), 0x10)
        );
    }

    /// Lengths that are and are not told, aligned and not: what is sealed for a reader opens there.
    #[test]
    fn what_ends_the_data_of_an_enciphered_message() {
        for length in 1..40 {
            let data = vec![0; length];
            let checksum = |data: &[u8]| crc32(&[data]);
            let mut plain = [&data[..], &checksum(&data)].concat();
            plain.resize(plain.len().next_multiple_of(16), 0);
            assert_eq!(before_checksum(&plain, Some(length), 16, checksum), Ok(data), "{length}");
            assert_eq!(before_checksum(&plain, Some(length + 16), 16, checksum), Err(Status::Length));
        }
        assert_eq!(before_checksum(&[1; 16], None, 16, |data| crc32(&[data])), Err(Status::Integrity));
    }
}
