//! A MIFARE SAM AV3 in memory, as far as its commands are public: the other peer of `key-store`'s.
//!
//! It holds keys, takes part in the handshakes of cards and counts how often a key was used. Instruction codes,
//! parameters and status words are those of NXP's Reader Library, SAM AV3 component (`phhalHw_SamAV3_Cmd.h`,
//! `phKeyStore_SamAV3_Int.h`); the layout of the session dump is that of NXP's middleware for SE05x. What it refuses, and
//! with which status, follows the names of the status words and is untried on silicon.
//!
//! No host authentication, no X mode, no PKI; keys are put in by [`Sam::load`], as a personalisation bureau would.

use std::collections::BTreeMap;

use aes::{
    Aes128,
    cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};
use card_crypto::{Lost, Transport};
use cmac::{Cmac, Mac};

use crate::picc::Random;

/// Status words, by what NXP's library calls them.
mod status {
    pub(super) const OK: [u8; 2] = [0x90, 0x00];
    pub(super) const OK_CHAINING_ACTIVE: [u8; 2] = [0x90, 0xAF];
    pub(super) const CRYPTO_FAILURE: [u8; 2] = [0x90, 0x1E];
    pub(super) const PROT_DESFIRE_ERROR: [u8; 2] = [0x90, 0xDF];
    pub(super) const KEY_REF_NO_INVALID: [u8; 2] = [0x65, 0x02];
    pub(super) const KEY_KUC_NO_INVALID: [u8; 2] = [0x65, 0x03];
    pub(super) const WRONG_LENGTH: [u8; 2] = [0x67, 0x00];
    pub(super) const INCOMPLETE_CHAINING: [u8; 2] = [0x68, 0x83];
    pub(super) const COND_USE_NOT_SATISFIED: [u8; 2] = [0x69, 0x85];
    pub(super) const COMMAND_NOT_ALLOWED: [u8; 2] = [0x69, 0x86];
    pub(super) const WRONG_DATA: [u8; 2] = [0x6A, 0x80];
    pub(super) const KEY_VERSION_INVALID: [u8; 2] = [0x6A, 0x82];
    pub(super) const WRONG_P1_P2: [u8; 2] = [0x6A, 0x86];
    pub(super) const UNKNOWN_INSTRUCTION: [u8; 2] = [0x6D, 0x00];
    pub(super) const WRONG_CLASS: [u8; 2] = [0x6E, 0x00];
}

/// The answer to reset that lists of smart cards give for MIFARE SAMs: T=1, "MIFARE Plus SAM".
pub const ATR: [u8; 28] = [
    0x3B, 0xDF, 0x18, 0xFF, 0x81, 0xF1, 0xFE, 0x43, 0x00, 0x3F, 0x03, 0x83, 0x4D, 0x49, 0x46, 0x41, 0x52, 0x45, 0x20,
    0x50, 0x6C, 0x75, 0x73, 0x20, 0x53, 0x41, 0x4D, 0x3B,
];

/// What a key entry is for (ExtSET, bits 0 to 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyClass {
    /// Handshakes with cards.
    Picc = 0x01,
    /// Enciphering what a host hands in.
    OfflineCrypto = 0x04,
}

/// One entry of the key table: an AES-128 key in up to three versions, and what it may be used for.
#[derive(Clone)]
pub struct KeyEntry {
    /// Versions and keys; version 0 is an empty place.
    pub versions: [(u8, [u8; 16]); 3],
    /// What it is for.
    pub class: KeyClass,
    /// SET bit 0: the keys of a session may be read.
    pub allow_dump_session_key: bool,
    /// ExtSET bit 3: the key may be read.
    pub allow_dump_secret_key: bool,
    /// ExtSET bit 4: it is only ever used diversified.
    pub mandatory_diversification: bool,
    /// The usage counter that limits it, 00 to 0F.
    pub usage_counter: Option<u8>,
}

impl KeyEntry {
    /// An entry for handshakes with cards, set as an operator's should be.
    #[must_use]
    pub fn picc(versions: &[(u8, [u8; 16])]) -> Self {
        Self {
            versions: places(versions),
            class: KeyClass::Picc,
            allow_dump_session_key: true,
            allow_dump_secret_key: false,
            mandatory_diversification: true,
            usage_counter: None,
        }
    }

