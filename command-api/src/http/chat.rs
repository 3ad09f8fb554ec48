//! POST /streams/{id}/chat.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::Action;
use domain::command::PostMessage;
use platform::http::json::Json;
use platform::http::problem::Problem;
use schemas::events::{ChatEvent, MessagePosted, ShowEvent};
use schemas::{Envelope, MessageId, Revision, ShowId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::done;
use super::ask::{Ask, StreamPath};
use super::problems::of_command;
use super::reactions::count_reaction;
use super::validate;
use crate::actors::{CommandError, Done};
use crate::features;
use crate::sealing::shown_name;
use crate::state::{App, AppState};

/// A message, or (type REACTION) one reaction.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SendMessage {
    /// 1–500 characters. Needed unless `type` is REACTION.
    #[schema(example = "Great stream!")]
    message: Option<String>,
    /// MESSAGE (default) or REACTION.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// With type REACTION: which.
    reaction_type: Option<String>,
    /// The message that this one answers.
    reply_to: Option<String>,
    /// The client's own id of the message, at most 64 characters; comes back with it.
    client_message_id: Option<String>,
}

/// A message as everybody in the stream gets it, with its place.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SentMessage {
    #[schema(value_type = String)]
    message_id: MessageId,
    user_id: String,
    username: String,
    message: String,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    is_subscriber: bool,
    /// Its place among the stream's events.
    sequence: Revision,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    reply_to: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<String>,
}

/// Send a chat message.
///
/// While LIVE, by everybody who may watch. At most 20 in 30 seconds, and none twice in a row.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/chat", tag = "Chat", operation_id = "sendMessage",
    request_body = SendMessage,
    params(
        ("id" = String, Path, description = "the stream"),
        ("Idempotency-Key" = Option<String>, Header, description = "the same key and body: the same answer"),
    ),
    responses(
        (status = 201, description = "everybody sees it", body = SentMessage),
        (status = 403, description = "no access", body = Problem),
        (status = 404, description = "no such stream", body = Problem),
        (status = 409, description = "not LIVE, or chat is off", body = Problem),
        (status = 422, description = "invalid, with the `field`", body = Problem),
        (status = 429, description = "too many, or a repeat", body = Problem),
    ),
    security(("bearer" = []))
)]
pub(super) async fn send_message(
    State(app): State<AppState>,
    StreamPath(show): StreamPath,
    ask: Ask,
    body: Json<SendMessage>,
) -> Result<Response, Problem> {
    let Json { value: sent, digest } = body;
    match sent.kind.as_deref() {
        None | Some("MESSAGE") => {}
        Some("REACTION") => {
            let kind = sent.reaction_type.ok_or_else(|| required("reactionType"))?;
            return count_reaction(&app, show, &ask, &digest, kind, 1).await;
        }
        Some(_) => return Err(Problem::invalid_field("type", "send MESSAGE or REACTION")),
    }
    let text = validate::message(sent.message.as_deref().ok_or_else(|| required("message"))?)?;
    let post = post(&app, show, &ask, &sent, &text).await?;
    let command = ask.command(&digest, Action::Post(Box::new(post)));
    let posted = app.shows.dispatch(show, command, |_| ()).await.map_err(of_command)?;
    app.presence.seen_person(show, ask.person, ask.at);
    let answer = answer(&ask, text, &posted)?;
    Ok(done(StatusCode::CREATED, posted.position, &answer))
}

fn required(field: &'static str) -> Problem {
    Problem::invalid_field(field, "this field is needed")
}

async fn post(
    app: &App,
    show: ShowId,
    ask: &Ask,
    sent: &SendMessage,
    text: &str,
) -> Result<PostMessage, Problem> {
    let event = ask.attempt.event(0);
    let digest = app.sealing.pseudonyms.digest(show, ask.person, &features::normalised(text));
    Ok(PostMessage {
        reply_to: sent.reply_to.as_deref().map(validate::message_id).transpose()?,
        client_message_id: sent.client_message_id.as_deref().map(validate::client_message_id).transpose()?,
        identity: app.sealing.identity(ask.person, &ask.caller, event).await?,
        text: app.sealing.text(ask.person, event, "text", text).await?,
        digest,
        features: features::of(text),
    })
}

/// The answer, from the event. The text is the caller's own: a repeat has the same body.
fn answer(ask: &Ask, message: String, posted: &Done<()>) -> Result<SentMessage, Problem> {
    let broken = || of_command(CommandError::Broken);
    let (envelope, posted) = posted.events.iter().find_map(message_posted).ok_or_else(broken)?;
    Ok(SentMessage {
        message_id: posted.message_id,
        user_id: ask.caller.sub.to_string(),
        username: shown_name(&ask.caller),
        message,
        timestamp: envelope.meta.occurred_at,
        is_subscriber: posted.is_subscriber,
        sequence: envelope.revision,
        reply_to: posted.reply_to,
        client_message_id: posted.client_message_id.clone(),
    })
}

fn message_posted(envelope: &Envelope<ShowEvent>) -> Option<(&Envelope<ShowEvent>, &MessagePosted)> {
    match &envelope.event {
        ShowEvent::Chat(ChatEvent::Posted(posted)) => Some((envelope, posted)),
        ShowEvent::Lifecycle(_)
        | ShowEvent::Settings(_)
        | ShowEvent::Audience(_)
        | ShowEvent::Interaction(_)
        | ShowEvent::Ledger(_) => None,
    }
}
