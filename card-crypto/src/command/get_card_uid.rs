//! GetCardUID (51): the real UID, enciphered, also of a card that shows random ones. Source: NXP AN12196, section 5.15.

use crate::{
    card::{Authenticated, Card},
    channel::SecureMessaging,
    command::Command,
    error::Error,
    file::CommunicationMode,
    request::Request,
    transport::Transport,
    wire::exactly,
};

impl<T: Transport, S: SecureMessaging> Card<T, Authenticated<S>> {
    /// The card's real UID (GetCardUID), authenticated and enciphered.
    ///
    /// # Errors
    /// Any [`Error`]; it ends the session.
    pub fn get_card_uid(&mut self) -> Result<[u8; 7], Error> {
        let request = Request::new(Command::GetCardUid, CommunicationMode::Mac, [])
            .answer_mode(CommunicationMode::Full)
            .answers(7);
        self.run(Ok(request), |answer| exactly(&answer))
    }
}
