//! What a card says about a command.

use std::fmt;

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $words:literal;)*) => {
        /// The status byte of an answer (SW2 behind SW1 `91`).
        ///
        /// A status other than [`Ok`](Self::Ok) carries no MAC: whoever stands between reader and card can make one
        /// up, so it proves nothing about what the card did.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Status {
            $($(#[$doc])* $name,)*
            /// A status that this crate does not know.
            Other(u8),
        }

        impl Status {
            /// The status of this code.
            #[must_use]
            pub const fn from_code(code: u8) -> Self {
                match code {
                    $($code => Self::$name,)*
                    other => Self::Other(other),
                }
            }

            /// The code as transmitted.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$name => $code,)*
                    Self::Other(code) => code,
                }
            }
        }

        impl fmt::Display for Status {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let words = match self {
                    $(Self::$name => $words,)*
                    Self::Other(_) => "unknown",
                };
                write!(f, "{:02X} ({words})", self.code())
            }
        }
    };
}

statuses! {
    /// Done.
    Ok = 0x00, "done";
    /// Refused while a proximity check is under way.
    ProximityCheckUnderWay = 0x0B, "proximity check under way";
    /// Nothing to commit or abort.
    NoChanges = 0x0C, "no changes";
    /// No memory left on the card.
    OutOfMemory = 0x0E, "out of memory";
    /// The card does not know the command, or not in this state.
    IllegalCommand = 0x1C, "illegal command";
    /// MAC, checksum or padding of the command is wrong.
    Integrity = 0x1E, "integrity";
    /// The application has no such key.
    NoSuchKey = 0x40, "no such key";
    /// The command has a wrong length; also a command without MAC where one must be.
    Length = 0x7E, "length";
    /// Done, of Read_Sig and the proximity check.
    Done = 0x90, "done";
    /// No key may ever do this.
    PermissionDenied = 0x9D, "permission denied";
    /// A parameter is not allowed.
    Parameter = 0x9E, "parameter";
    /// The card has no such application.
    ApplicationNotFound = 0xA0, "application not found";
    /// The application is damaged.
    ApplicationIntegrity = 0xA1, "application integrity";
    /// Wrong key, or no authentication that allows this.
    Authentication = 0xAE, "authentication";
    /// More frames of this command or of its answer follow.
    AdditionalFrame = 0xAF, "additional frame";
    /// Outside a file, outside a value's limits, or no record yet.
    Boundary = 0xBE, "boundary";
    /// The card is damaged.
    CardIntegrity = 0xC1, "card integrity";
    /// A chain of frames was interrupted.
    CommandAborted = 0xCA, "command aborted";
    /// The card is disabled.
    CardDisabled = 0xCD, "card disabled";
    /// Too many applications.
    Count = 0xCE, "count";
    /// The application or file exists already.
    Duplicate = 0xDE, "duplicate";
    /// Writing the card's memory failed.
    Memory = 0xEE, "memory";
    /// The application has no such file.
    FileNotFound = 0xF0, "file not found";
    /// The file is damaged.
    FileIntegrity = 0xF1, "file integrity";
}
