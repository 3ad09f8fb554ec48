//! `GET /streams/{id}/chat`: the chat's history, newest first, or in order after a sequence.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use platform::http::amount::AmountNumber;
use platform::http::auth::Authenticated;
use platform::http::json::json;
use platform::http::page::{Page, Paged};
use platform::http::position::{MinPosition, Position};
use platform::http::problem::Problem;
use rust_decimal::Decimal;
use schemas::{EventId, Sealed, ShowId, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;
use sqlx::types::Json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::opening::{Opening, field};
use crate::read_model::{ReadModel, minor_digits, show_id, store_failed, vault_failed, view};

const COLUMNS: &str = "sequence, message_id, event_id, type, identity, text, tip_amount, tip_currency, reactions, \
     reaction_type, status, sent_at, is_moderated, moderated_by, reply_to, client_message_id, role, is_subscriber";

#[derive(sqlx::FromRow)]
struct MessageRow {
    sequence: i64,
    message_id: Uuid,
    event_id: Uuid,
    r#type: String,
    identity: Option<Json<Sealed>>,
    text: Option<Json<Sealed>>,
    tip_amount: Option<Decimal>,
    tip_currency: Option<String>,
    reactions: Option<Json<BTreeMap<String, u32>>>,
    reaction_type: Option<String>,
    status: Option<String>,
    sent_at: DateTime<Utc>,
    is_moderated: bool,
    moderated_by: Option<Uuid>,
    reply_to: Option<Uuid>,
    client_message_id: Option<String>,
    role: Option<String>,
    is_subscriber: Option<bool>,
}

/// Which part of the chat is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// Oldest first, from behind this sequence.
    after: Option<i64>,
    /// Newest first, from before this sequence.
    before: Option<i64>,
    /// Items of a page, at most 200.
    #[param(value_type = Option<u32>)]
    #[serde(rename = "limit")]
    _limit: Option<String>,
    /// The `nextCursor` of the page before.
    #[serde(rename = "cursor")]
    _cursor: Option<String>,
}

/// A way through the chat, from a place on.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum From {
    After(i64),
    Before(i64),
}

/// An entry of the chat.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageDocument {
    message_id: Uuid,
    stream_id: Uuid,
    /// The author's token subject; null if they were erased, and where nobody is the author.
    user_id: Option<String>,
    username: Option<String>,
    /// Null where the author was erased or wrote nothing.
    message: Option<String>,
    /// MESSAGE, TIP, SYSTEM, REACTION.
    #[serde(rename = "type")]
    kind: String,
    tip_amount: Option<AmountNumber>,
    tip_currency: Option<String>,
    reaction_type: Option<String>,
    /// How many of each type, with REACTION.
    #[serde(skip_serializing_if = "Option::is_none")]
    reactions: Option<BTreeMap<String, u32>>,
    /// The status that the stream went to, with SYSTEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    is_moderated: bool,
    moderated_by: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_subscriber: Option<bool>,
    sequence: i64,
}

/// A stream's chat
#[utoipa::path(
    get,
    path = "/api/v1/streams/{id}/chat",
    tag = "Chat",
    operation_id = "listMessages",
    params(("id" = String, Path, description = "The stream"), Part),
    responses(
        (status = 200, description = "A page, newest first, or in order with `after`", body = Paged<MessageDocument>),
        (status = 403, description = "The stream is for those who may enter", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "Unknown", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(super) async fn list(
    State(read_model): State<Arc<ReadModel>>,
    Authenticated(caller): Authenticated,
    min: MinPosition,
    page: Page,
    Path(stream_id): Path<String>,
    part: Result<Query<Part>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let show = show_id(&stream_id)?;
    let from = from(part, &page)?;
    let views = [view::STREAMS, view::VIEWERS, view::MESSAGES];
    let position = Position(read_model.positions.reach(&views, min).await?);
    read_model.check_audience(show, &caller).await?;
    let rows = rows(&read_model, show, from, page.fetch()).await.map_err(|error| store_failed(&error))?;
    let Paged { items, next_cursor } = page.answer(rows, |row| match from {
        From::After(_) => From::After(row.sequence),
        From::Before(_) => From::Before(row.sequence),
    })?;
    let items = documents(&read_model, show, items).await?;
    Ok((position, json(StatusCode::OK, &Paged { items, next_cursor })).into_response())
}

fn from(
    part: Result<Query<Part>, axum::extract::rejection::QueryRejection>,
    page: &Page,
) -> Result<From, Problem> {
    let Query(part) =
        part.map_err(|_| Problem::invalid_field("after", "after and before are sequences: whole numbers"))?;
    if let Some(cursor) = page.cursor()? {
        return Ok(cursor);
    }
    match (part.after, part.before) {
        (None, before) => Ok(From::Before(before.unwrap_or(i64::MAX))),
        (Some(after), None) => Ok(From::After(after)),
        (Some(_), Some(_)) => Err(Problem::invalid_field("before", "send either after or before")),
    }
}

async fn rows(
    read_model: &ReadModel,
    show: ShowId,
    from: From,
    count: i64,
) -> Result<Vec<MessageRow>, sqlx::Error> {
    let (condition, order, sequence) = match from {
        From::After(sequence) => ("sequence > $2", "sequence", sequence),
        From::Before(sequence) => ("sequence < $2", "sequence DESC", sequence),
    };
    // only constants are put together here
    let sql = AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM read.messages WHERE show_id = $1 AND {condition} ORDER BY {order} LIMIT $3"
    ));
    sqlx::query_as(sql).bind(show.0).bind(sequence).bind(count).fetch_all(&read_model.pool).await
}

async fn documents(
    read_model: &ReadModel,
    show: ShowId,
    rows: Vec<MessageRow>,
) -> Result<Vec<MessageDocument>, Problem> {
    let mut opening = Opening::default();
    let slots: Vec<_> = rows
        .iter()
        .map(|row| {
            let event = EventId(row.event_id);
            let author = opening.identity(row.identity.as_ref().map(|sealed| &sealed.0), event);
            let name = if row.r#type == "TIP" { field::MESSAGE } else { field::TEXT };
            (author, opening.text(row.text.as_ref().map(|sealed| &sealed.0), event, name))
        })
        .collect();
    let mut opened = opening.open(&read_model.vault).await.map_err(|error| vault_failed(&error))?;
    let said: Vec<_> =
        slots.into_iter().map(|(author, text)| (opened.names(author), opened.text(text))).collect();
    Ok(rows.into_iter().zip(said).map(|(row, (names, text))| row.document(show, names, text)).collect())
}

impl MessageRow {
    fn document(
        self,
        show: ShowId,
        (user_id, username): (Option<String>, Option<String>),
        message: Option<String>,
    ) -> MessageDocument {
        let digits = self.tip_currency.as_deref().map_or(0, minor_digits);
        MessageDocument {
            message_id: self.message_id,
            stream_id: show.0,
            user_id,
            username,
            message,
            kind: self.r#type,
            tip_amount: self.tip_amount.map(|amount| AmountNumber::new(amount, digits)),
            tip_currency: self.tip_currency,
            reaction_type: self.reaction_type,
            reactions: self.reactions.map(|reactions| reactions.0),
            status: self.status,
            timestamp: self.sent_at.into(),
            is_moderated: self.is_moderated,
            moderated_by: self.moderated_by,
            reply_to: self.reply_to,
            client_message_id: self.client_message_id,
            role: self.role,
            is_subscriber: self.is_subscriber,
            sequence: self.sequence,
        }
    }
}
