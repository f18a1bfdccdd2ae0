//! ChangeKeyEV2 (C6): replaces one key of any key set; as ChangeKey, with the set's number before the key's.
//!
//! A key of another set than the active one is always masked by the key that is there, also where it has the number of
//! the key in use: it is another key. Source: NXP AN12196, section 5.16, for the cryptogram; proxmark3, liblogicalaccess and
//! the published NXP reader library headers for the rest.
//!
//! What a set holds that has just been initialised, public sources tell differently: sixteen zeros (liblogicalaccess), or
//! the active set's key of the same number (a demonstration by another client). The caller says it; try one card first.

use crate::{
    card::{Authenticated, Card},
    channel::Ev2,
    checksum::crc32,
    command::{Command, change_key::masked, nothing},
    error::{Error, Misuse},
    file::CommunicationMode,
    key::{Key, KeyNumber, KeySetNumber, NewKey},
    request::Request,
    transport::Transport,
};

impl<T: Transport> Card<T, Authenticated<Ev2>> {
    /// Replaces a key of a key set (ChangeKeyEV2).
    ///
    /// # Errors
    /// [`Misuse::KeyInUse`] for the key that opened the session;
    /// [`Error::Refused`] with [`Status::Integrity`](crate::Status::Integrity) when `old` is not the card's key,
    /// [`Status::Authentication`](crate::Status::Authentication) when the key in use may not change it, and any other
    /// [`Error`]; it ends the session.
    pub fn change_key_ev2(
        &mut self,
        set: KeySetNumber,
        number: KeyNumber,
        old: &Key,
        new: NewKey<'_>,
    ) -> Result<(), Error> {
        let request = if set == KeySetNumber::ACTIVE && number == self.state.0.number {
            Err(Misuse::KeyInUse)
        } else {
            Ok(Request::new(Command::ChangeKeyEv2, CommunicationMode::Full, [set.get(), number.get()])
                .data(masked(old, new))
                .checksum(Some(crc32(&[new.key.expose_secret()])))
                .answer_mode(CommunicationMode::Mac))
        };
        self.run(request, nothing)
    }
}
