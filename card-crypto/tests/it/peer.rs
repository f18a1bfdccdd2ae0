//! The card's side of a session, from primitives alone: it checks each command against what belongs there and answers as
//! prepared. It shares no code with the reader; its session is one that a published handshake opens.

use std::collections::VecDeque;

use aes::{
    Aes128,
    cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};
use card_crypto::{
    Authenticated, Card, CommunicationMode, Ev1, Ev2, FrameSize, KeyNumber, Lost, SecureMessaging, Transport,
};
use cmac::{Cmac, Mac};

use crate::{
    scripted::with_status,
    vectors::{self, Vector},
};

/// How one half of an exchange travels.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Travels {
    /// As the file that it belongs to.
    File,
    /// With MAC, whatever the file.
    Mac,
    /// Enciphered, whatever the file.
    Full,
    /// The answer that ends a session, in clear.
    Last,
}

/// One command that must come, and what it is answered. Bytes in hexadecimal, in clear.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    pub(crate) instruction: u8,
    pub(crate) header: &'static str,
    pub(crate) data: &'static str,
    pub(crate) command: Travels,
    pub(crate) answer: Travels,
    pub(crate) says: &'static str,
}

/// One bit of one message, to be changed between reader and card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flip {
    /// Of the command of this exchange, counted from its instruction byte on.
    Command { exchange: usize, bit: usize },
    /// Of its answer, the two status bytes included.
    Answer { exchange: usize, bit: usize },
}

/// A session from the card's end.
pub(crate) trait CardSide {
    type Messaging: SecureMessaging;

    /// The published handshake whose session this is: the card's two messages, and how the reader authenticates.
    fn handshake() -> [Vec<u8>; 2];
    fn authenticate<T: Transport>(card: T) -> Card<T, Authenticated<Self::Messaging>>;
    fn open() -> Self;

    /// Header and data of a command that has arrived, with `checksum` for a new key's; `None` where it is not genuine.
    fn receive(&mut self, mode: CommunicationMode, command: &[u8], expected: &Expected) -> Option<Vec<u8>>;
    /// The answer that says this.
    fn send(&mut self, mode: CommunicationMode, says: &[u8]) -> Vec<u8>;
}

/// Lengths of the parts of a command in clear.
pub(crate) struct Expected {
    header: usize,
    data: usize,
    /// Bytes of the data that are the checksum of a new key; EV1 puts its own before them.
    checksum: usize,
}

impl Expected {
    pub(crate) fn header_only(header: usize) -> Self {
        Self { header, data: 0, checksum: 0 }
    }
}

/// A card that expects these exchanges.
pub(crate) struct PeerCard<P> {
    peer: P,
    mode: CommunicationMode,
    handshake: VecDeque<Vec<u8>>,
    exchanges: Vec<Exchange>,
    done: usize,
    flip: Option<Flip>,
    noise: Option<VecDeque<Vec<u8>>>,
    /// Bits of the last command and of the last answer, before any flip.
    pub(crate) lengths_bits: Vec<(usize, usize)>,
}

impl<P: CardSide> PeerCard<P> {
    pub(crate) fn new(mode: CommunicationMode, exchanges: &[Exchange], flip: Option<Flip>) -> Self {
        let handshake = P::handshake().into();
        let (exchanges, lengths_bits) = (exchanges.to_vec(), Vec::new());
        Self { peer: P::open(), mode, handshake, exchanges, done: 0, flip, noise: None, lengths_bits }
    }

    /// A card that after its handshake answers these, whatever it is asked, and then falls silent.
    pub(crate) fn noisy(answers: Vec<Vec<u8>>) -> Self {
        Self { noise: Some(answers.into()), ..Self::new(CommunicationMode::Mac, &[], None) }
    }

    pub(crate) fn has_seen_all(&self) -> bool {
        self.done == self.exchanges.len()
    }

    fn answer(&mut self, mut command: Vec<u8>) -> Vec<u8> {
        let Some(&exchange) = self.exchanges.get(self.done) else { return with_status(vec![], 0x1C) };
        let command_bits = command.len() * 8;
        if let Some(Flip::Command { exchange, bit }) = self.flip
            && exchange == self.done
        {
            command[bit / 8] ^= 1 << (bit % 8);
        }

        let decode = |text| hex::decode(text).expect("an exchange is hexadecimal");
        let (header, data): (Vec<u8>, Vec<u8>) = (decode(exchange.header), decode(exchange.data));
        let checksum = if matches!(exchange.instruction, 0xC4 | 0xC6) && data.len() == 21 { 4 } else { 0 };
        let expected = Expected { header: header.len(), data: data.len(), checksum };
        let Some(received) = self.peer.receive(self.travels(exchange.command), &command, &expected) else {
            assert!(self.flip.is_some(), "no genuine command: {command:02X?}, {exchange:02X?}");
            return with_status(vec![], 0x1E);
        };
        // A changed command that no MAC of its own protects is executed, and answered as if nothing were wrong.
        let genuine = [&[exchange.instruction], header.as_slice(), &data].concat();
        assert!(self.flip.is_some() || received == genuine, "{received:02X?} came instead of {exchange:02X?}");

        let says: Vec<u8> = decode(exchange.says);
        let body = match exchange.answer {
            Travels::Last => says,
            Travels::File | Travels::Mac | Travels::Full => self.peer.send(self.travels(exchange.answer), &says),
        };
        let mut answer = with_status(body, 0x00);
        self.lengths_bits.push((command_bits, answer.len() * 8));
        if let Some(Flip::Answer { exchange, bit }) = self.flip
            && exchange == self.done
        {
            answer[bit / 8] ^= 1 << (bit % 8);
        }
        self.done += 1;
        answer
    }

