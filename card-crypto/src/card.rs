//! A card in the field, by what may be done with it next.

use std::{fmt, mem};

use crate::{
    apdu::{FrameSize, exchange_command},
    channel::{Channel, answer_bytes_max},
    command::{
        RecordRange, SessionCommand, Version, abort_transaction::AbortTransaction,
        authenticate_ev2_first::authenticate_ev2_first, commit_transaction::CommitTransaction, debit::Debit,
        get_value::GetValue, get_version, read_data::ReadData, read_records::ReadRecords,
        select_application::select_application, write_record::WriteRecord,
    },
    error::{Error, Misbehaviour, Misuse},
    file::{Aid, CommunicationMode, FileNumber},
    key::{Key, KeyNumber},
    transaction_mac::TransactionMac,
    transport::Transport,
};

/// A card behind a transport. The state says what may be done next:
///
/// ```text
/// Idle ── authenticate_ev2_first ──▶ Authenticated ── stage ──▶ Staged ── commit ──▶ Commit
///                                          ▲                      │
///                                          └──────── abort ───────┘
/// ```
///
/// The first error ends a session. A method that takes the card keeps it then; one that borrows it leaves a card
/// that answers [`Misuse::SessionOver`] to everything. Hand in `&mut transport` to keep the transport for another try.
pub struct Card<T, State> {
    transport: T,
    frame_size: FrameSize,
    state: State,
}

/// Nobody is authenticated: what is sent and answered is in clear and proves nothing.
#[derive(Debug)]
pub struct Idle(());

/// Reader and card have proved to each other that they know the key; nothing is written yet.
#[derive(Debug)]
pub struct Authenticated(Session);

/// A transaction is open: what is written takes effect with [`commit`](Card::commit), all of it or nothing.
#[derive(Debug)]
pub struct Staged(Session);

/// What became of a transaction once its commit was asked for.
#[must_use = "a transaction whose outcome nobody looks at is money lost"]
#[derive(Debug)]
pub enum Commit<T> {
    /// The card proved that the transaction took effect.
    Done {
        /// The card; its session goes on.
        card: Card<T, Authenticated>,
        /// The card's proof towards the back office.
        transaction_mac: TransactionMac,
    },
    /// The answer did not come, did not verify, or was a refusal, which anybody can forge: the transaction **may or
    /// may not** have taken effect. Only what the card itself shows later, authenticated, can tell.
    Unknown {
        /// What is wrong with the answer.
        why: Error,
    },
}

impl<T: Transport> Card<T, Idle> {
    /// A card that has just come into the field.
    #[must_use]
    pub fn new(transport: T, frame_size: FrameSize) -> Self {
        Self { transport, frame_size, state: Idle(()) }
    }

    /// Asks what the card is; not authenticated.
    ///
    /// # Errors
    /// Any [`Error`] except misuse.
    pub fn get_version(&mut self) -> Result<Version, Error> {
        get_version::get_version(&mut self.transport, self.frame_size)
    }

    /// Selects an application.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::ApplicationNotFound`](crate::Status::ApplicationNotFound) when the card has
    /// none of this name, [`Misbehaviour::ForeignStatusWord`] when it is no
    /// DESFire, and any other [`Error`] except misuse.
    pub fn select_application(&mut self, aid: Aid) -> Result<(), Error> {
        select_application(&mut self.transport, self.frame_size, aid)
    }

    /// Authenticates with a key of the selected application and opens an EV2 session.
    ///
    /// `rnd_a` must be unpredictable and fresh for each call.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Authentication`](crate::Status::Authentication) when the card holds another
    /// key, [`Misbehaviour::WrongChallenge`] when it does not know the key and
    /// pretends to, and any other [`Error`] except misuse.
    pub fn authenticate_ev2_first(
        mut self,
        number: KeyNumber,
        key: &Key,
        rnd_a: [u8; 16],
    ) -> Result<Card<T, Authenticated>, Error> {
        let opened = authenticate_ev2_first(&mut self.transport, number, key, rnd_a)?;
        let channel = Box::new(Channel::new(&opened.keys, opened.transaction_identifier, 0));
        Ok(self.with_state(|_| Authenticated(Session { channel, alive: true })))
    }
}

impl<T: Transport> Card<T, Authenticated> {
    /// Asks what the card is.
    ///
    /// # Errors
    /// Any [`Error`]; it ends the session.
    pub fn get_version(&mut self) -> Result<Version, Error> {
        self.run(Ok(get_version::GetVersion))
    }

    /// Reads records, oldest first, one after the other without separators.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Boundary`](crate::Status::Boundary) when there are not that many records,
    /// [`Misuse::OutOfRange`] when the range is empty or too large, and any other [`Error`]; it ends the session.
    pub fn read_records(
        &mut self,
        file: FileNumber,
        mode: CommunicationMode,
        range: RecordRange,
    ) -> Result<Vec<u8>, Error> {
        self.run(ReadRecords::new(file, mode, range).map_err(Misuse::from))
    }

