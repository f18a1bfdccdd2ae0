//! SetConfiguration (5C): what the card does for ever; the options that an issuer needs. Enciphered.
//!
//! Source: NXP AN0945 and AN12343, SetConfiguration.

use zeroize::Zeroizing;

use crate::{
    card::{Authenticated, Card},
    channel::AesMessaging,
    command::{Command, nothing},
    error::Error,
    file::CommunicationMode,
    key::NewKey,
    request::Request,
    transport::Transport,
};

/// What SetConfiguration sets.
#[derive(Clone, Copy, Debug)]
pub enum Configuration<'a> {
    /// Option 00. A bit that is set can **never be cleared again**; one that is not leaves the card as it is.
    Card {
        /// FormatPICC is refused for ever.
        format_disabled: bool,
        /// The card shows a random UID in anticollision for ever; GetCardUID tells the real one.
        random_uid: bool,
    },
    /// Option 01: the key that all keys of new applications start with.
    DefaultKey(NewKey<'a>),
}

/// Option 00.
const CARD: u8 = 0x00;
/// Option 01.
const DEFAULT_KEY: u8 = 0x01;
/// A default key takes the room of the longest kind, three-key triple DES, and its version.
const DEFAULT_KEY_BYTES: usize = 24;

impl<T: Transport, S: AesMessaging> Card<T, Authenticated<S>> {
    /// Configures the card for ever (SetConfiguration). The session must be at [`Aid::PICC`](crate::Aid::PICC).
    ///
    /// # Errors
    /// Any [`Error`]; it ends the session.
    pub fn set_configuration(&mut self, configuration: Configuration<'_>) -> Result<(), Error> {
        let mut data = Zeroizing::new(Vec::with_capacity(DEFAULT_KEY_BYTES + 1));
        let option = match configuration {
            Configuration::Card { format_disabled, random_uid } => {
                data.push(u8::from(random_uid) << 1 | u8::from(format_disabled));
                CARD
            }
            Configuration::DefaultKey(NewKey { key, version }) => {
                data.extend_from_slice(key.expose_secret());
                data.resize(DEFAULT_KEY_BYTES, 0);
                data.push(version);
                DEFAULT_KEY
            }
        };
        let request = Request::new(Command::SetConfiguration, CommunicationMode::Full, [option])
            .data(data.as_slice())
            .answer_mode(CommunicationMode::Mac);
        self.run(Ok(request), nothing)
    }
}
