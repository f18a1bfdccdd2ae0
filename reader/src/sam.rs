//! A SAM in a contact reader: a card that stays.

use std::ffi::{CStr, CString};
use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use card_crypto::{Lost, Transport};
use pcsc::{Context, MAX_BUFFER_SIZE, Protocols, Scope, ShareMode};

use crate::NoCard;

/// The SAM in the reader of one name. It connects when it is first used, and anew after every failure of the reader, of
/// the service or of the SAM, which then has forgotten everything but its keys.
pub struct SamSlot {
    name: CString,
    deadline: Duration,
    connection: Option<Connection>,
}

/// A thread that owns the handle: PC/SC has no time limit on an exchange.
struct Connection {
    commands: SyncSender<Vec<u8>>,
    answers: Receiver<Result<Vec<u8>, Lost>>,
}

impl SamSlot {
    /// The SAM in the reader of exactly this name; an answer may take `exchange_deadline`.
    ///
    /// # Errors
    /// [`NoCard::Reader`] where the name cannot be one.
    pub fn new(name: &str, exchange_deadline: Duration) -> Result<Self, NoCard> {
        let name = CString::new(name).map_err(|_| NoCard::Reader { why: "its name holds a zero byte".to_owned() })?;
        Ok(Self { name, deadline: exchange_deadline, connection: None })
    }
}

impl Transport for SamSlot {
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Lost> {
        // A thread that has ended has taken no command, so nothing is sent twice.
        let sent = self.connection.take().filter(|connection| connection.commands.send(command.to_vec()).is_ok());
        let connection = match sent {
            Some(connection) => connection,
            None => {
                let connection = connect(self.name.clone());
                connection.commands.send(command.to_vec()).map_err(|_| Lost::Reader)?;
                connection
            }
        };
        let answer = match connection.answers.recv_timeout(self.deadline) {
            Ok(answer) => answer?,
            Err(RecvTimeoutError::Timeout) => return Err(Lost::Silent),
            Err(RecvTimeoutError::Disconnected) => return Err(Lost::Reader),
        };
        self.connection = Some(connection);
        Ok(answer)
    }
}

fn connect(name: CString) -> Connection {
    let (commands, from_us) = sync_channel::<Vec<u8>>(1);
    let (to_us, answers) = sync_channel(1);
    thread::spawn(move || {
        if serve(&name, &from_us, &to_us).is_err() {
            // Whoever waits, if anybody still does, learns that there is no answer.
            let _ = to_us.send(Err(Lost::Reader));
        }
    });
    Connection { commands, answers }
}

fn serve(
    name: &CStr,
    commands: &Receiver<Vec<u8>>,
    answers: &SyncSender<Result<Vec<u8>, Lost>>,
) -> Result<(), pcsc::Error> {
    let card = Context::establish(Scope::User)?.connect(name, ShareMode::Exclusive, Protocols::ANY)?;
    let mut buffer = [0; MAX_BUFFER_SIZE];
    while let Ok(command) = commands.recv() {
        let answer = card.transmit(&command, &mut buffer)?;
        if answers.send(Ok(answer.to_vec())).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

impl fmt::Debug for SamSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SamSlot").field("reader", &self.name).finish_non_exhaustive()
    }
}
