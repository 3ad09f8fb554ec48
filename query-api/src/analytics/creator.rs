//! `GET /creators/{id}/analytics`: a creator's streams of a period, in sums.

use std::sync::Arc;

use ::analytics::figures::{AudienceTotals, Returning, Revenue};
use axum::extract::{Path, State};
use axum::response::Response;
use platform::http::auth::Authenticated;
use platform::http::position::MinPosition;
use platform::http::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use super::Insight;
use super::documents::{Amounts, AsOfDocument, rounded, seconds, whole};
use super::export::answer;
use super::period::{Asked, PeriodDocument};
use super::refusals::ForCreator;
use super::rights::AboutMany;

/// Streams that started in a period, in sums: each as of its end, or of its last event while it runs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Totals {
    /// Streams that started in the period.
    streams: u64,
    /// Sessions begun.
    total_views: u64,
    unique_viewers: u64,
    /// The largest peak of one stream.
    peak_viewers: u64,
    /// Seconds on air.
    duration: i64,
    /// Seconds watched.
    watch_time: i64,
    /// Seconds watched by each viewer, on average.
    average_view_time: i64,
    average_concurrent: f64,
    /// Share of the time that they could have watched, 0 to 1.
    viewer_retention: f64,
    messages_count: u64,
    reactions_count: u64,
    /// Share of viewers who wrote, reacted or tipped.
    engagement_rate: f64,
    /// Share of viewers who tipped.
    tip_conversion: f64,
    /// Viewers who had watched before the period.
    returning_viewers: u64,
    returning_share: f64,
    /// Tips captured in the period, by currency.
    total_tips: Amounts,
}

/// A creator's figures.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreatorAnalytics {
    creator_id: String,
    #[serde(flatten)]
    totals: Totals,
    period: PeriodDocument,
    as_of: AsOfDocument,
}

/// A creator's figures
#[utoipa::path(
    get,
    path = "/api/v1/creators/{id}/analytics",
    tag = "Figures",
    operation_id = "getCreatorAnalytics",
    params(("id" = String, Path, description = "The creator, by token subject"), Asked),
    responses(
        (status = 200, description = "Sums over the streams that started in the period; zeros where there are none", body = CreatorAnalytics),
        ForCreator,
    ),
    security(("bearer" = [])),
)]
pub(super) async fn get(
    State(insight): State<Arc<Insight>>,
    Authenticated(caller): Authenticated,
    min: MinPosition,
    asked: Asked,
    Path(creator_id): Path<String>,
) -> Result<Response, Problem> {
    let about = insight.about_creator(&creator_id, &caller, &asked, min).await?;
    let document = CreatorAnalytics {
        creator_id,
        totals: insight.totals(&about).await?,
        period: about.span.document(),
        as_of: about.as_of.into(),
    };
    Ok(answer(about.as_of, &document))
}

impl Insight {
    /// Many shows in sums.
    pub(super) async fn totals(&self, about: &AboutMany) -> Result<Totals, Problem> {
        let (warehouse, figures) = (&self.warehouse, self.warehouse.figures()?);
        let (audience, returning, revenue) = futures::try_join!(
            warehouse.ask(figures.audience(about.scope, about.period)),
            warehouse.ask(figures.returning(about.scope, about.period)),
            warehouse.ask(figures.revenue(about.scope, about.period)),
        )?;
        Ok(Totals::new(&audience, &returning, &revenue))
    }
}

impl Totals {
    fn new(audience: &AudienceTotals, returning: &Returning, revenue: &[Revenue]) -> Self {
        Self {
            streams: audience.shows,
            total_views: audience.total_views,
            unique_viewers: audience.unique_viewers,
            peak_viewers: audience.peak_viewers,
            duration: seconds(audience.duration_ms),
            watch_time: seconds(audience.watch_ms),
            average_view_time: whole(audience.average_view_seconds()),
            average_concurrent: rounded(audience.average_concurrent()),
            viewer_retention: rounded(audience.viewer_retention()),
            messages_count: audience.messages,
            reactions_count: audience.reactions,
            engagement_rate: rounded(audience.engagement_rate()),
            tip_conversion: rounded(audience.tip_conversion()),
            returning_viewers: returning.returning,
            returning_share: rounded(returning.share()),
            total_tips: Amounts::of(revenue.iter().map(|revenue| &revenue.tips)),
        }
    }
}
