//! `GET /streams/{id}/analytics/retention`: how many are still here, and how long people stay.

use std::sync::Arc;

use ::analytics::figures::export::Column;
use ::analytics::figures::{Presence, SurvivalStep};
use axum::extract::{Path, State};
use axum::response::Response;
use platform::http::auth::Authenticated;
use platform::http::problem::Problem;
use platform::http::query::Query;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::Insight;
use super::documents::{AsOfDocument, rounded};
use super::export::{FormatQuery, Tabular, Wanted, column};
use super::minutes::{FromMinute, MinutesQuery};
use super::moment::{AsOfQuery, Moment};
use super::refusals::ForShow;

/// A stream's retention curves.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Retention {
    stream_id: Uuid,
    /// By minute of the stream: who is here of those who came so far.
    absolute: Vec<AbsoluteDocument>,
    /// Where the absolute curve of the next answer begins, of a stream of more than a week; null where this is the last.
    next_minute: Option<u32>,
    /// By minute of a person's own stay: the share who stay longer (Kaplan–Meier), where it changes.
    survival: Vec<SurvivalDocument>,
    as_of: AsOfDocument,
    #[serde(rename = "final")]
    is_final: bool,
}

/// The absolute curve at the end of a minute.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AbsoluteDocument {
    minute: u32,
    viewer_count: u64,
    unique_viewers: u64,
    /// `viewerCount ÷ uniqueViewers`, 0 to 1.
    retention: f64,
}

/// A step of the survival curve.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SurvivalDocument {
    /// Minutes after a person's own first join.
    minute: u64,
    /// From there on, until the next step, this share is still here; before the first step everybody is.
    share: f64,
    /// Persons who left for good since the step before.
    gone: u64,
    /// Persons whose stay the end cut off, or who are still here.
    censored: u64,
}

impl Tabular for AbsoluteDocument {
    const COLUMNS: &'static [Column] = &[
        column("minute", "UInt32"),
        column("viewerCount", "UInt64"),
        column("uniqueViewers", "UInt64"),
        column("retention", "Float64"),
    ];
}

impl Tabular for SurvivalDocument {
    const COLUMNS: &'static [Column] = &[
        column("minute", "UInt64"),
        column("share", "Float64"),
        column("gone", "UInt64"),
        column("censored", "UInt64"),
    ];
}

impl From<Presence> for AbsoluteDocument {
    fn from(presence: Presence) -> Self {
        Self {
            minute: presence.minute,
            viewer_count: presence.viewer_count,
            unique_viewers: presence.unique_viewers,
            retention: rounded(presence.retention()),
        }
    }
}

impl From<SurvivalStep> for SurvivalDocument {
    fn from(step: SurvivalStep) -> Self {
        Self { minute: step.minute, share: rounded(step.share), gone: step.gone, censored: step.censored }
    }
}

/// Which curve a file holds.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct CurveQuery {
    /// Of a file: `absolute` (default) or `survival`.
    #[param(example = "survival")]
    curve: Option<String>,
}

/// A stream's retention
#[utoipa::path(
    get,
    path = "/api/v1/streams/{id}/analytics/retention",
    tag = "Figures",
    operation_id = "getStreamRetention",
    params(("id" = String, Path, description = "The stream"), AsOfQuery, MinutesQuery, FormatQuery, CurveQuery),
    responses(
        (status = 200, description = "Both curves; one of them as a file", body = Retention),
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
    Query(CurveQuery { curve }): Query<CurveQuery>,
    Path(stream_id): Path<String>,
) -> Result<Response, Problem> {
    let is_survival = match curve.as_deref() {
        None | Some("" | "absolute") => false,
        Some("survival") => true,
        Some(_) => return Err(Problem::invalid_field("curve", "curve is one of absolute, survival")),
    };
    let about = insight.about_show(&stream_id, &caller, at).await?;
    let warehouse = &insight.warehouse;
    let (about, standing) = insight.standing(about).await?;
    let (presence, steps) = futures::try_join!(
        warehouse.ask(warehouse.figures()?.presence(&standing)),
        warehouse.ask(warehouse.figures()?.survival(&standing)),
    )?;
    let (presence, next_minute) = wanted.part(from, presence);
    let document = Retention {
        stream_id: about.show.0,
        absolute: presence.into_iter().map(Into::into).collect(),
        next_minute,
        survival: steps.into_iter().map(Into::into).collect(),
        as_of: about.as_of.into(),
        is_final: standing.is_final(),
    };
    if is_survival {
        let name = about.file_name("survival");
        return warehouse.answer(wanted, about.as_of, &document, &name, &document.survival).await;
    }
    let name = about.file_name("retention");
    warehouse.answer(wanted, about.as_of, &document, &name, &document.absolute).await
}
