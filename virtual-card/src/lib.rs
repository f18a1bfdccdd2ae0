//! A MIFARE DESFire card in memory, EV1, EV2 or EV3, and the means to lay it on a reader.
//!
//! The other peer of `card-crypto`: it holds state, checks every MAC it is sent and refuses what a card refuses. Its
//! session cryptography is written from `aes`, `des` and `cmac` alone, so a mistake of the reader's side cannot cancel
//! out here. Only the `Transport` seam comes from `card-crypto`.
//!
//! It knows every command of the three generations but delegated applications, additional access rights, a second
//! selected application, RestoreTransfer and the transaction timer; D40, EV1 and EV2 messaging; native commands, wrapped
//! or not, and SELECT, READ BINARY, UPDATE BINARY and READ RECORD of ISO/IEC 7816-4. An EV1 answers 1C to what came later.
//!
//! | module | what it is |
//! |---|---|
//! | [`picc`] | the card: APDU in, answer out |
//! | [`memory`], [`application`], [`file`](mod@file), [`key`] | what it keeps: keys, settings, applications, files |
//! | [`fixture`], [`layout`], [`test_keys`] | cards as readable files |
//! | [`field`](mod@field) | a card in a reader's field: faults, traffic, the in-process transport |
//! | [`distortion`] | answers that no genuine card gives |
//! | [`sam`], [`sam_reader`] | a MIFARE SAM AV3 in memory, and in a virtual reader |
//! | [`vpcd`] | a card laid on the virtual reader of a PC/SC service |
//! | [`pcscd`] | a PC/SC service of one's own, with two virtual readers |
//!
//! Sources named in the code: **AN12343** is NXP "MIFARE DESFire Light features and hints" rev 1.1, **AN12196** "NTAG 424
//! DNA features and hints", **AN0945** "MIFARE DESFire EV1 features and hints", **AN10922** "Symmetric key
//! diversifications" rev 2.2, **MF2DL** the data sheet MF2DL(H)x0 rev 3.3. The data sheets of EV2 and EV3 are not public;
//! behaviour taken from elsewhere says so.
//!
//! Never a production dependency: keys are kept in the clear, and randomness is whatever the caller supplies.

#![forbid(unsafe_code)]

pub mod application;
mod applications;
mod authentication;
mod chip_times;
mod cipher;
mod configuration;
mod crypto;
mod d40_messaging;
mod data_files;
pub mod distortion;
mod ev1_messaging;
mod ev2_messaging;
pub mod field;
pub mod file;
mod files;
pub mod fixture;
pub mod framing;
mod identification;
mod instruction;
mod iso7816;
pub mod key;
mod key_sets;
mod keys;
pub mod layout;
pub mod memory;
mod originality;
pub mod pcscd;
pub mod picc;
mod proximity_check;
mod record_files;
pub mod sam;
pub mod sam_reader;
mod session;
pub mod status;
pub mod test_keys;
mod transaction;
mod value_files;
pub mod vpcd;

pub use application::Application;
pub use crypto::diversify_aes128;
pub use field::{CardInField, Fault, Traffic};
pub use fixture::{Fixture, FixtureError, Moment};
pub use key::{CardKey, KeyType};
pub use layout::Layout;
pub use memory::Memory;
pub use picc::{Activation, Generation, Identity, Picc, Random};
pub use test_keys::TestKeys;
