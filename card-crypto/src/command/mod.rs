//! The commands, one file each: what is sent, what must come back.

use std::fmt;

use crate::{error::Misbehaviour, file::CommunicationMode};

pub(crate) mod abort_transaction;
pub(crate) mod authenticate_ev2_first;
pub(crate) mod commit_transaction;
pub(crate) mod debit;
pub(crate) mod get_value;
pub(crate) mod get_version;
pub(crate) mod read_data;
pub(crate) mod read_records;
pub(crate) mod select_application;
pub(crate) mod write_record;

pub use get_version::{Component, Version};
pub use read_records::RecordRange;

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        /// A native command, named as in the data sheets. Where the later generations have a second code for the same
        /// command (ISO 14443-4 chaining instead of additional frames), it is the first that is meant.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Command {
            $($(#[$doc])* $name = $code,)*
        }

        impl Command {
            /// The command of this code, where this crate knows it.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The instruction byte as transmitted; it enters MACs and the Transaction MAC.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$name => $code,)*
                }
            }
        }

        impl fmt::Display for Command {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$name => stringify!($name),)*
                })
            }
        }
    };
}

commands! {
    /// Selects an application; ends session and transaction.
    SelectApplication = 0x5A;
    /// Hardware, software and production data.
    GetVersion = 0x60;
    /// Reads the committed value of a value file.
    GetValue = 0x6C;
    /// Authenticates and opens an EV2 session.
    AuthenticateEv2First = 0x71;
    /// Drops what the transaction has done.
    AbortTransaction = 0xA7;
    /// The next frame of a command or of an answer.
    AdditionalFrame = 0xAF;
    /// Reads records, oldest first.
    ReadRecords = 0xBB;
    /// Reads a data file.
    ReadData = 0xBD;
    /// Makes what the transaction has done take effect.
    CommitTransaction = 0xC7;
    /// Lowers a value.
    Debit = 0xDC;
    /// Writes into the record that the transaction adds.
    WriteRecord = 0x3B;
}

/// A command inside an authenticated session.
pub(crate) trait SessionCommand {
    /// What a genuine answer says.
    type Answer;

    const COMMAND: Command;

    fn mode(&self) -> CommunicationMode;

    /// The part that stays in clear and is authenticated before the data.
    fn header(&self) -> impl AsRef<[u8]>;

    /// The part that mode Full enciphers.
    fn data(&self) -> impl AsRef<[u8]>;

    /// Bytes of the answer once verified and deciphered.
    fn answer_bytes(&self) -> usize;

    fn decode(&self, answer: Vec<u8>) -> Result<Self::Answer, Misbehaviour>;
}

/// For commands that answer with a status and no data.
fn nothing(answer: &[u8]) -> Result<(), Misbehaviour> {
    crate::wire::exactly::<0>(answer).map(|[]| ())
}
