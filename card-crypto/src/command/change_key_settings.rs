//! ChangeKeySettings (54): the rules of the keys of what is selected, enciphered. Source: NXP AN0945 and AN12343,
//! ChangeKeySettings.

use crate::{
    card::{Authenticated, Card},
    channel::SecureMessaging,
    command::{Command, nothing},
    error::Error,
    file::CommunicationMode,
    request::Request,
    settings::KeySettings,
    transport::Transport,
};

impl<T: Transport, S: SecureMessaging> Card<T, Authenticated<S>> {
    /// Changes the rules of the keys of the selected application, or of the card (ChangeKeySettings); under key 0.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::PermissionDenied`](crate::Status::PermissionDenied) when they are frozen, and
    /// any other [`Error`]; it ends the session.
    pub fn change_key_settings(&mut self, settings: KeySettings) -> Result<(), Error> {
        let request = Request::new(Command::ChangeKeySettings, CommunicationMode::Full, [])
            .data([settings.to_byte()])
            .answer_mode(CommunicationMode::Mac);
        self.run(Ok(request), nothing)
    }
}
