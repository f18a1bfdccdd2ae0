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
}

/// The key of the chips' maker, in a file of its own beside the others: no issuer has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MakerFile {
    class: Spanned<String>,
    originality: Spanned<String>,
}

fn check_class(source: &Source, class: &Spanned<String>) -> Result<(), FixtureError> {
    if class.get_ref() == "test" {
        return Ok(());
    }
    let problem = "`class` is not \"test\": real keys never belong on a virtual card".to_owned();
    Err(source.invalid(Some(class.span()), problem))
}

impl TestKeys {
    /// Reads a key file, and `test-originality-key.toml` beside it where there is one.
    ///
    /// # Errors
    /// [`FixtureError`] names the file, the line and the remedy; keys of another class than `test` are refused.
    pub fn load(path: &Path) -> Result<Self, FixtureError> {
        let source = Source::read(path)?;
        let file: KeyFile = source.parse()?;
        check_class(&source, &file.class)?;
        let maker_path = path.with_file_name("test-originality-key.toml");
        let originality = if maker_path.exists() {
            let source = Source::read(&maker_path)?;
            let maker: MakerFile = source.parse()?;
            check_class(&source, &maker.class)?;
            Some(source.hex("originality", &maker.originality)?)
        } else {
            None
        };
        Ok(Self {
            application_master: source.hex("application_master", &file.application_master)?,
            inspect: source.hex("inspect", &file.inspect)?,
            validate: source.hex("validate", &file.validate)?,
            load: source.hex("load", &file.load)?,
            transaction_mac: source.hex("transaction_mac", &file.transaction_mac)?,
            token: source.hex("token", &file.token)?,
            card_master: file.card_master.map(|key| source.hex("card_master", &key)).transpose()?,
            originality,
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
