//! A card in the field, by what may be done with it next. What can be done is in [`command`](crate::command), one file
//! for each.

use std::{fmt, mem};

use crate::{
    apdu::{FrameSize, exchange_command},
    channel::{AesMessaging, Ev2, Plaintext, SecureMessaging},
    error::{Error, Misbehaviour, Misuse},
    key::KeyNumber,
    request::Request,
    transport::Transport,
    wire::exactly,
};

/// A card behind a transport. The state says what may be done next:
///
/// ```text
/// Idle ── authenticate_… ──▶ Authenticated<S> ── stage ──▶ Staged<S> ── commit ──▶ Commit<T, S>
///                                   ▲                          │
///                                   └────────── abort ─────────┘
/// ```
///
/// `S` is the session: [`Ev2`] (AuthenticateEV2First), [`Ev1`](crate::Ev1) (AuthenticateAES), or
/// [`FactoryDes`](crate::FactoryDes), which knows no transactions.
///
/// The first error ends a session. A method that takes the card keeps it then; one that borrows it leaves a card
/// that answers [`Misuse::SessionOver`] to everything. Hand in `&mut transport` to keep the transport for another try.
pub struct Card<T, State> {
    pub(crate) transport: T,
    pub(crate) frame_size: FrameSize,
    pub(crate) state: State,
}

/// Nobody is authenticated: what is sent and answered is in clear and proves nothing.
#[derive(Debug)]
pub struct Idle(());

/// Reader and card have proved to each other that they know the key; nothing is written yet.
#[derive(Debug)]
pub struct Authenticated<S = Ev2>(pub(crate) Session<S>);

/// A transaction is open: what is written takes effect with [`commit`](Card::commit), all of it or nothing.
#[derive(Debug)]
pub struct Staged<S = Ev2>(pub(crate) Session<S>);

/// What became of a transaction once its commit was asked for.
#[must_use = "a transaction whose outcome nobody looks at is money lost"]
#[derive(Debug)]
pub enum Commit<T, S: AesMessaging = Ev2, M = <S as AesMessaging>::TransactionMac> {
    /// The card proved that the transaction took effect.
    Done {
        /// The card; its session goes on.
        card: Card<T, Authenticated<S>>,
        /// The card's proof towards the back office; an EV1 card has [none](crate::NoTransactionMac).
        transaction_mac: M,
    },
    /// The answer did not come, did not verify, or was a refusal, which anybody can forge: the transaction **may or
    /// may not** have taken effect. Only what the card itself shows later, authenticated, can tell.
    Unknown {
        /// What is wrong with the answer.
        why: Error,
    },
}

/// A state in which a card can be asked and set up: [`Idle`], where the card lets everybody, and [`Authenticated`].
pub trait Conversation: sealed::Ask {}

impl Conversation for Idle {}

impl<S: SecureMessaging> Conversation for Authenticated<S> {}

impl<T: Transport> Card<T, Idle> {
    /// A card that has just come into the field.
    #[must_use]
    pub fn new(transport: T, frame_size: FrameSize) -> Self {
        Self { transport, frame_size, state: Idle(()) }
    }

    pub(crate) fn authenticated<S>(self, number: KeyNumber, messaging: Box<S>) -> Card<T, Authenticated<S>> {
        self.with_state(|_| Authenticated(Session { messaging, number, alive: true }))
    }
}

impl<T: Transport, S: AesMessaging> Card<T, Authenticated<S>> {
    /// Begins to write. Sends nothing: a card's transaction is always open.
    #[must_use]
    pub fn stage(self) -> Card<T, Staged<S>> {
        self.with_state(|Authenticated(session)| Staged(session))
    }
}

impl<T, S> Card<T, Staged<S>> {
    pub(crate) fn into_authenticated(self) -> Card<T, Authenticated<S>> {
        self.with_state(|Staged(session)| Authenticated(session))
    }
}

impl<T, State> Card<T, State> {
    /// Gives the transport back. The card keeps its state until it leaves the field or another application is selected.
    #[must_use]
    pub fn into_transport(self) -> T {
        self.transport
    }

    pub(crate) fn into_idle(self) -> Card<T, Idle> {
        self.with_state(|_| Idle(()))
    }

    fn with_state<Next>(self, next: impl FnOnce(State) -> Next) -> Card<T, Next> {
        let Self { transport, frame_size, state } = self;
        Card { transport, frame_size, state: next(state) }
    }
}

impl<T: Transport, State: sealed::Ask> Card<T, State> {
    /// Sends one command and returns what the card said, as `decode` understands it.
    pub(crate) fn run<H: AsRef<[u8]>, D: AsRef<[u8]>, A>(
        &mut self,
        request: Result<Request<H, D>, Misuse>,
        decode: impl FnOnce(Vec<u8>) -> Result<A, Misbehaviour>,
    ) -> Result<A, Error> {
        self.state.ask(&mut self.transport, self.frame_size, request, decode)
    }
}

impl<T, State: fmt::Debug> fmt::Debug for Card<T, State> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Card").field("frame_size", &self.frame_size).field("state", &self.state).finish_non_exhaustive()
    }
}

