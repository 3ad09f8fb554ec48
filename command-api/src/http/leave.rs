//! POST /streams/{id}/leave.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::Action;
use domain::command::LeaveShow;
use platform::http::json::OptionalJson;
use platform::http::problem::Problem;
use schemas::events::{AudienceEvent, ShowEvent};
use schemas::{Envelope, SessionId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::done;
use super::ask::{Ask, StreamPath};
use super::problems::of_command;
use super::validate;
use crate::state::AppState;

/// Which session; without it all of the caller's in this stream.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OneSession {
    pub(super) session_id: Option<String>,
}

impl OneSession {
    /// The session, if one is named.
    pub(super) fn id(body: Option<Self>) -> Result<Option<SessionId>, Problem> {
        body.and_then(|body| body.session_id).as_deref().map(validate::session_id).transpose()
    }
}

/// Which sessions are over.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LeftStream {
    stream_id: String,
    /// Empty where none was open any more.
    #[schema(value_type = Vec<String>)]
    sessions_left: Vec<SessionId>,
}

/// Leave a stream.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/leave", tag = "Audience", operation_id = "leaveStream",
    request_body(content = Option<OneSession>),
    params(
        ("id" = String, Path, description = "the stream"),
        ("Idempotency-Key" = Option<String>, Header, description = "the same key and body: the same answer"),
    ),
    responses(
        (status = 200, description = "gone", body = LeftStream),
        (status = 404, description = "no such stream, or no such session of the caller's", body = Problem),
    ),
    security(("bearer" = []))
)]
pub(super) async fn leave_stream(
    State(app): State<AppState>,
    StreamPath(show): StreamPath,
    ask: Ask,
    body: OptionalJson<OneSession>,
) -> Result<Response, Problem> {
    let session_id = OneSession::id(body.value)?;
    let command = ask.command(&body.digest, Action::Leave(LeaveShow { session_id }));
    let left = app.shows.dispatch(show, command, |_| ()).await.map_err(of_command)?;
    let sessions_left = left.events.iter().filter_map(session_left).collect();
    let answer = LeftStream { stream_id: show.to_string(), sessions_left };
    Ok(done(StatusCode::OK, left.position, &answer))
}

fn session_left(envelope: &Envelope<ShowEvent>) -> Option<SessionId> {
    match &envelope.event {
        ShowEvent::Audience(AudienceEvent::Left(left)) => Some(left.session_id),
        ShowEvent::Audience(AudienceEvent::Joined(_))
        | ShowEvent::Lifecycle(_)
        | ShowEvent::Settings(_)
        | ShowEvent::Chat(_)
        | ShowEvent::Interaction(_)
        | ShowEvent::Ledger(_) => None,
    }
}
