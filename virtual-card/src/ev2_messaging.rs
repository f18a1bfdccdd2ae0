//! EV2 secure messaging, the card's side: what is checked in a command and added to an answer.
//!
//! Source: AN12343 section 6 and tables 23 to 26, AN12196 sections 5.6 to 5.14.

use crate::{
    cipher::crc32,
    crypto::{BLOCK, Block, cmac, decrypt_cbc, encrypt_block, encrypt_cbc, truncated_cmac},
    file::CommunicationMode,
    key::{CardKey, KeyType},
    session::SentKey,
    status::Status,
};

const MAC_LENGTH: usize = 8;

/// The state of an EV2 session.
pub(crate) struct Ev2 {
    transaction_identifier: [u8; 4],
    command_counter: u16,
    encryption_key: Block,
    mac_key: Block,
}

impl Ev2 {
    /// A session after AuthenticateEV2First: new identifier, counter 0 (AN12343 table 16).
    pub(crate) fn first(key: &Block, rnd_a: &Block, rnd_b: &Block, transaction_identifier: [u8; 4]) -> Self {
        let (encryption_key, mac_key) = session_keys(key, rnd_a, rnd_b);
        Self { transaction_identifier, command_counter: 0, encryption_key, mac_key }
    }

    /// The same session after AuthenticateEV2NonFirst: new keys, identifier and counter stay (AN12196 table 23).
    pub(crate) fn rekeyed(self, key: &Block, rnd_a: &Block, rnd_b: &Block) -> Self {
        let (encryption_key, mac_key) = session_keys(key, rnd_a, rnd_b);
        Self { encryption_key, mac_key, ..self }
    }

    /// Checks the MAC behind a command's parameters; in the mode Plain there is none.
    pub(crate) fn open_parameters(
        &self,
        mode: CommunicationMode,
        instruction: u8,
        data: &[u8],
    ) -> Result<Vec<u8>, Status> {
        let mode = if mode == CommunicationMode::Full { CommunicationMode::Mac } else { mode };
        self.open(mode, instruction, &[], data)
    }

    /// Checks the body of a command behind its header and returns its data in clear.
    pub(crate) fn open(
        &self,
        mode: CommunicationMode,
        instruction: u8,
        header: &[u8],
        body: &[u8],
    ) -> Result<Vec<u8>, Status> {
        // The counter must not wrap: a reader authenticates again before.
        if self.command_counter == u16::MAX {
            return Err(Status::Authentication);
        }
        if mode == CommunicationMode::Plain {
            return Ok(body.to_vec());
        }
        let (data, mac) = body.split_last_chunk::<MAC_LENGTH>().ok_or(Status::Length)?;
        let expected = self.mac(instruction, self.command_counter, &[header, data]);
        if *mac != expected {
            return Err(Status::Integrity);
        }
        if mode == CommunicationMode::Mac || data.is_empty() {
            return Ok(data.to_vec());
        }
        if !data.len().is_multiple_of(BLOCK) {
            return Err(Status::Length);
        }
        let initial = self.initialisation_vector([0xA5, 0x5A], self.command_counter);
        unpadded(decrypt_cbc(&self.encryption_key, initial, data))
    }

    /// Counts a command that [`open`](Self::open) accepted and protects the data of its answer.
    pub(crate) fn seal(&mut self, mode: CommunicationMode, data: &[u8]) -> Vec<u8> {
        self.command_counter = self.command_counter.saturating_add(1);
        let mut answer = match mode {
            CommunicationMode::Plain => return data.to_vec(),
            CommunicationMode::Full if !data.is_empty() => {
                let initial = self.initialisation_vector([0x5A, 0xA5], self.command_counter);
                encrypt_cbc(&self.encryption_key, initial, &padded(data))
            }
            CommunicationMode::Mac | CommunicationMode::Full => data.to_vec(),
        };
        answer.extend(self.mac(Status::Ok.byte(), self.command_counter, &[&answer]));
        answer
    }

    /// ChangeKey: AN12196 tables 25 and 26. The MAC protects the command; a checksum over the new key shows that the
    /// reader knew the old one.
    pub(crate) fn open_key(
        &self,
        instruction: u8,
        header: &[u8],
        cryptogram: &[u8],
        key_type: KeyType,
        old: Option<&CardKey>,
    ) -> Result<CardKey, Status> {
        let plain = self.open(CommunicationMode::Full, instruction, header, cryptogram)?;
        let sent = SentKey::split(&plain, key_type)?;
        let clear = sent.clear(old);
        let checksum = old.map(|_| crc32(&[&clear]));
        if !sent.ends_exactly_with(checksum.as_ref().map_or(&[], |checksum| checksum)) {
            return Err(Status::Integrity);
        }
        sent.key(key_type, &clear)
    }

