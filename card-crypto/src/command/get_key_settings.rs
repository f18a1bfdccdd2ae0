//! GetKeySettings (45): the rules of the keys of what is selected. Source: NXP AN0945 and AN12343, GetKeySettings.

use crate::{
    card::{Card, Conversation},
    command::Command,
    error::Error,
    file::CommunicationMode,
    request::Request,
    settings::KeyTable,
    transport::Transport,
};

/// Two bytes, and what EV2 and EV3 cards add for up to 16 key sets.
const ANSWER_BYTES_MAX: usize = 2 + 4 + 16;

impl<T: Transport, C: Conversation> Card<T, C> {
    /// The rules of the keys of the selected application, or of the card (GetKeySettings).
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Authentication`](crate::Status::Authentication) when they are told to key 0 only,
    /// and any other [`Error`]; it ends the session, if there is one.
    pub fn get_key_settings(&mut self) -> Result<KeyTable, Error> {
        let request = Request::new(Command::GetKeySettings, CommunicationMode::Mac, []);
        self.run(Ok(request.answers_between(2, ANSWER_BYTES_MAX)), |answer| KeyTable::decode(&answer))
    }
}
