//! GetFileSettings (F5). Source: NXP AN0945 and AN12343, GetFileSettings.

use crate::{
    card::{Card, Conversation},
    command::Command,
    error::Error,
    file::{CommunicationMode, FileNumber},
    file_settings::FileSettings,
    request::Request,
    transport::Transport,
};

/// More than the longest settings that are known; what follows them is handed on as it came.
const ANSWER_BYTES_MAX: usize = 64;

impl<T: Transport, C: Conversation> Card<T, C> {
    /// Kind, mode, rights and sizes of a file (GetFileSettings), under key 0 unless the application tells everybody.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::FileNotFound`](crate::Status::FileNotFound) when there is none, and any other
    /// [`Error`]; it ends the session, if there is one.
    pub fn get_file_settings(&mut self, file: FileNumber) -> Result<FileSettings, Error> {
        let request = Request::new(Command::GetFileSettings, CommunicationMode::Mac, [file.get()]);
        self.run(Ok(request.answers_between(4, ANSWER_BYTES_MAX)), |answer| FileSettings::decode(&answer))
    }
}
