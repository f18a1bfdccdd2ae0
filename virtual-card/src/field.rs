//! A card in a reader's field: what travels, and what can go wrong on the way.

use std::time::Duration;

use card_crypto::{Lost, Transport};

use crate::{
    chip_times::chip_time,
    instruction,
    picc::{Activation, Picc},
};

/// Something that goes wrong at one exchange of a presentation, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The field is lost before the card acts on this command.
    LoseBefore(u32),
    /// The field is lost after the card acted on this command, with its answer.
    LoseAfter(u32),
    /// The field is lost within this command, of which so many bytes arrive: the card never acts on it.
    LoseInCommand(u32, usize),
    /// The field is lost within the answer: the card has acted, and so many bytes of its answer arrive.
    LoseInAnswer(u32, usize),
    /// The card acts and the answer is held back: until it is released, or for ever to an in-process reader.
    Hold(u32),
}

/// One command sent to the card, and what came back.
///
/// Pseudo-commands of class FF, which a reader answers itself, are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// From 1.
    pub number: u32,
    /// The command APDU.
    pub command: Vec<u8>,
    /// The answer as it travelled, cut off where the field was lost within it; none where it was lost before.
    pub answer: Option<Vec<u8>>,
}

impl Exchange {
    /// The command's name in the documents.
    #[must_use]
    pub fn instruction_name(&self) -> &'static str {
        match self.command[..] {
            [0x90, code, ..] => instruction::name(code),
            [0x00, 0xA4, ..] => "SELECT",
            [code, ..] => instruction::name(code),
            [] => "unknown",
        }
    }
}

/// What a presentation cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Commands sent to the card.
    pub exchanges: u32,
    /// Bytes of all frames: each APDU and each answer with three protocol bytes (PCB and CRC).
    pub bytes_on_air: u64,
}

/// What became of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The reader has this answer.
    Answered(Vec<u8>),
    /// The card has acted; this answer waits until it is released.
    Held(Vec<u8>),
    /// The field was lost within this answer, of which so many bytes arrived.
    Torn(Vec<u8>, usize),
    /// The field is gone.
    Lost,
}

/// Changes an answer on its way to the reader; it is given the exchange's number.
pub type Mutation = Box<dyn FnMut(u32, Vec<u8>) -> Vec<u8> + Send>;

/// A card from its presentation to its removal.
pub struct CardInField {
    picc: Picc,
    fault: Option<Fault>,
    mutation: Option<Mutation>,
    transcript: Vec<Exchange>,
    is_lost: bool,
    has_chip_times: bool,
}

impl CardInField {
    /// Brings a card into the field; it has just got its power.
    #[must_use]
    pub fn new(mut picc: Picc) -> Self {
        picc.power_off();
        Self { picc, fault: None, mutation: None, transcript: vec![], is_lost: false, has_chip_times: false }
    }

    /// Adds something that goes wrong.
    #[must_use]
    pub fn with_fault(self, fault: Fault) -> Self {
        Self { fault: Some(fault), ..self }
    }

    /// Adds a change of the answers.
    #[must_use]
    pub fn with_mutation(self, mutation: Mutation) -> Self {
        Self { mutation: Some(mutation), ..self }
    }

    /// Lets the card take the time that a chip takes; whoever carries its answers waits for it.
    #[must_use]
    pub fn with_chip_times(self) -> Self {
        Self { has_chip_times: true, ..self }
    }

    /// How long the card takes over the last exchange; nothing without [`with_chip_times`](Self::with_chip_times). Nobody
    /// waits here.
    #[must_use]
    pub fn chip_time(&self) -> Duration {
        let mut newest = self.transcript.iter().rev().map(|exchange| exchange.command.as_slice());
        match newest.next() {
            Some(command) if self.has_chip_times => chip_time(command, newest.next()),
            _ => Duration::ZERO,
        }
    }

