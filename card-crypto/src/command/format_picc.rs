//! FormatPICC (FC): erases every application and file. Source: NXP AN0945, FormatPICC.

use crate::{
    card::{Authenticated, Card},
    channel::SecureMessaging,
    command::{Command, nothing},
    error::Error,
    file::CommunicationMode,
    request::Request,
    transport::Transport,
};

impl<T: Transport, S: SecureMessaging> Card<T, Authenticated<S>> {
    /// Erases all applications and files and gives their memory back (FormatPICC). The card's own key and settings stay.
    /// The session must be at [`Aid::PICC`](crate::Aid::PICC).
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::PermissionDenied`](crate::Status::PermissionDenied) on a card that was
    /// configured never to be formatted, and any other [`Error`]; it ends the session.
    pub fn format_picc(&mut self) -> Result<(), Error> {
        self.run(Ok(Request::new(Command::FormatPicc, CommunicationMode::Mac, [])), nothing)
    }
}