    /// How long a command's data is once it is protected.
    pub(crate) const fn protected_length(mode: CommunicationMode, length: usize) -> usize {
        match mode {
            CommunicationMode::Plain => length,
            CommunicationMode::Mac => length + MAC_LENGTH,
            CommunicationMode::Full if length == 0 => MAC_LENGTH,
            CommunicationMode::Full => (length / BLOCK + 1) * BLOCK + MAC_LENGTH,
        }
    }

    fn mac(&self, instruction_or_status: u8, counter: u16, parts: &[&[u8]]) -> [u8; MAC_LENGTH] {
        let mut message = vec![instruction_or_status];
        message.extend(counter.to_le_bytes());
        message.extend(self.transaction_identifier);
        message.extend(parts.concat());
        truncated_cmac(&self.mac_key, &message)
    }

    fn initialisation_vector(&self, label: [u8; 2], counter: u16) -> Block {
        let mut block = [0; BLOCK];
        block[..2].copy_from_slice(&label);
        block[2..6].copy_from_slice(&self.transaction_identifier);
        block[6..8].copy_from_slice(&counter.to_le_bytes());
        encrypt_block(&self.encryption_key, block)
    }
}

/// Session keys for encryption and MAC from the two random numbers (AN12343 table 16, SV1 and SV2).
fn session_keys(key: &Block, rnd_a: &Block, rnd_b: &Block) -> (Block, Block) {
    let mut vector = [0; 32];
    vector[..6].copy_from_slice(&[0xA5, 0x5A, 0x00, 0x01, 0x00, 0x80]);
    vector[6..8].copy_from_slice(&rnd_a[..2]);
    for index in 0..6 {
        vector[8 + index] = rnd_a[2 + index] ^ rnd_b[index];
    }
    vector[14..24].copy_from_slice(&rnd_b[6..]);
    vector[24..].copy_from_slice(&rnd_a[8..]);
    let encryption_key = cmac(key, &vector);
    vector[..2].copy_from_slice(&[0x5A, 0xA5]);
    (encryption_key, cmac(key, &vector))
}

/// ISO/IEC 9797-1 padding method 2: 80, then zeros; a whole block when the data is aligned.
fn padded(data: &[u8]) -> Vec<u8> {
    let mut padded = data.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(BLOCK), 0);
    padded
}

fn unpadded(mut data: Vec<u8>) -> Result<Vec<u8>, Status> {
    let mark = data.iter().rposition(|&byte| byte != 0).ok_or(Status::Integrity)?;
    if data[mark] != 0x80 || data.len() - mark > BLOCK {
        return Err(Status::Integrity);
    }
    data.truncate(mark);
    Ok(data)
}

#[cfg(test)]
mod tests {
    //! Published known answers for what has no public face.

