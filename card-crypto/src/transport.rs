//! The one seam between this crate and the outside: whoever can carry an APDU to a card.

/// Carries commands to one card in the field.
///
/// A PC/SC reader, a card in memory and a fault injector all implement it.
pub trait Transport {
    /// Sends one command APDU to the card and returns its whole answer: data, SW1, SW2.
    ///
    /// An implementation must not retry: whether the card acted on a command whose answer was lost is for the caller
    /// to decide, and a second copy of an authenticated command ends the card's session anyway.
    ///
    /// # Errors
    /// [`Lost`] when no answer came. Whether the card acted on the command is then not known.
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Lost>;
}

impl<T: Transport + ?Sized> Transport for &mut T {
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Lost> {
        (**self).exchange(command)
    }
}

/// Why no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// The card left the field, or answered with less than a status word. Present it again.
    #[error("the card left the field")]
    Card,
    /// The card is in the field and did not answer in time. Present it again.
    #[error("the card did not answer in time")]
    Silent,
    /// The reader or its service is gone. No card can be served until it is back.
    #[error("the reader is gone")]
    Reader,
}
