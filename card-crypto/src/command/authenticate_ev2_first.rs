//! AuthenticateEV2First (71): opens an EV2 session; the arithmetic is in [`crate::auth`].
//!
//! Source: NXP AN12343, AuthenticateEV2First, table 16.

use crate::{
    auth::{AuthenticationError, KeyHolder, MemoryKey},
    card::{Authenticated, Card, Idle},
    channel::Ev2,
    command::{Command, begin},
    error::Error,
    key::{Key, KeyNumber},
    transport::Transport,
};

/// LenCap: the reader states no capabilities.
const NO_CAPABILITIES: u8 = 0x00;

impl<T: Transport> Card<T, Idle> {
    /// Authenticates with a key of the selected application and opens an EV2 session (AuthenticateEV2First).
    ///
    /// `rnd_a` must be unpredictable and fresh for each call.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Authentication`](crate::Status::Authentication) when the card holds another
    /// key, [`Misbehaviour::WrongChallenge`](crate::Misbehaviour::WrongChallenge) when it does not know the key and
    /// pretends to, and any other [`Error`] except misuse.
    pub fn authenticate_ev2_first(
        self,
        number: KeyNumber,
        key: &Key,
        rnd_a: [u8; 16],
    ) -> Result<Card<T, Authenticated>, Error> {
        let holder = MemoryKey::new(key, rnd_a);
        self.authenticate_ev2_first_by(number, holder).map_err(AuthenticationError::into_card_error)
    }

    /// [`authenticate_ev2_first`](Self::authenticate_ev2_first) with a key that its holder keeps.
    ///
    /// # Errors
    /// The same from the card, and what the holder could not do.
    pub fn authenticate_ev2_first_by<K: KeyHolder>(
        mut self,
        number: KeyNumber,
        holder: K,
    ) -> Result<Card<T, Authenticated>, AuthenticationError<K::Error>> {
        let (challenge, handshake) =
            begin(&mut self.transport, Command::AuthenticateEv2First, &[number.get(), NO_CAPABILITIES])?;
        let opened = holder.authenticate_ev2_first(&challenge, |cryptogram| handshake.answer(cryptogram))?;
        let messaging = Ev2::new(&opened.keys, opened.transaction_identifier, 0);
        Ok(self.authenticated(number, messaging))
    }
}
