//! The commands, one file each: what is sent, what must come back.

use std::fmt;

use crate::{
    apdu::{exchange_frame, wrap},
    error::{Error, Misbehaviour},
    status::Status,
    transport::Transport,
    wire::exactly,
};

mod abort_transaction;
mod authenticate_aes;
mod authenticate_ev2_first;
mod authenticate_ev2_non_first;
mod authenticate_iso;
mod change_file_settings;
mod change_key;
mod change_key_ev2;
mod change_key_settings;
mod clear_record_file;
mod commit_reader_id;
mod commit_transaction;
mod create_application;
mod create_backup_data_file;
mod create_cyclic_record_file;
mod create_linear_record_file;
mod create_standard_data_file;
mod create_transaction_mac_file;
mod create_value_file;
mod credit;
mod debit;
mod delete_application;
mod delete_file;
mod finalize_key_set;
mod format_picc;
mod free_memory;
mod get_application_ids;
mod get_card_uid;
mod get_df_names;
mod get_file_ids;
mod get_file_settings;
mod get_key_settings;
mod get_key_version;
mod get_value;
mod get_version;
mod initialize_key_set;
mod limited_credit;
mod proximity_check;
mod read_data;
mod read_records;
mod read_signature;
mod roll_key_set;
mod select_application;
mod set_configuration;
mod update_record;
mod write_data;
mod write_record;

pub use authenticate_ev2_first::NotAuthenticated;
pub use get_df_names::DfName;
pub use get_version::{Component, Generation, Version};
pub use proximity_check::ProximityCheck;
pub use read_records::RecordRange;
pub use set_configuration::Configuration;

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
    /// Authenticates with a DES or 2K3DES key and opens an EV1 session.
    AuthenticateIso = 0x1A;
    /// Authenticates with an AES key and opens an EV1 session.
    AuthenticateAes = 0xAA;
    /// Authenticates with an AES key and opens an EV2 session.
    AuthenticateEv2First = 0x71;
    /// Goes on with another key in an EV2 session.
    AuthenticateEv2NonFirst = 0x77;
    /// The next frame of a command or of an answer.
    AdditionalFrame = 0xAF;

    /// Hardware, software and production data.
    GetVersion = 0x60;
    /// The card's real UID.
    GetCardUid = 0x51;
    /// Memory that is still free.
    FreeMemory = 0x6E;
    /// The maker's signature over the UID.
    ReadSignature = 0x3C;
    /// Erases all applications and files.
    FormatPicc = 0xFC;
    /// Sets what the card does for ever.
    SetConfiguration = 0x5C;
    /// Announces a proximity check.
    PreparePc = 0xF0;
    /// One timed round of a proximity check.
    ProximityCheck = 0xF2;
    /// Ends a proximity check with a MAC over it.
    VerifyPc = 0xFD;

    /// Selects an application; ends session and transaction.
    SelectApplication = 0x5A;
    /// Makes an application.
    CreateApplication = 0xCA;
    /// Makes an application in memory that the card's issuer has delegated.
    CreateDelegatedApplication = 0xC9;
    /// Removes an application.
    DeleteApplication = 0xDA;
    /// Lists the applications.
    GetApplicationIds = 0x6A;
    /// Lists the ISO names of the applications.
    GetDfNames = 0x6D;

    /// What may be done without which key.
    GetKeySettings = 0x45;
    /// Changes what may be done without which key.
    ChangeKeySettings = 0x54;
    /// The version of a key.
    GetKeyVersion = 0x64;
    /// Replaces a key of the active key set.
    ChangeKey = 0xC4;
    /// Replaces a key of any key set.
    ChangeKeyEv2 = 0xC6;
    /// Makes an inactive key set usable for ChangeKeyEV2.
    InitializeKeySet = 0x56;
    /// Closes an inactive key set and names its version.
    FinalizeKeySet = 0x57;
    /// Makes another key set the active one.
    RollKeySet = 0x55;

    /// Lists the files of an application.
    GetFileIds = 0x6F;
    /// Kind, mode, rights and size of a file.
    GetFileSettings = 0xF5;
    /// Changes mode and rights of a file.
    ChangeFileSettings = 0x5F;
    /// Makes a data file whose writes take effect at once.
    CreateStandardDataFile = 0xCD;
    /// Makes a data file whose writes take effect with the commit.
    CreateBackupDataFile = 0xCB;
    /// Makes a value file.
    CreateValueFile = 0xCC;
    /// Makes a record file that is full one day.
    CreateLinearRecordFile = 0xC1;
    /// Makes a record file that overwrites its oldest record.
    CreateCyclicRecordFile = 0xC0;
    /// Makes the Transaction MAC file.
    CreateTransactionMacFile = 0xCE;
    /// Removes a file.
    DeleteFile = 0xDF;

    /// Reads a data file.
    ReadData = 0xBD;
    /// Writes a data file.
    WriteData = 0x3D;
    /// Reads the committed value of a value file.
    GetValue = 0x6C;
    /// Raises a value.
    Credit = 0x0C;
    /// Raises a value by at most what was debited before.
    LimitedCredit = 0x1C;
    /// Lowers a value.
    Debit = 0xDC;
    /// Reads records, oldest first.
    ReadRecords = 0xBB;
    /// Writes into the record that the transaction adds.
    WriteRecord = 0x3B;
    /// Writes into a record that is there already.
    UpdateRecord = 0xDB;
    /// Removes all records.
    ClearRecordFile = 0xEB;
    /// Makes what the transaction has done take effect.
    CommitTransaction = 0xC7;
    /// Drops what the transaction has done.
    AbortTransaction = 0xA7;
    /// Puts the reader's name under the Transaction MAC.
    CommitReaderId = 0xC8;
}

impl Command {
    /// What a card answers when it has done this: 00, or 90 for the four that NXP defined apart.
    pub(crate) const fn done(self) -> Status {
        if matches!(self, Self::ReadSignature | Self::PreparePc | Self::ProximityCheck | Self::VerifyPc) {
            Status::Done
        } else {
            Status::Ok
        }
    }
}

/// For commands that answer with a status and no data.
#[inline]
fn nothing(answer: Vec<u8>) -> Result<(), Misbehaviour> {
    exactly::<0>(&answer).map(|[]| ())
}

/// Begins a handshake: the card's challenge, and the handshake that waits for our answer to it.
fn begin<'a, T: Transport, const N: usize>(
    transport: &'a mut T,
    command: Command,
    body: &[u8],
) -> Result<([u8; N], Handshake<'a, T>), Error> {
    let challenge = exchange_frame(transport, command, wrap(&mut [0; _], command, body))?;
    if !challenge.more {
        return Err(Misbehaviour::UnexpectedFrame.into());
    }
    Ok((exactly(&challenge.data)?, Handshake { transport, command }))
}

/// A handshake after its first exchange.
struct Handshake<'a, T> {
    transport: &'a mut T,
    command: Command,
}

impl<T: Transport> Handshake<'_, T> {
    /// Sends our cryptogram and returns the card's last message.
    fn answer<const N: usize>(self, cryptogram: &[u8]) -> Result<[u8; N], Error> {
        let mut buffer = [0; _];
        let apdu = wrap(&mut buffer, Command::AdditionalFrame, cryptogram);
        let proof = exchange_frame(self.transport, self.command, apdu)?;
        if proof.more {
            return Err(Misbehaviour::UnexpectedFrame.into());
        }
        Ok(exactly(&proof.data)?)
    }
}
