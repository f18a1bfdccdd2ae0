//! The desk's way to the clearing house: steps up, signed acknowledgements and answers down. The one file of `counter`
//! that knows HTTP. What comes down is believed only under the clearing house's signature.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use ring::signature::{ED25519, UnparsedPublicKey};
use transit::action::SealedAction;
use transit::desk::{
    ACTIONS_PATH, ACTIONS_PER_BATCH_MAX, Ask, DESK_PATH, DeskAnswer, DeskRequest, MessageError, Reply,
    request_signed_bytes,
};
use transit::id::TapId;
use transit::sync::{Acknowledgement, SIGNATURE_HEADER, TapAcknowledgement, signed_bytes};
use transit::time::Moment;

use crate::journal::{AnswerKind, Journal, JournalError, KeptAnswer};
use crate::report::{KeptAside, Synced};

/// Why the clearing house was not reached, or is not believed.
#[derive(Debug, thiserror::Error)]
pub enum UplinkError {
    /// No connection.
    #[error("the clearing house cannot be reached; the desk goes on while its allowance lasts")]
    Network(#[source] reqwest::Error),
    /// It answered something else.
    #[error("the clearing house answered {status}: {text}")]
    Answer {
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        text: String,
    },
    /// Its signature does not hold, or it answers something else.
    #[error("the clearing house's answer is not believed")]
    NotBelieved(#[source] MessageError),
    /// It refuses.
    #[error("the clearing house refuses: {0}")]
    Refused(String),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The clearing house, as a desk sees it.
#[derive(Debug)]
pub struct Uplink {
    client: reqwest::Client,
    url: String,
    public_key: [u8; 32],
    runtime: tokio::runtime::Runtime,
}

impl Uplink {
    /// The clearing house at `url`, whose Ed25519 key is `public_key`; one request may take `deadline`.
    ///
    /// # Errors
    /// The system gives no sockets or threads.
    pub fn new(url: &str, public_key: [u8; 32], deadline: Duration) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = reqwest::Client::builder().timeout(deadline).build().map_err(std::io::Error::other)?;
        Ok(Self { client, url: url.trim_end_matches('/').to_owned(), public_key, runtime })
    }

    /// Sends every step that is not acknowledged yet, notes the verdicts, and asks for a new allowance.
    ///
    /// # Errors
    /// [`UplinkError`]; what was noted before it stays.
    pub fn sync(&self, journal: &mut Journal, at: Moment) -> Result<Synced, UplinkError> {
        let mut synced = Synced::default();
        loop {
            let steps = journal.unsent(ACTIONS_PER_BATCH_MAX)?;
            if steps.is_empty() {
                break;
            }
            let acknowledgements = self.upload(&steps)?;
            let verdicts: Vec<_> = steps
                .iter()
                .zip(&acknowledgements)
                .filter_map(|(step, acknowledgement)| {
                    let sequence = step.claimed_id()?.sequence;
                    acknowledgement.verdict.is_final().then_some((sequence, step.hash(), acknowledgement.verdict))
                })
                .collect();
            let noted = journal.acknowledge(&verdicts)?;
            synced.sent += noted;
            for acknowledgement in acknowledgements.iter().filter(|tap| !tap.verdict.is_booked()) {
                synced.kept_aside.push(KeptAside {
                    step: acknowledgement.tap.clone(),
                    verdict: acknowledgement.verdict.name(),
                    detail: acknowledgement.detail.clone(),
                });
            }
            if noted == 0 {
                break;
            }
        }
        match self.ask(journal, Ask::Allowance, at)? {
            (Reply::Allowance(allowance), kept) => {
                journal.keep(AnswerKind::Allowance, allowance.number, &kept)?;
                synced.allowance = Some(allowance);
                synced.taken_minor = journal.taken()?;
                Ok(synced)
            }
            (other, _) => Err(unexpected(other)),
        }
    }

    /// The grant that lets the value of a lost card go onto `card`, kept in the journal.
    ///
    /// # Errors
    /// [`UplinkError`].
    pub fn grant(
        &self,
        journal: &mut Journal,
        lost: transit::desk::Lost,
        card: transit::id::CardToken,
        at: Moment,
    ) -> Result<transit::desk::Grant, UplinkError> {
        match self.ask(journal, Ask::Transfer { lost, card }, at)? {
            (Reply::Transfer(grant), kept) => {
                journal.keep(AnswerKind::Grant, grant.number, &kept)?;
                Ok(grant)
            }
            (other, _) => Err(unexpected(other)),
        }
    }

    /// Whether the books know that a card has an unknown step: `None` while they do not.
    ///
    /// # Errors
    /// [`UplinkError`].
    pub fn is_written(&self, journal: &Journal, step: TapId, at: Moment) -> Result<Option<bool>, UplinkError> {
        match self.ask(journal, Ask::Step { step: step.to_string() }, at)?.0 {
            Reply::Step(state) => Ok(state.written),
            other @ (Reply::Allowance(_) | Reply::CardState(_) | Reply::Transfer(_) | Reply::Refused { .. }) => {
                Err(unexpected(other))
            }
        }
    }

    fn upload(&self, steps: &[SealedAction]) -> Result<Vec<TapAcknowledgement>, UplinkError> {
        let body: Vec<u8> = steps.iter().flat_map(|step| *step.as_bytes()).collect();
        let request = self
            .client
            .post(format!("{}{ACTIONS_PATH}", self.url))
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(body);
        let (text, signature) = self.send(request)?;
        UnparsedPublicKey::new(&ED25519, &self.public_key)
            .verify(&signed_bytes(&text), &signature)
            .map_err(|_| UplinkError::NotBelieved(MessageError::Signature))?;
        let acknowledgement: Acknowledgement = serde_json::from_str(&text)
            .map_err(|error| UplinkError::NotBelieved(MessageError::Json(error.to_string())))?;
        let is_of_these = acknowledgement.taps.len() == steps.len()
            && steps.iter().zip(&acknowledgement.taps).all(|(step, tap)| tap.hash == hex::encode(step.hash()));
        if is_of_these { Ok(acknowledgement.taps) } else { Err(UplinkError::NotBelieved(MessageError::OtherRequest)) }
    }

    fn ask(&self, journal: &Journal, ask: Ask, at: Moment) -> Result<(Reply, KeptAnswer), UplinkError> {
        let request = DeskRequest { desk: journal.device(), epoch: journal.epoch(), at, ask };
        let request = serde_json::to_string(&request)
            .map_err(|error| UplinkError::NotBelieved(MessageError::Json(error.to_string())))?;
        let signature = journal.signer().sign(&request_signed_bytes(&request));
        let post = self
            .client
            .post(format!("{}{DESK_PATH}", self.url))
            .header(CONTENT_TYPE, "application/json")
            .header(SIGNATURE_HEADER, hex::encode(signature))
            .body(request.clone());
        let (text, signature) = self.send(post)?;
        let answer =
            DeskAnswer::open(&text, &signature, &self.public_key, &request).map_err(UplinkError::NotBelieved)?;
        Ok((answer.reply, KeptAnswer { request, text, signature }))
    }

    /// The text of the answer, and the bytes of its signature.
    fn send(&self, request: reqwest::RequestBuilder) -> Result<(String, Vec<u8>), UplinkError> {
        self.runtime.block_on(async {
            let answer = request.send().await.map_err(UplinkError::Network)?;
            let status = answer.status().as_u16();
            let signature = answer.headers().get(SIGNATURE_HEADER).and_then(|value| hex::decode(value.as_bytes()).ok());
            let text = answer.text().await.map_err(UplinkError::Network)?;
            match signature {
                Some(signature) if status == 200 => Ok((text, signature)),
                _ => Err(UplinkError::Answer { status, text: text.trim().chars().take(200).collect() }),
            }
        })
    }
}

fn unexpected(reply: Reply) -> UplinkError {
    match reply {
        Reply::Refused { why } => UplinkError::Refused(why),
        Reply::Allowance(_) | Reply::CardState(_) | Reply::Step(_) | Reply::Transfer(_) => {
            UplinkError::NotBelieved(MessageError::OtherRequest)
        }
    }
}