    /// An entry for enciphering, set as an operator's should be.
    #[must_use]
    pub fn offline_crypto(versions: &[(u8, [u8; 16])]) -> Self {
        Self {
            class: KeyClass::OfflineCrypto,
            allow_dump_session_key: false,
            mandatory_diversification: false,
            ..Self::picc(versions)
        }
    }
}

fn places(versions: &[(u8, [u8; 16])]) -> [(u8, [u8; 16]); 3] {
    std::array::from_fn(|place| versions.get(place).copied().unwrap_or_default())
}

impl std::fmt::Debug for KeyEntry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("KeyEntry(..)")
    }
}

/// A secure access module.
pub struct Sam {
    entries: BTreeMap<u8, KeyEntry>,
    counters: BTreeMap<u8, UsageCounter>,
    channels: [Channel; 4],
    random: Random,
    exchanges: u32,
}

/// How often a key may be used, and was.
#[derive(Clone, Copy, Debug)]
struct UsageCounter {
    limit: u32,
    value: u32,
}

/// The state of one logical channel.
#[derive(Clone, Default)]
enum Channel {
    #[default]
    Idle,
    /// A handshake whose second part is awaited.
    Begun(Begun),
    /// A handshake that succeeded.
    Authenticated(Session),
    /// An active offline key.
    Offline([u8; 16]),
}

#[derive(Clone)]
struct Begun {
    kind: Handshake,
    key: [u8; 16],
    rnd_a: [u8; 16],
    rnd_b: [u8; 16],
    /// The IV of the next message: zero in EV2, the last ciphertext block in EV1.
    iv: [u8; 16],
    dump_allowed: bool,
}

#[derive(Clone)]
struct Session {
    dump: Option<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Handshake {
    Aes,
    Ev2First,
    Ev2NonFirst,
}

type Answer = Result<(Vec<u8>, [u8; 2]), [u8; 2]>;

impl Sam {
    /// A SAM without keys.
    #[must_use]
    pub fn new(random: Random) -> Self {
        Self { entries: BTreeMap::new(), counters: BTreeMap::new(), channels: Default::default(), random, exchanges: 0 }
    }

    /// Puts an entry into the key table.
    pub fn load(&mut self, number: u8, entry: KeyEntry) {
        self.entries.insert(number, entry);
    }

    /// Sets the limit of a key usage counter.
    pub fn limit(&mut self, counter: u8, limit: u32) {
        self.counters.insert(counter, UsageCounter { limit, value: 0 });
    }

    /// How many commands it was sent.
    #[must_use]
    pub fn exchanges(&self) -> u32 {
        self.exchanges
    }

    /// Takes its power away and gives it back: what is not in its key table is forgotten.
    pub fn power_cycle(&mut self) {
        self.channels = Default::default();
    }

    /// Carries out one command APDU and answers with data, SW1, SW2.
    pub fn answer(&mut self, command: &[u8]) -> Vec<u8> {
        self.exchanges += 1;
        let (mut data, status) = self.carry_out(command).unwrap_or_else(|status| (Vec::new(), status));
        data.extend(status);
        data
    }

    fn carry_out(&mut self, command: &[u8]) -> Answer {
        let command = Apdu::parse(command)?;
        let channel = usize::from(command.channel);
        let awaits_second = matches!(self.channels[channel], Channel::Begun(_));
        if awaits_second && !(command.instruction == 0x0A && command.p1 == 0) {
            self.channels[channel] = Channel::Idle;
            return Err(status::INCOMPLETE_CHAINING);
        }
        match command.instruction {
            0x60 => Self::get_version(&command),
            0x64 => self.get_key_entry(&command),
            0x6C => self.get_usage_counter(&command),
            0x0A if awaits_second => self.authenticate_second(channel, &command),
            0x0A => self.authenticate_first(channel, &command),
            0xD5 => self.dump_session_key(channel, &command),
            0xD6 => self.dump_secret_key(&command),
            0x01 => self.activate_offline_key(channel, &command),
            0x0E => self.encipher_offline_data(channel, &command),
            0xCA => self.kill_authentication(channel, &command),
            _ => Err(status::UNKNOWN_INSTRUCTION),
        }
    }

    fn get_version(command: &Apdu<'_>) -> Answer {
        command.expect(&[], true)?;
        let mut version = vec![0; 31];
        // Vendor NXP; hardware and software blocks, UID, batch; the last byte is the mode.
        version[0] = 0x04;
        version[14..21].copy_from_slice(&[0x04, 0x53, 0x41, 0x4D, 0x00, 0x00, 0x01]);
        version[30] = 0xA3;
        Ok((version, status::OK))
    }

