//! ChangeKey (C4): replaces one key by an AES key, enciphered.
//!
//! ```text
//! another key         (new XOR old) ‖ version ‖ CRC32(new)
//! the key in use      new ‖ version                                answered without MAC; ends the session
//! ```
//!
//! In EV1 sessions the checksum of the whole command stands before CRC32(new). Sources: NXP AN12196, section 5.16; NXP
//! AN0945, ChangeKey; traces of a real EV1 card among the known answers.

use zeroize::Zeroizing;

use crate::{
    card::{Authenticated, Card, Idle},
    channel::{AesMessaging, SecureMessaging},
    checksum::crc32,
    command::{Command, nothing},
    error::{Error, Misuse},
    file::CommunicationMode,
    key::{Key, KeyNumber, NewKey},
    request::Request,
    transport::Transport,
};

/// Key number of the card's own key 0, which becomes (or stays) AES.
const PICC_MASTER_KEY_AES: u8 = 0x80;

impl<T: Transport, S: AesMessaging> Card<T, Authenticated<S>> {
    /// Replaces another key of the application than the one in use (ChangeKey). The session must be under the key that
    /// may change keys, see [`KeySettings`](crate::KeySettings).
    ///
    /// # Errors
    /// [`Misuse::KeyInUse`] for the key that opened the session; [`Error::Refused`] with
    /// [`Status::Integrity`](crate::Status::Integrity) when `old` is not the card's key,
    /// [`Status::Authentication`](crate::Status::Authentication) when the key in use may not change it, and any other
    /// [`Error`]; it ends the session.
    pub fn change_key(&mut self, number: KeyNumber, old: &Key, new: NewKey<'_>) -> Result<(), Error> {
        let request = if number == self.state.0.number {
            Err(Misuse::KeyInUse)
        } else {
            Ok(Request::new(Command::ChangeKey, CommunicationMode::Full, [number.get()])
                .data(masked(old, new))
                .checksum(Some(crc32(&[new.key.expose_secret()])))
                .answer_mode(CommunicationMode::Mac))
        };
        self.run(request, nothing)
    }

    /// Replaces the key that opened this session, which ends it (ChangeKey).
    ///
    /// The card's answer has no MAC and proves nothing: authenticate with the new key to know that it is there. Where an
    /// error comes back the card holds either the old key or the new one.
    ///
    /// # Errors
    /// Any [`Error`].
    pub fn change_own_key(mut self, new: NewKey<'_>) -> Result<Card<T, Idle>, Error> {
        let number = self.state.0.number.get();
        self.change_key_in_use(number, new)?;
        Ok(self.into_idle())
    }
}

impl<T: Transport, S: SecureMessaging> Card<T, Authenticated<S>> {
    /// Replaces the card's own master key by an AES key, from AES or from the factory's DES (ChangeKey with key number
    /// 80). The session must be at [`Aid::PICC`](crate::Aid::PICC); it ends.
    ///
    /// The card's answer has no MAC and proves nothing: authenticate with the new key to know that it is there. Where an
    /// error comes back the card holds either the old key or the new one.
    ///
    /// # Errors
    /// Any [`Error`].
    pub fn change_picc_master_key(mut self, new: NewKey<'_>) -> Result<Card<T, Idle>, Error> {
        self.change_key_in_use(PICC_MASTER_KEY_AES, new)?;
        Ok(self.into_idle())
    }

    fn change_key_in_use(&mut self, number: u8, new: NewKey<'_>) -> Result<(), Error> {
        let request = Request::new(Command::ChangeKey, CommunicationMode::Full, [number]).data(with_version(new));
        self.state.0.end(&mut self.transport, self.frame_size, &request)
    }
}

/// (new XOR old) ‖ version.
pub(super) fn masked(old: &Key, new: NewKey<'_>) -> Zeroizing<[u8; 17]> {
    let mut bytes = with_version(new);
    for (byte, old) in bytes.iter_mut().zip(old.expose_secret()) {
        *byte ^= old;
    }
    bytes
}

/// key ‖ version.
pub(super) fn with_version(new: NewKey<'_>) -> Zeroizing<[u8; 17]> {
    let mut bytes = Zeroizing::new([new.version; 17]);
    bytes[..16].copy_from_slice(new.key.expose_secret());
    bytes
}
