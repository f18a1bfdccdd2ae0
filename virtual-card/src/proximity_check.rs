//! The proximity check: PreparePC, ProximityCheck, VerifyPC (EV2).
//!
//! Source: proxmark3 `DesfirePCRun`, tried by its authors on an EV3. A card in memory is always near; what it proves is
//! that it holds the key.

use crate::{
    crypto::{Block, truncated_cmac},
    instruction,
    picc::{Outcome, Picc, Reply},
    status::Status,
};

/// Bytes of the challenge and of the answer, over all rounds.
const CHALLENGE_LENGTH: usize = 8;
/// The answer to PreparePC, as an EV3 gave it: a bit rate follows, the time in which it answers, the bit rate.
const PARAMETERS: [u8; 4] = [0x01, 0x03, 0x20, 0x00];

/// A check that has begun. Everything else waits until it is verified or the field is gone.
pub(crate) struct ProximityCheck {
    answer: Vec<u8>,
    /// Each round's answer and challenge.
    rounds: Vec<u8>,
}

impl Picc {
    /// Refuses every other command while a check runs.
    pub(crate) fn check_proximity_mode(&self, instruction: u8) -> Result<(), Status> {
        let belongs = matches!(
            instruction,
            instruction::PREPARE_PROXIMITY_CHECK | instruction::PROXIMITY_CHECK | instruction::VERIFY_PROXIMITY_CHECK
        );
        if self.proximity_check.is_some() && !belongs { Err(Status::ProximityCheckRuns) } else { Ok(()) }
    }

    /// `F0`: begins a check.
    pub(crate) fn prepare_proximity_check(&mut self, data: &[u8]) -> Outcome {
        if !data.is_empty() {
            return Err(Status::Length);
        }
        let answer = (self.random)()[..CHALLENGE_LENGTH].to_vec();
        self.proximity_check = Some(ProximityCheck { answer, rounds: vec![] });
        Ok(Reply::Whole90(PARAMETERS.to_vec()))
    }

    /// `F2 Length Challenge`: a round; as many bytes of the answer as of the challenge, eight over all rounds.
    pub(crate) fn proximity_check(&mut self, data: &[u8]) -> Outcome {
        let check = self.proximity_check.as_mut().ok_or(Status::IllegalCommand)?;
        let (&length, challenge) = data.split_first().ok_or(Status::Length)?;
        if challenge.len() != usize::from(length) || challenge.is_empty() {
            return Err(Status::Length);
        }
        if challenge.len() > check.answer.len() {
            return Err(Status::Boundary);
        }
        let rest = check.answer.split_off(challenge.len());
        let answer = std::mem::replace(&mut check.answer, rest);
        check.rounds.extend(&answer);
        check.rounds.extend(challenge);
        Ok(Reply::Whole90(answer))
    }

    /// `FD MAC`: both show that they saw the same rounds, under key 21. Ends the check.
    pub(crate) fn verify_proximity_check(&mut self, data: &[u8]) -> Outcome {
        let check = self.proximity_check.take().ok_or(Status::IllegalCommand)?;
        if !check.answer.is_empty() {
            return Err(Status::Parameter);
        }
        let key = self.proximity_key()?;
        let mac = |first: u8| truncated_cmac(&key, &[&[first][..], &PARAMETERS, &check.rounds].concat());
        if data.len() != 8 {
            return Err(Status::Length);
        }
        if data != mac(instruction::VERIFY_PROXIMITY_CHECK) {
            return Err(Status::Integrity);
        }
        Ok(Reply::Whole90(mac(Status::OkOfSignature.byte()).to_vec()))
    }

    /// The application's own key where it has one, otherwise the card's.
    fn proximity_key(&self) -> Result<Block, Status> {
        let own = self.application().ok().and_then(|application| application.proximity_key.as_ref());
        own.unwrap_or(&self.memory.proximity_key).as_aes().ok_or(Status::NoSuchKey)
    }
}
