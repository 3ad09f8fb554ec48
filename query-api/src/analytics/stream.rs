//! `GET /streams/{id}/analytics`: the specification's answer, and the rest of a show's figures.

use std::sync::Arc;

use ::analytics::figures::ShowFigures;
use axum::extract::{Path, State};
use axum::response::Response;
use platform::http::amount::AmountNumber;
use platform::http::auth::Authenticated;
use platform::http::problem::Problem;
use schemas::{Currency, Money, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Insight;
use super::documents::{AsOfDocument, amount, rounded, seconds, whole};
use super::export::answer;
use super::moment::{AsOfQuery, Moment};
use super::refusals::ForShow;
use super::rights::AboutShow;

/// A stream's figures. Definitions: `/api/v1/figures`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StreamAnalytics {
    stream_id: Uuid,
    /// Sessions begun.
    total_views: u64,
    peak_viewers: u64,
    /// Seconds from start to end, or to `asOf`.
    duration: i64,
    /// In the stream's currency.
    total_tips: AmountNumber,
    messages_count: u64,
    /// Seconds watched by each viewer, on average.
    average_view_time: i64,
    /// Share of the time that they could have watched, 0 to 1.
    viewer_retention: f64,
    #[schema(example = "USD")]
    currency: String,
    /// SCHEDULED, LIVE, ENDED, CANCELLED, as of `asOf`.
    status: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// Persons here now.
    viewer_count: u64,
    unique_viewers: u64,
    /// Seconds watched by all viewers together; a person on two devices counts once.
    watch_time: i64,
    average_concurrent: f64,
    reactions_count: u64,
    /// Share of viewers who wrote, reacted or tipped.
    engagement_rate: f64,
    /// Share of viewers who tipped.
    tip_conversion: f64,
    tips_count: u64,
    /// Tips whose payment is under way.
    pending_tips: u64,
    as_of: AsOfDocument,
    /// Whether the figures stay as they are.
    #[serde(rename = "final")]
    is_final: bool,
}

/// A stream's figures
#[utoipa::path(
    get,
    path = "/api/v1/streams/{id}/analytics",
    tag = "Figures",
    operation_id = "getStreamAnalytics",
    params(("id" = String, Path, description = "The stream"), AsOfQuery),
    responses(
        (status = 200, description = "The figures; zeros before the start", body = StreamAnalytics),
        ForShow,
    ),
    security(("bearer" = [])),
)]
pub(super) async fn get(
    State(insight): State<Arc<Insight>>,
    Authenticated(caller): Authenticated,
    at: Moment,
    Path(stream_id): Path<String>,
) -> Result<Response, Problem> {
    let about = insight.about_show(&stream_id, &caller, at).await?;
    let (about, figures) = insight.stream_analytics(about).await?;
    Ok(answer(about.as_of, &figures))
}

impl Insight {
    /// A show's figures. What the warehouse has not heard of had not happened as of then.
    pub(super) async fn stream_analytics(
        &self,
        about: AboutShow,
    ) -> Result<(AboutShow, StreamAnalytics), Problem> {
        let (about, _, figures) = self.sums(about).await?;
        let figures = figures.unwrap_or_else(|| unheard_of(&about.facts.currency));
        let document = StreamAnalytics::new(&about, &figures);
        Ok((about, document))
    }
}

fn unheard_of(currency: &str) -> ShowFigures {
    let currency = currency.parse().unwrap_or(Currency::USD);
    ShowFigures {
        status: "SCHEDULED".to_owned(),
        started_at: None,
        ended_at: None,
        viewer_count: 0,
        closing_viewer_count: 0,
        peak_viewers: 0,
        total_views: 0,
        unique_viewers: 0,
        duration_ms: 0,
        watch_ms: 0,
        possible_watch_ms: 0,
        messages: 0,
        reactions: 0,
        engaged: 0,
        tippers: 0,
        total_tips: Money::zero(currency),
        tips_count: 0,
        pending_tips: 0,
    }
}

impl StreamAnalytics {
    fn new(about: &AboutShow, figures: &ShowFigures) -> Self {
        Self {
            stream_id: about.show.0,
            total_views: figures.total_views,
            peak_viewers: figures.peak_viewers,
            duration: seconds(figures.duration_ms),
            total_tips: amount(figures.total_tips),
            messages_count: figures.messages,
            average_view_time: whole(figures.average_view_seconds()),
            viewer_retention: rounded(figures.viewer_retention()),
            currency: figures.total_tips.currency().code().to_owned(),
            status: figures.status.clone(),
            started_at: figures.started_at,
            ended_at: figures.ended_at,
            viewer_count: figures.viewer_count,
            unique_viewers: figures.unique_viewers,
            watch_time: seconds(figures.watch_ms),
            average_concurrent: rounded(figures.average_concurrent()),
            reactions_count: figures.reactions,
            engagement_rate: rounded(figures.engagement_rate()),
            tip_conversion: rounded(figures.tip_conversion()),
            tips_count: figures.tips_count,
            pending_tips: figures.pending_tips,
            as_of: about.as_of.into(),
            is_final: figures.is_final(),
        }
    }
}
