//! PATCH /streams/{id}.

use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use domain::Action;
use domain::command::ReviseShow;
use platform::event_log::codec;
use platform::http::amount::Amount;
use platform::http::json::Json;
use platform::http::problem::Problem;
use schemas::events::{LifecycleEvent, ShowEvent};
use schemas::{Currency, Event, Revision, ShowId, Timestamp, streams};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::answer::{done, with_etag};
use super::ask::{Ask, StreamPath};
use super::create::stream_document;
use super::document::{Facts, QualityName, StreamDocument};
use super::problems::{no_such_stream, of_command};
use super::validate;
use crate::actors::Recall;
use crate::state::{App, AppState};

/// What is to change. What is left out stays; null takes a thing away where it can be without.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReviseStream {
    title: Option<String>,
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<String>)]
    description: Option<Option<String>>,
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<String>)]
    category: Option<Option<String>>,
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<Vec<String>>)]
    tags: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<String>)]
    language: Option<Option<String>>,
    is_subscriber_only: Option<bool>,
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<Amount>)]
    ticket_price: Option<Option<Amount>>,
    currency: Option<String>,
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<String>, format = DateTime)]
    scheduled_start_time: Option<Option<Timestamp>>,
    settings: Option<ReviseSettings>,
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<String>)]
    thumbnail_url: Option<Option<String>>,
}

/// What is to change of how it runs.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ReviseSettings {
    quality: Option<QualityName>,
    recording_enabled: Option<bool>,
    chat_enabled: Option<bool>,
    tips_enabled: Option<bool>,
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<u32>)]
    max_viewers: Option<Option<u32>>,
}

/// Tells null from nothing.
fn sent<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// The version that the caller saw, from `If-Match`.
pub(super) struct IfMatch(Option<Revision>);

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parse_if_match(&parts.headers).map(Self)
    }
}

fn parse_if_match(headers: &HeaderMap) -> Result<Option<Revision>, Problem> {
    let mut values = headers.get_all(header::IF_MATCH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let version = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match version.and_then(|digits| digits.parse().ok()).filter(|_| values.next().is_none()) {
        Some(version) => Ok(Some(version)),
        // an entity tag that we never gave matches nothing
        None => Err(Problem::precondition_failed("send the ETag of the document as it was given")),
    }
}

/// Change or reschedule a stream.
///
/// Anything while SCHEDULED; only `settings` while LIVE. Answers the whole document.
#[utoipa::path(
    patch, path = "/api/v1/streams/{id}", tag = "Streams", operation_id = "reviseStream",
    request_body = ReviseStream,
    params(
        ("id" = String, Path, description = "the stream"),
        ("If-Match" = Option<String>, Header, description = "the ETag of the document that was seen"),
        ("Idempotency-Key" = Option<String>, Header, description = "the same key and body: the same answer"),
    ),
    responses(
        (status = 200, description = "as it is now", body = StreamDocument),
        (status = 403, description = "not the creator", body = Problem),
        (status = 404, description = "no such stream", body = Problem),
        (status = 409, description = "the stream's status does not allow it", body = Problem),
        (status = 412, description = "changed meanwhile", body = Problem),
        (status = 422, description = "invalid, with the `field`", body = Problem),
    ),
    security(("bearer" = []))
)]
pub(super) async fn revise_stream(
    State(app): State<AppState>,
    StreamPath(show): StreamPath,
    ask: Ask,
    IfMatch(version): IfMatch,
    body: Json<ReviseStream>,
) -> Result<Response, Problem> {
    let currency = currency_for(&app, show, &body.value).await?;
    let action = Action::Revise(Box::new(revision(&body.value, currency, version)?));
    let command = ask.command(&body.digest, action);
    let dispatched = app.shows.dispatch_recalling(show, command, Recall::Then, Facts::of).await;
    let revised = dispatched.map_err(of_command)?;
    let facts = revised.seen.ok_or_else(no_such_stream)?;
    let version = facts.about.version;
    let creator_id = creator_id(&app, &ask, &facts).await?;
    let document = stream_document(&app, facts, creator_id)?;
    Ok(with_etag(done(StatusCode::OK, revised.position, &document), version))
}

/// The currency that a price is in: the one sent along, or the stream's. Asked for only where it is needed.
async fn currency_for(app: &App, show: ShowId, body: &ReviseStream) -> Result<Currency, Problem> {
    match (&body.currency, body.ticket_price) {
        (Some(code), _) => validate::currency(code),
        (None, Some(Some(_))) => {
            let read = |show: &domain::Show| show.about().map(|about| about.currency);
            let looked = app.shows.look(show, read).await.map_err(of_command)?;
            looked.seen.ok_or_else(no_such_stream)
        }
        (None, Some(None) | None) => Ok(Currency::USD),
    }
}

fn revision(
    body: &ReviseStream,
    currency: Currency,
    expected_version: Option<Revision>,
) -> Result<ReviseShow, Problem> {
    let none = ReviseSettings::default();
    let settings = body.settings.as_ref().unwrap_or(&none);
    let price = |price: Amount| validate::price(price, currency);
    Ok(ReviseShow {
        expected_version,
        title: body.title.as_deref().map(validate::title).transpose()?,
        description: body
            .description
            .as_ref()
            .map(|text| validate::description(text.as_deref().unwrap_or_default()))
            .transpose()?,
        category: inner(body.category.as_ref(), |text| validate::category(text))?,
        tags: body
            .tags
            .as_ref()
            .map(|tags| validate::tags(tags.as_deref().unwrap_or_default()))
            .transpose()?,
        language: inner(body.language.as_ref(), |tag| validate::language(tag))?,
        thumbnail_url: inner(body.thumbnail_url.as_ref(), |url| validate::thumbnail_url(url))?,
        subscriber_only: body.is_subscriber_only,
        ticket_price: inner(body.ticket_price.as_ref(), |sent| price(*sent))?.map(Option::flatten),
        currency: body.currency.is_some().then_some(currency),
        scheduled_start: body.scheduled_start_time,
        quality: settings.quality.map(Into::into),
        recording_enabled: settings.recording_enabled,
        chat_enabled: settings.chat_enabled,
        tips_enabled: settings.tips_enabled,
        max_viewers: inner(settings.max_viewers.as_ref(), |count| validate::max_viewers(*count))?,
    })
}

/// Checks what was sent, where it is more than null.
fn inner<T, U>(
    sent: Option<&Option<T>>,
    check: impl FnOnce(&T) -> Result<U, Problem>,
) -> Result<Option<Option<U>>, Problem> {
    sent.map(|value| value.as_ref().map(check).transpose()).transpose()
}

/// The creator's subject: the caller's own, or (an admin calls) the one that is sealed in the first event.
async fn creator_id(app: &App, ask: &Ask, facts: &Facts) -> Result<Option<String>, Problem> {
    if facts.about.creator == ask.person {
        return Ok(Some(ask.caller.sub.to_string()));
    }
    let stream = streams::show(facts.about.show_id);
    let mut first = app.log.read_stream(&stream, 0, 1).await.map_err(|error| Problem::internal(&error))?;
    let Some(first) = first.pop() else { return Ok(None) };
    let created = codec::decode(&first).map_err(|error| Problem::internal(&error))?;
    match created.event {
        Event::Show(ShowEvent::Lifecycle(LifecycleEvent::Created(show))) => {
            app.sealing.subject(&show.creator_identity, created.event_id).await
        }
        Event::Show(_) | Event::Payment(_) => Ok(None),
    }
}
