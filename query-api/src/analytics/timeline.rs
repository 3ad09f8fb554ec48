//! `GET /streams/{id}/analytics/timeline`: a show minute by minute.

use std::sync::Arc;

use ::analytics::figures::Minute;
use ::analytics::figures::export::Column;
use axum::extract::{Path, State};
use axum::response::Response;
use platform::http::amount::AmountNumber;
use platform::http::auth::Authenticated;
use platform::http::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Insight;
use super::documents::{AsOfDocument, amount};
use super::export::{AMOUNT, FormatQuery, Tabular, Wanted, column};
use super::minutes::{FromMinute, MinutesQuery};
use super::moment::{AsOfQuery, Moment};
use super::refusals::ForShow;

/// A stream's minutes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Timeline {
    stream_id: Uuid,
    /// Of all amounts.
    #[schema(example = "USD")]
    currency: String,
    /// Without a gap from the start to the end, or to `asOf`; the last one may be shorter. None before the start.
    minutes: Vec<MinuteDocument>,
    /// Where the next answer begins, of a stream of more than a week; null where this is the last.
    next_minute: Option<u32>,
    as_of: AsOfDocument,
    #[serde(rename = "final")]
    is_final: bool,
}

/// A minute, counted from the start of the stream. What happens at its very end belongs to the next.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MinuteDocument {
    /// 0 is the first.
    minute: u32,
    /// At its last instant.
    viewer_count: u64,
    /// Up to there.
    unique_viewers: u64,
    /// Sessions begun within it.
    joins: u64,
    /// Sessions left within it; those that the end closes are not told one by one.
    leaves: u64,
    messages: u64,
    reactions: u64,
    /// Captured within it.
    tips: AmountNumber,
}

impl Tabular for MinuteDocument {
    const COLUMNS: &'static [Column] = &[
        column("minute", "UInt32"),
        column("viewerCount", "UInt64"),
        column("uniqueViewers", "UInt64"),
        column("joins", "UInt64"),
        column("leaves", "UInt64"),
        column("messages", "UInt64"),
        column("reactions", "UInt64"),
        column("tips", AMOUNT),
    ];
}

impl From<&Minute> for MinuteDocument {
    fn from(minute: &Minute) -> Self {
        Self {
            minute: minute.presence.minute,
            viewer_count: minute.presence.viewer_count,
            unique_viewers: minute.presence.unique_viewers,
            joins: minute.presence.joins,
            leaves: minute.presence.leaves,
            messages: minute.messages,
            reactions: minute.reactions,
            tips: amount(minute.tips),
        }
    }
}

/// A stream minute by minute
#[utoipa::path(
    get,
    path = "/api/v1/streams/{id}/analytics/timeline",
    tag = "Figures",
    operation_id = "getStreamTimeline",
    params(("id" = String, Path, description = "The stream"), AsOfQuery, MinutesQuery, FormatQuery),
    responses(
        (status = 200, description = "The minutes; as a file too", body = Timeline),
        ForShow,
    ),
    security(("bearer" = [])),
)]
pub(super) async fn get(
    State(insight): State<Arc<Insight>>,
    Authenticated(caller): Authenticated,
    at: Moment,
    from: FromMinute,
    wanted: Wanted,
    Path(stream_id): Path<String>,
) -> Result<Response, Problem> {
    let about = insight.about_show(&stream_id, &caller, at).await?;
    let (about, standing) = insight.standing(about).await?;
    let figures = insight.warehouse.ask(insight.warehouse.figures()?.timeline(&standing)).await?;
    let minutes: Vec<MinuteDocument> = figures.iter().map(Into::into).collect();
    let (minutes, next_minute) = wanted.part(from, minutes);
    let name = about.file_name("timeline");
    let document = Timeline {
        stream_id: about.show.0,
        is_final: standing.is_final(),
        currency: standing.currency,
        minutes,
        next_minute,
        as_of: about.as_of.into(),
    };
    insight.warehouse.answer(wanted, about.as_of, &document, &name, &document.minutes).await
}
