//! The only file that knows HTTP.
//!
//! | request | answer |
//! |---|---|
//! | `POST /v1/taps`, body: sealed taps one after the other | 200, the JSON text of an acknowledgement, its signature in the header `cham-signature` |
//! | `POST /v1/actions`, body: sealed actions of a desk, one after the other | the same |
//! | `POST /v1/desk`, body: the JSON text of a desk's request, its signature in the header `cham-signature` | 200, the JSON text of the answer, signed in the same header |
//! | … not signed by a registered desk | 403, why |
//! | … no request | 400, why |
//! | … longer than one upload may be | 413, why |
//! | … not sent to its end in time | 408, why |
//! | … not stored | 500, send it again |
//! | `GET /v1/health` | 200 `ok`, while the books can be read; 500 otherwise |

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, serve as serve_router};
use tokio::net::TcpListener;
use transit::action::ACTION_LEN;
use transit::desk::{ACTIONS_PATH, ACTIONS_PER_BATCH_MAX, DESK_PATH, MessageError};
use transit::sync::{SIGNATURE_HEADER, TAPS_PATH, TAPS_PER_BATCH_MAX};
use transit::tap::TAP_LEN;
use transit::time::Moment;

use crate::clearing_house::ClearingHouse;
use crate::desk::{AskError, SignedAnswer};
use crate::ingest::{ReceiveError, SignedAcknowledgement, UPLOAD_LEN_MAX};

/// Where health is asked for.
pub const HEALTH_PATH: &str = "/v1/health";

/// How long a validator may take to send its upload.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// The most bytes that a desk's request may have.
const REQUEST_LEN_MAX: usize = 4_096;

/// What time it is: the clearing house reads no clock of its own.
pub type Clock = fn() -> Moment;

#[derive(Clone)]
struct Service {
    clearing_house: Arc<Mutex<ClearingHouse>>,
    clock: Clock,
}

/// Takes uploads on `listener` until `stop` is ready and every upload under way is answered.
///
/// # Errors
/// [`io::Error`] where the socket fails.
pub async fn serve(
    listener: TcpListener,
    clearing_house: ClearingHouse,
    clock: Clock,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let service = Service { clearing_house: Arc::new(Mutex::new(clearing_house)), clock };
    let router = Router::new()
        .route(TAPS_PATH, post(take_taps))
        .route(ACTIONS_PATH, post(take_actions))
        .route(DESK_PATH, post(answer_desk).layer(DefaultBodyLimit::max(REQUEST_LEN_MAX)))
        .route(HEALTH_PATH, get(health))
        .layer(DefaultBodyLimit::max(UPLOAD_LEN_MAX))
        .with_state(service);
    serve_router(listener, router).with_graceful_shutdown(stop).await
}

async fn take_taps(State(service): State<Service>, request: Request) -> Response {
    let most = format!("an upload has at most {TAPS_PER_BATCH_MAX} taps of {TAP_LEN} bytes; send them in parts");
    take_upload(service, request, &most, ClearingHouse::receive).await
}

async fn take_actions(State(service): State<Service>, request: Request) -> Response {
    let most =
        format!("an upload has at most {ACTIONS_PER_BATCH_MAX} actions of {ACTION_LEN} bytes; send them in parts");
    take_upload(service, request, &most, ClearingHouse::receive_actions).await
}

async fn take_upload(
    service: Service,
    request: Request,
    most: &str,
    receive: fn(&mut ClearingHouse, &[u8], Moment) -> Result<SignedAcknowledgement, ReceiveError>,
) -> Response {
    let body = match body_of(request, most).await {
        Ok(body) => body,
        Err(response) => return *response,
    };
    let at = (service.clock)();
    match blocking(&service, move |clearing_house| receive(clearing_house, &body, at)).await {
        Ok(Ok(SignedAcknowledgement { text, signature })) => signed(text, &signature),
        Ok(Err(ReceiveError::TooManyTaps(_) | ReceiveError::TooManyActions(_))) => {
            refuse(StatusCode::PAYLOAD_TOO_LARGE, most)
        }
        Ok(Err(error @ (ReceiveError::Store(_) | ReceiveError::Json(_)))) => {
            tracing::error!(error = &error as &dyn std::error::Error, "an upload was not stored");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "nothing was stored; send it again")
        }
        Err(Died) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "nothing was stored; send it again"),
    }
}

async fn answer_desk(State(service): State<Service>, request: Request) -> Response {
    let signature = request.headers().get(SIGNATURE_HEADER).and_then(|value| hex::decode(value.as_bytes()).ok());
    let body = match body_of(request, &format!("a request has at most {REQUEST_LEN_MAX} bytes")).await {
        Ok(body) => body,
        Err(response) => return *response,
    };
    let (Some(signature), Ok(text)) = (signature, String::from_utf8(body.to_vec())) else {
        return refuse(StatusCode::BAD_REQUEST, "a request is JSON text with its signature in `cham-signature`");
    };
    let at = (service.clock)();
    match blocking(&service, move |clearing_house| clearing_house.answer(&text, &signature, at)).await {
        Ok(Ok(SignedAnswer { text, signature })) => signed(text, &signature),
        Ok(Err(AskError::Message(error @ MessageError::Signature))) => {
            refuse(StatusCode::FORBIDDEN, &error.to_string())
        }
        Ok(Err(AskError::Message(error @ (MessageError::Json(_) | MessageError::OtherRequest)))) => {
            refuse(StatusCode::BAD_REQUEST, &error.to_string())
        }
        Ok(Err(error @ (AskError::Store(_) | AskError::Json(_)))) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a desk was not answered");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "nothing was promised; ask again")
        }
        Err(Died) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "nothing was promised; ask again"),
    }
}

/// The whole body, or what is answered instead: `most` where it is too long.
async fn body_of(request: Request, most: &str) -> Result<Bytes, Box<Response>> {
    match tokio::time::timeout(BODY_DEADLINE, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(Box::new(refuse(StatusCode::PAYLOAD_TOO_LARGE, most)))
        }
        Ok(Err(rejection)) => Err(Box::new(rejection.into_response())),
        Err(_) => {
            let why = "the upload did not come to its end in time";
            Err(Box::new(refuse(StatusCode::REQUEST_TIMEOUT, why)))
        }
    }
}

fn signed(text: String, signature: &[u8; 64]) -> Response {
    let headers =
        [(header::CONTENT_TYPE.as_str(), "application/json".to_owned()), (SIGNATURE_HEADER, hex::encode(signature))];
    (headers, text).into_response()
}

async fn health(State(service): State<Service>) -> Response {
    match blocking(&service, ClearingHouse::is_readable).await {
        Ok(true) => "ok\n".into_response(),
        Ok(false) | Err(Died) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the books cannot be read"),
    }
}

/// The thread that was to answer ended without an answer.
struct Died;

/// Runs `work` where it may wait for the disk.
async fn blocking<T: Send + 'static>(
    service: &Service,
    work: impl FnOnce(&mut ClearingHouse) -> T + Send + 'static,
) -> Result<T, Died> {
    let clearing_house = Arc::clone(&service.clearing_house);
    let task = tokio::task::spawn_blocking(move || {
        // A transaction that was interrupted has rolled back: the books behind a poisoned lock are whole.
        work(&mut clearing_house.lock().unwrap_or_else(PoisonError::into_inner))
    });
    task.await.map_err(|error| {
        tracing::error!(%error, "a request was not answered");
        Died
    })
}

fn refuse(status: StatusCode, text: &str) -> Response {
    (status, format!("{text}\n")).into_response()
}
