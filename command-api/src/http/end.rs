//! POST /streams/{id}/end.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::show::Phase;
use domain::{Action, Show};
use platform::http::amount::AmountNumber;
use platform::http::json::OptionalJson;
use platform::http::problem::Problem;
use schemas::Timestamp;
use schemas::events::ClosingTotals;
use serde::Serialize;
use serde::de::IgnoredAny;
use utoipa::ToSchema;

use super::answer::done;
use super::ask::{Ask, StreamPath};
use super::document::amount;
use super::problems::{no_such_stream, of_command};
use crate::state::AppState;

/// What the stream came to.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EndedStream {
    stream_id: String,
    /// ENDED.
    status: &'static str,
    #[schema(value_type = String, format = DateTime)]
    end_time: Timestamp,
    /// Seconds.
    #[schema(example = 3600)]
    duration: u64,
    /// Persons in the stream just before its end.
    #[schema(example = 45)]
    viewer_count: u32,
    /// Captured so far.
    total_tips: AmountNumber,
    currency: &'static str,
    /// Tips whose payment is still under way: they may be added later.
    pending_tips: u32,
    /// Where the recording will be played; null where none was made.
    recording_url: Option<String>,
    /// PROCESSING, READY or FAILED; null where none was made.
    recording_status: Option<&'static str>,
}

/// End a stream.
///
/// The stream's creator or an admin, while LIVE. The totals are exact as of the end.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/end", tag = "Streams", operation_id = "endStream",
    params(
        ("id" = String, Path, description = "the stream"),
        ("Idempotency-Key" = Option<String>, Header, description = "the same key and body: the same answer"),
    ),
    responses(
        (status = 200, description = "over", body = EndedStream),
        (status = 403, description = "not the creator", body = Problem),
        (status = 404, description = "no such stream", body = Problem),
        (status = 409, description = "not LIVE", body = Problem),
    ),
    security(("bearer" = []))
)]
pub(super) async fn end_stream(
    State(app): State<AppState>,
    StreamPath(show): StreamPath,
    ask: Ask,
    body: OptionalJson<IgnoredAny>,
) -> Result<Response, Problem> {
    let command = ask.command(&body.digest, Action::End);
    let ended = app.shows.dispatch(show, command, ending).await.map_err(of_command)?;
    let (end_time, totals, is_recorded) = ended.seen.ok_or_else(no_such_stream)?;
    let answer = EndedStream {
        stream_id: show.to_string(),
        status: "ENDED",
        end_time,
        duration: totals.duration_seconds,
        viewer_count: totals.viewer_count,
        total_tips: amount(totals.total_tips),
        currency: totals.total_tips.currency().code(),
        pending_tips: totals.pending_tips,
        recording_url: is_recorded.then(|| app.video.recording_url(show)),
        recording_status: is_recorded.then_some("PROCESSING"),
    };
    Ok(done(StatusCode::OK, ended.position, &answer))
}

/// The end as the event told it: the same however late it is asked for.
fn ending(show: &Show) -> Option<(Timestamp, ClosingTotals, bool)> {
    let is_recorded = show.about()?.settings.recording_enabled;
    match show.phase()? {
        Phase::Ended { ended_at, totals, .. } => Some((*ended_at, totals.clone(), is_recorded)),
        Phase::Scheduled | Phase::Live { .. } | Phase::Cancelled => None,
    }
}