    /// Carries one command to the card, or answers it as a reader does.
    pub fn step(&mut self, command: &[u8]) -> Step {
        if self.is_lost || self.picc.activation() == Activation::Clash {
            return Step::Lost;
        }
        if command.first() == Some(&0xFF) {
            return Step::Answered(self.reader_front_end(command));
        }
        let number = self.next_number();
        match self.fault {
            Some(Fault::LoseBefore(at)) if at == number => return self.lose(number, command, None),
            Some(Fault::LoseInCommand(at, arrived)) if at == number => {
                return self.lose(number, &command[..arrived.min(command.len())], None);
            }
            _ => {}
        }
        let mut answer = self.picc.handle(command);
        match self.fault {
            Some(Fault::LoseAfter(at)) if at == number => return self.lose(number, command, None),
            Some(Fault::LoseInAnswer(at, arrived)) if at == number && arrived < answer.len() => {
                self.lose(number, command, (arrived > 0).then(|| answer[..arrived].to_vec()));
                return if arrived == 0 { Step::Lost } else { Step::Torn(answer, arrived) };
            }
            _ => {}
        }
        if let Some(mutation) = &mut self.mutation {
            answer = mutation(number, answer);
        }
        self.transcript.push(Exchange { number, command: command.to_vec(), answer: Some(answer.clone()) });
        if self.fault == Some(Fault::Hold(number)) { Step::Held(answer) } else { Step::Answered(answer) }
    }

    /// The reader takes the card's power for a moment.
    pub fn power_cycle(&mut self) {
        self.picc.power_off();
    }

    /// The exchanges so far.
    #[must_use]
    pub fn transcript(&self) -> &[Exchange] {
        &self.transcript
    }

    /// The cost so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        const PROTOCOL_BYTES: usize = 3;
        let on_air = |bytes: &Vec<u8>| (bytes.len() + PROTOCOL_BYTES) as u64;
        let bytes = self
            .transcript
            .iter()
            .map(|exchange| on_air(&exchange.command) + exchange.answer.as_ref().map_or(0, on_air));
        Traffic { exchanges: self.next_number() - 1, bytes_on_air: bytes.sum() }
    }

    /// The card as it now is.
    #[must_use]
    pub const fn card(&self) -> &Picc {
        &self.picc
    }

    /// Takes the card out of the field.
    #[must_use]
    pub fn remove(mut self) -> Picc {
        self.picc.power_off();
        self.picc
    }

    fn next_number(&self) -> u32 {
        self.transcript.last().map_or(1, |exchange| exchange.number + 1)
    }

    fn lose(&mut self, number: u32, command: &[u8], answer: Option<Vec<u8>>) -> Step {
        self.transcript.push(Exchange { number, command: command.to_vec(), answer });
        self.picc.power_off();
        self.is_lost = true;
        Step::Lost
    }

    /// Pseudo-commands that a PC/SC reader answers without the card (PC/SC part 3, section 3.2.2).
    fn reader_front_end(&self, command: &[u8]) -> Vec<u8> {
        const GET_UID: [u8; 5] = [0xFF, 0xCA, 0x00, 0x00, 0x00];
        const FUNCTION_NOT_SUPPORTED: [u8; 2] = [0x6A, 0x81];
        if command == GET_UID {
            [&self.picc.shown_uid()[..], &[0x90, 0x00]].concat()
        } else {
            FUNCTION_NOT_SUPPORTED.to_vec()
        }
    }
}

impl Transport for CardInField {
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Lost> {
        match self.step(command) {
            Step::Answered(answer) => Ok(answer),
            // What a reader hands on of an answer that broke off.
            Step::Torn(mut answer, arrived) => {
                answer.truncate(arrived);
                Ok(answer)
            }
            Step::Held(_) => Err(Lost::Silent),
            Step::Lost => Err(Lost::Card),
        }
    }
}

impl std::fmt::Debug for CardInField {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("CardInField")
            .field("picc", &self.picc)
            .field("fault", &self.fault)
            .field("transcript", &self.transcript)
            .finish_non_exhaustive()
    }
}
