//! `GET /streams/{id}/analytics/audience` and `GET /creators/{id}/analytics/audience`: who watches, never so few that one could be told from
//! another.

use std::sync::Arc;

use ::analytics::figures::export::Column;
use ::analytics::figures::{Demographics, Group, K_ANONYMITY, Returning, Scope};
use axum::extract::{Path, State};
use axum::response::Response;
use platform::http::auth::Authenticated;
use platform::http::position::MinPosition;
use platform::http::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Insight;
use super::documents::{AsOfDocument, GroupDocument, by_visit};
use super::export::{FormatQuery, Tabular, Wanted, column};
use super::moment::{AsOfQuery, Moment};
use super::period::{Asked, PeriodDocument};
use super::refusals::{ForCreator, ForShow};

/// Persons by what they have in common, each as in the person's first session. Groups under five persons are merged into `other`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Groups {
    by_country: Vec<GroupDocument>,
    by_city: Vec<GroupDocument>,
    by_device: Vec<GroupDocument>,
    /// `new` and `returning`: who had watched an earlier stream of the same creator.
    by_visit: Vec<GroupDocument>,
}

/// A stream's audience.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StreamAudience {
    stream_id: Uuid,
    #[serde(flatten)]
    groups: Groups,
    as_of: AsOfDocument,
    #[serde(rename = "final")]
    is_final: bool,
}

/// The audience of a creator's streams that started in a period.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreatorAudience {
    creator_id: String,
    #[serde(flatten)]
    groups: Groups,
    period: PeriodDocument,
    as_of: AsOfDocument,
}

/// A group in a file.
#[derive(Serialize)]
struct GroupRow {
    dimension: &'static str,
    name: String,
    persons: u64,
}

impl Tabular for GroupRow {
    const COLUMNS: &'static [Column] =
        &[column("dimension", "String"), column("name", "String"), column("persons", "UInt64")];
}

/// The groups of an answer, as they may be shown.
struct Shown {
    dimensions: [(&'static str, Vec<Group>); 4],
}

impl Shown {
    fn new(demographics: Demographics, returning: &Returning) -> Self {
        let Demographics { by_country, by_city, by_device } = demographics.anonymous(K_ANONYMITY);
        Self {
            dimensions: [
                ("country", by_country),
                ("city", by_city),
                ("device", by_device),
                ("visit", by_visit(returning)),
            ],
        }
    }

    fn rows(&self) -> Vec<GroupRow> {
        let row = |dimension: &'static str, group: &Group| GroupRow {
            dimension,
            name: group.name.clone(),
            persons: group.persons,
        };
        let rows = self.dimensions.iter();
        rows.flat_map(|(dimension, groups)| groups.iter().map(|group| row(dimension, group))).collect()
    }

    fn document(self) -> Groups {
        let [country, city, device, visit] =
            self.dimensions.map(|(_, groups)| groups.into_iter().map(Into::into).collect());
        Groups { by_country: country, by_city: city, by_device: device, by_visit: visit }
    }
}

/// A stream's audience
#[utoipa::path(
    get,
    path = "/api/v1/streams/{id}/analytics/audience",
    tag = "Figures",
    operation_id = "getStreamAudience",
    params(("id" = String, Path, description = "The stream"), AsOfQuery, FormatQuery),
    responses(
        (status = 200, description = "Persons by country, city, device, new or returning", body = StreamAudience),
        ForShow,
    ),
    security(("bearer" = [])),
)]
pub(super) async fn of_stream(
    State(insight): State<Arc<Insight>>,
    Authenticated(caller): Authenticated,
    at: Moment,
    wanted: Wanted,
    Path(stream_id): Path<String>,
) -> Result<Response, Problem> {
    let about = insight.about_show(&stream_id, &caller, at).await?;
    let warehouse = &insight.warehouse;
    let (about, standing) = insight.standing(about).await?;
    let (demographics, returning) = futures::try_join!(
        warehouse.ask(warehouse.figures()?.demographics(&standing)),
        warehouse.ask(warehouse.figures()?.returning_to(&standing)),
    )?;
    let shown = Shown::new(demographics, &returning);
    let rows = shown.rows();
    let document = StreamAudience {
        stream_id: about.show.0,
        groups: shown.document(),
        as_of: about.as_of.into(),
        is_final: standing.is_final(),
    };
    warehouse.answer(wanted, about.as_of, &document, &about.file_name("audience"), &rows).await
}

/// A creator's audience
#[utoipa::path(
    get,
    path = "/api/v1/creators/{id}/analytics/audience",
    tag = "Figures",
    operation_id = "getCreatorAudience",
    params(("id" = String, Path, description = "The creator, by token subject"), Asked, FormatQuery),
    responses(
        (status = 200, description = "Persons by country, city, device, new or returning", body = CreatorAudience),
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
    let (warehouse, scope): (_, Scope) = (&insight.warehouse, about.scope);
    let (demographics, returning) = futures::try_join!(
        warehouse.ask(warehouse.figures()?.demographics_of(scope, about.period)),
        warehouse.ask(warehouse.figures()?.returning(scope, about.period)),
    )?;
    let shown = Shown::new(demographics, &returning);
    let rows = shown.rows();
    let document = CreatorAudience {
        creator_id,
        groups: shown.document(),
        period: about.span.document(),
        as_of: about.as_of.into(),
    };
    warehouse.answer(wanted, about.as_of, &document, &about.file_name("audience"), &rows).await
}