    fn travels(&self, travels: Travels) -> CommunicationMode {
        match travels {
            Travels::File => self.mode,
            Travels::Full => CommunicationMode::Full,
            Travels::Mac | Travels::Last => CommunicationMode::Mac,
        }
    }
}

/// In one frame each way: how frames are cut and joined is tested elsewhere.
impl<P: CardSide> Transport for PeerCard<P> {
    fn exchange(&mut self, apdu: &[u8]) -> Result<Vec<u8>, Lost> {
        if let Some(answer) = self.handshake.pop_front() {
            return Ok(answer);
        }
        if let Some(noise) = &mut self.noise {
            return noise.pop_front().ok_or(Lost::Silent);
        }
        let body = apdu.get(5..apdu.len() - 1).unwrap_or_default();
        Ok(self.answer([&apdu[1..2], body].concat()))
    }
}

/// EV2, of AN12196, section 5.6.
pub(crate) struct Ev2Card {
    cipher: Aes128,
    mac_key: [u8; 16],
    transaction_identifier: Vec<u8>,
    counter: u16,
}

impl Ev2Card {
    fn vector() -> Vector {
        const FILE: &str = include_str!("../vectors/authenticate_ev2_first.txt");
        vectors::named(FILE, "AuthenticateEV2First AN12196 key 0 (with SV1/SV2)")
    }

    fn mac(&self, first: u8, body: &[u8]) -> [u8; 8] {
        let message = [&[first][..], &self.counter.to_le_bytes(), &self.transaction_identifier, body].concat();
        let mac = Cmac::<Aes128>::new(&self.mac_key.into()).chain_update(message).finalize().into_bytes();
        std::array::from_fn(|i| mac[2 * i + 1])
    }

    fn iv(&self, label: [u8; 2]) -> [u8; 16] {
        let counter = self.counter.to_le_bytes();
        let block = [&label, self.transaction_identifier.as_slice(), &counter, &[0; 8]].concat();
        let mut block: [u8; 16] = block.try_into().expect("2 + 4 + 2 + 8 bytes");
        self.cipher.encrypt_block((&mut block).into());
        block
    }
}

impl CardSide for Ev2Card {
    type Messaging = Ev2;

    fn handshake() -> [Vec<u8>; 2] {
        let vector = Self::vector();
        [with_status(vector.bytes("enc_rndb"), 0xAF), with_status(vector.bytes("card_response"), 0x00)]
    }

    fn authenticate<T: Transport>(card: T) -> Card<T, Authenticated<Ev2>> {
        let (vector, card) = (Self::vector(), Card::new(card, FrameSize::Bytes256));
        let opened = card.authenticate_ev2_first(KeyNumber::MASTER, &vector.key("key"), vector.array("rnda"));
        opened.expect("the published handshake holds")
    }

    fn open() -> Self {
        let vector = Self::vector();
        let cipher = Aes128::new(&vector.array("ses_enc").into());
        Self { cipher, mac_key: vector.array("ses_mac"), transaction_identifier: vector.bytes("ti"), counter: 0 }
    }

    fn receive(&mut self, mode: CommunicationMode, command: &[u8], expected: &Expected) -> Option<Vec<u8>> {
        if mode == CommunicationMode::Plain {
            return Some(command.to_vec());
        }
        let (command, mac) = command.split_last_chunk::<8>()?;
        let (&instruction, body) = command.split_first()?;
        if self.mac(instruction, body) != *mac {
            return None;
        }
        let mut clear = command.to_vec();
        if mode == CommunicationMode::Full && expected.data > 0 {
            decipher(&self.cipher, &mut self.iv([0xA5, 0x5A]), &mut clear[1 + expected.header..]);
            while clear.pop_if(|byte| *byte == 0).is_some() {}
            clear.pop_if(|byte| *byte == 0x80)?;
        }
        Some(clear)
    }

    fn send(&mut self, mode: CommunicationMode, says: &[u8]) -> Vec<u8> {
        self.counter += 1;
        let mut body = says.to_vec();
        if mode == CommunicationMode::Full && !says.is_empty() {
            body.push(0x80);
            body.resize(body.len().next_multiple_of(16), 0);
            encipher(&self.cipher, &mut self.iv([0x5A, 0xA5]), &mut body);
        }
        if mode != CommunicationMode::Plain {
            body.extend_from_slice(&self.mac(0x00, &body));
        }
        body
    }
}

