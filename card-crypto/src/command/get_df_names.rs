//! GetDFNames (6D): one application in each frame. Source: NXP AN0945, GetDFNames.

use crate::{
    apdu::{exchange_frame, wrap},
    card::{Card, Idle},
    command::Command,
    error::{Error, Misbehaviour},
    file::Aid,
    transport::Transport,
};

/// More applications than the memory of any card holds, and few enough not to wait for long.
const APPLICATIONS_MAX: usize = 1024;

/// An application that has a name for ISO 7816-4 selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DfName {
    /// Its AID.
    pub aid: Aid,
    /// Its ISO file identifier.
    pub file_id: u16,
    /// Its DF name, 0 to 16 bytes.
    pub name: Vec<u8>,
}

impl<T: Transport> Card<T, Idle> {
    /// The applications that have an ISO name (GetDFNames). [`Aid::PICC`] must be selected, and the card list its
    /// applications to everybody: inside a session this command can end it on real cards, so it is not offered there.
    ///
    /// # Errors
    /// Any [`Error`] except misuse.
    pub fn get_df_names(&mut self) -> Result<Vec<DfName>, Error> {
        let (mut next, mut names) = (Command::GetDfNames, Vec::new());
        loop {
            let apdu = &mut [0; _];
            let frame = exchange_frame(&mut self.transport, Command::GetDfNames, wrap(apdu, next, &[]))?;
            match frame.data.as_slice() {
                [] if !frame.more => return Ok(names),
                &[a, b, c, low, high, ref name @ ..] if name.len() <= 16 && names.len() < APPLICATIONS_MAX => {
                    let (aid, file_id) = (Aid([a, b, c]), u16::from_le_bytes([low, high]));
                    names.push(DfName { aid, file_id, name: name.to_vec() });
                }
                other => return Err(Misbehaviour::WrongLength { expected: 21, actual: other.len() }.into()),
            }
            if !frame.more {
                return Ok(names);
            }
            next = Command::AdditionalFrame;
        }
    }
}