    /// Reads `length` bytes of a data file from `offset`.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Boundary`](crate::Status::Boundary) when the file is shorter,
    /// [`Misuse::OutOfRange`] when the length is 0 or needs more than three bytes, and any other [`Error`]; it ends
    /// the session.
    pub fn read_data(
        &mut self,
        file: FileNumber,
        mode: CommunicationMode,
        offset: u32,
        length: u32,
    ) -> Result<Vec<u8>, Error> {
        self.run(ReadData::new(file, mode, offset, length).map_err(Misuse::from))
    }

    /// Reads the committed value of a value file.
    ///
    /// # Errors
    /// Any [`Error`]; it ends the session.
    pub fn get_value(&mut self, file: FileNumber, mode: CommunicationMode) -> Result<i32, Error> {
        self.run(Ok(GetValue { file, mode }))
    }

    /// Begins to write. Sends nothing: a card's transaction is always open.
    #[must_use]
    pub fn stage(self) -> Card<T, Staged> {
        self.with_state(|Authenticated(session)| Staged(session))
    }

    fn run<C: SessionCommand>(&mut self, command: Result<C, Misuse>) -> Result<C::Answer, Error> {
        self.state.0.run(&mut self.transport, self.frame_size, command)
    }
}

impl<T: Transport> Card<T, Staged> {
    /// Lowers a value by `amount`, at most `i32::MAX`.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Boundary`](crate::Status::Boundary) when the value would fall below its lower
    /// limit, [`Misuse::OutOfRange`] when the amount is too large, and any other [`Error`]. Nothing of the transaction
    /// takes effect then.
    pub fn debit(mut self, file: FileNumber, mode: CommunicationMode, amount: u32) -> Result<Self, Error> {
        self.run(Debit::new(file, mode, amount).map_err(Misuse::from))?;
        Ok(self)
    }

    /// Writes into the one record that this transaction adds to a record file.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`Status::Boundary`](crate::Status::Boundary) when the data do not fit the record,
    /// [`Misuse::OutOfRange`] when there are none or too many, and any other [`Error`]. Nothing of the transaction
    /// takes effect then.
    pub fn write_record(
        mut self,
        file: FileNumber,
        mode: CommunicationMode,
        offset: u32,
        data: &[u8],
    ) -> Result<Self, Error> {
        self.run(WriteRecord::new(file, mode, offset, data).map_err(Misuse::from))?;
        Ok(self)
    }

    /// Drops the transaction.
    ///
    /// # Errors
    /// Any [`Error`]; it ends the session. The card drops the transaction then too, at the latest when it leaves the
    /// field. [`Status::NoChanges`](crate::Status::NoChanges) when nothing was written.
    pub fn abort(mut self) -> Result<Card<T, Authenticated>, Error> {
        self.run(Ok(AbortTransaction))?;
        Ok(self.into_authenticated())
    }

    /// Makes the transaction take effect and returns the card's Transaction MAC.
    ///
    /// The application needs a Transaction MAC file that does not ask for CommitReaderID.
    pub fn commit(mut self) -> Commit<T> {
        match self.run(Ok(CommitTransaction)) {
            Ok(transaction_mac) => Commit::Done { card: self.into_authenticated(), transaction_mac },
            Err(why) => Commit::Unknown { why },
        }
    }

    fn run<C: SessionCommand>(&mut self, command: Result<C, Misuse>) -> Result<C::Answer, Error> {
        self.state.0.run(&mut self.transport, self.frame_size, command)
    }

    fn into_authenticated(self) -> Card<T, Authenticated> {
        self.with_state(|Staged(session)| Authenticated(session))
    }
}

impl<T, State> Card<T, State> {
    /// Gives the transport back. The card keeps its state until it leaves the field or another application is selected.
    #[must_use]
    pub fn into_transport(self) -> T {
        self.transport
    }

    fn with_state<Next>(self, next: impl FnOnce(State) -> Next) -> Card<T, Next> {
        let Self { transport, frame_size, state } = self;
        Card { transport, frame_size, state: next(state) }
    }
}

impl<T, State: fmt::Debug> fmt::Debug for Card<T, State> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Card").field("frame_size", &self.frame_size).field("state", &self.state).finish_non_exhaustive()
    }
}

/// The reader's end of a session, until its first error.
#[derive(Debug)]
struct Session {
    /// Boxed, so that a card is cheap to move from state to state: the scheduled keys are half a kilobyte.
    channel: Box<Channel>,
    alive: bool,
}

impl Session {
    fn run<T: Transport, C: SessionCommand>(
        &mut self,
        transport: &mut T,
        frame_size: FrameSize,
        command: Result<C, Misuse>,
    ) -> Result<C::Answer, Error> {
        if !mem::take(&mut self.alive) {
            return Err(Misuse::SessionOver.into());
        }
        let command = command?;
        let mode = command.mode();

        let body = self.channel.seal(mode, C::COMMAND.code(), command.header().as_ref(), command.data().as_ref())?;
        let answer_bytes_max = answer_bytes_max(mode, command.answer_bytes());
        let answer = exchange_command(transport, frame_size, C::COMMAND, &body, answer_bytes_max)?;
        let answer = self.channel.open(mode, answer)?;
        if answer.len() != command.answer_bytes() {
            let (expected, actual) = (command.answer_bytes(), answer.len());
            return Err(Misbehaviour::WrongLength { expected, actual }.into());
        }
        let answer = command.decode(answer)?;

        self.alive = true;
        Ok(answer)
    }
}
