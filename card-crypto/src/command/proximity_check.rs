//! PreparePC (F0), ProximityCheck (F2), VerifyPC (FD): a challenge in timed rounds, then a MAC over all of them; status 90.
//!
//! ```text
//! PreparePC         → option ‖ answer time (2) [‖ PPS1]
//! ProximityCheck    length ‖ challenge  → answer, in up to 8 rounds of 8 bytes together
//! VerifyPC          MAC(K, FD ‖ option ‖ answer time [‖ PPS1] ‖ (answer ‖ challenge)…)  → MAC(K, 90 ‖ the same)
//! ```
//!
//! **What it does not prove over PC/SC**: the rounds tell a relay from the card by microseconds, and reader firmware and
//! USB add milliseconds that vary. Through a PC/SC reader it proves that a card with the key took part, and not that it is
//! near. A reader that times the rounds itself can use this arithmetic.
//!
//! Source: NXP AN12343 on the truncated MAC; proxmark3 for the messages, which are not in a public text by the maker.

use crate::{
    apdu::exchange_command,
    card::{Card, Idle},
    command::Command,
    error::{Error, Misbehaviour, Misuse},
    key::Key,
    mac::{same, truncated_cmac},
    status::Status,
    transport::Transport,
    wire::{exactly, within},
};

/// Bytes of all challenges together, and of all answers.
const CHALLENGE_BYTES: usize = 8;

/// Option: the bit rate (PPS1) is part of the check.
const WITH_BIT_RATE: u8 = 0x01;

/// A proximity check is under way: the card refuses everything else until it has left the field.
#[derive(Debug)]
pub struct ProximityCheck {
    /// Option ‖ answer time [‖ PPS1] ‖ (answer ‖ challenge)…
    transcript: Vec<u8>,
    /// The time in which the card says that it answers a round, in the card's own unit.
    answer_time: u16,
    challenge_bytes_left: usize,
}

impl<T: Transport> Card<T, Idle> {
    /// Announces a proximity check (PreparePC).
    ///
    /// # Errors
    /// Any [`Error`] except misuse.
    pub fn prepare_proximity_check(mut self) -> Result<Card<T, ProximityCheck>, Error> {
        let transcript = exchange_command(&mut self.transport, self.frame_size, Command::PreparePc, &[], 4)?;
        let answer_time = match *transcript.as_slice() {
            [option, low, high] if option & WITH_BIT_RATE == 0 => u16::from_le_bytes([low, high]),
            [option, low, high, _] if option & WITH_BIT_RATE != 0 => u16::from_le_bytes([low, high]),
            _ => return Err(Misbehaviour::WrongLength { expected: 4, actual: transcript.len() }.into()),
        };
        let state = ProximityCheck { transcript, answer_time, challenge_bytes_left: CHALLENGE_BYTES };
        Ok(Card { transport: self.transport, frame_size: self.frame_size, state })
    }
}

impl<T: Transport> Card<T, ProximityCheck> {
    /// The time in which the card says that it answers a round, as transmitted; whoever can measure it compares.
    #[must_use]
    pub fn answer_time(&self) -> u16 {
        self.state.answer_time
    }

    /// One round (ProximityCheck): sends `challenge`, which must be unpredictable, and takes as many bytes back. All
    /// challenges of one check have 8 bytes together.
    ///
    /// # Errors
    /// [`Misuse::OutOfRange`] when the challenge is empty or the challenges are more than 8 bytes together, and any other
    /// [`Error`].
    pub fn proximity_check(&mut self, challenge: &[u8]) -> Result<(), Error> {
        let left = u32::try_from(self.state.challenge_bytes_left).unwrap_or(0);
        let length = u32::try_from(challenge.len()).unwrap_or(u32::MAX);
        let length = within("challenge", length, 1, left).map_err(Misuse::from)?;
        let [length, ..] = length.to_le_bytes();

        let body = [&[length], challenge].concat();
        let command = Command::ProximityCheck;
        let answer = exchange_command(&mut self.transport, self.frame_size, command, &body, challenge.len())?;
        if answer.len() != challenge.len() {
            return Err(Misbehaviour::WrongLength { expected: challenge.len(), actual: answer.len() }.into());
        }
        self.state.challenge_bytes_left -= challenge.len();
        self.state.transcript.extend_from_slice(&answer);
        self.state.transcript.extend_from_slice(challenge);
        Ok(())
    }

    /// Ends the check (VerifyPC): reader and card prove to each other that they saw the same rounds. `key` is the card's
    /// VCProximityKey.
    ///
    /// # Errors
    /// [`Misuse::OutOfRange`] when the challenges are less than 8 bytes together,
    /// [`Misbehaviour::WrongMac`] when the card saw other rounds or does not know the key, and any other [`Error`].
    pub fn verify_proximity_check(mut self, key: &Key) -> Result<Card<T, Idle>, Error> {
        let left = u32::try_from(self.state.challenge_bytes_left).unwrap_or(u32::MAX);
        within("bytes of challenges that are missing", left, 0, 0).map_err(Misuse::from)?;

        let mac = |first: u8| truncated_cmac(key, &[&[first], self.state.transcript.as_slice()].concat());
        let (ours, expected) = (mac(Command::VerifyPc.code()), mac(Status::Done.code()));
        let theirs: [u8; 8] =
            exactly(&exchange_command(&mut self.transport, self.frame_size, Command::VerifyPc, &ours, 8)?)?;
        if same(&expected, &theirs) { Ok(self.into_idle()) } else { Err(Misbehaviour::WrongMac.into()) }
    }
}
