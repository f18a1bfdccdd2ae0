//! The card keys of a validator: the master of key 2 (validate), and the token key that names cards in taps. It has no
//! key that could raise a balance, and none that could check a Transaction MAC.

use std::fmt;
use std::path::Path;

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use card_crypto::{Key, diversify_aes128};
use serde::Deserialize;
use transit::card::{APPLICATION_ID, KEY_VALIDATE, SYSTEM_ID};
use transit::config::{ConfigError, KeysClass};
use transit::id::CardToken;
use zeroize::Zeroizing;

/// The keys, loaded.
pub struct CardKeys {
    validate: Key,
    token: Aes128,
}

impl fmt::Debug for CardKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardKeys(…)")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    class: KeysClass,
    validate: SecretText,
    token: SecretText,
}

type SecretText = Zeroizing<String>;

impl CardKeys {
    /// Reads a key file's `text`.
    ///
    /// # Errors
    /// [`ConfigError`]: no key file, or keys of another class than `class`.
    pub fn parse(path: &Path, text: &str, class: KeysClass) -> Result<Self, ConfigError> {
        let file: KeyFile = transit::config::parse(path, text)?;
        if file.class != class {
            let message =
                format!("these are {:?} keys, and the configuration lets only {class:?} keys load", file.class);
            return Err(ConfigError::whole_file(path, message));
        }
        let key = |name: &str, text: &SecretText| {
            let mut bytes = Zeroizing::new([0; 16]);
            hex::decode_to_slice(text.as_bytes(), bytes.as_mut_slice())
                .map_err(|_| ConfigError::whole_file(path, format!("`{name}` is 32 hexadecimal digits")))?;
            Ok::<_, ConfigError>(bytes)
        };
        Ok(Self::new(*key("validate", &file.validate)?, *key("token", &file.token)?))
    }

    /// Keys from their bytes.
    pub fn new(validate: [u8; 16], token: [u8; 16]) -> Self {
        Self { validate: Key::new(validate), token: Aes128::new(&token.into()) }
    }

    /// The card's own key 2: AN10922 over UID ‖ AID ‖ key number ‖ system id.
    pub fn validate_key(&self, uid: &[u8; 7]) -> Key {
        let mut input = [0; 15];
        input[..7].copy_from_slice(uid);
        input[7..10].copy_from_slice(&APPLICATION_ID);
        input[10] = KEY_VALIDATE;
        input[11..].copy_from_slice(&SYSTEM_ID);
        diversify_aes128(&self.validate, &input).expect("15 bytes are a diversification input")
    }

    /// What taps call the card: the UID and nine zero bytes, enciphered as one block.
    pub fn token(&self, uid: &[u8; 7]) -> CardToken {
        let mut block = [0; 16];
        block[..7].copy_from_slice(uid);
        let mut block = block.into();
        self.token.encrypt_block(&mut block);
        CardToken(block.into())
    }
}
