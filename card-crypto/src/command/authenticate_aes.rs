//! AuthenticateAES (AA): opens an EV1 session; the arithmetic is in [`crate::auth`].
//!
//! Inside an EV1 session it goes on under another key. The transaction goes on then too: libfreefare's tests write under
//! one key, authenticate with another and commit, on real EV1 cards.
//!
//! Source: NXP AN0945 "MIFARE DESFire EV1 features and hints", AuthenticateAES.

use crate::{
    auth::{AuthenticationError, KeyHolder, MemoryKey},
    card::{Authenticated, Card, Idle, Session, Staged},
    channel::Ev1,
    command::{Command, NotAuthenticated, begin},
    error::Error,
    key::{Key, KeyNumber},
    transport::Transport,
};

impl<T: Transport> Card<T, Idle> {
    /// Authenticates with a key of the selected application and opens an EV1 session (AuthenticateAES).
    ///
    /// `rnd_a` must be unpredictable and fresh for each call.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Authentication`](crate::Status::Authentication) when the card holds another
    /// key, [`Misbehaviour::WrongChallenge`](crate::Misbehaviour::WrongChallenge) when it does not know the key and
    /// pretends to, and any other [`Error`] except misuse.
    pub fn authenticate_aes(
        self,
        number: KeyNumber,
        key: &Key,
        rnd_a: [u8; 16],
    ) -> Result<Card<T, Authenticated<Ev1>>, Error> {
        let holder = MemoryKey::new(key, rnd_a);
        self.authenticate_aes_by(number, holder).map_err(AuthenticationError::into_card_error)
    }

    /// [`authenticate_aes`](Self::authenticate_aes) with a key that its holder keeps.
    ///
    /// # Errors
    /// The same from the card, and what the holder could not do.
    pub fn authenticate_aes_by<K: KeyHolder>(
        self,
        number: KeyNumber,
        holder: K,
    ) -> Result<Card<T, Authenticated<Ev1>>, AuthenticationError<K::Error>> {
        self.try_authenticate_aes_by(number, holder).map_err(|failed| failed.error)
    }

    /// [`authenticate_aes_by`](Self::authenticate_aes_by) that gives the card back where it fails: one that refused
    /// with [`Status::Authentication`](crate::Status::Authentication) may hold another version of the key, and the
    /// application stays selected.
    ///
    /// # Errors
    /// The same, with the card.
    pub fn try_authenticate_aes_by<K: KeyHolder>(
        mut self,
        number: KeyNumber,
        holder: K,
    ) -> Result<Card<T, Authenticated<Ev1>>, NotAuthenticated<T, K::Error>> {
        match open(&mut self.transport, number, holder) {
            Ok(messaging) => Ok(self.authenticated(number, Box::new(messaging))),
            Err(error) => Err(NotAuthenticated { card: self, error }),
        }
    }
}

impl<T: Transport> Card<T, Authenticated<Ev1>> {
    /// Goes on with another key of the application (AuthenticateAES).
    ///
    /// `rnd_a` must be unpredictable and fresh for each call.
    ///
    /// # Errors
    /// As from [`Idle`]; it ends the session.
    pub fn authenticate_aes(self, number: KeyNumber, key: &Key, rnd_a: [u8; 16]) -> Result<Self, Error> {
        let holder = MemoryKey::new(key, rnd_a);
        self.authenticate_aes_by(number, holder).map_err(AuthenticationError::into_card_error)
    }

    /// [`authenticate_aes`](Self::authenticate_aes) with a key that its holder keeps.
    ///
    /// # Errors
    /// The same from the card, and what the holder could not do.
    pub fn authenticate_aes_by<K: KeyHolder>(
        mut self,
        number: KeyNumber,
        holder: K,
    ) -> Result<Self, AuthenticationError<K::Error>> {
        go_on(&mut self.transport, &mut self.state.0, number, holder)?;
        Ok(self)
    }
}

impl<T: Transport> Card<T, Staged<Ev1>> {
    /// Goes on with the same transaction under another key of the application (AuthenticateAES).
    ///
    /// `rnd_a` must be unpredictable and fresh for each call.
    ///
    /// # Errors
    /// As from [`Idle`]. Nothing of the transaction takes effect then.
    pub fn authenticate_aes(self, number: KeyNumber, key: &Key, rnd_a: [u8; 16]) -> Result<Self, Error> {
        let holder = MemoryKey::new(key, rnd_a);
        self.authenticate_aes_by(number, holder).map_err(AuthenticationError::into_card_error)
    }

    /// [`authenticate_aes`](Self::authenticate_aes) with a key that its holder keeps.
    ///
    /// # Errors
    /// The same from the card, and what the holder could not do.
    pub fn authenticate_aes_by<K: KeyHolder>(
        mut self,
        number: KeyNumber,
        holder: K,
    ) -> Result<Self, AuthenticationError<K::Error>> {
        go_on(&mut self.transport, &mut self.state.0, number, holder)?;
        Ok(self)
    }
}

fn go_on<T: Transport, K: KeyHolder>(
    transport: &mut T,
    session: &mut Session<Ev1>,
    number: KeyNumber,
    holder: K,
) -> Result<(), AuthenticationError<K::Error>> {
    session.step(|session| {
        *session.messaging = open(transport, number, holder)?;
        session.number = number;
        Ok(())
    })
}

fn open<T: Transport, K: KeyHolder>(
    transport: &mut T,
    number: KeyNumber,
    holder: K,
) -> Result<Ev1, AuthenticationError<K::Error>> {
    let (challenge, handshake) = begin(transport, Command::AuthenticateAes, &[number.get()])?;
    Ok(Ev1::new(&holder.authenticate_aes(&challenge, |cryptogram| handshake.answer(cryptogram))?))
}
