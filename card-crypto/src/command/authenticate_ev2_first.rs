//! AuthenticateEV2First (71): opens an EV2 session; the arithmetic is in [`crate::auth`].
//!
//! Source: NXP AN12343, AuthenticateEV2First, table 16.

use crate::{
    auth::{AuthenticationError, KeyHolder, MemoryKey, Opened},
    card::{Authenticated, Card, Idle},
    channel::Ev2,
    command::{Command, begin},
    error::Error,
    key::{Key, KeyNumber},
    transport::Transport,
};

/// LenCap: the reader states no capabilities.
const NO_CAPABILITIES: u8 = 0x00;

/// A card that did not authenticate.
#[derive(Debug)]
pub struct NotAuthenticated<T, E> {
    /// The card, for another try.
    pub card: Card<T, Idle>,
    /// Why it did not.
    pub error: AuthenticationError<E>,
}

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
        self,
        number: KeyNumber,
        holder: K,
    ) -> Result<Card<T, Authenticated>, AuthenticationError<K::Error>> {
        self.try_authenticate_ev2_first_by(number, holder).map_err(|failed| failed.error)
    }

    /// [`authenticate_ev2_first_by`](Self::authenticate_ev2_first_by) that gives the card back where it fails: one that
    /// refused with [`Status::Authentication`](crate::Status::Authentication) may hold another version of the key, and
    /// the application stays selected.
    ///
    /// # Errors
    /// The same, with the card.
    pub fn try_authenticate_ev2_first_by<K: KeyHolder>(
        mut self,
        number: KeyNumber,
        holder: K,
    ) -> Result<Card<T, Authenticated>, NotAuthenticated<T, K::Error>> {
        match open_ev2_session(&mut self.transport, number, holder) {
            Ok(Opened { keys, transaction_identifier, .. }) => {
                Ok(self.authenticated(number, Box::new(Ev2::new(&keys, transaction_identifier, 0))))
            }
            Err(error) => Err(NotAuthenticated { card: self, error }),
        }
    }
}

fn open_ev2_session<T: Transport, K: KeyHolder>(
    transport: &mut T,
    number: KeyNumber,
    holder: K,
) -> Result<Opened, AuthenticationError<K::Error>> {
    let (challenge, handshake) = begin(transport, Command::AuthenticateEv2First, &[number.get(), NO_CAPABILITIES])?;
    holder.authenticate_ev2_first(&challenge, |cryptogram| handshake.answer(cryptogram))
}
