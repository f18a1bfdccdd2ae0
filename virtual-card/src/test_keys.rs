//! The master keys of test cards.

use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use crate::fixture::{FixtureError, Source};

/// Master keys that are public, and so good for tests alone.
#[derive(Clone)]
pub struct TestKeys {
    /// Key 0 of the application.
    pub application_master: [u8; 16],
    /// Key 1: reads the record.
    pub inspect: [u8; 16],
    /// Key 2: debits and writes records.
    pub validate: [u8; 16],
    /// Key 3: credits.
    pub load: [u8; 16],
    /// The key of the Transaction MAC file.
    pub transaction_mac: [u8; 16],
    /// Turns UIDs into card tokens; no card holds it.
    pub token: [u8; 16],
    /// Key 0 of the card itself; without it issued cards keep the factory's.
    pub card_master: Option<[u8; 16]>,
    /// Signs the UIDs of virtual chips in the maker's place: a number of secp224r1. Without it they have no signature.
    pub originality: Option<[u8; 28]>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    class: Spanned<String>,
    application_master: Spanned<String>,
    inspect: Spanned<String>,
    validate: Spanned<String>,
    load: Spanned<String>,
    transaction_mac: Spanned<String>,
    token: Spanned<String>,
    card_master: Option<Spanned<String>>,
    originality: Option<Spanned<String>>,
}

impl TestKeys {
    /// Reads a key file.
    ///
    /// # Errors
    /// [`FixtureError`] names the file, the line and the remedy; keys of another class than `test` are refused.
    pub fn load(path: &Path) -> Result<Self, FixtureError> {
        let source = Source::read(path)?;
        let file: KeyFile = source.parse()?;
        if file.class.get_ref() != "test" {
            let problem = "`class` is not \"test\": real keys never belong on a virtual card".to_owned();
            return Err(source.invalid(Some(file.class.span()), problem));
        }
        Ok(Self {
            application_master: source.hex("application_master", &file.application_master)?,
            inspect: source.hex("inspect", &file.inspect)?,
            validate: source.hex("validate", &file.validate)?,
            load: source.hex("load", &file.load)?,
            transaction_mac: source.hex("transaction_mac", &file.transaction_mac)?,
            token: source.hex("token", &file.token)?,
            card_master: file.card_master.map(|key| source.hex("card_master", &key)).transpose()?,
            originality: file.originality.map(|key| source.hex("originality", &key)).transpose()?,
        })
    }

    /// The master key of this name, as layout files and card files call it.
    pub(crate) fn named(&self, name: &str) -> Option<&[u8; 16]> {
        match name {
            "application_master" => Some(&self.application_master),
            "inspect" => Some(&self.inspect),
            "validate" => Some(&self.validate),
            "load" => Some(&self.load),
            "transaction_mac" => Some(&self.transaction_mac),
            "card_master" => self.card_master.as_ref(),
            _ => None,
        }
    }
}

impl std::fmt::Debug for TestKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TestKeys(..)")
    }
}
