//! Framing: native DESFire commands wrapped in ISO 7816-4 APDUs, cut into frames and chained.
//!
//! Sources: NXP AN12343 and the proxmark3 and libfreefare sources, which agree:
//!
//! ```text
//! command   90 Cmd 00 00 [Lc Data] 00        answer   Data 91 Status
//! more      90 AF  00 00 [Lc Data] 00        after    Data 91 AF
//! ```
//!
//! Continuation frames carry no header, MAC or counter of their own: secure messaging works on the whole command and
//! on the whole answer, and framing cuts and joins them.

use crate::{
    command::Command,
    error::{Error, Misbehaviour},
    status::Status,
    transport::{Lost, Transport},
};

/// The class byte of a wrapped native command.
pub const CLASS: u8 = 0x90;

/// The first status byte of every answer to a wrapped native command; the second is the [`Status`].
pub const STATUS_CLASS: u8 = 0x91;

/// The longest frame of a card: one ISO 14443-4 block.
///
/// It decides into how many frames a command is cut. How an answer is cut is the card's affair. A card's ATS states it
/// (FSCI); some EV3 cards take no more than 64 bytes, which every card takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameSize {
    /// DESFire EV1, and what every later card also takes.
    Bytes64,
    /// What most DESFire EV2 take.
    Bytes128,
    /// What most DESFire EV3 take.
    Bytes256,
}

impl FrameSize {
    /// The most data bytes of one wrapped command: the frame less prologue (2), checksum (2) and the APDU's own six.
    #[must_use]
    pub const fn data_bytes_max(self) -> usize {
        match self {
            Self::Bytes64 => 54,
            Self::Bytes128 => 118,
            Self::Bytes256 => 246,
        }
    }
}

/// Room for the longest frame that is sent.
pub(crate) type ApduBuffer = [u8; 256];

/// Wraps one frame of a native command: class, instruction, P1, P2, length and data where there are any, Le.
///
/// `data` is at most [`FrameSize::data_bytes_max`].
pub(crate) fn wrap<'a>(buffer: &'a mut ApduBuffer, instruction: Command, data: &[u8]) -> &'a [u8] {
    *buffer = [0; _];
    buffer[..2].copy_from_slice(&[CLASS, instruction.code()]);
    if data.is_empty() {
        return &buffer[..5];
    }
    buffer[4] = u8::try_from(data.len()).expect("a frame is shorter than 256 bytes");
    buffer[5..5 + data.len()].copy_from_slice(data);
    &buffer[..data.len() + 6]
}

/// The data of one answer frame.
pub(crate) struct Frame {
    pub(crate) data: Vec<u8>,
    /// Whether the card waits for, or has, another frame (status AF instead of 00).
    pub(crate) more: bool,
}

/// Sends one frame of a command and takes the status off its answer. Every status but AF and the command's own of
/// success (00 but for a few) is a refusal.
pub(crate) fn exchange_frame<T: Transport>(transport: &mut T, command: Command, apdu: &[u8]) -> Result<Frame, Error> {
    let mut data = transport.exchange(apdu)?;
    let &[.., sw1, sw2] = data.as_slice() else {
        return Err(Error::Lost(Lost::Card));
    };
    if sw1 != STATUS_CLASS {
        return Err(Misbehaviour::ForeignStatusWord { sw1, sw2 }.into());
    }
    let more = sw2 == Status::AdditionalFrame.code();
    if !more && sw2 != command.done().code() {
        return Err(Error::Refused { command, status: Status::from_code(sw2) });
    }
    data.truncate(data.len() - 2);
    Ok(Frame { data, more })
}

/// Sends a whole command, in as many frames as it needs, and joins the frames of its answer.
///
/// An answer of more than `answer_bytes_max` is cut off as misbehaviour, so that no card can keep a reader busy for
/// ever.
pub(crate) fn exchange_command<T: Transport>(
    transport: &mut T,
    frame_size: FrameSize,
    command: Command,
    body: &[u8],
    answer_bytes_max: usize,
) -> Result<Vec<u8>, Error> {
    let (first, mut unsent) = split_frame(frame_size, body);
    let mut buffer = [0; _];
    let mut frame = exchange_frame(transport, command, wrap(&mut buffer, command, first))?;

    while !unsent.is_empty() {
        if !frame.more || !frame.data.is_empty() {
            return Err(Misbehaviour::UnexpectedFrame.into());
        }
        let (next, rest) = split_frame(frame_size, unsent);
        unsent = rest;
        frame = exchange_frame(transport, command, wrap(&mut buffer, Command::AdditionalFrame, next))?;
    }

    // Where a message is cut into frames is under no MAC, and it carries nothing: what is proved is the whole.
    let mut answer = Vec::new();
    loop {
        let (more, frame_is_empty) = (frame.more, frame.data.is_empty());
        if answer.is_empty() {
            answer = frame.data; // the usual answer is one frame: taken over, not copied
        } else {
            answer.extend_from_slice(&frame.data);
        }
        if answer.len() > answer_bytes_max {
            return Err(Misbehaviour::WrongLength { expected: answer_bytes_max, actual: answer.len() }.into());
        }
        if !more {
            return Ok(answer);
        }
        if frame_is_empty {
            return Err(Misbehaviour::UnexpectedFrame.into());
        }
        frame = exchange_frame(transport, command, wrap(&mut buffer, Command::AdditionalFrame, &[]))?;
    }
}

fn split_frame(frame_size: FrameSize, bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(frame_size.data_bytes_max().min(bytes.len()))
}
