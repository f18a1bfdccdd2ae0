//! Counts over the exchanges of a tap.

use card_crypto::Command;
use virtual_card::field::Exchange;

/// PCB and CRC of one frame (ISO/IEC 14443-4:2018, section 7.1); this system uses neither CID nor NAD.
pub const FRAME_OVERHEAD_BYTES: usize = 3;

/// Bytes of all frames, both ways.
#[must_use]
pub fn bytes_on_air(exchanges: &[Exchange]) -> usize {
    let on_air = |apdu: &Vec<u8>| apdu.len() + FRAME_OVERHEAD_BYTES;
    exchanges.iter().map(|exchange| on_air(&exchange.command) + exchange.answer.as_ref().map_or(0, on_air)).sum()
}

/// Additional frames (AF) that carry on a command or an answer too long for one frame. The second half of an
/// authentication is sent as AF too and is none.
#[must_use]
pub fn chained_frames(exchanges: &[Exchange]) -> usize {
    let mut previous = None;
    let mut chained = 0;
    for exchange in exchanges {
        let command = command(exchange);
        if command == Some(Command::AdditionalFrame) && previous != Some(Command::AuthenticateEv2First) {
            chained += 1;
        }
        previous = command;
    }
    chained
}

/// The native command of an exchange, where it is one of ours.
#[must_use]
pub fn command(exchange: &Exchange) -> Option<Command> {
    exchange.command.get(1).copied().and_then(Command::from_code)
}
