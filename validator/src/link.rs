//! The socket between the two processes of a validator. `core` listens; `sync` tells it of the network and hands over
//! what the clearing house signed. One JSON object a line, both ways.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use transit::id::{DeviceId, Epoch, TapId};
use transit::sync::{Acknowledgement, signed_bytes};

use crate::log::Acknowledged;
use crate::panel::bind;

/// From `sync` to `core`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tell", rename_all = "snake_case", deny_unknown_fields)]
pub enum ToCore {
    /// Whether the clearing house can be reached.
    Network {
        /// It can.
        up: bool,
    },
    /// The clearing house's answer to an upload, as it came.
    Acknowledgement {
        /// The text.
        text: String,
        /// The signature, 128 hexadecimal digits.
        signature: String,
    },
}

/// From `core` to `sync`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tell", rename_all = "snake_case", deny_unknown_fields)]
pub enum ToSync {
    /// More taps are durable than before.
    Durable,
}

/// What `core` hears on the link.
#[derive(Debug)]
pub enum LinkEvent {
    /// `sync` said this.
    Told(ToCore),
    /// `sync` is gone: nothing is known of the network.
    Silent,
}

/// `core`'s end of the link.
#[derive(Debug)]
pub struct Link {
    peer: Arc<Mutex<Option<UnixStream>>>,
}

/// The longest line that is listened to: an acknowledgement of the largest batch fits.
const LINE_MAX: u64 = 1 << 20;
const WRITE_DEADLINE: Duration = Duration::from_millis(20);

impl Link {
    /// Listens at `path` for one `sync` at a time and passes on what it says.
    ///
    /// # Errors
    /// The socket cannot be made there.
    pub fn listen(path: &Path, tell: impl Fn(LinkEvent) -> bool + Send + 'static) -> io::Result<Self> {
        let listener = bind(path)?;
        let peer = Arc::new(Mutex::new(None));
        let current = Arc::clone(&peer);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let Ok(writer) = stream.try_clone() else { continue };
                if writer.set_write_timeout(Some(WRITE_DEADLINE)).is_err() {
                    continue;
                }
                *current.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer);
                hear(&stream, &tell);
                *current.lock().unwrap_or_else(PoisonError::into_inner) = None;
                if !tell(LinkEvent::Silent) {
                    return;
                }
            }
        });
        Ok(Self { peer })
    }

    /// Tells `sync`, if it is there; it looks by itself now and then as well.
    pub fn tell(&self, message: &ToSync) {
        let mut peer = self.peer.lock().unwrap_or_else(PoisonError::into_inner);
        if peer.as_mut().is_some_and(|stream| stream.write_all(&line(message)).is_err()) {
            *peer = None;
        }
    }
}

/// One message as a line.
pub fn line(message: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("a message is plain data");
    line.push(b'\n');
    line
}

fn hear(stream: &UnixStream, tell: &impl Fn(LinkEvent) -> bool) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        match io::Read::take(&mut reader, LINE_MAX).read_line(&mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        match serde_json::from_str(&line) {
            Ok(message) => {
                if !tell(LinkEvent::Told(message)) {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the link carries something that is no message");
                return;
            }
        }
    }
}

/// Why an acknowledgement is not believed.
#[derive(Debug, thiserror::Error)]
pub enum NotAcknowledged {
    /// Not signed by the clearing house that the configuration names.
    #[error("the signature is not the clearing house's")]
    Signature,
    /// Signed, but not an acknowledgement.
    #[error("the acknowledgement cannot be read")]
    Text(#[source] serde_json::Error),
}

/// Checks the clearing house's signature and takes out what it says of this log's taps.
///
/// # Errors
/// [`NotAcknowledged`].
pub fn check_acknowledgement(
    text: &str,
    signature: &str,
    public_key: &[u8; 32],
    device: DeviceId,
    epoch: Epoch,
) -> Result<Vec<Acknowledged>, NotAcknowledged> {
    let signature = hex::decode(signature).map_err(|_| NotAcknowledged::Signature)?;
    UnparsedPublicKey::new(&ED25519, public_key)
        .verify(&signed_bytes(text), &signature)
        .map_err(|_| NotAcknowledged::Signature)?;
    let acknowledgement: Acknowledgement = serde_json::from_str(text).map_err(NotAcknowledged::Text)?;
    let of_this_log = acknowledgement.taps.into_iter().filter_map(|tap| {
        let id: TapId = tap.tap?.parse().ok()?;
        let mut hash = [0; 32];
        hex::decode_to_slice(&tap.hash, &mut hash).ok()?;
        let ours = id.device == device && id.epoch == epoch;
        ours.then_some(Acknowledged { sequence: id.sequence, hash, verdict: tap.verdict })
    });
    Ok(of_this_log.collect())
}
