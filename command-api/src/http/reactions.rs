//! POST /streams/{id}/reactions.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::command::Reaction;
use platform::http::json::{BodyDigest, Json};
use platform::http::problem::Problem;
use schemas::{BodyHash, Revision, ShowId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::done;
use super::ask::{Ask, StreamPath};
use super::problems::of_command;
use crate::state::{App, AppState};

/// One reaction or several of a kind.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct React {
    /// LIKE, LOVE, HEART, LAUGH, WOW, SAD, ANGRY, CLAP, FIRE or PARTY.
    #[schema(example = "HEART")]
    reaction_type: String,
    /// 1 to 50; default 1.
    count: Option<u32>,
}

/// A reaction that was counted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reacted {
    reaction_type: String,
    count: u32,
    /// The event that it was counted in, with others of about the same second.
    sequence: Revision,
}

/// React.
///
/// The answer comes when the reaction is counted: within about a second.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/reactions", tag = "Chat", operation_id = "react",
    request_body = React,
    params(
        ("id" = String, Path, description = "the stream"),
        ("Idempotency-Key" = Option<String>, Header, description = "the same key and body: counted once"),
    ),
    responses(
        (status = 200, description = "counted", body = Reacted),
        (status = 403, description = "no access", body = Problem),
        (status = 404, description = "no such stream", body = Problem),
        (status = 409, description = "not LIVE", body = Problem),
        (status = 422, description = "no such reaction, or count out of range", body = Problem),
    ),
    security(("bearer" = []))
)]
pub(super) async fn react(
    State(app): State<AppState>,
    StreamPath(show): StreamPath,
    ask: Ask,
    body: Json<React>,
) -> Result<Response, Problem> {
    let Json { value: React { reaction_type, count }, digest } = body;
    count_reaction(&app, show, &ask, &digest, reaction_type, count.unwrap_or(1)).await
}

/// Counts a reaction, however it was sent.
pub(super) async fn count_reaction(
    app: &App,
    show: ShowId,
    ask: &Ask,
    digest: &BodyDigest,
    kind: String,
    count: u32,
) -> Result<Response, Problem> {
    let reaction = Reaction {
        command_id: ask.id,
        body_hash: BodyHash(digest.short()),
        person: ask.person,
        role: ask.role(),
        kind: kind.clone(),
        count,
    };
    let counted = app.shows.react(show, reaction, ask.at).await.map_err(of_command)?;
    app.presence.seen_person(show, ask.person, ask.at);
    let answer = Reacted { reaction_type: kind, count, sequence: counted.revision };
    Ok(done(StatusCode::OK, counted.position, &answer))
}
