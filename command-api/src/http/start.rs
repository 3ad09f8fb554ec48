//! POST /streams/{id}/start.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Action, Show};
use platform::http::json::OptionalJson;
use platform::http::problem::Problem;
use schemas::Timestamp;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde::de::IgnoredAny;
use utoipa::ToSchema;

use super::answer::{done, no_token};
use super::ask::{Ask, StreamPath};
use super::problems::{no_such_stream, of_command};
use crate::state::AppState;

/// How the host goes on air.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StartedStream {
    stream_id: String,
    agora_channel_name: String,
    /// Lets the host publish. Short-lived: renew it with `/rtc-token`.
    agora_token: String,
    agora_uid: u32,
    agora_app_id: String,
    /// Until when the token is good.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// Where an encoder sends the stream to.
    stream_url: String,
    /// What the encoder proves itself with. Secret.
    stream_key: String,
}

/// Go live.
///
/// The stream's creator or an admin, while SCHEDULED. A repeat under the same key gets a new token.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/start", tag = "Streams", operation_id = "startStream",
    params(
        ("id" = String, Path, description = "the stream"),
        ("Idempotency-Key" = Option<String>, Header, description = "the same key and body: the same answer"),
    ),
    responses(
        (status = 200, description = "on air", body = StartedStream),
        (status = 403, description = "not the creator", body = Problem),
        (status = 404, description = "no such stream", body = Problem),
        (status = 409, description = "not SCHEDULED", body = Problem),
    ),
    security(("bearer" = []))
)]
pub(super) async fn start_stream(
    State(app): State<AppState>,
    StreamPath(show): StreamPath,
    ask: Ask,
    body: OptionalJson<IgnoredAny>,
) -> Result<Response, Problem> {
    let command = ask.command(&body.digest, Action::Start);
    let started = app.shows.dispatch(show, command, channel_of).await.map_err(of_command)?;
    let (channel, uid) = started.seen.ok_or_else(no_such_stream)?;
    let access = app.video.host_access(&channel, uid, app.clock.now()).map_err(|error| no_token(&error))?;
    let answer = StartedStream {
        stream_id: show.to_string(),
        agora_channel_name: access.channel,
        agora_token: access.token.expose_secret().to_owned(),
        agora_uid: access.uid,
        agora_app_id: access.app_id,
        expires_at: access.expires_at,
        stream_url: app.video.ingest_url(show),
        stream_key: app.video.stream_key(show).expose_secret().to_owned(),
    };
    Ok(done(StatusCode::OK, started.position, &answer))
}

fn channel_of(show: &Show) -> Option<(String, u32)> {
    show.about().map(|about| (about.channel.clone(), about.host_uid))
}
