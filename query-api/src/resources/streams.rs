//! `GET /streams`: discovery. Live shows first, by viewers; then scheduled ones, the next first; then ended ones,
//! the newest first. Cancelled ones only for those who ask for them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::DateTime;
use platform::http::auth::Authenticated;
use platform::http::json::json;
use platform::http::page::{Page, Paged};
use platform::http::position::{MinPosition, Position};
use platform::http::problem::Problem;
use platform::http::query::Query;
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, QueryBuilder};
use utoipa::IntoParams;
use uuid::Uuid;

use super::document::{COLUMNS, StreamDocument, StreamRow, documents};
use crate::read_model::{ReadModel, store_failed, vault_failed, view};

/// Longest search text: a sentence.
const SEARCH_LENGTH_MAX: usize = 200;

/// Which streams are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Filters {
    /// SCHEDULED, LIVE, ENDED, CANCELLED.
    status: Option<String>,
    /// Of this creator.
    creator_id: Option<String>,
    /// Of this category.
    category: Option<String>,
    /// With these words in title, tags or description.
    q: Option<String>,
    /// Items of a page, at most 200.
    #[param(value_type = Option<u32>)]
    #[serde(rename = "limit")]
    _limit: Option<String>,
    /// The `nextCursor` of the page before.
    #[serde(rename = "cursor")]
    _cursor: Option<String>,
}

/// A part of the list, with an order of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Part {
    Live,
    Scheduled,
    Ended,
    Cancelled,
}

impl Part {
    fn status(self) -> &'static str {
        match self {
            Self::Live => "LIVE",
            Self::Scheduled => "SCHEDULED",
            Self::Ended => "ENDED",
            Self::Cancelled => "CANCELLED",
        }
    }

    fn parse(status: &str) -> Result<Self, Problem> {
        let parts = [Self::Live, Self::Scheduled, Self::Ended, Self::Cancelled];
        parts.into_iter().find(|part| part.status() == status).ok_or_else(|| {
            Problem::invalid_field("status", "status is one of SCHEDULED, LIVE, ENDED, CANCELLED")
        })
    }
}

/// Where a page begins: behind this row of this part.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Keyset {
    part: Part,
    viewers: i64,
    /// Microseconds: of creation, or of the scheduled start; none is last.
    at: Option<i64>,
    id: Uuid,
}

/// Streams
#[utoipa::path(
    get,
    path = "/api/v1/streams",
    tag = "Streams",
    operation_id = "listStreams",
    params(Filters),
    responses(
        (status = 200, description = "A page: live ones by viewers, then scheduled ones by time, then ended ones, newest first",
            body = Paged<StreamDocument>),
        (status = 422, description = "A filter or cursor that is none", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(super) async fn list(
    State(read_model): State<Arc<ReadModel>>,
    _: Authenticated,
    min: MinPosition,
    page: Page,
    Query(filters): Query<Filters>,
) -> Result<Response, Problem> {
    let wanted = Wanted::of(&read_model, filters)?;
    let position = Position(read_model.positions.reach(&[view::STREAMS], min).await?);
    let after: Option<Keyset> = page.cursor()?;
    let rows = wanted.rows(&read_model, after, page.fetch()).await.map_err(|e| store_failed(&e))?;
    let Paged { items, next_cursor } = page.answer(rows, keyset)?;
    let items = documents(&read_model, items).await.map_err(|error| vault_failed(&error))?;
    Ok((position, json(StatusCode::OK, &Paged { items, next_cursor })).into_response())
}

struct Wanted {
    parts: Vec<Part>,
    creator: Option<Uuid>,
    category: Option<String>,
    words: Option<String>,
}

impl Wanted {
    fn of(read_model: &ReadModel, filters: Filters) -> Result<Self, Problem> {
        if filters.q.as_ref().is_some_and(|words| words.chars().count() > SEARCH_LENGTH_MAX) {
            let detail = format!("search for at most {SEARCH_LENGTH_MAX} characters");
            return Err(Problem::invalid_field("q", detail).with_limit(SEARCH_LENGTH_MAX as u64));
        }
        // Postgres' texts have no U+0000; the views leave it out too
        let text =
            |given: Option<String>| given.map(|text| text.replace('\0', "")).filter(|text| !text.is_empty());
        let parts = match text(filters.status) {
            Some(status) => vec![Part::parse(&status)?],
            None => vec![Part::Live, Part::Scheduled, Part::Ended],
        };
        let creator = text(filters.creator_id).map(|sub| read_model.pseudonyms.person(&sub).0);
        Ok(Self { parts, creator, category: text(filters.category), words: text(filters.q) })
    }

    /// Part after part, until there are enough.
    async fn rows(
        &self,
        read_model: &ReadModel,
        after: Option<Keyset>,
        count: i64,
    ) -> Result<Vec<StreamRow>, sqlx::Error> {
        let first =
            after.and_then(|after| self.parts.iter().position(|part| *part == after.part)).unwrap_or(0);
        let mut rows: Vec<StreamRow> = Vec::new();
        for part in &self.parts[first..] {
            let missing = count - i64::try_from(rows.len()).unwrap_or(count);
            if missing <= 0 {
                break;
            }
            let after = after.filter(|after| after.part == *part);
            let mut query = self.query(*part, after, missing);
            rows.extend(query.build_query_as::<StreamRow>().fetch_all(&read_model.pool).await?);
        }
        Ok(rows)
    }

    fn query(&self, part: Part, after: Option<Keyset>, count: i64) -> QueryBuilder<Postgres> {
        let mut query = QueryBuilder::new(format!("SELECT {COLUMNS} FROM read.streams WHERE status = "));
        query.push_bind(part.status());
        if let Some(creator) = self.creator {
            query.push(" AND creator = ").push_bind(creator);
        }
        if let Some(category) = &self.category {
            query.push(" AND category = ").push_bind(category.clone());
        }
        if let Some(words) = &self.words {
            query.push(" AND search @@ websearch_to_tsquery('simple', ").push_bind(words.clone()).push(")");
        }
        let is_by_time = part == Part::Scheduled;
        if let Some(after) = after {
            let at = after.at.and_then(DateTime::from_timestamp_micros);
            if is_by_time {
                query.push(" AND (COALESCE(scheduled_start, 'infinity'), show_id) > (COALESCE(");
                query.push_bind(at).push(", 'infinity'), ").push_bind(after.id).push(")");
            } else {
                query.push(" AND (viewer_count, created_at, show_id) < (").push_bind(after.viewers);
                query.push(", ").push_bind(at.unwrap_or_default()).push(", ").push_bind(after.id).push(")");
            }
        }
        query.push(if is_by_time {
            " ORDER BY COALESCE(scheduled_start, 'infinity'), show_id"
        } else {
            " ORDER BY viewer_count DESC, created_at DESC, show_id DESC"
        });
        query.push(" LIMIT ").push_bind(count);
        query
    }
}

fn keyset(row: &StreamRow) -> Keyset {
    let part = Part::parse(&row.status).unwrap_or(Part::Ended);
    let at = if part == Part::Scheduled { row.scheduled_start } else { Some(row.created_at) };
    Keyset { part, viewers: row.viewer_count, at: at.map(|at| at.timestamp_micros()), id: row.show_id }
}
