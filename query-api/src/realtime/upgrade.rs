//! From a request to a socket: everything that can be refused is refused before the upgrade.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::upgrade::{OnUpgrade, Upgraded};
use platform::http::auth::{Caller, MaybeAuthenticated};
use platform::http::limits::ClientAddress;
use platform::http::problem::{Chain, Problem};
use platform::http::server::Connection;
use schemas::ShowId;
use sha1::{Digest, Sha1};
use std::sync::Arc;

use super::core::Core;
use super::history::HistoryError;
use super::rooms::Occupant;
use super::seats::{NoSeat, Seat};
use super::socket::{Client, Held, Io, Socket};
use crate::read_model::{show_id, unknown_show};

/// What RFC 6455 adds to the client's key.
const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The sub-protocol that announces a token as the next one in the list, and is the one that is chosen.
const BEARER: &str = "bearer";

/// When to try again on a full node; another node may have room at once.
const FULL_RETRY_SECONDS: u64 = 5;

/// When to try again while the log cannot be read.
const LOG_RETRY_SECONDS: u64 = 2;

/// The path of the specification's clients; the other one, under /api/v1, is the same.
pub(crate) fn router(core: Arc<Core>) -> Router {
    Router::new()
        .route("/stream/{stream_id}/chat", get(upgrade))
        .route("/api/v1/streams/{stream_id}/socket", get(upgrade))
        .with_state(core)
}

async fn upgrade(
    State(core): State<Arc<Core>>,
    MaybeAuthenticated(caller): MaybeAuthenticated,
    Path(stream_id): Path<String>,
    mut request: Request,
) -> Result<Response, Problem> {
    let handshake = Handshake::of(request.headers())?;
    let Some(on_upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return Err(upgrade_required());
    };
    let occupant = enter(&core, &stream_id, caller.as_deref()).await?;
    let seat = take_seat(&core, occupant.room().show(), caller.as_deref())?;
    let connection = request.extensions().get::<Connection>().cloned();
    let client = Client {
        caller,
        address: request.extensions().get::<ClientAddress>().map(|address| address.0),
        user_agent: request.headers().get(header::USER_AGENT).and_then(copied),
    };
    let held = Held { occupant, _seat: seat, _connection: connection };
    // nothing of the request may live as long as the socket
    drop(request);
    tokio::spawn(async move {
        match on_upgrade.await {
            // on the heap, so that the task does not keep room for what it was made of
            Ok(upgraded) => Box::pin(open(core, client, held, upgraded).run()).await,
            Err(error) => tracing::debug!(%error, "upgrade failed"),
        }
    });
    Ok(handshake.answer())
}

/// A socket over a connection whose buffers go here: they are large, and not needed any more.
fn open(core: Arc<Core>, client: Client, held: Held, upgraded: Upgraded) -> Socket {
    let (io, already_read) = Io::of(upgraded);
    Socket::new(core, client, held, io, &already_read)
}

/// The value in memory of its own: as it came it is a part of the request's whole buffer, and would keep all of it.
fn copied(value: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_bytes(value.as_bytes()).ok()
}

/// Goes into the room of a show that this caller may see.
pub(crate) async fn enter(
    core: &Arc<Core>,
    stream_id: &str,
    caller: Option<&Caller>,
) -> Result<Occupant, Problem> {
    let show = show_id(stream_id)?;
    let occupant = core.rooms.enter(show).await.map_err(|error| cannot_enter(&error))?;
    core.admission.may_enter(occupant.room(), caller).await?;
    Ok(occupant)
}

fn cannot_enter(error: &HistoryError) -> Problem {
    match error {
        HistoryError::UnknownShow => unknown_show(),
        HistoryError::Read(_) | HistoryError::Open(_) => Problem::unavailable(
            "log_unavailable",
            "the stream cannot be read now; try again",
            LOG_RETRY_SECONDS,
        ),
        HistoryError::Decode(_) | HistoryError::Malformed => {
            tracing::error!(error.chain = %Chain(error), "room cannot be entered");
            Problem::internal_logged()
        }
    }
}

/// Takes a place for a socket or an event stream.
pub(crate) fn take_seat(core: &Core, show: ShowId, caller: Option<&Caller>) -> Result<Seat, Problem> {
    let person = caller.map(|caller| core.admission.pseudonyms.person(&caller.sub));
    let (per_person, all) = (core.settings.sockets_per_person_show, core.settings.sockets_max);
    core.seats.take(show, person, per_person, all).map_err(|no_seat| match no_seat {
        NoSeat::Person => {
            let detail = format!("close one of your {per_person} sockets of this stream first");
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_sockets", detail)
                .with_limit(u64::from(per_person))
                .with_retry_after(FULL_RETRY_SECONDS)
        }
        NoSeat::Node => {
            Problem::unavailable("node_full", "this node is full; connect again", FULL_RETRY_SECONDS)
        }
    })
}

/// The client's half of the handshake.
struct Handshake {
    accept: HeaderValue,
    offers_bearer: bool,
}

impl Handshake {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let is_upgrade = has_token(headers, header::UPGRADE, "websocket")
            && has_token(headers, header::CONNECTION, "upgrade");
        if !is_upgrade {
            return Err(upgrade_required());
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err(upgrade_required());
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
        // 16 bytes in Base64, as the standard asks
        let key = key.filter(|key| STANDARD.decode(key).is_ok_and(|key| key.len() == 16));
        let key = key.ok_or_else(|| Problem::bad_request("bad_handshake", "send one Sec-WebSocket-Key"))?;
        let digest = Sha1::new().chain_update(key).chain_update(ACCEPT_GUID).finalize();
        let accept = HeaderValue::from_str(&STANDARD.encode(digest));
        Ok(Self {
            accept: accept.map_err(|error| Problem::internal(&error))?,
            offers_bearer: has_token(headers, header::SEC_WEBSOCKET_PROTOCOL, BEARER),
        })
    }

    fn answer(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        if self.offers_bearer {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(BEARER));
        }
        response.into_response()
    }
}

fn has_token(headers: &HeaderMap, name: HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case(wanted))
}

fn upgrade_required() -> Problem {
    Problem::new(
        StatusCode::UPGRADE_REQUIRED,
        "upgrade_required",
        "this is a WebSocket: connect with a client that upgrades, version 13",
    )
    .with_header(header::UPGRADE, HeaderValue::from_static("websocket"))
    .with_header(header::CONNECTION, HeaderValue::from_static("upgrade"))
    .with_header(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
}
