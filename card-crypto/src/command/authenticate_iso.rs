//! AuthenticateISO (1A) with the DES or 2K3DES key that a blank card comes with; the arithmetic is in [`crate::auth`].
//!
//! Source: NXP AN0945 "MIFARE DESFire EV1 features and hints", AuthenticateISO.

use crate::{
    auth::IsoDes,
    card::{Authenticated, Card, Idle},
    channel::FactoryDes,
    command::{Command, begin},
    error::Error,
    key::{DesKey, KeyNumber},
    transport::Transport,
};

impl<T: Transport> Card<T, Idle> {
    /// Authenticates with the card's DES master key, to take it to AES (AuthenticateISO). Select
    /// [`Aid::PICC`](crate::Aid::PICC) before; a card from the factory holds [`DesKey::FACTORY`].
    ///
    /// `rnd_a` must be unpredictable and fresh for each call.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Authentication`](crate::Status::Authentication) when the card holds another
    /// key or one of another kind, and any other [`Error`] except misuse.
    pub fn authenticate_iso(
        mut self,
        key: &DesKey,
        rnd_a: [u8; 8],
    ) -> Result<Card<T, Authenticated<FactoryDes>>, Error> {
        let number = KeyNumber::MASTER;
        let (challenge, begun) = begin(&mut self.transport, Command::AuthenticateIso, &[number.get()])?;
        let handshake = IsoDes::respond(key, rnd_a, &challenge);
        let proof = begun.answer(handshake.cryptogram())?;
        let session_key = handshake.open(&proof)?;
        Ok(self.authenticated(number, Box::new(FactoryDes::new(&session_key))))
    }
}
