//! What a card says of a command.

/// The native status byte; wrapped into ISO 7816-4 it is SW2 behind SW1 91.
///
/// Source: the status tables of proxmark3 (`protocols.h`) and libfreefare, which agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Done.
    Ok = 0x00,
    /// A commit or an abort with nothing to commit or abort.
    NoChanges = 0x0C,
    /// A command that waits until the proximity check is over.
    ProximityCheckRuns = 0x0B,
    /// The memory is used up.
    OutOfMemory = 0x0E,
    /// A command that this card does not know, or that does not fit its state.
    IllegalCommand = 0x1C,
    /// A MAC or a padding is wrong.
    Integrity = 0x1E,
    /// No key has this number.
    NoSuchKey = 0x40,
    /// The command is too short or too long; also a missing MAC.
    Length = 0x7E,
    /// Done, of Read_Sig and the proximity check.
    OkOfSignature = 0x90,
    /// An access right is "never", or the file's kind does not know the command.
    PermissionDenied = 0x9D,
    /// A parameter has a value that is not allowed.
    Parameter = 0x9E,
    /// No application has this identifier.
    ApplicationNotFound = 0xA0,
    /// The key that is authenticated, or none, does not give the right.
    Authentication = 0xAE,
    /// More frames follow, or are awaited.
    AdditionalFrame = 0xAF,
    /// Outside a file, a record file or a value's limits.
    Boundary = 0xBE,
    /// Another command came where the next frame was awaited.
    Aborted = 0xCA,
    /// No more applications fit: 28 on EV1.
    Count = 0xCE,
    /// An application, a file or a name is there already.
    Duplicate = 0xDE,
    /// No file has this number.
    FileNotFound = 0xF0,
}

impl Status {
    /// The byte on the wire.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self as u8
    }
}
