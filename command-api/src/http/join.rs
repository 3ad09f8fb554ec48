//! POST /streams/{id}/join.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use domain::command::{Entitlements, JoinShow};
use domain::{Action, Rejection, Show};
use platform::http::json::OptionalJson;
use platform::http::limits::ClientAddress;
use platform::http::problem::Problem;
use schemas::events::{AudienceEvent, DeviceType, Location, ShowEvent};
use schemas::{DeviceId, Envelope, PersonId, Revision, SessionId, Timestamp};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{done, no_token};
use super::ask::{Ask, StreamPath};
use super::problems::{no_such_stream, of_command};
use super::validate;
use crate::actors::CommandError;
use crate::presence::HEARTBEAT_SECONDS;
use crate::state::{App, AppState};

/// On which device, of which kind, and where. All of it may be left out.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct JoinStream {
    /// What the client calls this device; joining again on it continues the session. At most 128 characters.
    device_id: Option<String>,
    device_type: Option<DeviceTypeName>,
    location: Option<LocationBody>,
}

/// What kind of device.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
enum DeviceTypeName {
    Mobile,
    Desktop,
    Tablet,
}

/// A coarse place.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LocationBody {
    /// ISO 3166-1 alpha-2.
    country: Option<String>,
    /// At most 100 characters.
    city: Option<String>,
}

/// How the viewer watches.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct JoinedStream {
    access_granted: bool,
    agora_channel_name: String,
    /// Lets the viewer subscribe. Short-lived: renew it with `/rtc-token`.
    agora_token: String,
    agora_uid: u32,
    agora_app_id: String,
    /// Until when the token is good.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    chat_enabled: bool,
    can_tip: bool,
    /// The session; null for the host, who is no viewer.
    #[schema(value_type = Option<String>)]
    session_id: Option<SessionId>,
    /// Where in the stream's events the viewer begins: a socket resumes from here.
    sequence: Revision,
    /// How often to send a sign of life.
    heartbeat_seconds: u64,
}

/// What is read of the show.
struct Seen {
    channel: String,
    host_uid: u32,
    is_host: bool,
    chat_enabled: bool,
    tips_enabled: bool,
    session: Option<(SessionId, u32)>,
}

/// Join a stream.
///
/// While LIVE. A join on a device with an open session continues that session.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/join", tag = "Audience", operation_id = "joinStream",
    request_body(content = Option<JoinStream>),
    params(
        ("id" = String, Path, description = "the stream"),
        ("Idempotency-Key" = Option<String>, Header, description = "the same key and body: the same answer"),
    ),
    responses(
        (status = 200, description = "welcome", body = JoinedStream),
        (status = 403, description = "no access: `reason`, and `accessGranted` false", body = Problem),
        (status = 404, description = "no such stream", body = Problem),
        (status = 409, description = "not LIVE, or too many sessions", body = Problem),
    ),
    security(("bearer" = []))
)]
pub(super) async fn join_stream(
    State(app): State<AppState>,
    StreamPath(show): StreamPath,
    ask: Ask,
    from: RequestFacts,
    body: OptionalJson<JoinStream>,
) -> Result<Response, Problem> {
    let join = join(&app, &ask, &from, body.value.unwrap_or_default()).await?;
    let (person, device) = (ask.person, join.device);
    let command = ask.command(&body.digest, Action::Join(Box::new(join)));
    let read = move |show: &Show| see(show, person, device);
    let joined = app.shows.dispatch(show, command, read).await.map_err(of_command)?;
    let seen = joined.seen.ok_or_else(no_such_stream)?;
    // a repeat's own session, even if it is over by now
    let session = joined.events.iter().find_map(joined_session).or(seen.session);
    if let Some((session, _)) = session {
        app.presence.seen(show, session, ask.at);
    }
    let answer = answer(&app, &seen, session, joined.revision)?;
    Ok(done(StatusCode::OK, joined.position, &answer))
}

