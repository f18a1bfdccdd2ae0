//! Delegated applications: what the issuer of a card hands to another operator, who may then make one application of
//! his own on it. Arithmetic alone; this crate's [`Card`](crate::Card) does not send CreateDelegatedApplication (C9).
//!
//! Source: NXP AN12696 "MIFARE DESFire EV2 features and hints", delegated application management.

use aes::{Aes128, cipher::KeyInit};
use zeroize::Zeroizing;

use crate::{cbc::cbc_encrypt, command::Command, key::Key, key::NewKey, mac::truncated_cmac};

/// EncK: the first key of all keys of the delegated application, for the card alone.
///
/// `key` is the card's PICCDAMENCKey; `random` must be unpredictable.
#[must_use]
pub fn encipher_default_key(key: &Key, random: [u8; 7], default_key: NewKey<'_>) -> [u8; 32] {
    let mut plain = Zeroizing::new([0; 32]);
    plain[..7].copy_from_slice(&random);
    plain[7..23].copy_from_slice(default_key.key.expose_secret());
    plain[23] = default_key.version;
    cbc_encrypt(&Aes128::new(key.expose_secret().into()), &mut [0; 16], &mut *plain);
    *plain
}

/// DAMMAC: the issuer's leave to make this one application.
///
/// `key` is the card's PICCDAMMACKey; `parameters` are those of the command as sent, from the AID to the last byte
/// before the keys: AID ‖ slot (2) ‖ slot version ‖ quota in blocks of 32 bytes (2) ‖ KS1 ‖ KS2 …
#[must_use]
pub fn allow(key: &Key, parameters: &[u8], enciphered_default_key: &[u8; 32]) -> [u8; 8] {
    let command = [Command::CreateDelegatedApplication.code()];
    truncated_cmac(key, &[&command, parameters, enciphered_default_key].concat())
}
