//! CommitReaderID (C8): puts the reader's name under the Transaction MAC.
//!
//! The sources disagree about the answer: AN12343, page 64, deciphers its 16 bytes with the session key, but a full block
//! without padding cannot be mode Full. It is taken as mode MAC and the bytes as EncTMRI, as proxmark3, the Go client
//! dumacp/smartcard and NXP's published reader sources do. Source: NXP AN12343, CommitReaderID.

use crate::{
    card::{Card, Staged},
    channel::Ev2,
    command::Command,
    error::Error,
    file::CommunicationMode,
    request::Request,
    transport::Transport,
    wire::exactly,
};

impl<T: Transport> Card<T, Staged<Ev2>> {
    /// Puts the reader's name (TMRI) under the Transaction MAC and returns the name of the reader of the transaction
    /// before, enciphered for the back office (EncTMRI; see
    /// [`previous_reader_id`](crate::transaction_mac::previous_reader_id)). Needs the right to read and write of the
    /// Transaction MAC file.
    ///
    /// # Errors
    /// Any [`Error`]. Nothing of the transaction takes effect then.
    pub fn commit_reader_id(mut self, reader_id: [u8; 16]) -> Result<(Self, [u8; 16]), Error> {
        let request = Request::new(Command::CommitReaderId, CommunicationMode::Mac, reader_id).answers(16);
        let previous = self.run(Ok(request), |answer| exactly(&answer))?;
        Ok((self, previous))
    }
}
