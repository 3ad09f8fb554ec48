//! `GET /platform/analytics/popular`: the streams that most people watched.

use std::collections::HashMap;
use std::sync::Arc;

use ::analytics::figures::PopularShow;
use ::analytics::figures::export::Column;
use axum::extract::State;
use axum::response::Response;
use platform::http::auth::Authenticated;
use platform::http::page::{Page, Paged};
use platform::http::position::MinPosition;
use platform::http::problem::Problem;
use schemas::{EventId, Sealed};
use serde::Serialize;
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Insight;
use super::documents::{AsOfDocument, seconds};
use super::export::{FormatQuery, Tabular, Wanted, column};
use super::period::{Asked, PeriodDocument};
use super::refusals::ForPlatform;
use crate::opening::Opening;
use crate::read_model::{store_failed, vault_failed};

/// The most popular streams of a period.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Popular {
    /// By persons, then by time watched.
    streams: Vec<PopularDocument>,
    /// Where the next page begins; null on the last one.
    next_cursor: Option<String>,
    period: PeriodDocument,
    as_of: AsOfDocument,
}

/// A popular stream.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PopularDocument {
    stream_id: Uuid,
    /// The creator's token subject; null if they were erased.
    creator_id: Option<String>,
    /// The creator's pseudonym, as in files.
    #[serde(skip_serializing)]
    #[schema(ignore)]
    creator: Uuid,
    title: String,
    /// `unknown` where none was given.
    category: String,
    unique_viewers: u64,
    peak_viewers: u64,
    /// Seconds.
    watch_time: i64,
}

/// The same in a file: a creator is a pseudonym.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PopularRow<'a> {
    stream_id: Uuid,
    creator: Uuid,
    title: &'a str,
    category: &'a str,
    unique_viewers: u64,
    peak_viewers: u64,
    watch_time: i64,
}

impl Tabular for PopularRow<'_> {
    const COLUMNS: &'static [Column] = &[
        column("streamId", "UUID"),
        column("creator", "UUID"),
        column("title", "String"),
        column("category", "String"),
        column("uniqueViewers", "UInt64"),
        column("peakViewers", "UInt64"),
        column("watchTime", "Int64"),
    ];
}

/// The most popular streams
#[utoipa::path(
    get,
    path = "/api/v1/platform/analytics/popular",
    tag = "Figures",
    operation_id = "getPopularStreams",
    params(
        Asked,
        FormatQuery,
        ("limit" = Option<u32>, Query, description = "Streams of a page, at most 200; 50 by default"),
        ("cursor" = Option<String>, Query, description = "The nextCursor of the page before"),
    ),
    responses(
        (status = 200, description = "The streams that most people watched; as a file too", body = Popular),
        ForPlatform,
    ),
    security(("bearer" = [])),
)]
pub(super) async fn get(
    State(insight): State<Arc<Insight>>,
    Authenticated(caller): Authenticated,
    min: MinPosition,
    asked: Asked,
    page: Page,
    wanted: Wanted,
) -> Result<Response, Problem> {
    let about = insight.about_platform(&caller, &asked, min).await?;
    let warehouse = &insight.warehouse;
    let (figures, after) = (warehouse.figures()?, page.cursor()?);
    let shows = warehouse.ask(figures.popular(about.scope, about.period, after, page.limit + 1)).await?;
    let Paged { items: shows, next_cursor } = page.answer(shows, PopularShow::rank)?;
    let mut creators = insight.creators(&shows).await?;
    let streams = shows.into_iter().map(|show| document(creators.remove(&show.show_id.0), show)).collect();
    let document = Popular { streams, next_cursor, period: about.span.document(), as_of: about.as_of.into() };
    let rows: Vec<PopularRow<'_>> = document.streams.iter().map(row).collect();
    warehouse.answer(wanted, about.as_of, &document, &about.file_name("popular"), &rows).await
}

fn document(creator_id: Option<String>, show: PopularShow) -> PopularDocument {
    PopularDocument {
        stream_id: show.show_id.0,
        creator_id,
        creator: show.creator.0,
        title: show.title,
        category: show.category,
        unique_viewers: show.unique_viewers,
        peak_viewers: show.peak_viewers,
        watch_time: seconds(show.watch_ms),
    }
}

fn row(document: &PopularDocument) -> PopularRow<'_> {
    PopularRow {
        stream_id: document.stream_id,
        creator: document.creator,
        title: &document.title,
        category: &document.category,
        unique_viewers: document.unique_viewers,
        peak_viewers: document.peak_viewers,
        watch_time: document.watch_time,
    }
}

#[derive(sqlx::FromRow)]
struct CreatorRow {
    show_id: Uuid,
    creator_identity: Json<Sealed>,
    event_id: Uuid,
}

impl Insight {
    /// Who made each show, by token subject; nobody where the creator was erased.
    async fn creators(&self, shows: &[PopularShow]) -> Result<HashMap<Uuid, String>, Problem> {
        let ids: Vec<Uuid> = shows.iter().map(|show| show.show_id.0).collect();
        let sql = "SELECT show_id, creator_identity, event_id FROM read.streams WHERE show_id = ANY($1)";
        let rows = sqlx::query_as(sql).bind(ids).fetch_all(&self.read_model.pool).await;
        let rows: Vec<CreatorRow> = rows.map_err(|error| store_failed(&error))?;
        let mut opening = Opening::default();
        let mut slots = Vec::with_capacity(rows.len());
        for row in &rows {
            slots.push(opening.identity(Some(&row.creator_identity.0), EventId(row.event_id)));
        }
        let opened = opening.open(&self.read_model.vault).await;
        let mut opened = opened.map_err(|error| vault_failed(&error))?;
        let named =
            rows.iter().zip(slots).filter_map(|(row, slot)| Some((row.show_id, opened.names(slot).0?)));
        Ok(named.collect())
    }
}
