//! Credit (0C): raises a value, in effect only after the commit. Source: NXP AN0945 and AN12343, Credit.

use crate::{
    card::{Card, Staged},
    channel::AesMessaging,
    command::{Command, nothing},
    error::Error,
    file::{CommunicationMode, FileNumber},
    request::Request,
    transport::Transport,
    wire::amount_bytes,
};

impl<T: Transport, S: AesMessaging> Card<T, Staged<S>> {
    /// Raises a value by `amount`, at most `i32::MAX` (Credit). Needs the right to read and write.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Boundary`](crate::Status::Boundary) when the value would rise above its upper limit,
    /// [`Misuse::OutOfRange`](crate::Misuse::OutOfRange) when the amount is too large, and any other [`Error`]. Nothing
    /// of the transaction takes effect then.
    pub fn credit(mut self, file: FileNumber, mode: CommunicationMode, amount: u32) -> Result<Self, Error> {
        let request = amount_bytes(amount).map(|amount| Request::new(Command::Credit, mode, [file.get()]).data(amount));
        self.run(request, nothing)?;
        Ok(self)
    }
}
