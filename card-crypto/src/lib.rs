//! MIFARE DESFire from the reader's side: framing, authentication, secure messaging, commands, key diversification and
//! the Transaction MAC.
//!
//! It speaks EV1 and EV2 secure messaging under AES in the modes Plain, MAC and Full, over native commands wrapped in ISO
//! 7816-4 APDUs, and as much DES as takes a blank card to AES. It does no I/O, reads no clock and draws no random number:
//! whoever implements [`Transport`] brings the reader, and the caller passes the challenge in. The README has the table of
//! commands with their sources, and examples of EV1 cards and blank ones.
//!
//! ```
//! use card_crypto::{
//!     Aid, Card, Commit, CommunicationMode, Error, FileNumber, FrameSize, Key, KeyNumber, Transport, diversify_aes128,
//! };
//!
//! const COUNTER: FileNumber = FileNumber::new(2).expect("below 32");
//! const DEBITING_KEY: KeyNumber = KeyNumber::new(2).expect("below 14");
//!
//! /// Takes one ride off a card that counts them, and says how many are left.
//! fn take_one(reader: impl Transport, master: &Key, uid: &[u8; 7], rnd_a: [u8; 16]) -> Result<i32, Error> {
//!     let key = diversify_aes128(master, uid).expect("7 bytes are 1 to 31");
//!
//!     let mut card = Card::new(reader, FrameSize::Bytes64);
//!     card.select_application(Aid([0x01, 0x02, 0x03]))?;
//!     let mut card = card.authenticate_ev2_first(DEBITING_KEY, &key, rnd_a)?;
//!     let rides = card.get_value(COUNTER, CommunicationMode::Mac)?;
//!
//!     match card.stage().debit(COUNTER, CommunicationMode::Mac, 1)?.commit() {
//!         Commit::Done { .. } => Ok(rides - 1),
//!         Commit::Unknown { why } => Err(why), // it may have been taken: look at the card again, authenticated
//!     }
//! }
//! ```
//!
//! # What an answer proves
//!
//! - A status other than 00 carries no MAC. It ends the session and proves nothing.
//! - In the modes MAC and Full no data is returned whose MAC did not verify. In Plain whoever stands between reader
//!   and card can change both ways, except in EV1 sessions, whose every answer has a MAC.
//! - A commit whose answer did not verify, for whatever reason, is [`Commit::Unknown`].
//!
//! # Map
//!
//! [`transport`] is the seam to a reader, [`KeyHolder`] the one to where keys are kept; [`apdu`] frames and chains;
//! [`auth`] and [`channel`] are the handshakes and secure messaging as arithmetic on bytes; [`card`] is what may be done
//! next, and [`command`] has one file for each thing that can be; [`settings`] and [`file_settings`] are how applications
//! and files are made. [`diversification`], [`transaction_mac`], [`originality`] and [`delegation`] serve back offices too,
//! which have no card at hand.

#![forbid(unsafe_code)]

pub mod apdu;
pub mod auth;
pub mod card;
mod cbc;
pub mod channel;
pub mod checksum;
pub mod command;
pub mod delegation;
pub mod diversification;
pub mod error;
pub mod file;
pub mod file_settings;
pub mod key;
pub mod mac;
pub mod originality;
mod request;
pub mod settings;
pub mod status;
pub mod transaction_mac;
pub mod transport;
mod wire;

pub use apdu::FrameSize;
pub use auth::{AuthenticationError, KeyHolder, MemoryKey};
pub use card::{Authenticated, Card, Commit, Conversation, Idle, Staged};
pub use channel::{AesMessaging, Ev1, Ev2, FactoryDes, NoTransactionMac, SecureMessaging};
pub use command::{Command, Configuration, DfName, Generation, NotAuthenticated, ProximityCheck, RecordRange, Version};
pub use diversification::{InvalidDiversificationInput, diversify_aes128};
pub use error::{Error, Misbehaviour, Misuse, OutOfRange};
pub use file::{Access, AccessRights, Aid, CommunicationMode, FileNumber};
pub use file_settings::{DataFile, FileKind, FileSettings, RecordFile, ValueFile};
pub use key::{DesKey, Key, KeyNumber, KeySetNumber, NewKey};
pub use settings::{ApplicationSettings, ChangeKeyRight, IsoName, KeyKind, KeySets, KeySettings, KeyTable};
pub use status::Status;
pub use transaction_mac::{TransactionMac, TransactionMacInput};
pub use transport::{Lost, Transport};

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
