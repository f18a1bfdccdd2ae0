//! LimitedCredit (1C): raises a value, in effect only after the commit. Source: NXP AN0945 and AN12343, LimitedCredit.

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
    /// Raises a value by `amount`, at most what the last transaction with a debit took, once (LimitedCredit). The file
    /// must have been made with it on. Needs the right to write, or to read and write.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Boundary`](crate::Status::Boundary) when the value would rise by more than was debited, or above its upper limit,
    /// [`Misuse::OutOfRange`](crate::Misuse::OutOfRange) when the amount is too large, and any other [`Error`]. Nothing
    /// of the transaction takes effect then.
    pub fn limited_credit(mut self, file: FileNumber, mode: CommunicationMode, amount: u32) -> Result<Self, Error> {
        let request =
            amount_bytes(amount).map(|amount| Request::new(Command::LimitedCredit, mode, [file.get()]).data(amount));
        self.run(request, nothing)?;
        Ok(self)
    }
}
