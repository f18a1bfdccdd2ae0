//! Commands of MIFARE SAM AV3 (and of AV2 where they are the same), as bytes.
//!
//! The data sheets of the SAMs are not public. Instruction codes, parameters and status words are those of NXP's own
//! Reader Library, SAM AV3 component (`phhalHw_SamAV3_Cmd.h` and `.c`, `phKeyStore_SamAV3`), which device makers publish
//! with their firmware; where another source is used, the function says so. What none of them settles is in
//! `docs/keys.md`, "What could not be checked".
//!
//! Everything here is a short APDU of class 80; its two low bits name the logical channel.

use card_crypto::{Lost, Transport};
use zeroize::Zeroizing;

/// A state of its own in the SAM: which key is active there, and whether a handshake is under way.
///
/// A PICC authentication and an activated offline key displace each other, so tokens have a channel to themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// Handshakes with cards.
    Cards = 0,
    /// Card tokens.
    Tokens = 1,
}

/// The name of SAM_DumpSessionKey, for errors.
pub(crate) const DUMP_SESSION_KEY: &str = "SAM_DumpSessionKey";

/// SW1 SW2: done.
const OK: u16 = 0x9000;
/// SW1 SW2: the SAM expects the second part of a handshake.
const OK_CHAINING_ACTIVE: u16 = 0x90AF;
/// SW1 SW2: what was to be proved was not.
pub(crate) const CRYPTO_FAILURE: u16 = 0x901E;
/// SW1 SW2: the second part of a handshake was expected; the handshake is over, and the new command was ignored.
const INCOMPLETE_CHAINING: u16 = 0x6883;
/// SW1 SW2: conditions of use not satisfied, such as a key that is not active or a usage counter at its limit.
pub(crate) const CONDITIONS_OF_USE: u16 = 0x6985;

