//! POST /streams/{id}/rtc-token.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Rejection, Show, ShowStatus};
use platform::http::json::OptionalJson;
use platform::http::problem::Problem;
use schemas::{PersonId, SessionId, Timestamp};
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{done, no_token};
use super::ask::{Ask, StreamPath};
use super::leave::OneSession;
use super::problems::of_command;
use crate::actors::CommandError;
use crate::state::AppState;

/// A new token for the video channel.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RtcToken {
    agora_channel_name: String,
    agora_token: String,
    agora_uid: u32,
    agora_app_id: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Who the caller is in the video channel.
enum Place {
    Host { channel: String, uid: u32 },
    Viewer { channel: String, uid: u32, session: SessionId },
}

/// Renew the token for the video channel.
///
/// The host's before and during the stream; a viewer's while their session is open.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/rtc-token", tag = "Audience", operation_id = "renewRtcToken",
    request_body(content = Option<OneSession>),
    params(("id" = String, Path, description = "the stream")),
    responses(
        (status = 200, description = "renewed", body = RtcToken),
        (status = 404, description = "no such stream, or no open session: join first", body = Problem),
        (status = 409, description = "not LIVE", body = Problem),
    ),
    security(("bearer" = []))
)]
pub(super) async fn renew_rtc_token(
    State(app): State<AppState>,
    StreamPath(show): StreamPath,
    ask: Ask,
    body: OptionalJson<OneSession>,
) -> Result<Response, Problem> {
    let (person, named) = (ask.person, OneSession::id(body.value)?);
    let looked = app.shows.look(show, move |show| place(show, person, named)).await.map_err(of_command)?;
    let place = looked.seen.map_err(|rejection| of_command(CommandError::Rejected(rejection)))?;
    let access = match place {
        Place::Host { channel, uid } => app.video.host_access(&channel, uid, ask.at),
        Place::Viewer { channel, uid, session } => {
            app.presence.seen(show, session, ask.at);
            app.video.viewer_access(&channel, uid, ask.at)
        }
    };
    let access = access.map_err(|error| no_token(&error))?;
    let answer = RtcToken {
        agora_channel_name: access.channel,
        agora_token: access.token.expose_secret().to_owned(),
        agora_uid: access.uid,
        agora_app_id: access.app_id,
        expires_at: access.expires_at,
    };
    Ok(done(StatusCode::OK, looked.position, &answer))
}

fn place(show: &Show, person: PersonId, named: Option<SessionId>) -> Result<Place, Rejection> {
    let (Some(about), Some(status)) = (show.about(), show.status()) else {
        return Err(Rejection::ShowNotFound);
    };
    let is_host = about.creator == person;
    match status {
        ShowStatus::Live => {}
        ShowStatus::Scheduled if is_host => {}
        ShowStatus::Scheduled | ShowStatus::Ended | ShowStatus::Cancelled => {
            return Err(Rejection::WrongStatus { status });
        }
    }
    let channel = about.channel.clone();
    if is_host {
        return Ok(Place::Host { channel, uid: about.host_uid });
    }
    let mut open = show.audience().sessions(person).iter();
    let session = open.find(|session| named.is_none_or(|named| named == session.session_id));
    let session = session.ok_or(Rejection::SessionUnknown)?;
    Ok(Place::Viewer { channel, uid: session.rtc_uid, session: session.session_id })
}
