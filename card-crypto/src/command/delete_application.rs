//! DeleteApplication (DA). Source: NXP AN0945, DeleteApplication.

use crate::{
    card::{Card, Conversation},
    command::{Command, nothing},
    error::Error,
    file::{Aid, CommunicationMode},
    request::Request,
    transport::Transport,
};

impl<T: Transport, C: Conversation> Card<T, C> {
    /// Removes an application and all that is in it (DeleteApplication). [`Aid::PICC`] must be selected, and
    /// authenticated unless the card lets everybody. Its memory comes back only with
    /// [`format_picc`](Card::format_picc).
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::ApplicationNotFound`](crate::Status::ApplicationNotFound) when there is none of
    /// this AID, and any other [`Error`]; it ends the session, if there is one.
    pub fn delete_application(&mut self, Aid(aid): Aid) -> Result<(), Error> {
        self.run(Ok(Request::new(Command::DeleteApplication, CommunicationMode::Mac, aid)), nothing)
    }
}
