//! How long a tap takes on a real reader and a real card, from the bytes that it really sends: ISO/IEC 14443 type A at
//! 106 kbit/s.
//!
//! A model, not a measurement: frames follow from the standard, times of chip and reader from
//! [`rf_constants`](crate::rf_constants).

use card_crypto::Command;
use virtual_card::field::Exchange;

use crate::{
    rf_constants::{
        ACTIVATION_FRAMES_BYTES, ACTIVATION_GAP_MS, CARRIER_HZ, CARRIER_PERIODS_PER_BIT, FRAME_BYTES_MAX,
        GUARD_CARRIER_PERIODS, INTENT_WAIT, READER_OVERHEAD, Spread, card_time,
    },
    transcript::{self, FRAME_OVERHEAD_BYTES},
};

/// Which end of each constant counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// The best.
    Low,
    /// To be expected.
    Typical,
    /// The worst.
    High,
}

/// Who sends a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The reader (PCD).
    Reader,
    /// The card (PICC).
    Card,
}

/// A tap that the model says nothing of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotModelled {
    /// An exchange that ended without an answer.
    #[error("exchange {0} has no answer")]
    NoAnswer(u32),
    /// No time is known for this command.
    #[error("exchange {0} is a command whose time on the card is not known")]
    NoCardTime(u32),
    /// It would be split into several blocks.
    #[error("exchange {0} does not fit a frame")]
    FrameTooLong(u32),
}

/// From the card's activation to the last exchange, in milliseconds.
///
/// `host_ms` is what the validator itself computes for the whole tap.
///
/// # Errors
/// [`NotModelled`] when a frame would be chained or the card's time is not known.
pub fn tap_ms(exchanges: &[Exchange], host_ms: f64, case: Case) -> Result<f64, NotModelled> {
    let mut total_ms = activation_ms() + case.of(INTENT_WAIT) + host_ms;
    let mut previous = None;
    for exchange in exchanges {
        total_ms += exchange_ms(exchange, previous, case)?;
        previous = transcript::command(exchange);
    }
    Ok(total_ms)
}

/// WUPA to the end of ATS, and the gap until the first command, in milliseconds.
#[must_use]
pub fn activation_ms() -> f64 {
    let pair = |(reader, card)| frame_ms(reader, Sender::Reader) + frame_ms(card, Sender::Card) + 2.0 * guard_ms();
    ACTIVATION_FRAMES_BYTES.into_iter().map(pair).sum::<f64>() + ACTIVATION_GAP_MS
}

/// One frame of so many bytes, PCB and CRC included, in milliseconds: nine bits a byte (parity), a start bit, and
/// from the reader one bit more at the end (ISO/IEC 14443-2:2020, section 8.1.3).
#[must_use]
pub fn frame_ms(bytes: usize, sender: Sender) -> f64 {
    let framing_bits = match sender {
        Sender::Reader => 2,
        Sender::Card => 1,
    };
    let bits = (9 * bytes + framing_bits) as f64;
    bits * CARRIER_PERIODS_PER_BIT / CARRIER_HZ * 1e3
}

fn exchange_ms(exchange: &Exchange, previous: Option<Command>, case: Case) -> Result<f64, NotModelled> {
    let number = exchange.number;
    let answer = exchange.answer.as_ref().ok_or(NotModelled::NoAnswer(number))?;
    let command = transcript::command(exchange);
    if command == Some(Command::AdditionalFrame) && previous != Some(Command::AuthenticateEv2First) {
        return Err(NotModelled::FrameTooLong(number));
    }
    let card_time = command.and_then(card_time).ok_or(NotModelled::NoCardTime(number))?;
    let frames = [(&exchange.command, Sender::Reader), (answer, Sender::Card)];
    let mut total_ms = case.of(card_time) + guard_ms() + case.of(READER_OVERHEAD);
    for (apdu, sender) in frames {
        let bytes = apdu.len() + FRAME_OVERHEAD_BYTES;
        if bytes > FRAME_BYTES_MAX {
            return Err(NotModelled::FrameTooLong(number));
        }
        total_ms += frame_ms(bytes, sender);
    }
    Ok(total_ms)
}

fn guard_ms() -> f64 {
    GUARD_CARRIER_PERIODS / CARRIER_HZ * 1e3
}

impl Case {
    const fn of(self, spread: Spread) -> f64 {
        match self {
            Self::Low => spread.low_ms,
            Self::Typical => spread.typical_ms,
            Self::High => spread.high_ms,
        }
    }
}
