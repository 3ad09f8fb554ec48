//! `GET /platform/analytics/behaviour`: how people watch.

use std::sync::Arc;

use ::analytics::figures::Behaviour;
use axum::extract::State;
use axum::response::Response;
use platform::http::auth::Authenticated;
use platform::http::position::MinPosition;
use platform::http::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use super::Insight;
use super::documents::{AsOfDocument, rounded, seconds};
use super::export::{FormatQuery, Wanted};
use super::growth::CohortDocument;
use super::period::{Asked, PeriodDocument};
use super::refusals::ForPlatform;

/// What the viewers of streams that started in a period do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PlatformBehaviour {
    viewers: u64,
    sessions: u64,
    /// Streams that a viewer watched, on average.
    streams_per_viewer: f64,
    /// Seconds.
    watch_time: i64,
    /// Seconds that half of them watched less than.
    watch_time_median: i64,
    /// Seconds that nine of ten watched less than.
    watch_time_p90: i64,
    /// Who wrote.
    chatters: u64,
    /// Who reacted.
    reactors: u64,
    /// Who tipped.
    tippers: u64,
    /// Share of viewers who did any of it.
    engagement_rate: f64,
    /// Share of viewers who tipped.
    tip_conversion: f64,
    /// By month of the first visit, also where that was before the period, in its time zone.
    cohorts: Vec<CohortDocument>,
    period: PeriodDocument,
    as_of: AsOfDocument,
}

/// How people watch
#[utoipa::path(
    get,
    path = "/api/v1/platform/analytics/behaviour",
    tag = "Figures",
    operation_id = "getPlatformBehaviour",
    params(Asked, FormatQuery),
    responses(
        (status = 200, description = "Sums and cohorts; the cohorts as a file too", body = PlatformBehaviour),
        ForPlatform,
    ),
    security(("bearer" = [])),
)]
pub(super) async fn get(
    State(insight): State<Arc<Insight>>,
    Authenticated(caller): Authenticated,
    min: MinPosition,
    asked: Asked,
    wanted: Wanted,
) -> Result<Response, Problem> {
    let about = insight.about_platform(&caller, &asked, min).await?;
    let warehouse = &insight.warehouse;
    let figures = warehouse.figures()?;
    let (behaviour, cohorts) = futures::try_join!(
        warehouse.ask(figures.behaviour(about.scope, about.period)),
        warehouse.ask(figures.cohorts(about.scope, about.period, about.span.zone.name())),
    )?;
    let Behaviour {
        viewers,
        sessions,
        watch_ms,
        watch_ms_median,
        watch_ms_p90,
        chatters,
        reactors,
        tippers,
        ..
    } = behaviour;
    let document = PlatformBehaviour {
        viewers,
        sessions,
        streams_per_viewer: rounded(behaviour.shows_per_viewer()),
        watch_time: seconds(watch_ms),
        watch_time_median: seconds(watch_ms_median),
        watch_time_p90: seconds(watch_ms_p90),
        chatters,
        reactors,
        tippers,
        engagement_rate: rounded(behaviour.engagement_rate()),
        tip_conversion: rounded(behaviour.tip_conversion()),
        cohorts: cohorts.into_iter().map(Into::into).collect(),
        period: about.span.document(),
        as_of: about.as_of.into(),
    };
    warehouse.answer(wanted, about.as_of, &document, &about.file_name("cohorts"), &document.cohorts).await
}
