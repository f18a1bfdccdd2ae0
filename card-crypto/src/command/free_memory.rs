//! FreeMemory (6E): memory that is still free. Source: NXP AN0945, FreeMem.

use crate::{
    card::{Card, Conversation},
    command::Command,
    error::Error,
    file::CommunicationMode,
    request::Request,
    transport::Transport,
    wire::exactly,
};

impl<T: Transport, C: Conversation> Card<T, C> {
    /// Free memory of the card in bytes (FreeMemory). What deleted applications held comes back only with
    /// [`format_picc`](Card::format_picc).
    ///
    /// # Errors
    /// Any [`Error`]; it ends the session, if there is one.
    pub fn free_memory(&mut self) -> Result<u32, Error> {
        let request = Request::new(Command::FreeMemory, CommunicationMode::Mac, []).answers(3);
        self.run(Ok(request), |answer| {
            let [low, middle, high] = exactly(&answer)?;
            Ok(u32::from_le_bytes([low, middle, high, 0]))
        })
    }
}
