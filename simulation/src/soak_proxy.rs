//! A bad network: stands between `validator sync` and the clearing house, carries one HTTP request after the other, and
//! does something wrong with some of them. What it does follows from a seed.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

use crate::Failed;

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// The connection is closed before anything is carried.
    RequestLost,
    /// The request breaks off within its body.
    RequestCut,
    /// The clearing house has it, and its answer does not come.
    AnswerLost,
    /// The answer breaks off within.
    AnswerCut,
    /// The answer comes late, perhaps too late.
    Delayed,
    /// The clearing house gets it twice, one after the other; the second answer comes back.
    SentTwice,
    /// The clearing house gets it once more after later ones.
    SentAgainLater,
    /// The way back is shut, and the way there stays open.
    HalfClosed,
}

impl Trouble {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::RequestLost,
        Self::RequestCut,
        Self::AnswerLost,
        Self::AnswerCut,
        Self::Delayed,
        Self::SentTwice,
        Self::SentAgainLater,
        Self::HalfClosed,
    ];
}

/// The proxy; it ends with this value.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    ended: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    clearing_house: SocketAddr,
    held: watch::Sender<bool>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    random: u64,
    /// With so many of eight requests something goes wrong.
    bad_in_8: u64,
    troubles: BTreeMap<Trouble, u32>,
    again_later: Option<Vec<u8>>,
    answers_waiting: u32,
}

impl FaultProxy {
    /// A proxy before `clearing_house` that carries everything well until told otherwise.
    ///
    /// # Errors
    /// There is no port.
    pub fn start(clearing_house: SocketAddr, seed: u64) -> Result<Self, Failed> {
        let doing = || Failed::system("starting a proxy");
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(doing())?;
        listener.set_nonblocking(true).map_err(doing())?;
        let address = listener.local_addr().map_err(doing())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(doing())?;
        let state =
            State { random: seed, bad_in_8: 0, troubles: BTreeMap::new(), again_later: None, answers_waiting: 0 };
        let shared = Arc::new(Shared { clearing_house, held: watch::Sender::new(false), state: Mutex::new(state) });
        let ended = Arc::new(Notify::new());
        let (carrying, end) = (Arc::clone(&shared), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                tokio::select! {
                    () = accept(&listener, &carrying) => {}
                    () = end.notified() => {}
                }
            });
        });
        Ok(Self { address, shared, ended, thread: Some(thread) })
    }

    /// Where `validator sync` finds it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on something goes wrong with so many of eight requests.
    pub fn make_trouble(&self, of_eight: u64) {
        self.shared.state().bad_in_8 = of_eight;
    }

    /// Holds answers to uploads back, or lets them go.
    pub fn hold_answers(&self, held: bool) {
        self.shared.held.send_replace(held);
    }

    /// Answers that are held back now.
    #[must_use]
    pub fn answers_waiting(&self) -> u32 {
        self.shared.state().answers_waiting
    }

    /// What went wrong, by kind.
    #[must_use]
    pub fn troubles(&self) -> BTreeMap<Trouble, u32> {
        self.shared.state().troubles.clone()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.ended.notify_one();
        if let Some(thread) = self.thread.take() {
            // A proxy that panicked carries nothing any more either.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trouble(&self) -> Option<Trouble> {
        let mut state = self.state();
        let random = crate::soak::splitmix64(&mut state.random);
        if random % 8 >= state.bad_in_8 {
            return None;
        }
        let kind = usize::try_from(random >> 32).unwrap_or(0) % Trouble::ALL.len();
        let trouble = Trouble::ALL[kind];
        *state.troubles.entry(trouble).or_default() += 1;
        Some(trouble)
    }
}

async fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            // Whatever ends a connection here is part of the bad network.
            let _ = carry(client, &shared).await;
        });
    }
}

/// Carries what comes on one connection until it, or the trouble, ends it.
async fn carry(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut left = Vec::new();
    loop {
        let request = read_message(&mut client, &mut left).await?;
        let trouble = shared.trouble();
        let again_later = shared.state().again_later.take();
        if let Some(earlier) = again_later {
            ask(shared, &earlier).await?;
        }
        match trouble {
            Some(Trouble::RequestLost) => return Ok(()),
            Some(Trouble::RequestCut) => {
                let mut clearing_house = TcpStream::connect(shared.clearing_house).await?;
                return clearing_house.write_all(&request[..request.len() - 1]).await;
            }
            Some(Trouble::SentTwice) => drop(ask(shared, &request).await?),
            Some(Trouble::SentAgainLater) => shared.state().again_later = Some(request.clone()),
            Some(Trouble::HalfClosed) => {
                client.shutdown().await?;
                ask(shared, &request).await?;
                // Until the other side gives up.
                return client.read(&mut [0]).await.map(drop);
            }
            Some(Trouble::AnswerLost | Trouble::AnswerCut | Trouble::Delayed) | None => {}
        }
        let answer = ask(shared, &request).await?;
        if request.starts_with(b"POST") {
            wait_while_held(shared).await;
        }
        match trouble {
            Some(Trouble::AnswerLost) => return Ok(()),
            Some(Trouble::AnswerCut) => return client.write_all(&answer[..answer.len() * 2 / 3]).await,
            Some(Trouble::Delayed) => {
                let ms = crate::soak::splitmix64(&mut shared.state().random) % 800;
                tokio::time::sleep(Duration::from_millis(ms)).await;
            }
            _ => {}
        }
        client.write_all(&answer).await?;
    }
}

async fn wait_while_held(shared: &Shared) {
    let mut held = shared.held.subscribe();
    if !*held.borrow() {
        return;
    }
    shared.state().answers_waiting += 1;
    // The proxy holds the sender for as long as it runs.
    let _ = held.wait_for(|held| !held).await;
    shared.state().answers_waiting -= 1;
}

/// Hands a request on, on a connection of its own, and takes the answer.
async fn ask(shared: &Shared, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut clearing_house = TcpStream::connect(shared.clearing_house).await?;
    clearing_house.write_all(request).await?;
    read_message(&mut clearing_house, &mut Vec::new()).await
}

/// One HTTP/1.1 message with a `Content-Length`; what has come of the next one stays in `left`.
async fn read_message(stream: &mut TcpStream, left: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    let mut message = std::mem::take(left);
    loop {
        if let Some(length) = message_length(&message).filter(|length| message.len() >= *length) {
            *left = message.split_off(length);
            return Ok(message);
        }
        if stream.read_buf(&mut message).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The length of the message that begins here, once its head is there.
fn message_length(message: &[u8]) -> Option<usize> {
    const END_OF_HEAD: &[u8] = b"\r\n\r\n";
    let head = message.windows(END_OF_HEAD.len()).position(|window| window == END_OF_HEAD)? + END_OF_HEAD.len();
    let text = String::from_utf8_lossy(&message[..head]).to_ascii_lowercase();
    let body = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    Some(head + body.unwrap_or(0))
}
