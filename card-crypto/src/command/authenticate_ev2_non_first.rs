//! AuthenticateEV2NonFirst (77): another key in the same EV2 session; transaction identifier, counter and transaction
//! go on.
//!
//! Source: NXP AN12196, section 5.14; NXP AN12343, AuthenticateEV2NonFirst.

use crate::{
    auth::{AuthenticationError, KeyHolder, MemoryKey},
    card::{Authenticated, Card, Session, Staged},
    channel::Ev2,
    command::{Command, begin},
    error::Error,
    key::{Key, KeyNumber},
    transport::Transport,
};

impl<T: Transport> Card<T, Authenticated<Ev2>> {
    /// Goes on with another key of the application (AuthenticateEV2NonFirst).
    ///
    /// `rnd_a` must be unpredictable and fresh for each call.
    ///
    /// # Errors
    /// As AuthenticateEV2First; it ends the session.
    pub fn authenticate_ev2_non_first(self, number: KeyNumber, key: &Key, rnd_a: [u8; 16]) -> Result<Self, Error> {
        let holder = MemoryKey::new(key, rnd_a);
        self.authenticate_ev2_non_first_by(number, holder).map_err(AuthenticationError::into_card_error)
    }

    /// [`authenticate_ev2_non_first`](Self::authenticate_ev2_non_first) with a key that its holder keeps.
    ///
    /// # Errors
    /// The same from the card, and what the holder could not do.
    pub fn authenticate_ev2_non_first_by<K: KeyHolder>(
        mut self,
        number: KeyNumber,
        holder: K,
    ) -> Result<Self, AuthenticationError<K::Error>> {
        go_on(&mut self.transport, &mut self.state.0, number, holder)?;
        Ok(self)
    }
}

impl<T: Transport> Card<T, Staged<Ev2>> {
    /// Goes on with the same transaction under another key of the application (AuthenticateEV2NonFirst).
    ///
    /// `rnd_a` must be unpredictable and fresh for each call.
    ///
    /// # Errors
    /// As AuthenticateEV2First. Nothing of the transaction takes effect then.
    pub fn authenticate_ev2_non_first(self, number: KeyNumber, key: &Key, rnd_a: [u8; 16]) -> Result<Self, Error> {
        let holder = MemoryKey::new(key, rnd_a);
        self.authenticate_ev2_non_first_by(number, holder).map_err(AuthenticationError::into_card_error)
    }

    /// [`authenticate_ev2_non_first`](Self::authenticate_ev2_non_first) with a key that its holder keeps.
    ///
    /// # Errors
    /// The same from the card, and what the holder could not do.
    pub fn authenticate_ev2_non_first_by<K: KeyHolder>(
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
    session: &mut Session<Ev2>,
    number: KeyNumber,
    holder: K,
) -> Result<(), AuthenticationError<K::Error>> {
    session.step(|session| {
        let (challenge, handshake) = begin(transport, Command::AuthenticateEv2NonFirst, &[number.get()])?;
        let keys = holder.authenticate_ev2_non_first(&challenge, |cryptogram| handshake.answer(cryptogram))?;
        session.messaging.go_on_with(&keys);
        session.number = number;
        Ok(())
    })
}