    fn get_key_entry(&self, command: &Apdu<'_>) -> Answer {
        command.expect(&[], true)?;
        if command.p2 != 0x01 {
            return Err(status::WRONG_P1_P2);
        }
        let entry = self.entries.get(&command.p1).ok_or(status::KEY_REF_NO_INVALID)?;
        let [a, b, c] = entry.versions.map(|(version, _)| version);
        let set0 = 0x04 << 3 | u8::from(entry.allow_dump_session_key);
        let extended = entry.class as u8
            | u8::from(entry.allow_dump_secret_key) << 3
            | u8::from(entry.mandatory_diversification) << 4;
        let counter = entry.usage_counter.unwrap_or(0xFF);
        Ok((vec![a, b, c, 0, 0, 0, 0, 0, 0, counter, set0, 0x00, extended, 0x00, 0xFE, 0x00], status::OK))
    }

    fn get_usage_counter(&self, command: &Apdu<'_>) -> Answer {
        command.expect(&[], true)?;
        let counter = self.counters.get(&command.p1).ok_or(status::KEY_KUC_NO_INVALID)?;
        let fields = [&counter.limit.to_le_bytes()[..], &[0x00, 0x00], &counter.value.to_le_bytes()];
        Ok((fields.concat(), status::OK))
    }

    fn authenticate_first(&mut self, channel: usize, command: &Apdu<'_>) -> Answer {
        const EV2: u8 = 0x80;
        const NON_FIRST: u8 = 0x40;
        const AN10922: u8 = 0x10;
        const DIVERSIFIED: u8 = 0x01;
        if command.p1 & !(EV2 | NON_FIRST | AN10922 | DIVERSIFIED) != 0 || command.p2 != 0 || !command.has_le {
            return Err(status::WRONG_P1_P2);
        }
        let kind = match (command.p1 & EV2 != 0, command.p1 & NON_FIRST != 0) {
            (false, false) => Handshake::Aes,
            (true, false) => Handshake::Ev2First,
            (true, true) => Handshake::Ev2NonFirst,
            (false, true) => return Err(status::WRONG_P1_P2),
        };
        let (name, rest) = command.data.split_at_checked(2).ok_or(status::WRONG_LENGTH)?;
        let rest = match kind {
            Handshake::Aes => rest,
            // 00: EV2 secure messaging; 01 would be LRP.
            Handshake::Ev2First | Handshake::Ev2NonFirst => rest.strip_prefix(&[0x00]).ok_or(status::WRONG_DATA)?,
        };
        let (challenge, input) = rest.split_first_chunk::<16>().ok_or(status::WRONG_LENGTH)?;
        let input = (command.p1 & DIVERSIFIED != 0).then_some(input);
        if input.is_some() && command.p1 & AN10922 == 0 {
            // The diversification of AV1, which is for keys of 2K3DES.
            return Err(status::WRONG_P1_P2);
        }
        let dump_allowed = self.entry(name[0], KeyClass::Picc)?.allow_dump_session_key;
        let key = self.use_key(name, KeyClass::Picc, input)?;

        let rnd_a = (self.random)();
        let mut iv = [0; 16];
        let rnd_b = decrypt(&key, &mut iv, challenge);
        let rnd_b = rnd_b.try_into().map_err(|_| status::WRONG_LENGTH)?;
        if kind != Handshake::Aes {
            iv = [0; 16];
        }
        let cryptogram = encrypt(&key, &mut iv, &[rnd_a, rotated(rnd_b)].concat());
        if kind != Handshake::Aes {
            iv = [0; 16];
        }
        self.channels[channel] = Channel::Begun(Begun { kind, key, rnd_a, rnd_b, iv, dump_allowed });
        Ok((cryptogram, status::OK_CHAINING_ACTIVE))
    }

