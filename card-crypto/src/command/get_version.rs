//! GetVersion (60): 28 or 29 bytes in three frames; in a session the MAC follows them.
//!
//! Source: NXP AN12196 "NTAG 424 DNA and NTAG 424 DNA TagTamper features and hints", GetVersion; the hardware versions from
//! proxmark3.

use crate::{
    card::{Card, Conversation},
    command::Command,
    error::{Error, Misbehaviour},
    file::CommunicationMode,
    request::Request,
    transport::Transport,
    wire::exactly,
};

/// Without and with the byte that says for whom a chip was configured.
const ANSWER_BYTES: [usize; 2] = [28, 29];

/// What a card says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// The chip.
    pub hardware: Component,
    /// What runs on it.
    pub software: Component,
    /// The UID; zeros on a card that shows random ones.
    pub uid: [u8; 7],
    /// The production batch.
    pub batch: [u8; 5],
    /// Calendar week of production, binary-coded decimal; bit 7 is no part of it.
    pub production_week: u8,
    /// Year of production, the last two digits, binary-coded decimal.
    pub production_year: u8,
    /// For whom the chip was configured (FabKeyID), where it was.
    pub configured_for: Option<u8>,
}

/// A generation of DESFire, of those that this crate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generation {
    /// No EV2 sessions, no Transaction MAC.
    Ev1,
    /// EV2 sessions, Transaction MAC, key sets.
    Ev2,
    /// As EV2, and more.
    Ev3,
}

impl Version {
    /// The generation of a DESFire; `None` of what is no DESFire chip, or an unknown one. Anybody can claim any.
    #[must_use]
    pub const fn generation(&self) -> Option<Generation> {
        match (self.hardware.vendor, self.hardware.kind, self.hardware.major) {
            (0x04, 0x01, 0x01) => Some(Generation::Ev1),
            (0x04, 0x01, 0x12 | 0x22) => Some(Generation::Ev2),
            (0x04, 0x01, 0x33) => Some(Generation::Ev3),
            _ => None,
        }
    }
}

/// One half of a [`Version`], as codes of the maker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    /// 04 is NXP.
    pub vendor: u8,
    /// 01 is DESFire, 08 DESFire Light, 04 NTAG.
    pub kind: u8,
    /// The maker's subtype.
    pub subtype: u8,
    /// The generation: of hardware, 01 is EV1, 12 EV2, 33 EV3 (hexadecimal).
    pub major: u8,
    /// Minor version.
    pub minor: u8,
    /// Bits 7 to 1: n for 2^n bytes; bit 0: somewhat more than that.
    pub storage: u8,
    /// 05 is ISO 14443-3 and -4.
    pub protocol: u8,
}

impl<T: Transport, C: Conversation> Card<T, C> {
    /// Asks what the card is (GetVersion); outside of a session nothing proves it.
    ///
    /// # Errors
    /// Any [`Error`]; it ends the session, if there is one.
    pub fn get_version(&mut self) -> Result<Version, Error> {
        let request = Request::new(Command::GetVersion, CommunicationMode::Mac, []);
        let [least, most] = ANSWER_BYTES;
        self.run(Ok(request.answers_between(least, most)), |answer| decode(&answer))
    }
}

fn decode(answer: &[u8]) -> Result<Version, Misbehaviour> {
    let wrong_length = Misbehaviour::WrongLength { expected: ANSWER_BYTES[0], actual: answer.len() };
    let (bytes, more) = answer.split_first_chunk::<{ ANSWER_BYTES[0] }>().ok_or(wrong_length)?;
    let component = |at: usize| Component {
        vendor: bytes[at],
        kind: bytes[at + 1],
        subtype: bytes[at + 2],
        major: bytes[at + 3],
        minor: bytes[at + 4],
        storage: bytes[at + 5],
        protocol: bytes[at + 6],
    };
    Ok(Version {
        hardware: component(0),
        software: component(7),
        uid: exactly(&bytes[14..21])?,
        batch: exactly(&bytes[21..26])?,
        production_week: bytes[26],
        production_year: bytes[27],
        configured_for: more.first().copied(),
    })
}
