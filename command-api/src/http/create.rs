//! POST /streams.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use domain::Action;
use domain::command::CreateShow;
use platform::http::amount::Amount;
use platform::http::auth::Role;
use platform::http::json::Json;
use platform::http::problem::Problem;
use schemas::events::{ShowDetails, StreamSettings};
use schemas::{Currency, ShowId, Timestamp};
use serde::Deserialize;
use utoipa::ToSchema;

use super::answer::{done, no_token, with_etag};
use super::ask::Ask;
use super::document::{Facts, QualityName, StreamDocument, Surroundings, document};
use super::problems::{no_such_stream, of_command};
use super::validate;
use crate::actors::Recall;
use crate::state::{App, AppState};

/// A stream to create or schedule. Only the title is needed.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateStream {
    /// 1–140 characters.
    #[schema(example = "My Live Stream")]
    title: String,
    /// At most 5,000 characters.
    description: Option<String>,
    /// At most 50 characters.
    category: Option<String>,
    /// At most 10, each at most 50 characters.
    #[serde(default)]
    tags: Vec<String>,
    /// BCP 47.
    language: Option<String>,
    /// Only subscribers of the creator may enter. With a price too, both are needed.
    #[serde(default)]
    is_subscriber_only: bool,
    /// Only holders of a ticket at this price may enter; 0 is no ticket.
    ticket_price: Option<Amount>,
    /// ISO 4217, of all amounts of this stream. Default USD.
    currency: Option<String>,
    /// When it should start.
    #[schema(value_type = Option<String>, format = DateTime)]
    scheduled_start_time: Option<Timestamp>,
    /// How it runs.
    settings: Option<CreateSettings>,
    /// An http or https URL.
    thumbnail_url: Option<String>,
}

/// How a stream runs. What is left out is HD, recorded, with chat and tips, and without a cap.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CreateSettings {
    quality: Option<QualityName>,
    recording_enabled: Option<bool>,
    chat_enabled: Option<bool>,
    tips_enabled: Option<bool>,
    /// 1 or more; null: no cap.
    max_viewers: Option<u32>,
}

/// Create or schedule a stream.
///
/// Creators only. Answers the whole document, as reading the stream does. Unknown members are ignored.
#[utoipa::path(
    post, path = "/api/v1/streams", tag = "Streams", operation_id = "createStream",
    request_body = CreateStream,
    params(("Idempotency-Key" = Option<String>, Header, description = "the same key and body: the same answer")),
    responses(
        (status = 201, description = "created", body = StreamDocument),
        (status = 403, description = "no creator", body = Problem),
        (status = 422, description = "invalid, with the `field`", body = Problem),
    ),
    security(("bearer" = []))
)]
pub(super) async fn create_stream(
    State(app): State<AppState>,
    ask: Ask,
    body: Json<CreateStream>,
) -> Result<Response, Problem> {
    ask.caller.require(Role::Creator)?;
    let show = ShowId(ask.id.creates("show"));
    let action = action(&app, &ask, show, &body.value).await?;
    let command = ask.command(&body.digest, action);
    let dispatched = app.shows.dispatch_recalling(show, command, Recall::Then, Facts::of).await;
    let created = dispatched.map_err(of_command)?;
    let facts = created.seen.ok_or_else(no_such_stream)?;
    let version = facts.about.version;
    let document = stream_document(&app, facts, Some(ask.caller.sub.to_string()))?;
    let mut response = with_etag(done(StatusCode::CREATED, created.position, &document), version);
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/streams/{show}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

async fn action(app: &App, ask: &Ask, show: ShowId, body: &CreateStream) -> Result<Action, Problem> {
    let currency = body.currency.as_deref().map_or(Ok(Currency::USD), validate::currency)?;
    let details = ShowDetails {
        title: validate::title(&body.title)?,
        description: body.description.as_deref().map_or(Ok(String::new()), validate::description)?,
        category: body.category.as_deref().map(validate::category).transpose()?,
        tags: validate::tags(&body.tags)?,
        language: body.language.as_deref().map(validate::language).transpose()?,
        thumbnail_url: body.thumbnail_url.as_deref().map(validate::thumbnail_url).transpose()?,
    };
    let ticket_price = body.ticket_price.map(|price| validate::price(price, currency)).transpose()?;
    let settings = settings(body.settings.as_ref())?;
    let identity = app.sealing.identity(ask.person, &ask.caller, ask.attempt.event(0)).await?;
    Ok(Action::Create(Box::new(CreateShow {
        show_id: show,
        identity,
        details,
        subscriber_only: body.is_subscriber_only,
        ticket_price: ticket_price.flatten(),
        currency,
        settings,
        scheduled_start: body.scheduled_start_time,
        channel: show.to_string(),
    })))
}

fn settings(sent: Option<&CreateSettings>) -> Result<StreamSettings, Problem> {
    let default = StreamSettings::default();
    let Some(sent) = sent else { return Ok(default) };
    Ok(StreamSettings {
        quality: sent.quality.map_or(default.quality, Into::into),
        recording_enabled: sent.recording_enabled.unwrap_or(default.recording_enabled),
        chat_enabled: sent.chat_enabled.unwrap_or(default.chat_enabled),
        tips_enabled: sent.tips_enabled.unwrap_or(default.tips_enabled),
        max_viewers: sent.max_viewers.map(validate::max_viewers).transpose()?,
    })
}

/// The document, with what the show itself does not know.
pub(super) fn stream_document(
    app: &App,
    facts: Facts,
    creator_id: Option<String>,
) -> Result<StreamDocument, Problem> {
    let about = &facts.about;
    let now = app.clock.now();
    // only a token tells the project's id; it is thrown away
    let access =
        app.video.host_access(&about.channel, about.host_uid, now).map_err(|error| no_token(&error))?;
    let recording_url = app.video.recording_url(about.show_id);
    Ok(document(facts, Surroundings { creator_id, app_id: access.app_id, recording_url, now }))
}
