//! One command as its file states it, before secure messaging.

use crate::{command::Command, error::Misbehaviour, file::CommunicationMode};

/// What is sent, and what must come back.
#[derive(Debug)]
pub struct Request<H, D> {
    pub(crate) command: Command,
    /// How the command travels in a session.
    pub(crate) mode: CommunicationMode,
    /// How the answer travels in a session.
    pub(crate) answer_mode: CommunicationMode,
    /// The part that stays in clear and is authenticated before the data.
    pub(crate) header: H,
    /// The part that mode Full enciphers.
    pub(crate) data: D,
    /// See [`Plaintext::checksum`](crate::channel::Plaintext::checksum).
    pub(crate) checksum: Option<[u8; 4]>,
    /// Bytes of the answer at least, once verified and deciphered.
    pub(crate) answer_bytes_min: usize,
    /// Bytes of the answer at most.
    pub(crate) answer_bytes_max: usize,
}

impl<H> Request<H, [u8; 0]> {
    /// A command that travels in this mode both ways, has no data and answers none.
    pub(crate) fn new(command: Command, mode: CommunicationMode, header: H) -> Self {
        Self {
            command,
            mode,
            answer_mode: mode,
            header,
            data: [],
            checksum: None,
            answer_bytes_min: 0,
            answer_bytes_max: 0,
        }
    }

    pub(crate) fn data<D>(self, data: D) -> Request<H, D> {
        let Self { command, mode, answer_mode, header, data: [], checksum, answer_bytes_min, answer_bytes_max } = self;
        Request { command, mode, answer_mode, header, data, checksum, answer_bytes_min, answer_bytes_max }
    }
}

impl<H, D> Request<H, D> {
    pub(crate) fn checksum(self, checksum: Option<[u8; 4]>) -> Self {
        Self { checksum, ..self }
    }

    /// The answer has exactly so many bytes.
    pub(crate) fn answers(self, bytes: usize) -> Self {
        self.answers_between(bytes, bytes)
    }

    pub(crate) fn answers_between(self, answer_bytes_min: usize, answer_bytes_max: usize) -> Self {
        Self { answer_bytes_min, answer_bytes_max, ..self }
    }

    pub(crate) fn answer_mode(self, answer_mode: CommunicationMode) -> Self {
        Self { answer_mode, ..self }
    }

    /// Whether an answer of this length can be one to this command.
    pub(crate) fn check_length(&self, actual: usize) -> Result<(), Misbehaviour> {
        if self.answer_bytes_min <= actual && actual <= self.answer_bytes_max {
            Ok(())
        } else {
            Err(Misbehaviour::WrongLength { expected: self.answer_bytes_max, actual })
        }
    }
}
