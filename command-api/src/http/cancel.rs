//! POST /streams/{id}/cancel.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::Action;
use platform::http::json::OptionalJson;
use platform::http::problem::Problem;
use serde::Serialize;
use serde::de::IgnoredAny;
use utoipa::ToSchema;

use super::answer::done;
use super::ask::{Ask, StreamPath};
use super::problems::of_command;
use crate::state::AppState;

/// A stream that was called off.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CancelledStream {
    stream_id: String,
    /// CANCELLED.
    status: &'static str,
}

/// Call a stream off.
///
/// The stream's creator or an admin, while SCHEDULED.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/cancel", tag = "Streams", operation_id = "cancelStream",
    params(
        ("id" = String, Path, description = "the stream"),
        ("Idempotency-Key" = Option<String>, Header, description = "the same key and body: the same answer"),
    ),
    responses(
        (status = 200, description = "called off", body = CancelledStream),
        (status = 403, description = "not the creator", body = Problem),
        (status = 404, description = "no such stream", body = Problem),
        (status = 409, description = "not SCHEDULED", body = Problem),
    ),
    security(("bearer" = []))
)]
pub(super) async fn cancel_stream(
    State(app): State<AppState>,
    StreamPath(show): StreamPath,
    ask: Ask,
    body: OptionalJson<IgnoredAny>,
) -> Result<Response, Problem> {
    let command = ask.command(&body.digest, Action::Cancel);
    let cancelled = app.shows.dispatch(show, command, |_| ()).await.map_err(of_command)?;
    let answer = CancelledStream { stream_id: show.to_string(), status: "CANCELLED" };
    Ok(done(StatusCode::OK, cancelled.position, &answer))
}
