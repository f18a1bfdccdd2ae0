//! ChangeFileSettings (5F): enciphered; in clear where the file's right to change is free. Source: NXP AN0945 and
//! AN12343, ChangeFileSettings.

use crate::{
    card::{Authenticated, Card, Idle},
    channel::AesMessaging,
    command::{Command, nothing},
    error::Error,
    file::{AccessRights, CommunicationMode, FileNumber},
    request::Request,
    transport::Transport,
};

impl<T: Transport, S: AesMessaging> Card<T, Authenticated<S>> {
    /// Changes mode and rights of a file (ChangeFileSettings), under the key that its rights name for that. Where that
    /// right is free, do it without a session.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::PermissionDenied`](crate::Status::PermissionDenied) where nobody may, and any
    /// other [`Error`]; it ends the session.
    pub fn change_file_settings(
        &mut self,
        file: FileNumber,
        mode: CommunicationMode,
        rights: AccessRights,
    ) -> Result<(), Error> {
        let request = Request::new(Command::ChangeFileSettings, CommunicationMode::Full, [file.get()])
            .data(settings(mode, rights))
            .answer_mode(CommunicationMode::Mac);
        self.run(Ok(request), nothing)
    }
}

impl<T: Transport> Card<T, Idle> {
    /// Changes mode and rights of a file that everybody may change (ChangeFileSettings), in clear.
    ///
    /// # Errors
    /// As in a session.
    pub fn change_file_settings(
        &mut self,
        file: FileNumber,
        mode: CommunicationMode,
        rights: AccessRights,
    ) -> Result<(), Error> {
        let request = Request::new(Command::ChangeFileSettings, CommunicationMode::Plain, [file.get()]);
        self.run(Ok(request.data(settings(mode, rights))), nothing)
    }
}

fn settings(mode: CommunicationMode, rights: AccessRights) -> [u8; 3] {
    let [first, second] = rights.to_bytes();
    [mode.code(), first, second]
}
