//! `GET /streams/{id}/viewers`: who watched, for those who run the show.

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
use schemas::{EventId, Sealed, ShowId, Timestamp};
use serde::Serialize;
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::opening::Opening;
use crate::read_model::{ReadModel, show_id, store_failed, vault_failed, view};

/// Everybody who began a session, in the order in which they first appeared.
const SQL: &str = "
    SELECT person, identity, event_id, first_joined_at, last_left_at, open_since, device_type, country, city,
           watched_ms, messages_count, total_tipped, sessions, sequence
    FROM read.persons
    WHERE show_id = $1 AND sessions > 0 AND (sequence, person) > ($2, $3)
    ORDER BY sequence, person
    LIMIT $4";

#[derive(sqlx::FromRow)]
struct ViewerRow {
    person: Uuid,
    identity: Option<Json<Sealed>>,
    event_id: Option<Uuid>,
    first_joined_at: Option<DateTime<Utc>>,
    last_left_at: Option<DateTime<Utc>>,
    open_since: Option<DateTime<Utc>>,
    device_type: Option<String>,
    country: Option<String>,
    city: Option<String>,
    watched_ms: i64,
    messages_count: i64,
    total_tipped: Decimal,
    sessions: i64,
    sequence: i64,
}

/// A viewer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ViewerDocument {
    /// The viewer's token subject; null if they were erased.
    viewer_id: Option<String>,
    username: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    join_time: Option<Timestamp>,
    /// Null while they are here.
    #[schema(value_type = Option<String>, format = DateTime)]
    leave_time: Option<Timestamp>,
    /// In the stream's currency.
    total_tipped: AmountNumber,
    messages_count: i64,
    /// In seconds; several devices at one time count once.
    watch_time: i64,
    /// MOBILE, DESKTOP, TABLET; null: unknown.
    device_type: Option<String>,
    location: LocationDocument,
    sessions: i64,
}

/// A coarse place.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LocationDocument {
    country: Option<String>,
    city: Option<String>,
}

/// A stream's viewers
#[utoipa::path(
    get,
    path = "/api/v1/streams/{id}/viewers",
    tag = "Audience",
    operation_id = "listViewers",
    params(
        ("id" = String, Path, description = "The stream"),
        ("limit" = Option<u32>, Query, description = "Items of a page, at most 200"),
        ("cursor" = Option<String>, Query, description = "The nextCursor of the page before"),
    ),
    responses(
        (status = 200, description = "A page, in the order of arrival", body = Paged<ViewerDocument>),
        (status = 403, description = "Only for the stream's creator, moderators and administrators", body = Problem, content_type = "application/problem+json"),
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
    let position = Position(read_model.positions.reach(&[view::STREAMS, view::VIEWERS], min).await?);
    let facts = read_model.facts(show).await?;
    if !read_model.is_staff(&facts, &caller) {
        let detail = "viewers are listed for the stream's creator, moderators and administrators";
        return Err(Problem::forbidden("not_the_creator", detail));
    }
    let rows = rows(&read_model, show, &page).await?;
    let Paged { items, next_cursor } = page.answer(rows, |row| (row.sequence, row.person))?;
    let items = documents(&read_model, items, facts.minor_digits()).await?;
    Ok((position, json(StatusCode::OK, &Paged { items, next_cursor })).into_response())
}

async fn rows(read_model: &ReadModel, show: ShowId, page: &Page) -> Result<Vec<ViewerRow>, Problem> {
    let (sequence, person) = page.cursor::<(i64, Uuid)>()?.unwrap_or((-1, Uuid::nil()));
    let query = sqlx::query_as(SQL).bind(show.0).bind(sequence).bind(person).bind(page.fetch());
    query.fetch_all(&read_model.pool).await.map_err(|error| store_failed(&error))
}

async fn documents(
    read_model: &ReadModel,
    rows: Vec<ViewerRow>,
    minor_digits: u32,
) -> Result<Vec<ViewerDocument>, Problem> {
    let mut opening = Opening::default();
    let slots: Vec<_> = rows
        .iter()
        .map(|row| {
            let sealed = row.identity.as_ref().map(|sealed| &sealed.0);
            opening.identity(sealed, EventId(row.event_id.unwrap_or_default()))
        })
        .collect();
    let mut opened = opening.open(&read_model.vault).await.map_err(|error| vault_failed(&error))?;
    let now = read_model.clock.now();
    let names: Vec<_> = slots.into_iter().map(|slot| opened.names(slot)).collect();
    Ok(rows.into_iter().zip(names).map(|(row, names)| row.document(names, minor_digits, now)).collect())
}

impl ViewerRow {
    fn document(
        self,
        (viewer_id, username): (Option<String>, Option<String>),
        minor_digits: u32,
        now: Timestamp,
    ) -> ViewerDocument {
        let open_ms = self.open_since.map_or(0, |since| now.millis_since(since.into()).max(0));
        let left_at = if self.open_since.is_some() { None } else { self.last_left_at };
        ViewerDocument {
            viewer_id,
            username,
            join_time: self.first_joined_at.map(Timestamp::from),
            leave_time: left_at.map(Timestamp::from),
            total_tipped: AmountNumber::new(self.total_tipped, minor_digits),
            messages_count: self.messages_count,
            watch_time: (self.watched_ms + open_ms) / 1_000,
            device_type: self.device_type,
            location: LocationDocument { country: self.country, city: self.city },
            sessions: self.sessions,
        }
    }
}
