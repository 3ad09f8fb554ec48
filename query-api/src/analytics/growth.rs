//! `GET /creators/{id}/analytics/growth`: who came back.

use std::sync::Arc;

use ::analytics::figures::Cohort;
use ::analytics::figures::export::Column;
use axum::extract::{Path, State};
use axum::response::Response;
use platform::http::auth::Authenticated;
use platform::http::position::MinPosition;
use platform::http::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use super::Insight;
use super::documents::{AsOfDocument, rounded};
use super::export::{FormatQuery, Tabular, Wanted, column};
use super::period::{Asked, PeriodDocument};
use super::refusals::ForCreator;

/// How a creator's audience grows.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Growth {
    creator_id: String,
    /// Persons who watched streams that started in the period.
    viewers: u64,
    /// Those of them who had watched an earlier one of the creator.
    returning_viewers: u64,
    new_viewers: u64,
    returning_share: f64,
    /// By month of the first visit, also where that was before the period, in its time zone.
    cohorts: Vec<CohortDocument>,
    period: PeriodDocument,
    as_of: AsOfDocument,
}

/// Of the persons who came first in one month, how many came in another.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CohortDocument {
    #[schema(example = "2025-06")]
    first_month: String,
    /// The same month or a later one.
    #[schema(example = "2025-07")]
    month: String,
    persons: u64,
}

impl Tabular for CohortDocument {
    const COLUMNS: &'static [Column] =
        &[column("firstMonth", "String"), column("month", "String"), column("persons", "UInt64")];
}

impl From<Cohort> for CohortDocument {
    fn from(cohort: Cohort) -> Self {
        Self { first_month: cohort.first_month, month: cohort.month, persons: cohort.persons }
    }
}

/// How a creator's audience grows
#[utoipa::path(
    get,
    path = "/api/v1/creators/{id}/analytics/growth",
    tag = "Figures",
    operation_id = "getCreatorGrowth",
    params(("id" = String, Path, description = "The creator, by token subject"), Asked, FormatQuery),
    responses(
        (status = 200, description = "New and returning viewers, and cohorts; the cohorts as a file too", body = Growth),
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
    let figures = warehouse.figures()?;
    let (returning, cohorts) = futures::try_join!(
        warehouse.ask(figures.returning(about.scope, about.period)),
        warehouse.ask(figures.cohorts(about.scope, about.period, about.span.zone.name())),
    )?;
    let document = Growth {
        creator_id,
        viewers: returning.viewers,
        returning_viewers: returning.returning,
        new_viewers: returning.viewers - returning.returning,
        returning_share: rounded(returning.share()),
        cohorts: cohorts.into_iter().map(Into::into).collect(),
        period: about.span.document(),
        as_of: about.as_of.into(),
    };
    warehouse.answer(wanted, about.as_of, &document, &about.file_name("cohorts"), &document.cohorts).await
}