/// EV1, of a trace of a real card.
pub(crate) struct Ev1Card {
    cipher: Aes128,
    iv: [u8; 16],
}

impl Ev1Card {
    pub(crate) fn vector() -> Vector {
        const FILE: &str = include_str!("../vectors/authenticate_aes.txt");
        vectors::named(FILE, "AuthenticateAES 0xAA key 1")
    }

    /// CMAC by the book (NIST SP 800-38B, section 6.2), started from the running IV.
    fn cmac(&mut self, message: &[u8]) -> [u8; 8] {
        let mut subkey = [0; 16];
        self.cipher.encrypt_block((&mut subkey).into());
        let whole = message.len().is_multiple_of(16);
        for _ in 0..if whole { 1 } else { 2 } {
            let carry = subkey[0] & 0x80 != 0;
            for i in 0..16 {
                subkey[i] = subkey[i] << 1 | subkey.get(i + 1).map_or(0, |next| next >> 7);
            }
            subkey[15] ^= if carry { 0x87 } else { 0 };
        }
        let mut padded = message.to_vec();
        if !whole {
            padded.push(0x80);
            padded.resize(padded.len().next_multiple_of(16), 0);
        }
        let last = padded.len() - 16;
        padded[last..].iter_mut().zip(subkey).for_each(|(byte, key)| *byte ^= key);
        encipher(&self.cipher, &mut self.iv, &mut padded);
        *self.iv.first_chunk().expect("8 of 16 bytes")
    }
}

impl CardSide for Ev1Card {
    type Messaging = Ev1;

    fn handshake() -> [Vec<u8>; 2] {
        let vector = Self::vector();
        [with_status(vector.bytes("enc_rndb"), 0xAF), with_status(vector.bytes("enc_rnda_rot"), 0x00)]
    }

    fn authenticate<T: Transport>(card: T) -> Card<T, Authenticated<Ev1>> {
        let (vector, card) = (Self::vector(), Card::new(card, FrameSize::Bytes256));
        let opened = card.authenticate_aes(KeyNumber::MASTER, &vector.key("key"), vector.array("rnda"));
        opened.expect("the published handshake holds")
    }

    fn open() -> Self {
        Self { cipher: Aes128::new(&Self::vector().array("session_key").into()), iv: [0; 16] }
    }

    fn receive(&mut self, mode: CommunicationMode, command: &[u8], expected: &Expected) -> Option<Vec<u8>> {
        if mode == CommunicationMode::Full && expected.data > 0 {
            let mut clear = command.to_vec();
            let enciphered = &mut clear[1 + expected.header..];
            if !enciphered.len().is_multiple_of(16) {
                return None;
            }
            decipher(&self.cipher, &mut self.iv, enciphered);
            let covered = clear.len().min(1 + expected.header + expected.data - expected.checksum);
            let checksum = checksum(&clear[..covered]);
            let rest = clear.split_off(covered);
            let (theirs, rest) = rest.split_first_chunk::<4>()?;
            let (key_checksum, padding) = rest.split_at_checked(expected.checksum)?;
            if *theirs != checksum || padding.len() >= 16 || padding.iter().any(|&byte| byte != 0) {
                return None;
            }
            clear.extend_from_slice(key_checksum);
            return Some(clear);
        }
        if mode == CommunicationMode::Mac && expected.data > 0 {
            let (command, mac) = command.split_last_chunk::<8>()?;
            return (self.cmac(command) == *mac).then(|| command.to_vec());
        }
        self.cmac(command);
        Some(command.to_vec())
    }

    fn send(&mut self, mode: CommunicationMode, says: &[u8]) -> Vec<u8> {
        let with_status = [says, &[0x00]].concat();
        if mode == CommunicationMode::Full && !says.is_empty() {
            let mut body = [says, &checksum(&with_status)].concat();
            body.resize(body.len().next_multiple_of(16), 0);
            encipher(&self.cipher, &mut self.iv, &mut body);
            body
        } else {
            [says, &self.cmac(&with_status)].concat()
        }
    }
}

/// CRC-32 bit by bit, without the final inversion.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    let crc = bytes.iter().fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)));
    crc.to_le_bytes()
}

fn encipher(cipher: &Aes128, iv: &mut [u8; 16], bytes: &mut [u8]) {
    for block in bytes.as_chunks_mut::<16>().0 {
        block.iter_mut().zip(&*iv).for_each(|(byte, chained)| *byte ^= chained);
        cipher.encrypt_block(block.into());
        *iv = *block;
    }
}

fn decipher(cipher: &Aes128, iv: &mut [u8; 16], bytes: &mut [u8]) {
    for block in bytes.as_chunks_mut::<16>().0 {
        let ciphertext = *block;
        cipher.decrypt_block(block.into());
        block.iter_mut().zip(&*iv).for_each(|(byte, chained)| *byte ^= chained);
        *iv = ciphertext;
    }
}
