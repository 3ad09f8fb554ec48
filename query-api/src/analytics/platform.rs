//! `GET /platform/analytics`: all streams of a period, in sums.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use platform::http::auth::Authenticated;
use platform::http::position::MinPosition;
use platform::http::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use super::Insight;
use super::creator::Totals;
use super::documents::AsOfDocument;
use super::export::answer;
use super::period::{Asked, PeriodDocument};
use super::refusals::ForPlatform;

/// The platform's figures.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PlatformAnalytics {
    #[serde(flatten)]
    totals: Totals,
    period: PeriodDocument,
    as_of: AsOfDocument,
}

/// The platform's figures
#[utoipa::path(
    get,
    path = "/api/v1/platform/analytics",
    tag = "Figures",
    operation_id = "getPlatformAnalytics",
    params(Asked),
    responses(
        (status = 200, description = "Sums over the streams that started in the period", body = PlatformAnalytics),
        ForPlatform,
    ),
    security(("bearer" = [])),
)]
pub(super) async fn get(
    State(insight): State<Arc<Insight>>,
    Authenticated(caller): Authenticated,
    min: MinPosition,
    asked: Asked,
) -> Result<Response, Problem> {
    let about = insight.about_platform(&caller, &asked, min).await?;
    let totals = insight.totals(&about).await?;
    let document = PlatformAnalytics { totals, period: about.span.document(), as_of: about.as_of.into() };
    Ok(answer(about.as_of, &document))
}
