//! Read_Sig (3C): the maker's signature over the UID, status 90. Source: NXP AN12343, table 44; NXP AN12196, section 6.

use crate::{
    apdu::exchange_command,
    card::{Card, Idle},
    command::Command,
    error::Error,
    transport::Transport,
    wire::exactly,
};

/// The only signature that there is.
const ADDRESS: u8 = 0x00;

impl<T: Transport> Card<T, Idle> {
    /// The maker's signature over the card's real UID (Read_Sig), for [`originality`](crate::originality); r and s of 28
    /// bytes each, most significant first.
    ///
    /// It is read without a session: it proves itself, and nothing but that NXP once made a chip with this UID.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::IllegalCommand`](crate::Status::IllegalCommand) from cards without one, and any
    /// other [`Error`] except misuse.
    pub fn read_signature(&mut self) -> Result<[u8; 56], Error> {
        let answer = exchange_command(&mut self.transport, self.frame_size, Command::ReadSignature, &[ADDRESS], 56)?;
        Ok(exactly(&answer)?)
    }
}
