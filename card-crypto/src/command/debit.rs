//! Debit (DC): lowers a value, in effect only after the commit. Source: NXP AN12343, Debit.

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
    /// Lowers a value by `amount`, at most `i32::MAX` (Debit). Needs the right to read, write, or read and write.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Boundary`](crate::Status::Boundary) when the value would fall below its lower
    /// limit, [`Misuse::OutOfRange`](crate::Misuse::OutOfRange) when the amount is too large, and any other [`Error`].
    /// Nothing of the transaction takes effect then.
    pub fn debit(mut self, file: FileNumber, mode: CommunicationMode, amount: u32) -> Result<Self, Error> {
        let request = amount_bytes(amount).map(|amount| Request::new(Command::Debit, mode, [file.get()]).data(amount));
        self.run(request, nothing)?;
        Ok(self)
    }
}