    fn authenticate_second(&mut self, channel: usize, command: &Apdu<'_>) -> Answer {
        let Channel::Begun(mut begun) = std::mem::take(&mut self.channels[channel]) else {
            return Err(status::COND_USE_NOT_SATISFIED);
        };
        if let [card_status] = command.data {
            return Ok((vec![*card_status], status::PROT_DESFIRE_ERROR));
        }
        let expected = if begun.kind == Handshake::Ev2First { 32 } else { 16 };
        if command.data.len() != expected || command.has_le != (begun.kind == Handshake::Ev2First) {
            return Err(status::WRONG_LENGTH);
        }
        let plain = decrypt(&begun.key, &mut begun.iv, command.data);
        let (identifier, proof, capabilities): (&[u8], &[u8], &[u8]) = match begun.kind {
            Handshake::Ev2First => (&plain[..4], &plain[4..20], &plain[20..]),
            Handshake::Aes | Handshake::Ev2NonFirst => (&[0; 4], &plain, &[]),
        };
        if proof != rotated(begun.rnd_a) {
            return Err(status::CRYPTO_FAILURE);
        }
        let dump = match begun.kind {
            Handshake::Aes => {
                let (a, b) = (begun.rnd_a, begun.rnd_b);
                [&a[..4], &b[..4], &a[12..], &b[12..]].concat()
            }
            Handshake::Ev2First | Handshake::Ev2NonFirst => {
                let [encryption, authentication] = [[0xA5, 0x5A], [0x5A, 0xA5]].map(|label| begun.session_key(label));
                [&encryption[..], &authentication, identifier, &[0; 2]].concat()
            }
        };
        self.channels[channel] = Channel::Authenticated(Session { dump: begun.dump_allowed.then_some(dump) });
        Ok((capabilities.to_vec(), status::OK))
    }

    fn dump_session_key(&mut self, channel: usize, command: &Apdu<'_>) -> Answer {
        command.expect(&[0x00], true)?;
        match &self.channels[channel] {
            Channel::Authenticated(Session { dump: Some(dump) }) => Ok((dump.clone(), status::OK)),
            Channel::Authenticated(Session { dump: None }) => Err(status::COMMAND_NOT_ALLOWED),
            Channel::Idle | Channel::Begun(_) | Channel::Offline(_) => Err(status::COND_USE_NOT_SATISFIED),
        }
    }

    fn dump_secret_key(&mut self, command: &Apdu<'_>) -> Answer {
        command.expect(&[0x00, 0x02], true)?;
        let (name, input) = command.data.split_at_checked(2).ok_or(status::WRONG_LENGTH)?;
        let entry = self.entries.get(&name[0]).ok_or(status::KEY_REF_NO_INVALID)?;
        if !entry.allow_dump_secret_key {
            return Err(status::COMMAND_NOT_ALLOWED);
        }
        let class = entry.class;
        let key = self.use_key(name, class, (command.p1 == 0x02).then_some(input))?;
        Ok((key.to_vec(), status::OK))
    }

    fn activate_offline_key(&mut self, channel: usize, command: &Apdu<'_>) -> Answer {
        command.expect(&[0x00, 0x01], false)?;
        let (name, input) = command.data.split_at_checked(2).ok_or(status::WRONG_LENGTH)?;
        let key = self.use_key(name, KeyClass::OfflineCrypto, (command.p1 == 0x01).then_some(input))?;
        self.channels[channel] = Channel::Offline(key);
        Ok((Vec::new(), status::OK))
    }

    fn encipher_offline_data(&mut self, channel: usize, command: &Apdu<'_>) -> Answer {
        command.expect(&[0x00], true)?;
        let Channel::Offline(key) = &self.channels[channel] else {
            return Err(status::COND_USE_NOT_SATISFIED);
        };
        if command.data.is_empty() || !command.data.len().is_multiple_of(16) {
            return Err(status::WRONG_LENGTH);
        }
        Ok((encrypt(key, &mut [0; 16], command.data), status::OK))
    }

    fn kill_authentication(&mut self, channel: usize, command: &Apdu<'_>) -> Answer {
        command.expect(&[0x00, 0x01], false)?;
        self.channels[channel] = Channel::Idle;
        Ok((Vec::new(), status::OK))
    }

    fn entry(&self, number: u8, class: KeyClass) -> Result<&KeyEntry, [u8; 2]> {
        let entry = self.entries.get(&number).ok_or(status::KEY_REF_NO_INVALID)?;
        if entry.class == class { Ok(entry) } else { Err(status::COND_USE_NOT_SATISFIED) }
    }

