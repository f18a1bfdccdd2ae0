//! GetFileIDs (6F). Source: NXP AN0945, GetFileIDs.

use crate::{
    card::{Card, Conversation},
    command::Command,
    error::{Error, Misbehaviour},
    file::{CommunicationMode, FileNumber},
    request::Request,
    transport::Transport,
};

/// An application has at most 32 files.
const FILES_MAX: usize = 32;

impl<T: Transport, C: Conversation> Card<T, C> {
    /// The files of the selected application (GetFileIDs), under key 0 unless it lists them to everybody.
    ///
    /// # Errors
    /// Any [`Error`]; it ends the session, if there is one.
    pub fn get_file_ids(&mut self) -> Result<Vec<FileNumber>, Error> {
        let request = Request::new(Command::GetFileIds, CommunicationMode::Mac, []).answers_between(0, FILES_MAX);
        self.run(Ok(request), |answer| {
            let number = |&number| FileNumber::new(number).ok_or(Misbehaviour::Unintelligible { what: "file number" });
            answer.iter().map(number).collect()
        })
    }
}
