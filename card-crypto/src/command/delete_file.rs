//! DeleteFile (DF). Source: NXP AN0945, DeleteFile.

use crate::{
    card::{Card, Conversation},
    command::{Command, nothing},
    error::Error,
    file::{CommunicationMode, FileNumber},
    request::Request,
    transport::Transport,
};

impl<T: Transport, C: Conversation> Card<T, C> {
    /// Removes a file (DeleteFile); under key 0 unless the application lets everybody. Its memory does not come back.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::FileNotFound`](crate::Status::FileNotFound) when there is none, and any other
    /// [`Error`]; it ends the session, if there is one.
    pub fn delete_file(&mut self, file: FileNumber) -> Result<(), Error> {
        self.run(Ok(Request::new(Command::DeleteFile, CommunicationMode::Mac, [file.get()])), nothing)
    }
}
