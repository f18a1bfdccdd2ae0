//! GetVersion (60): 28 bytes in three frames; in a session the MAC follows them.
//!
//! Source: NXP AN12196 "NTAG 424 DNA and NTAG 424 DNA TagTamper features and hints", GetVersion.

use crate::{
    card::{Card, Conversation},
    command::Command,
    error::{Error, Misbehaviour},
    file::CommunicationMode,
    request::Request,
    transport::Transport,
    wire::exactly,
};

const ANSWER_BYTES: usize = 28;

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
    /// Calendar week of production, binary-coded decimal.
    pub production_week: u8,
    /// Year of production, the last two digits, binary-coded decimal.
    pub production_year: u8,
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
        self.run(Ok(request.answers(ANSWER_BYTES)), |answer| decode(&answer))
    }
}

fn decode(answer: &[u8]) -> Result<Version, Misbehaviour> {
    let bytes: [u8; ANSWER_BYTES] = exactly(answer)?;
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
    })
}