    use super::*;

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).expect("hex").try_into().expect("length")
    }

    fn session(encryption_key: &str, mac_key: &str, identifier: &str, command_counter: u16) -> Ev2 {
        Ev2 {
            transaction_identifier: bytes(identifier),
            command_counter,
            encryption_key: bytes(encryption_key),
            mac_key: bytes(mac_key),
        }
    }

    /// AN12343 tables 25 and 26: a read in Full mode.
    #[test]
    fn full_mode_read() {
        let mut session =
            session("FFBCFE1F41840A09C9A88D0A4B10DF05", "37E7234B11BEBEFDE41A8F290090EF80", "CD73D8E5", 1);
        let header = bytes::<7>("00000000300000");
        let opened = session.open(CommunicationMode::Full, 0xAD, &header, &bytes::<8>("7CF94F122B3DB05F"));
        assert_eq!(opened, Ok(vec![]));
        let data = bytes::<48>(
            "222222222222222222222222222222222222222222222222220000000000000000000000000000000000000000000000",
        );
        let answer = session.seal(CommunicationMode::Full, &data);
        assert_eq!(
            hex::encode_upper(answer),
            "8848D0F9B9FD4495770C89925B2A85C7274D350FA9029C484D43804886662DC42D7F40A6D7A415E4A71EFF79EB8E5721\
             AC3BF1CAAFE8EB2CAA2DC162E67A97A38ED7888F22B3A587"
        );
    }

    /// AN12196 section 5.12: a write of ten bytes in Full mode, and its answer.
    #[test]
    fn full_mode_write() {
        let mut session =
            session("7A93D6571E4B180FCA6AC90C9A7488D4", "FC4AF159B62E549B5812394CAB1918CC", "7614281A", 0);
        let body = bytes::<24>("6B5E6804909962FC4E3FF5522CF0F8436C0C53315B9C73AA");
        let data = session.open(CommunicationMode::Full, 0x8D, &bytes::<7>("030000000A0000"), &body);
        assert_eq!(data, Ok(bytes::<10>("0102030405060708090A").to_vec()));
        let answer = session.seal(CommunicationMode::Full, &[]);
        assert_eq!(hex::encode_upper(answer), "C26D236E4A7C046D");
    }

    /// AN12343 tables 23 and 24: a write and a read in MAC mode, one after the other.
    #[test]
    fn mac_mode() {
        let mut session =
            session("00000000000000000000000000000000", "9366FA195EB566F5BD2BAD4020B83002", "E2D3AF69", 0);
        let header = bytes::<7>("00000000190000");
        let body = bytes::<33>("2222222222222222222222222222222222222222222222222268F2C28C575A1628");
        let data = session.open(CommunicationMode::Mac, 0x8D, &header, &body);
        assert_eq!(data, Ok(vec![0x22; 25]));
        let answer = session.seal(CommunicationMode::Mac, &[]);
        assert_eq!(hex::encode_upper(answer), "0820F68898C2A7F1");

        let header = bytes::<7>("00000000300000");
        let opened = session.open(CommunicationMode::Mac, 0xAD, &header, &bytes::<8>("0D9BE191D5960834"));
        assert_eq!(opened, Ok(vec![]));
        let mut data = vec![0x22; 25];
        data.resize(48, 0);
        let answer = session.seal(CommunicationMode::Mac, &data);
        assert_eq!(hex::encode_upper(&answer[48..]), "A49A44222D926666");
    }

    /// (source, key, RndA, RndB enciphered, session encryption key, session MAC key)
    const SESSION_KEYS: [(&str, &str, &str, &str, &str, &str); 3] = [
        (
            "AN12343 table 16",
            "00000000000000000000000000000000",
            "B04D0787C93EE0CC8CACC8E86F16C6FE",
            "24677DDBD46349E623798FD729006E79",
            "63DC07286289A7A6C0334CA31C314A04",
            "774F26743ECE6AF5033B6AE8522946F6",
        ),
        (
            "AN12196 section 5.6",
            "00000000000000000000000000000000",
            "13C5DB8A5930439FC3DEF9A4C675360F",
            "A04C124213C186F22399D33AC2A30215",
            "1309C877509E5A215007FF0ED19CA564",
            "4C6626F5E72EA694202139295C7A7FC7",
        ),
        (
            "AN12196 table 23",
            "00000000000000000000000000000000",
            "60BE759EDA560250AC57CDDC11743CF6",
            "A6A2B3C572D06C097BB8DB70463E22DC",
            "4CF3CB41A22583A61E89B158D252FC53",
            "5529860B2FC5FB6154B7F28361D30BF9",
        ),
    ];

    #[test]
    fn session_key_vectors() {
        for (source, key, rnd_a, enciphered_rnd_b, encryption_key, mac_key) in SESSION_KEYS {
            let key = bytes(key);
            let rnd_b = decrypt_cbc(&key, [0; BLOCK], &bytes::<16>(enciphered_rnd_b));
            let keys = session_keys(&key, &bytes(rnd_a), &rnd_b.try_into().expect("one block"));
            assert_eq!(keys, (bytes(encryption_key), bytes(mac_key)), "{source}");
        }
    }

    /// AN12196 table 26: key 0 under itself, at counter 3.
    #[test]
    fn change_key() {
        let session = session("4CF3CB41A22583A61E89B158D252FC53", "5529860B2FC5FB6154B7F28361D30BF9", "7614281A", 3);
        let cryptogram =
            bytes::<40>("C0EB4DEEFEDDF0B513A03A95A75491818580503190D4D05053FF75668A01D6FDA6610234BDED6432");
        let opened = session.open_key(0xC4, &[0], &cryptogram, KeyType::Aes, None);
        assert!(opened == Ok(CardKey::aes(bytes("5004BF991F408672B1EF00F08F9E8647"), 1)));
    }

    /// Aligned data gets a whole block of padding.
    #[test]
    fn padding_round_trip() {
        for length in 0..40 {
            let data = vec![0x80; length];
            assert_eq!(unpadded(padded(&data)), Ok(data.clone()));
            if length > 0 {
                assert_eq!(Ev2::protected_length(CommunicationMode::Full, length), padded(&data).len() + MAC_LENGTH);
            }
        }
        assert_eq!(unpadded(vec![0; 16]), Err(Status::Integrity));
    }
}
