//! Every constant of the radio model, each with its source.
//!
//! **No DESFire has been timed for this project, and no contactless reader.** "Trace" is a radio capture published with
//! proxmark3 (its folder `traces`): one HID reader and a DESFire of the EV1 or D40 kind. "Assumed" has no public figure
//! at all and is to be replaced at the first contact with a card.

use card_crypto::Command;

/// A constant that is not known exactly, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// As good as it may get.
    pub low_ms: f64,
    /// To be expected.
    pub typical_ms: f64,
    /// As bad as it may get.
    pub high_ms: f64,
}

const fn spread(low_ms: f64, typical_ms: f64, high_ms: f64) -> Spread {
    Spread { low_ms, typical_ms, high_ms }
}

/// The carrier, in Hz (ISO/IEC 14443-2:2020, section 6.1).
pub const CARRIER_HZ: f64 = 13.56e6;

/// Carrier periods of one bit at 106 kbit/s (ISO/IEC 14443-2:2020, section 8.1). Readers begin there; that they go on to
/// a higher rate is not counted on.
pub const CARRIER_PERIODS_PER_BIT: f64 = 128.0;

/// Carrier periods from the end of a card's frame to the start of the reader's next (ISO/IEC 14443-3:2018, section
/// 6.2.1.2: 1172/fc).
pub const GUARD_CARRIER_PERIODS: f64 = 1172.0;

/// The largest frame of an EV2 or EV3 card as this system orders it, with PCB and CRC (ISO/IEC 14443-4:2018, FSCI 7;
/// NXP MIFARE DESFire EV2 short data sheet).
pub const FRAME_BYTES_MAX: usize = 128;

/// Frames of an activation, reader's and card's bytes: WUPA and ATQA, two anticollision loops each with its select (a
/// seven-byte UID), RATS and ATS (ISO/IEC 14443-3:2018 and -4:2018; the lengths agree with the trace).
pub const ACTIVATION_FRAMES_BYTES: [(usize, usize); 6] = [(1, 2), (2, 5), (9, 3), (2, 5), (9, 3), (4, 8)];

/// From ATS to the first command, observed in the trace.
pub const ACTIVATION_GAP_MS: f64 = 0.97;

/// What reader and host add to each exchange: USB, the reader's firmware, PC/SC.
///
/// The typical value is what this system asks of a reader, not a measurement. The high one is a PN532 behind libnfc
/// (18.6 ms, libnfc's issue tracker); the trace's HID reader takes 7.6 to 15.5 ms, 13.2 in the middle of six.
pub const READER_OVERHEAD: Spread = spread(3.0, 6.0, 18.0);

/// What the durable intent adds to a tap. It goes to the disk while the card takes debit and record, at least 12 ms
/// for reader overhead alone, so it adds nothing until the disk is slower than that; in the worst case 20 ms, with no
/// overlap.
pub const INTENT_WAIT: Spread = spread(0.0, 0.0, 20.0);

/// From the end of the command to the start of the card's answer, of the first frame of `command`. `None` for commands
/// that no tap sends.
#[must_use]
#[expect(clippy::wildcard_enum_match_arm, reason = "a command that no tap sends has no time here")]
pub const fn card_time(command: Command) -> Option<Spread> {
    match command {
        // Trace: 0.77 ms.
        Command::SelectApplication => Some(spread(0.5, 0.8, 1.5)),
        // Assumed for AES. Trace: 2.47 ms for 3DES; 1.43 ms on an Ultralight AES.
        Command::AuthenticateEv2First => Some(spread(1.4, 2.5, 4.0)),
        // The second half of the authentication, the only additional frame of a tap. Assumed for AES with session keys.
        // Trace: 2.03 ms for 3DES; 1.49 ms on an Ultralight AES.
        Command::AdditionalFrame => Some(spread(1.5, 2.5, 5.0)),
        // Trace: 1.07 ms for seven bytes in plain; 0.81 to 0.85 ms for sixteen bytes with a MAC on a MIFARE Plus.
        Command::ReadData => Some(spread(0.85, 1.5, 3.0)),
        // As ReadData, and the search for the record; assumed.
        Command::ReadRecords => Some(spread(0.9, 1.7, 3.0)),
        // Assumed.
        Command::GetValue => Some(spread(0.8, 1.2, 2.5)),
        // Assumed, with one programming cycle (1 ms, NXP MIFARE DESFire EV2 short data sheet).
        Command::Debit => Some(spread(1.5, 3.0, 6.0)),
        // Assumed, with four programming cycles.
        Command::WriteRecord => Some(spread(2.5, 5.0, 9.0)),
        // Assumed, with the Transaction MAC and the switch of the backups.
        Command::CommitTransaction => Some(spread(3.0, 6.0, 12.0)),
        _ => None,
    }
}
