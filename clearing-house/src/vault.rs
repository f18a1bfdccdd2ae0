//! The vault: the only place that turns a card token into a UID, and the only one with the Transaction MAC key.
//!
//! A UID never leaves this module: nothing returns it, prints it or logs it.

use aes::Aes128Dec;
use aes::cipher::{BlockCipherDecrypt, KeyInit};
use card_crypto::transaction_mac::{self, TransactionMacInput};
use card_crypto::{FileNumber, Key, OutOfRange};
use key_store::{KeyRole, KeySet};
use transit::action::Action;
use transit::card::{FILE_ISSUER, FILE_PURSE, FILE_RECORD, ISSUER_LEN, RECORD_LEN, Record};
use transit::id::{CardToken, TapId};
use transit::money::Amount;
use transit::tap::{Tap, TransactionMac};
use zeroize::Zeroizing;

/// What validators name as the length when they read the issuer file.
const ISSUER_READ_LENGTH: u32 = 64;
const _: () = assert!(ISSUER_LEN == 64, "the issuer file is read whole");

/// The token keys and the Transaction MAC master keys, up to two live versions of each; wiped when it is dropped.
pub struct Vault {
    keys: KeySet,
    /// Newest first.
    tokens: Vec<Aes128Dec>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(..)")
    }
}

/// What the Transaction MAC of a tap or of a step of a desk's action says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The card made exactly this transaction.
    Right,
    /// It carries no Transaction MAC.
    Missing,
    /// The MAC does not belong to this card and this transaction; why, for people.
    Wrong(&'static str),
}

impl Vault {
    /// A vault with the keys that tokens are made with and the masters of the cards' Transaction MAC keys.
    pub fn new(keys: KeySet) -> Self {
        let versions = keys.versions(KeyRole::Token).into_iter();
        let masters = versions.filter_map(|version| keys.master(KeyRole::Token, version).ok());
        let tokens = masters.map(|master| Aes128Dec::new(master.expose_secret().into())).collect();
        Self { keys, tokens }
    }

    /// Checks the Transaction MAC of `tap` over everything that its validator says it read and wrote. The record written
    /// must name this tap: under another name one transaction of a card would be paid again.
    pub fn check(&self, tap: &Tap) -> Proof {
        match self.prove(tap.card, tap.transaction_mac, || tap_transaction(tap)) {
            Proof::Right if !names(tap.record_written, tap.id) => {
                Proof::Wrong("its card made this transaction for another tap")
            }
            proof @ (Proof::Right | Proof::Missing | Proof::Wrong(_)) => proof,
        }
    }

    /// Checks the Transaction MAC of `action` over everything that its desk says it read and wrote. The record written must
    /// name this step: signed anew, one refund would be given twice.
    pub fn check_action(&self, action: &Action) -> Proof {
        match self.prove(action.card, action.transaction_mac, || action_transaction(action)) {
            Proof::Right if !names(action.record_written, action.id) => {
                Proof::Wrong("its card made this transaction for another step")
            }
            proof @ (Proof::Right | Proof::Missing | Proof::Wrong(_)) => proof,
        }
    }

    fn prove(
        &self,
        card: CardToken,
        mac: Option<TransactionMac>,
        transaction: impl FnOnce() -> Result<TransactionMacInput, &'static str>,
    ) -> Proof {
        let Some(mac) = mac else {
            return Proof::Missing;
        };
        let Some(uid) = self.open(card) else {
            return Proof::Wrong("its card token is not made with this system's token key");
        };
        let input = match transaction() {
            Ok(input) => input,
            Err(why) => return Proof::Wrong(why),
        };
        // A card keeps the key that it was issued with, so either version may be the right one.
        let is_right = |key: Key| transaction_mac::verify(&key, &uid, mac.counter, &input, &mac.value);
        let versions = self.keys.versions(KeyRole::TransactionMac).into_iter();
        let mut keys = versions.filter_map(|version| self.keys.card_key(KeyRole::TransactionMac, version, &uid).ok());
        if keys.any(is_right) {
            Proof::Right
        } else {
            Proof::Wrong("its Transaction MAC does not belong to this card and this transaction")
        }
    }

    /// The UID: a token is one AES block, the UID and nine zero bytes.
    fn open(&self, token: CardToken) -> Option<Zeroizing<[u8; 7]>> {
        self.tokens.iter().find_map(|key| {
            let mut block = Zeroizing::new(token.0);
            key.decrypt_block((&mut *block).into());
            let (uid, padding) = block.split_at(7);
            let mut out = Zeroizing::new([0; 7]);
            out.copy_from_slice(uid);
            (padding == [0; 9]).then_some(out)
        })
    }
}

/// Whether the record written names `id` as what wrote it.
fn names(record_written: Option<[u8; RECORD_LEN]>, id: TapId) -> bool {
    let written = record_written.and_then(|bytes| Record::decode(&bytes).ok());
    written.and_then(|record| record.tap) == Some(id)
}

/// The transaction in the order in which a validator makes it: read the newest record, read the issuer file where the
/// record says so, debit where there is a fare, write the record.
fn tap_transaction(tap: &Tap) -> Result<TransactionMacInput, &'static str> {
    let record_read = tap.record_read.ok_or("it lacks the record that was read")?;
    let record_written = tap.record_written.ok_or("it lacks the record that was written")?;
    let input = || -> Result<TransactionMacInput, OutOfRange> {
        let mut input = TransactionMacInput::new().read_records(file(FILE_RECORD), 0, 1, &record_read)?;
        if let Some(issuer) = tap.issuer_read {
            input = input.read_data(file(FILE_ISSUER), 0, ISSUER_READ_LENGTH, &issuer)?;
        }
        if let Some(amount) = tap.debited.and_then(|amount| amount.card_minor()) {
            input = input.debit(file(FILE_PURSE), amount);
        }
        input.write_record(file(FILE_RECORD), 0, &record_written)
    };
    input().map_err(|_| "it names an impossible transaction")
}

/// The transaction in the order in which a desk makes it: read the newest record (a card that is issued has none), read
/// the issuer file where it did, credit or debit, write the issuer file where it did, write the record.
fn action_transaction(action: &Action) -> Result<TransactionMacInput, &'static str> {
    let record_written = action.record_written.ok_or("it lacks the record that was written")?;
    let minor = |amount: Option<Amount>| amount.and_then(|amount| amount.card_minor());
    let input = || -> Result<TransactionMacInput, OutOfRange> {
        let mut input = TransactionMacInput::new();
        if let Some(record) = action.record_read {
            input = input.read_records(file(FILE_RECORD), 0, 1, &record)?;
        }
        if let Some(issuer) = action.issuer_read {
            input = input.read_data(file(FILE_ISSUER), 0, ISSUER_READ_LENGTH, &issuer)?;
        }
        if let Some(amount) = minor(action.credited) {
            input = input.credit(file(FILE_PURSE), amount);
        }
        if let Some(amount) = minor(action.debited) {
            input = input.debit(file(FILE_PURSE), amount);
        }
        if let Some(issuer) = action.issuer_written {
            input = input.write_data(file(FILE_ISSUER), 0, &issuer)?;
        }
        input.write_record(file(FILE_RECORD), 0, &record_written)
    };
    input().map_err(|_| "it names an impossible transaction")
}

fn file(number: u8) -> FileNumber {
    FileNumber::new(number).expect("the file numbers of the layout are below 32")
}