/// A command that the SAM did not carry out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No answer came.
    Lost(Lost),
    /// The SAM refused.
    Refused { command: &'static str, status: u16 },
    /// It answered with another number of bytes than the command has.
    Length { command: &'static str, expected: usize, found: usize },
}

/// One command, built.
pub(crate) struct SamCommand {
    name: &'static str,
    bytes: Zeroizing<Vec<u8>>,
    expected: u16,
    lengths: &'static [usize],
}

impl SamCommand {
    /// SAM_GetVersion (60): 31 bytes; the last says the mode: A2 for AV2, A3 for AV3.
    pub(crate) fn get_version() -> Self {
        Self::new("SAM_GetVersion", Channel::Cards, 0x60, 0x00, 0x00, &[&[]], true, &[31])
    }

    /// SAM_GetKeyEntry (64), P2 = 01 for the format of AV3: versions A, B and C, DF AID (3), DF key number, number and
    /// version of the key that may change the entry, usage counter, SET (2), ExtSET (2), number and version of the key
    /// that may use it.
    pub(crate) fn get_key_entry(entry: u8) -> Self {
        Self::new("SAM_GetKeyEntry", Channel::Cards, 0x64, entry, 0x01, &[&[]], true, &[16])
    }

    /// SAM_GetKUCEntry (6C): limit (4), number and version of the key that may change it, value (4); least significant
    /// byte first. Source of the layout: liblogicalaccess, `SAMKucEntry`.
    pub(crate) fn get_kuc_entry(counter: u8) -> Self {
        Self::new("SAM_GetKUCEntry", Channel::Cards, 0x6C, counter, 0x00, &[&[]], true, &[10])
    }

    /// SAM_AuthenticatePICC (0A), first part: key, the card's E(K, RndB), diversification input → E(K, RndA ‖ RndB').
    pub(crate) fn authenticate_picc(
        kind: Handshake,
        (entry, version): (u8, u8),
        challenge: &[u8; 16],
        input: &[u8],
    ) -> Self {
        /// AN10922 ("AV2 compatible" in the SAM's words), and the key is diversified.
        const DIVERSIFIED_AN10922: u8 = 0x10 | 0x01;
        /// Standard EV2 secure messaging, not LRP; absent in an EV1 handshake.
        const EV2: &[u8] = &[0x00];
        let (mode, session): (u8, &[u8]) = match kind {
            Handshake::Aes => (0x00, &[]),
            Handshake::Ev2First => (0x80, EV2),
            Handshake::Ev2NonFirst => (0xC0, EV2),
        };
        let parts = [&[entry, version], session, challenge, input];
        let mut command = Self::new(
            "SAM_AuthenticatePICC",
            Channel::Cards,
            0x0A,
            mode | DIVERSIFIED_AN10922,
            0x00,
            &parts,
            true,
            &[32],
        );
        command.expected = OK_CHAINING_ACTIVE;
        command
    }

    /// SAM_AuthenticatePICC (0A), second part: the card's last message → PDcap2 ‖ PCDcap2 after EV2First, else nothing.
    pub(crate) fn authenticate_picc_second(kind: Handshake, message: &[u8]) -> Self {
        let (has_answer, lengths): (bool, &[usize]) = match kind {
            Handshake::Ev2First => (true, &[12]),
            Handshake::Aes | Handshake::Ev2NonFirst => (false, &[0]),
        };
        Self::new("SAM_AuthenticatePICC", Channel::Cards, 0x0A, 0x00, 0x00, &[message], has_answer, lengths)
    }

    /// SAM_AuthenticatePICC (0A), second part of a handshake that the card broke off: its status byte alone. The SAM
    /// answers 90DF.
    pub(crate) fn authenticate_picc_failed(card_status: u8) -> Self {
        const ERROR_OF_DESFIRE: u16 = 0x90DF;
        let mut command =
            Self::new("SAM_AuthenticatePICC", Channel::Cards, 0x0A, 0x00, 0x00, &[&[card_status]], true, &[1]);
        command.expected = ERROR_OF_DESFIRE;
        command
    }

    /// SAM_DumpSessionKey (D5), in the clear: session keys, and after EV2 the transaction identifier and the command counter.
    pub(crate) fn dump_session_key(kind: Handshake) -> Self {
        let lengths: &[usize] = match kind {
            Handshake::Aes => &[16],
            Handshake::Ev2First | Handshake::Ev2NonFirst => &[38],
        };
        Self::new(DUMP_SESSION_KEY, Channel::Cards, 0xD5, 0x00, 0x00, &[&[]], true, lengths)
    }

    /// SAM_DumpSecretKey (D6), in the clear and diversified: one card's own key.
    pub(crate) fn dump_secret_key((entry, version): (u8, u8), input: &[u8]) -> Self {
        const DIVERSIFIED: u8 = 0x02;
        let parts: [&[u8]; 2] = [&[entry, version], input];
        Self::new("SAM_DumpSecretKey", Channel::Cards, 0xD6, DIVERSIFIED, 0x00, &parts, true, &[16])
    }

    /// SAM_ActivateOfflineKey (01), not diversified.
    pub(crate) fn activate_offline_key((entry, version): (u8, u8)) -> Self {
        let key: &[u8] = &[entry, version];
        Self::new("SAM_ActivateOfflineKey", Channel::Tokens, 0x01, 0x00, 0x00, &[key], false, &[0])
    }

    /// SAM_EncipherOfflineData (0E): CBC with a zero IV, which over one block is the block enciphered.
    pub(crate) fn encipher_offline_data(block: &[u8; 16]) -> Self {
        Self::new("SAM_EncipherOfflineData", Channel::Tokens, 0x0E, 0x00, 0x00, &[block], true, &[16])
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of an APDU, named once, here")]
    fn new(
        name: &'static str,
        channel: Channel,
        instruction: u8,
        p1: u8,
        p2: u8,
        data: &[&[u8]],
        has_answer: bool,
        lengths: &'static [usize],
    ) -> Self {
        const CLASS: u8 = 0x80;
        let length: usize = data.iter().map(|part| part.len()).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(length + 6));
        bytes.extend_from_slice(&[CLASS | channel as u8, instruction, p1, p2]);
        if length > 0 {
            bytes.push(u8::try_from(length).expect("every command here is shorter than 256 bytes"));
            data.iter().for_each(|part| bytes.extend_from_slice(part));
        }
        if has_answer {
            bytes.push(0x00);
        }
        Self { name, bytes, expected: OK, lengths }
    }

    /// Sends it and returns the answer's data.
    pub(crate) fn exchange(&self, sam: &mut impl Transport) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let mut answer = Zeroizing::new(sam.exchange(&self.bytes).map_err(Failure::Lost)?);
        let command = self.name;
        let Some(&[sw1, sw2]) = answer.last_chunk() else {
            return Err(Failure::Lost(Lost::Card));
        };
        let status = u16::from_be_bytes([sw1, sw2]);
        if status != self.expected {
            return Err(Failure::Refused { command, status });
        }
        let found = answer.len() - 2;
        answer.truncate(found);
        if self.lengths.contains(&found) {
            Ok(answer)
        } else {
            Err(Failure::Length { command, expected: self.lengths[0], found })
        }
    }

    /// The same, for a command that begins something. Where an earlier handshake was broken off, the SAM still waits for
    /// its second part: it ends that and ignores this command, which is sent again.
    pub(crate) fn exchange_anew(&self, sam: &mut impl Transport) -> Result<Zeroizing<Vec<u8>>, Failure> {
        match self.exchange(sam) {
            Err(Failure::Refused { status: INCOMPLETE_CHAINING, .. }) => self.exchange(sam),
            answer => answer,
        }
    }
}

/// Which handshake a SAM is asked to take part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// AuthenticateAES.
    Aes,
    /// AuthenticateEV2First.
    Ev2First,
    /// AuthenticateEV2NonFirst.
    Ev2NonFirst,
}
