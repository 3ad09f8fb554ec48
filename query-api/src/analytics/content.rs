//! `GET /creators/{id}/analytics/content`: which content is watched most.

use std::sync::Arc;

use ::analytics::figures::ContentType;
use ::analytics::figures::export::Column;
use axum::extract::{Path, State};
use axum::response::Response;
use platform::http::auth::Authenticated;
use platform::http::position::MinPosition;
use platform::http::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use super::Insight;
use super::documents::{Amounts, AsOfDocument, interval, rounded, seconds};
use super::export::{AMOUNTS, FormatQuery, Tabular, Wanted, column};
use super::period::{Asked, PeriodDocument};
use super::refusals::ForCreator;

/// A creator's content types.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Content {
    creator_id: String,
    /// By average concurrent viewers, most first.
    categories: Vec<CategoryDocument>,
    period: PeriodDocument,
    as_of: AsOfDocument,
}

/// The streams of a category.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CategoryDocument {
    /// `unknown` where none was given.
    category: String,
    streams: u64,
    /// Average concurrent viewers, stream by stream.
    average_concurrent: f64,
    /// The 95 % confidence interval of it; null where one stream alone says nothing of the spread.
    low: Option<f64>,
    high: Option<f64>,
    /// Seconds.
    watch_time: i64,
    /// By currency.
    tips: Amounts,
}

impl Tabular for CategoryDocument {
    const COLUMNS: &'static [Column] = &[
        column("category", "String"),
        column("streams", "UInt64"),
        column("averageConcurrent", "Float64"),
        column("low", "Nullable(Float64)"),
        column("high", "Nullable(Float64)"),
        column("watchTime", "Int64"),
        column("tips", AMOUNTS),
    ];
}

impl From<&ContentType> for CategoryDocument {
    fn from(content: &ContentType) -> Self {
        let (low, high) = interval(&content.concurrent);
        Self {
            category: content.category.clone(),
            streams: content.concurrent.shows,
            average_concurrent: rounded(content.concurrent.mean),
            low,
            high,
            watch_time: seconds(content.watch_ms),
            tips: Amounts::of(&content.tips),
        }
    }
}

/// A creator's content types
#[utoipa::path(
    get,
    path = "/api/v1/creators/{id}/analytics/content",
    tag = "Figures",
    operation_id = "getCreatorContent",
    params(("id" = String, Path, description = "The creator, by token subject"), Asked, FormatQuery),
    responses(
        (status = 200, description = "Categories, best first; as a file too", body = Content),
        ForCreator,
    ),
    security(("bearer" = [])),
)]
pub(super) async fn get(
    State(insight): State<Arc<Insight>>,
    Authenticated(caller): Authenticated,
    min: MinPosition,
    asked: Asked,
    wanted: Wanted,
    Path(creator_id): Path<String>,
) -> Result<Response, Problem> {
    let about = insight.about_creator(&creator_id, &caller, &asked, min).await?;
    let warehouse = &insight.warehouse;
    let categories = warehouse.ask(warehouse.figures()?.content_types(about.scope, about.period)).await?;
    let document = Content {
        creator_id,
        categories: categories.iter().map(Into::into).collect(),
        period: about.span.document(),
        as_of: about.as_of.into(),
    };
    warehouse.answer(wanted, about.as_of, &document, &about.file_name("content"), &document.categories).await
}
