//! CreateTransactionMACFile (CE): its key travels enciphered. Source: NXP AN12343, CreateTransactionMACFile; NXP
//! MF2DL(H)x0, section 10.3.

use crate::{
    card::{Authenticated, Card},
    channel::Ev2,
    command::{Command, change_key::with_version, nothing},
    error::Error,
    file::{AccessRights, CommunicationMode, FileNumber},
    key::NewKey,
    request::Request,
    transport::Transport,
};

/// TMKeyOption: AES-128.
const AES: u8 = 0x02;

impl<T: Transport> Card<T, Authenticated<Ev2>> {
    /// Makes the application's Transaction MAC file (CreateTransactionMACFile); under key 0. From then on every
    /// transaction of the application is counted and MACed under `key`.
    ///
    /// `rights.write` must be [`Never`](crate::Access::Never). Where `rights.read_write` is a key or free,
    /// [`commit_reader_id`](Card::commit_reader_id) has to come before every commit; where it is never, it is off.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Duplicate`](crate::Status::Duplicate) when the application has one, and any
    /// other [`Error`]; it ends the session.
    pub fn create_transaction_mac_file(
        &mut self,
        file: FileNumber,
        mode: CommunicationMode,
        rights: AccessRights,
        key: NewKey<'_>,
    ) -> Result<(), Error> {
        let [first, second] = rights.to_bytes();
        let header = [file.get(), mode.code(), first, second, AES];
        let request = Request::new(Command::CreateTransactionMacFile, CommunicationMode::Full, header)
            .data(with_version(key))
            .answer_mode(CommunicationMode::Mac);
        self.run(Ok(request), nothing)
    }
}