/// What the request itself tells of device and place.
pub(super) struct RequestFacts {
    device_type: Option<DeviceType>,
    location: Location,
}

impl FromRequestParts<AppState> for RequestFacts {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Infallible> {
        let ClientAddress(address) = ClientAddress::from_request_parts(parts, app).await?;
        Ok(Self {
            device_type: app.audience_facts.device_type(&parts.headers),
            location: app.audience_facts.location(address),
        })
    }
}

/// What the client says of device and place counts before what its request tells.
async fn join(app: &App, ask: &Ask, from: &RequestFacts, body: JoinStream) -> Result<JoinShow, Problem> {
    let device_id = body.device_id.as_deref().map(validate::device_id).transpose()?;
    let sent_type = body.device_type.map(|name| match name {
        DeviceTypeName::Mobile => DeviceType::Mobile,
        DeviceTypeName::Desktop => DeviceType::Desktop,
        DeviceTypeName::Tablet => DeviceType::Tablet,
    });
    let location = body.location.as_ref().map(location).transpose()?.unwrap_or_else(|| from.location.clone());
    Ok(JoinShow {
        identity: app.sealing.identity(ask.person, &ask.caller, ask.attempt.event(0)).await?,
        device: device_id.map(|id| app.sealing.pseudonyms.device(ask.person, &id)),
        device_type: sent_type.or(from.device_type),
        location,
        // nothing can be subscribed to or bought a ticket for yet
        entitlements: Entitlements::default(),
    })
}

fn location(body: &LocationBody) -> Result<Location, Problem> {
    Ok(Location {
        country: body.country.as_deref().map(validate::country).transpose()?,
        city: body.city.as_deref().map(validate::city).transpose()?,
    })
}

fn see(show: &Show, person: PersonId, device: Option<DeviceId>) -> Option<Seen> {
    let about = show.about()?;
    let session = show.audience().session_on(person, device);
    Some(Seen {
        channel: about.channel.clone(),
        host_uid: about.host_uid,
        is_host: about.creator == person,
        chat_enabled: about.settings.chat_enabled,
        tips_enabled: about.settings.tips_enabled,
        session: session.map(|session| (session.session_id, session.rtc_uid)),
    })
}

fn joined_session(envelope: &Envelope<ShowEvent>) -> Option<(SessionId, u32)> {
    match &envelope.event {
        ShowEvent::Audience(AudienceEvent::Joined(joined)) => Some((joined.session_id, joined.rtc_uid)),
        ShowEvent::Audience(AudienceEvent::Left(_))
        | ShowEvent::Lifecycle(_)
        | ShowEvent::Settings(_)
        | ShowEvent::Chat(_)
        | ShowEvent::Interaction(_)
        | ShowEvent::Ledger(_) => None,
    }
}

fn answer(
    app: &App,
    seen: &Seen,
    session: Option<(SessionId, u32)>,
    sequence: Revision,
) -> Result<JoinedStream, Problem> {
    let now = app.clock.now();
    let access = match session {
        Some((_, uid)) => app.video.viewer_access(&seen.channel, uid, now),
        None if seen.is_host => app.video.host_access(&seen.channel, seen.host_uid, now),
        // nobody else joins without a session
        None => return Err(of_command(CommandError::Rejected(Rejection::SessionUnknown))),
    };
    let access = access.map_err(|error| no_token(&error))?;
    Ok(JoinedStream {
        access_granted: true,
        agora_channel_name: access.channel,
        agora_token: access.token.expose_secret().to_owned(),
        agora_uid: access.uid,
        agora_app_id: access.app_id,
        expires_at: access.expires_at,
        chat_enabled: seen.chat_enabled,
        can_tip: seen.tips_enabled && !seen.is_host,
        session_id: session.map(|(session, _)| session),
        sequence,
        heartbeat_seconds: HEARTBEAT_SECONDS,
    })
}