/// The reader's end of a session, until its first error.
#[derive(Debug)]
pub(crate) struct Session<S> {
    /// Boxed, so that a card is cheap to move from state to state: the scheduled keys are half a kilobyte.
    pub(crate) messaging: Box<S>,
    /// The key that opened it.
    pub(crate) number: KeyNumber,
    alive: bool,
}

impl<S> Session<S> {
    /// Does one step that leaves the session alive only where it succeeds.
    pub(crate) fn step<A, E: From<Error>>(&mut self, step: impl FnOnce(&mut Self) -> Result<A, E>) -> Result<A, E> {
        if !mem::take(&mut self.alive) {
            return Err(Error::from(Misuse::SessionOver).into());
        }
        let done = step(self)?;
        self.alive = true;
        Ok(done)
    }
}

impl<S: SecureMessaging> Session<S> {
    /// Seals a command.
    pub(crate) fn seal<H: AsRef<[u8]>, D: AsRef<[u8]>>(&mut self, request: &Request<H, D>) -> Result<Vec<u8>, Misuse> {
        self.messaging.seal(&Plaintext {
            mode: request.mode,
            instruction: request.command.code(),
            header: request.header.as_ref(),
            data: request.data.as_ref(),
            checksum: request.checksum,
        })
    }

    /// Sends the command that ends this session: its answer says nothing and has no MAC.
    pub(crate) fn end<T: Transport, H: AsRef<[u8]>, D: AsRef<[u8]>>(
        &mut self,
        transport: &mut T,
        frame_size: FrameSize,
        request: &Request<H, D>,
    ) -> Result<(), Error> {
        self.step(|session| {
            let body = session.seal(request)?;
            let answer = exchange_command(transport, frame_size, request.command, &body, 0)?;
            Ok(exactly::<0>(&answer).map(|[]| ())?)
        })
    }

    fn ask<T: Transport, H: AsRef<[u8]>, D: AsRef<[u8]>, A>(
        &mut self,
        transport: &mut T,
        frame_size: FrameSize,
        request: Result<Request<H, D>, Misuse>,
        decode: impl FnOnce(Vec<u8>) -> Result<A, Misbehaviour>,
    ) -> Result<A, Error> {
        self.step(|session| {
            let request = request?;
            let body = session.seal(&request)?;
            let mode = request.answer_mode;
            let bytes_max = S::answer_bytes_max(mode, request.answer_bytes_max);
            let answer = exchange_command(transport, frame_size, request.command, &body, bytes_max)?;
            let answer = session.messaging.open(mode, answer, request.answer_bytes_max)?;
            request.check_length(answer.len())?;
            Ok(decode(answer)?)
        })
    }
}

pub(crate) mod sealed {
    use super::{Authenticated, FrameSize, Idle, Staged, exchange_command};
    use crate::{
        channel::SecureMessaging,
        error::{Error, Misbehaviour, Misuse},
        request::Request,
        transport::Transport,
    };

    /// A state in which a command can be sent.
    pub trait Ask {
        fn ask<T: Transport, H: AsRef<[u8]>, D: AsRef<[u8]>, A>(
            &mut self,
            transport: &mut T,
            frame_size: FrameSize,
            request: Result<Request<H, D>, Misuse>,
            decode: impl FnOnce(Vec<u8>) -> Result<A, Misbehaviour>,
        ) -> Result<A, Error>;
    }

    /// Everything travels in clear.
    impl Ask for Idle {
        fn ask<T: Transport, H: AsRef<[u8]>, D: AsRef<[u8]>, A>(
            &mut self,
            transport: &mut T,
            frame_size: FrameSize,
            request: Result<Request<H, D>, Misuse>,
            decode: impl FnOnce(Vec<u8>) -> Result<A, Misbehaviour>,
        ) -> Result<A, Error> {
            let request = request?;
            let body = [request.header.as_ref(), request.data.as_ref()].concat();
            let bytes_max = request.answer_bytes_max;
            let answer = exchange_command(transport, frame_size, request.command, &body, bytes_max)?;
            request.check_length(answer.len())?;
            Ok(decode(answer)?)
        }
    }

    impl<S: SecureMessaging> Ask for Authenticated<S> {
        fn ask<T: Transport, H: AsRef<[u8]>, D: AsRef<[u8]>, A>(
            &mut self,
            transport: &mut T,
            frame_size: FrameSize,
            request: Result<Request<H, D>, Misuse>,
            decode: impl FnOnce(Vec<u8>) -> Result<A, Misbehaviour>,
        ) -> Result<A, Error> {
            self.0.ask(transport, frame_size, request, decode)
        }
    }

    impl<S: SecureMessaging> Ask for Staged<S> {
        fn ask<T: Transport, H: AsRef<[u8]>, D: AsRef<[u8]>, A>(
            &mut self,
            transport: &mut T,
            frame_size: FrameSize,
            request: Result<Request<H, D>, Misuse>,
            decode: impl FnOnce(Vec<u8>) -> Result<A, Misbehaviour>,
        ) -> Result<A, Error> {
            self.0.ask(transport, frame_size, request, decode)
        }
    }
}
