//! `GET /creators/{id}/analytics/peak-times` and `GET /platform/analytics/peak-times`: the hours of the week.

use std::sync::Arc;

use ::analytics::figures::export::Column;
use ::analytics::figures::{Advice, HourOfWeek, PeakUsage, Period, advice};
use axum::extract::{Path, State};
use axum::response::Response;
use platform::http::auth::Authenticated;
use platform::http::position::MinPosition;
use platform::http::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use super::Insight;
use super::documents::{Amounts, AsOfDocument, confidence, interval, rounded};
use super::export::{AMOUNTS, FormatQuery, Tabular, Wanted, column};
use super::period::{Asked, PeriodDocument};
use super::refusals::{ForCreator, ForPlatform};

/// When a creator's streams are watched most.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreatorPeakTimes {
    creator_id: String,
    /// Hours in which a stream was on air or was tipped, in the time zone of the period.
    hours: Vec<HourDocument>,
    /// The best hours among those with at least three streams, best first.
    advice: Vec<AdviceDocument>,
    period: PeriodDocument,
    as_of: AsOfDocument,
}

/// An hour of the week.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct HourDocument {
    /// 1 is Monday, 7 is Sunday.
    weekday: u8,
    /// 0 to 23.
    hour: u8,
    /// Streams on air in it.
    streams: u64,
    /// Average concurrent viewers of those.
    average_concurrent: f64,
    /// The 95 % confidence interval of it; null where one stream alone says nothing of the spread.
    low: Option<f64>,
    high: Option<f64>,
    /// Captured in it, by currency.
    tips: Amounts,
}

/// An hour that is worth trying again.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AdviceDocument {
    /// 1 is Monday, 7 is Sunday.
    weekday: u8,
    /// 0 to 23.
    hour: u8,
    streams: u64,
    average_concurrent: f64,
    low: Option<f64>,
    high: Option<f64>,
    /// CLEAR: even the low end is above the mean of all hours with enough streams. TENTATIVE: not so.
    #[schema(example = "CLEAR")]
    confidence: &'static str,
}

/// When people watch.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PlatformPeakTimes {
    /// All hours of the week that are in the period and not still to come, in its time zone.
    hours: Vec<UsageDocument>,
    period: PeriodDocument,
    as_of: AsOfDocument,
}

/// An hour of the week on the platform.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageDocument {
    /// 1 is Monday, 7 is Sunday.
    weekday: u8,
    /// 0 to 23.
    hour: u8,
    /// Concurrent viewers on average over all such hours of the period.
    average_concurrent: f64,
    /// Concurrent viewers in the quarter of an hour in which they were most.
    peak_concurrent: f64,
}

impl Tabular for HourDocument {
    const COLUMNS: &'static [Column] = &[
        column("weekday", "UInt8"),
        column("hour", "UInt8"),
        column("streams", "UInt64"),
        column("averageConcurrent", "Float64"),
        column("low", "Nullable(Float64)"),
        column("high", "Nullable(Float64)"),
        column("tips", AMOUNTS),
    ];
}

impl Tabular for UsageDocument {
    const COLUMNS: &'static [Column] = &[
        column("weekday", "UInt8"),
        column("hour", "UInt8"),
        column("averageConcurrent", "Float64"),
        column("peakConcurrent", "Float64"),
    ];
}

impl From<&HourOfWeek> for HourDocument {
    fn from(hour: &HourOfWeek) -> Self {
        let (low, high) = interval(&hour.concurrent);
        Self {
            weekday: hour.weekday,
            hour: hour.hour,
            streams: hour.concurrent.shows,
            average_concurrent: rounded(hour.concurrent.mean),
            low,
            high,
            tips: Amounts::of(&hour.tips),
        }
    }
}

impl From<Advice<'_, HourOfWeek>> for AdviceDocument {
    fn from(advice: Advice<'_, HourOfWeek>) -> Self {
        let HourOfWeek { weekday, hour, concurrent, .. } = advice.of;
        let (low, high) = interval(concurrent);
        Self {
            weekday: *weekday,
            hour: *hour,
            streams: concurrent.shows,
            average_concurrent: rounded(concurrent.mean),
            low,
            high,
            confidence: confidence(advice.is_clear),
        }
    }
}

impl From<&PeakUsage> for UsageDocument {
    fn from(usage: &PeakUsage) -> Self {
        Self {
            weekday: usage.weekday,
            hour: usage.hour,
            average_concurrent: rounded(usage.mean),
            peak_concurrent: rounded(usage.peak),
        }
    }
}

/// A creator's peak times
#[utoipa::path(
    get,
    path = "/api/v1/creators/{id}/analytics/peak-times",
    tag = "Figures",
    operation_id = "getCreatorPeakTimes",
    params(("id" = String, Path, description = "The creator, by token subject"), Asked, FormatQuery),
    responses(
        (status = 200, description = "Hours of the week with confidence, and advice; the hours as a file too", body = CreatorPeakTimes),
        ForCreator,
    ),
    security(("bearer" = [])),
)]
pub(super) async fn of_creator(
    State(insight): State<Arc<Insight>>,
    Authenticated(caller): Authenticated,
    min: MinPosition,
    asked: Asked,
    wanted: Wanted,
    Path(creator_id): Path<String>,
) -> Result<Response, Problem> {
    let about = insight.about_creator(&creator_id, &caller, &asked, min).await?;
    let warehouse = &insight.warehouse;
    let hours = warehouse.figures()?.peak_times(about.scope, about.period, about.span.zone.name());
    let hours = warehouse.ask(hours).await?;
    let document = CreatorPeakTimes {
        creator_id,
        hours: hours.iter().map(Into::into).collect(),
        advice: advice(&hours).into_iter().map(Into::into).collect(),
        period: about.span.document(),
        as_of: about.as_of.into(),
    };
    warehouse.answer(wanted, about.as_of, &document, &about.file_name("peak-times"), &document.hours).await
}

/// The platform's peak times
#[utoipa::path(
    get,
    path = "/api/v1/platform/analytics/peak-times",
    tag = "Figures",
    operation_id = "getPlatformPeakTimes",
    params(Asked, FormatQuery),
    responses(
        (status = 200, description = "Hours of the week by concurrent viewers; as a file too", body = PlatformPeakTimes),
        ForPlatform,
    ),
    security(("bearer" = [])),
)]
pub(super) async fn of_platform(
    State(insight): State<Arc<Insight>>,
    Authenticated(caller): Authenticated,
    min: MinPosition,
    asked: Asked,
    wanted: Wanted,
) -> Result<Response, Problem> {
    let about = insight.about_platform(&caller, &asked, min).await?;
    let warehouse = &insight.warehouse;
    // what is still to come is no time without viewers
    let period = Period { to: about.period.to.min(about.as_of.time), ..about.period };
    let hours = warehouse.figures()?.peak_usage(about.scope, period, about.span.zone.name());
    let hours = warehouse.ask(hours).await?;
    let document = PlatformPeakTimes {
        hours: hours.iter().map(Into::into).collect(),
        period: about.span.document(),
        as_of: about.as_of.into(),
    };
    warehouse.answer(wanted, about.as_of, &document, &about.file_name("peak-times"), &document.hours).await
}