    /// The key of this entry and version, diversified if it is to be, counted.
    fn use_key(&mut self, name: &[u8], class: KeyClass, input: Option<&[u8]>) -> Result<[u8; 16], [u8; 2]> {
        let &[number, version] = name else { return Err(status::WRONG_LENGTH) };
        let entry = self.entry(number, class)?.clone();
        let found = entry.versions.into_iter().find(|&(other, _)| other == version && version != 0);
        let (_, key) = found.ok_or(status::KEY_VERSION_INVALID)?;
        let key = match input {
            Some(input) => diversified(&key, input).ok_or(status::WRONG_DATA)?,
            None if entry.mandatory_diversification => return Err(status::COND_USE_NOT_SATISFIED),
            None => key,
        };
        if let Some(counter) = entry.usage_counter.and_then(|counter| self.counters.get_mut(&counter)) {
            if counter.value >= counter.limit {
                return Err(status::COND_USE_NOT_SATISFIED);
            }
            counter.value += 1;
        }
        Ok(key)
    }
}

impl Transport for Sam {
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Lost> {
        Ok(self.answer(command))
    }
}

impl std::fmt::Debug for Sam {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sam").field("exchanges", &self.exchanges).finish_non_exhaustive()
    }
}

/// A short command APDU of class 80.
struct Apdu<'a> {
    channel: u8,
    instruction: u8,
    p1: u8,
    p2: u8,
    data: &'a [u8],
    has_le: bool,
}

impl<'a> Apdu<'a> {
    fn parse(command: &'a [u8]) -> Result<Self, [u8; 2]> {
        let (&[class, instruction, p1, p2], body) = command.split_first_chunk().ok_or(status::WRONG_LENGTH)?;
        if class & !0x03 != 0x80 {
            return Err(status::WRONG_CLASS);
        }
        let (data, has_le): (&[u8], bool) = match body {
            [] => (&[], false),
            [0x00] => (&[], true),
            [length, data @ ..] if data.len() == usize::from(*length) => (data, false),
            [length, data @ .., 0x00] if data.len() == usize::from(*length) => (data, true),
            _ => return Err(status::WRONG_LENGTH),
        };
        Ok(Self { channel: class & 0x03, instruction, p1, p2, data, has_le })
    }

    /// Refuses other parameters than the command has; P1 of the commands with an entry's number is any.
    fn expect(&self, p1: &[u8], has_le: bool) -> Result<(), [u8; 2]> {
        if !p1.is_empty() && (!p1.contains(&self.p1) || self.p2 != 0) {
            return Err(status::WRONG_P1_P2);
        }
        if self.has_le == has_le { Ok(()) } else { Err(status::WRONG_LENGTH) }
    }
}

impl Begun {
    /// SesAuthENC (label A55A) or SesAuthMAC (5AA5): AN12343, "session key generation".
    fn session_key(&self, label: [u8; 2]) -> [u8; 16] {
        let (a, b) = (&self.rnd_a, &self.rnd_b);
        let mixed: Vec<u8> = a[2..8].iter().zip(&b[..6]).map(|(a, b)| a ^ b).collect();
        let vector = [&label[..], &[0x00, 0x01, 0x00, 0x80], &a[..2], &mixed, &b[6..], &a[8..]].concat();
        let mut mac = <Cmac<Aes128> as KeyInit>::new((&self.key).into());
        mac.update(&vector);
        mac.finalize().into_bytes().into()
    }
}

fn rotated(mut block: [u8; 16]) -> [u8; 16] {
    block.rotate_left(1);
    block
}

/// CBC over whole blocks; `iv` is left at the last ciphertext block.
fn encrypt(key: &[u8; 16], iv: &mut [u8; 16], plain: &[u8]) -> Vec<u8> {
    let cipher = Aes128::new(key.into());
    let mut out = Vec::with_capacity(plain.len());
    for block in plain.as_chunks::<16>().0 {
        let mut chained: [u8; 16] = std::array::from_fn(|i| block[i] ^ iv[i]);
        cipher.encrypt_block((&mut chained).into());
        *iv = chained;
        out.extend(chained);
    }
    out
}

/// The inverse of [`encrypt`].
fn decrypt(key: &[u8; 16], iv: &mut [u8; 16], ciphertext: &[u8]) -> Vec<u8> {
    let cipher = Aes128::new(key.into());
    let mut out = Vec::with_capacity(ciphertext.len());
    for block in ciphertext.as_chunks::<16>().0 {
        let mut plain = *block;
        cipher.decrypt_block((&mut plain).into());
        out.extend(plain.iter().zip(&*iv).map(|(plain, iv)| plain ^ iv));
        *iv = *block;
    }
    out
}

/// AN10922, section 2.2: AES-128 over one input of 1 to 31 bytes.
fn diversified(master: &[u8; 16], input: &[u8]) -> Option<[u8; 16]> {
    crate::diversify_aes128(master, input)
}
