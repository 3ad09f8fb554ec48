//! POST /streams/{id}/heartbeat: a sign of life, and no event.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Rejection, Show};
use platform::http::json::OptionalJson;
use platform::http::problem::Problem;
use schemas::{PersonId, Position, SessionId, ShowId};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::done;
use super::ask::{Ask, StreamPath};
use super::leave::OneSession;
use super::problems::of_command;
use crate::actors::CommandError;
use crate::presence::HEARTBEAT_SECONDS;
use crate::state::{App, AppState};

/// The sessions that are alive.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Alive {
    /// The sessions that this was a sign of.
    #[schema(value_type = Vec<String>)]
    sessions: Vec<SessionId>,
    /// How often to send one.
    heartbeat_seconds: u64,
}

/// Give a sign of life.
///
/// A session without one for 60 seconds is over.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/heartbeat", tag = "Audience", operation_id = "heartbeat",
    request_body(content = Option<OneSession>),
    params(("id" = String, Path, description = "the stream")),
    responses(
        (status = 200, description = "heard", body = Alive),
        (status = 404, description = "no open session of the caller's: join again", body = Problem),
    ),
    security(("bearer" = []))
)]
pub(super) async fn heartbeat(
    State(app): State<AppState>,
    StreamPath(show): StreamPath,
    ask: Ask,
    body: OptionalJson<OneSession>,
) -> Result<Response, Problem> {
    let named = OneSession::id(body.value)?;
    let (sessions, position) = open_sessions(&app, show, ask.person, named).await?;
    for session in &sessions {
        app.presence.seen(show, *session, ask.at);
    }
    Ok(done(StatusCode::OK, position, &Alive { sessions, heartbeat_seconds: HEARTBEAT_SECONDS }))
}

/// The caller's open sessions, or the one that is named. Heartbeats are many: what is in memory will do, and
/// only where nothing is found there the log is read to its head.
async fn open_sessions(
    app: &App,
    show: ShowId,
    person: PersonId,
    named: Option<SessionId>,
) -> Result<(Vec<SessionId>, Position), Problem> {
    let read = move |show: &Show| -> Vec<SessionId> {
        let open = show.audience().sessions(person).iter().map(|session| session.session_id);
        open.filter(|session| named.is_none_or(|named| named == *session)).collect()
    };
    let peeked = app.shows.peek(show, read).await.map_err(of_command)?;
    if !peeked.seen.is_empty() {
        return Ok((peeked.seen, peeked.position));
    }
    let looked =
        app.shows.look(show, move |show| (show.status().is_some(), read(show))).await.map_err(of_command)?;
    let refused = |rejection| Err(of_command(CommandError::Rejected(rejection)));
    match looked.seen {
        (false, _) => refused(Rejection::ShowNotFound),
        (true, sessions) if sessions.is_empty() => refused(Rejection::SessionUnknown),
        (true, sessions) => Ok((sessions, looked.position)),
    }
}
