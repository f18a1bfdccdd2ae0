//! CreateApplication (CA). Source: NXP AN0945 and AN12343, CreateApplication.

use crate::{
    card::{Card, Conversation},
    command::{Command, nothing},
    error::{Error, Misuse},
    file::{Aid, CommunicationMode},
    request::Request,
    settings::ApplicationSettings,
    transport::Transport,
};

impl<T: Transport, C: Conversation> Card<T, C> {
    /// Makes an application with AES keys (CreateApplication). [`Aid::PICC`] must be selected, and authenticated unless
    /// the card lets everybody. All keys are the card's default key at first: sixteen zeros, if nobody set another.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Duplicate`](crate::Status::Duplicate) when the card has one of this AID or name,
    /// [`Status::OutOfMemory`](crate::Status::OutOfMemory), [`Misuse::OutOfRange`] for settings that cannot be, and any
    /// other [`Error`]; it ends the session, if there is one.
    pub fn create_application(&mut self, Aid(aid): Aid, settings: &ApplicationSettings<'_>) -> Result<(), Error> {
        let settings = settings.encode().map_err(Misuse::from);
        let request = settings.map(|settings| {
            let header = [aid.as_slice(), &settings].concat();
            Request::new(Command::CreateApplication, CommunicationMode::Mac, header)
        });
        self.run(request, nothing)
    }
}
