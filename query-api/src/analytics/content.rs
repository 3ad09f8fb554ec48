//! `GET /creators/{id}/analytics/content`: which content is watched most.

use std::sync::Arc;

use ::analytics::figures::export::Column;
use ::analytics::figures::{Advice, ContentType, advice};
use axum::extract::{Path, State};
use axum::response::Response;
use platform::http::auth::Authenticated;
use platform::http::position::MinPosition;
use platform::http::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use super::Insight;
use super::documents::{Amounts, AsOfDocument, confidence, interval, rounded, seconds};
use super::export::{AMOUNTS, FormatQuery, Tabular, Wanted, column};
use super::period::{Asked, PeriodDocument};
use super::refusals::ForCreator;

/// The category of streams that were given none.
const UNKNOWN: &str = "unknown";

/// A creator's content types.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Content {
    creator_id: String,
    /// By average concurrent viewers, most first.
    categories: Vec<CategoryDocument>,
    /// The best categories among those with at least three streams, best first.
    advice: Vec<CategoryAdvice>,
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

/// A category that is worth trying again.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CategoryAdvice {
    category: String,
    streams: u64,
    average_concurrent: f64,
    low: Option<f64>,
    high: Option<f64>,
    /// CLEAR: even the low end is above the mean of all categories with enough streams. TENTATIVE: not so.
    #[schema(example = "CLEAR")]
    confidence: &'static str,
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

impl From<Advice<'_, ContentType>> for CategoryAdvice {
    fn from(advice: Advice<'_, ContentType>) -> Self {
        let ContentType { category, concurrent, .. } = advice.of;
        let (low, high) = interval(concurrent);
        Self {
            category: category.clone(),
            streams: concurrent.shows,
            average_concurrent: rounded(concurrent.mean),
            low,
            high,
            confidence: confidence(advice.is_clear),
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
        (status = 200, description = "Categories, best first, with confidence, and advice; the categories as a file too", body = Content),
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
    // nobody can make more of what is not known
    let advised = advice(&categories).into_iter().filter(|advice| advice.of.category != UNKNOWN);
    let document = Content {
        creator_id,
        categories: categories.iter().map(Into::into).collect(),
        advice: advised.map(Into::into).collect(),
        period: about.span.document(),
        as_of: about.as_of.into(),
    };
    warehouse.answer(wanted, about.as_of, &document, &about.file_name("content"), &document.categories).await
}
