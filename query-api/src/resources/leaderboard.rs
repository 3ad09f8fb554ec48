//! `GET /streams/{id}/leaderboard`: who tipped most. Of equal totals the one that was reached first is higher.

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
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::opening::Opening;
use crate::read_model::{ReadModel, minor_digits, show_id, store_failed, vault_failed, view};

const SQL: &str = "
    SELECT identity, event_id, total, currency, tips_count, last_tip_at, sequence
    FROM read.tip_totals
    WHERE show_id = $1 AND ($2::numeric IS NULL OR total < $2 OR (total = $2 AND sequence > $3))
    ORDER BY total DESC, sequence
    LIMIT $4";

#[derive(sqlx::FromRow)]
struct LeaderRow {
    identity: Option<Json<Sealed>>,
    event_id: Uuid,
    total: Decimal,
    currency: String,
    tips_count: i64,
    last_tip_at: DateTime<Utc>,
    sequence: i64,
}

/// The last of a page, and how many stand up to it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Keyset {
    total: Decimal,
    sequence: i64,
    rank: i64,
}

/// A place on the leaderboard.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LeaderDocument {
    /// 1 is the first.
    rank: i64,
    /// The tipper's token subject; null if they were erased.
    user_id: Option<String>,
    username: Option<String>,
    total: AmountNumber,
    currency: String,
    tips_count: i64,
    #[schema(value_type = String, format = DateTime)]
    last_tip_at: Timestamp,
}

/// A stream's leaderboard
#[utoipa::path(
    get,
    path = "/api/v1/streams/{id}/leaderboard",
    tag = "Tips",
    operation_id = "getLeaderboard",
    params(
        ("id" = String, Path, description = "The stream"),
        ("limit" = Option<u32>, Query, description = "Items of a page, at most 200"),
        ("cursor" = Option<String>, Query, description = "The nextCursor of the page before"),
    ),
    responses(
        (status = 200, description = "A page, the largest total first", body = Paged<LeaderDocument>),
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
    let after: Option<Keyset> = page.cursor()?;
    let views = [view::STREAMS, view::VIEWERS, view::TIPS];
    let position = Position(read_model.positions.reach(&views, min).await?);
    read_model.check_audience(show, &caller).await?;
    let (total, sequence) = (after.map(|after| after.total), after.map_or(0, |after| after.sequence));
    let query = sqlx::query_as(SQL).bind(show.0).bind(total).bind(sequence).bind(page.fetch());
    let rows: Vec<LeaderRow> =
        query.fetch_all(&read_model.pool).await.map_err(|error| store_failed(&error))?;
    let before = after.map_or(0, |after| after.rank);
    let ranked: Vec<(i64, LeaderRow)> = (before + 1..).zip(rows).collect();
    let keyset =
        |(rank, row): &(i64, LeaderRow)| Keyset { total: row.total, sequence: row.sequence, rank: *rank };
    let Paged { items, next_cursor } = page.answer(ranked, keyset)?;
    let items = documents(&read_model, items).await?;
    Ok((position, json(StatusCode::OK, &Paged { items, next_cursor })).into_response())
}

async fn documents(
    read_model: &ReadModel,
    ranked: Vec<(i64, LeaderRow)>,
) -> Result<Vec<LeaderDocument>, Problem> {
    let mut opening = Opening::default();
    let slots: Vec<_> = ranked
        .iter()
        .map(|(_, row)| {
            opening.identity(row.identity.as_ref().map(|sealed| &sealed.0), EventId(row.event_id))
        })
        .collect();
    let mut opened = opening.open(&read_model.vault).await.map_err(|error| vault_failed(&error))?;
    let names: Vec<_> = slots.into_iter().map(|slot| opened.names(slot)).collect();
    let place = |((rank, row), (user_id, username)): ((i64, LeaderRow), (Option<String>, Option<String>))| {
        LeaderDocument {
            rank,
            user_id,
            username,
            total: AmountNumber::new(row.total, minor_digits(&row.currency)),
            currency: row.currency,
            tips_count: row.tips_count,
            last_tip_at: row.last_tip_at.into(),
        }
    };
    Ok(ranked.into_iter().zip(names).map(place).collect())
}
