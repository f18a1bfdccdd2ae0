//! GetApplicationIDs (6A): chained with additional frames. Source: NXP AN0945, GetApplicationIDs.

use crate::{
    card::{Card, Conversation},
    command::Command,
    error::{Error, Misbehaviour},
    file::{Aid, CommunicationMode},
    request::Request,
    transport::Transport,
};

/// More applications than the memory of any card holds, and few enough not to wait for long.
const APPLICATIONS_MAX: usize = 1024;

impl<T: Transport, C: Conversation> Card<T, C> {
    /// The applications of the card (GetApplicationIDs). [`Aid::PICC`] must be selected, and authenticated unless the
    /// card lists them to everybody.
    ///
    /// # Errors
    /// Any [`Error`]; it ends the session, if there is one.
    pub fn get_application_ids(&mut self) -> Result<Vec<Aid>, Error> {
        let request = Request::new(Command::GetApplicationIds, CommunicationMode::Mac, []);
        self.run(Ok(request.answers_between(0, 3 * APPLICATIONS_MAX)), |answer| {
            let (aids, rest) = answer.as_chunks::<3>();
            if !rest.is_empty() {
                return Err(Misbehaviour::WrongLength { expected: 3 * aids.len(), actual: answer.len() });
            }
            Ok(aids.iter().copied().map(Aid).collect())
        })
    }
}
