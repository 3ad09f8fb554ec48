//! `GET /streams/{id}/tips`: the tips that were paid, newest first.

use std::sync::Arc;

use axum::extract::{Path, State};
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
use schemas::{EventId, Sealed, Timestamp};
use serde::Serialize;
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::opening::{Opening, field};
use crate::read_model::{ReadModel, minor_digits, show_id, store_failed, vault_failed, view};

const SQL: &str = "
    SELECT tip_id, identity, message, event_id, amount, currency, captured_at, sequence
    FROM read.tips
    WHERE show_id = $1 AND status = 'CAPTURED' AND sequence < $2
    ORDER BY sequence DESC
    LIMIT $3";

#[derive(sqlx::FromRow)]
struct TipRow {
    tip_id: Uuid,
    identity: Option<Json<Sealed>>,
    message: Option<Json<Sealed>>,
    event_id: Uuid,
    amount: Decimal,
    currency: String,
    captured_at: Option<DateTime<Utc>>,
    sequence: i64,
}

/// A tip that was paid.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TipDocument {
    tip_id: Uuid,
    /// The tipper's token subject; null if they were erased.
    user_id: Option<String>,
    username: Option<String>,
    amount: AmountNumber,
    currency: String,
    message: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    timestamp: Option<Timestamp>,
    sequence: i64,
}

/// A stream's tips
#[utoipa::path(
    get,
    path = "/api/v1/streams/{id}/tips",
    tag = "Tips",
    operation_id = "listTips",
    params(
        ("id" = String, Path, description = "The stream"),
        ("limit" = Option<u32>, Query, description = "Items of a page, at most 200"),
        ("cursor" = Option<String>, Query, description = "The nextCursor of the page before"),
    ),
    responses(
        (status = 200, description = "A page of paid tips, newest first", body = Paged<TipDocument>),
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
) -> Result<Response, Problem> {
    let show = show_id(&stream_id)?;
    let before: i64 = page.cursor()?.unwrap_or(i64::MAX);
    let views = [view::STREAMS, view::VIEWERS, view::TIPS];
    let position = Position(read_model.positions.reach(&views, min).await?);
    read_model.check_audience(show, &caller).await?;
    let query = sqlx::query_as(SQL).bind(show.0).bind(before).bind(page.fetch());
    let rows: Vec<TipRow> = query.fetch_all(&read_model.pool).await.map_err(|error| store_failed(&error))?;
    let Paged { items, next_cursor } = page.answer(rows, |row| row.sequence)?;
    let items = documents(&read_model, items).await?;
    Ok((position, json(StatusCode::OK, &Paged { items, next_cursor })).into_response())
}

async fn documents(read_model: &ReadModel, rows: Vec<TipRow>) -> Result<Vec<TipDocument>, Problem> {
    let mut opening = Opening::default();
    let slots: Vec<_> = rows
        .iter()
        .map(|row| {
            let event = EventId(row.event_id);
            let tipper = opening.identity(row.identity.as_ref().map(|sealed| &sealed.0), event);
            (tipper, opening.text(row.message.as_ref().map(|sealed| &sealed.0), event, field::MESSAGE))
        })
        .collect();
    let mut opened = opening.open(&read_model.vault).await.map_err(|error| vault_failed(&error))?;
    let mut documents = Vec::with_capacity(rows.len());
    for (row, (tipper, words)) in rows.into_iter().zip(slots) {
        let (user_id, username) = opened.names(tipper);
        documents.push(TipDocument {
            tip_id: row.tip_id,
            user_id,
            username,
            amount: AmountNumber::new(row.amount, minor_digits(&row.currency)),
            currency: row.currency,
            message: opened.text(words),
            timestamp: row.captured_at.map(Timestamp::from),
            sequence: row.sequence,
        });
    }
    Ok(documents)
}
