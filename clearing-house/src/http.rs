//! The only file that knows HTTP.
//!
//! | request | answer |
//! |---|---|
//! | `POST /v1/taps`, body: sealed taps one after the other | 200, the JSON text of an acknowledgement, its signature in the header `cham-signature` |
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
use transit::sync::{SIGNATURE_HEADER, TAPS_PATH, TAPS_PER_BATCH_MAX};
use transit::tap::TAP_LEN;
use transit::time::Moment;

use crate::clearing_house::ClearingHouse;
use crate::ingest::{ReceiveError, SignedAcknowledgement, UPLOAD_LEN_MAX};

/// Where health is asked for.
pub const HEALTH_PATH: &str = "/v1/health";

/// How long a validator may take to send its upload.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

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
        .route(TAPS_PATH, post(take_upload))
        .route(HEALTH_PATH, get(health))
        .layer(DefaultBodyLimit::max(UPLOAD_LEN_MAX))
        .with_state(service);
    serve_router(listener, router).with_graceful_shutdown(stop).await
}

async fn take_upload(State(service): State<Service>, request: Request) -> Response {
    let body = match tokio::time::timeout(BODY_DEADLINE, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => return too_long(),
        Ok(Err(rejection)) => return rejection.into_response(),
        Err(_) => return refuse(StatusCode::REQUEST_TIMEOUT, "the upload did not come to its end in time"),
    };
    let at = (service.clock)();
    match blocking(&service, move |clearing_house| clearing_house.receive(&body, at)).await {
        Ok(Ok(SignedAcknowledgement { text, signature })) => {
            let headers = [
                (header::CONTENT_TYPE.as_str(), "application/json".to_owned()),
                (SIGNATURE_HEADER, hex::encode(signature)),
            ];
            (headers, text).into_response()
        }
        Ok(Err(ReceiveError::TooLong(_))) => too_long(),
        Ok(Err(error @ (ReceiveError::Store(_) | ReceiveError::Json(_)))) => {
            tracing::error!(error = &error as &dyn std::error::Error, "an upload was not stored");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "the taps were not stored; send them again")
        }
        Err(Died) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the taps were not stored; send them again"),
    }
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

fn too_long() -> Response {
    let text = format!("an upload has at most {TAPS_PER_BATCH_MAX} taps of {TAP_LEN} bytes; send them in parts");
    refuse(StatusCode::PAYLOAD_TOO_LARGE, &text)
}

fn refuse(status: StatusCode, text: &str) -> Response {
    (status, format!("{text}\n")).into_response()
}
