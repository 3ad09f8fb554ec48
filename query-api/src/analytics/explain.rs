//! `GET /figures` and `GET /figures/{name}/explain`: what a figure means, and the events behind it.

use std::sync::Arc;

use ::analytics::figures::{EventCount, EventReference, Figure, catalogue};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use platform::http::auth::Authenticated;
use platform::http::json::json;
use platform::http::page::{Page, Paged};
use platform::http::problem::Problem;
use platform::http::query::Query;
use schemas::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::Insight;
use super::documents::AsOfDocument;
use super::export::answer;
use super::moment::{AsOfQuery, Moment};
use super::rights::AboutShow;
use super::stream::StreamAnalytics;

/// What a figure means.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FigureDocument {
    #[schema(example = "viewerRetention")]
    name: &'static str,
    /// Raised when the same events would make another figure.
    version: u16,
    definition: &'static str,
    /// What has to be said more exactly.
    remarks: Vec<&'static str>,
    /// What it is counted in.
    unit: &'static str,
    /// Names of the events that make it.
    events: &'static [&'static str],
    /// Where it is served.
    paths: &'static [&'static str],
}

impl From<&Figure> for FigureDocument {
    fn from(figure: &Figure) -> Self {
        Self {
            name: figure.name,
            version: figure.version,
            definition: figure.definition(),
            remarks: figure.remarks(),
            unit: figure.unit,
            events: figure.events,
            paths: figure.paths,
        }
    }
}

/// All figures.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FigureList {
    items: Vec<FigureDocument>,
}

/// A figure explained.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Explanation {
    #[serde(flatten)]
    figure: FigureDocument,
    /// Of a stream, where one is asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Evidence>,
}

/// What a figure of a stream is made of.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Evidence {
    stream_id: Uuid,
    /// The figure, where it is one number.
    #[schema(value_type = Option<f64>)]
    value: Option<Box<RawValue>>,
    /// The events by name.
    counts: Vec<CountDocument>,
    /// A page of the events, in their order.
    #[serde(flatten)]
    events: Paged<ReferenceDocument>,
    as_of: AsOfDocument,
}

/// Events of one name.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CountDocument {
    #[schema(example = "ViewerJoined")]
    event: String,
    count: u64,
    /// Where in the log the first of them stands.
    first_position: u64,
    /// Where in the log the last of them stands.
    last_position: u64,
}

/// An event, by which it is found in the log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReferenceDocument {
    event_id: Uuid,
    #[schema(example = "ViewerJoined")]
    event: String,
    /// Its number within the stream: the sockets' `sequence`.
    sequence: u64,
    position: u64,
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Timestamp,
}

impl From<EventCount> for CountDocument {
    fn from(count: EventCount) -> Self {
        Self {
            event: count.event,
            count: count.count,
            first_position: count.first.0,
            last_position: count.last.0,
        }
    }
}

impl From<EventReference> for ReferenceDocument {
    fn from(reference: EventReference) -> Self {
        Self {
            event_id: reference.event_id.0,
            event: reference.event,
            sequence: reference.revision,
            position: reference.position.0,
            occurred_at: reference.occurred_at,
        }
    }
}

/// Which stream is asked about.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct AboutQuery {
    /// Show the events behind this stream's figure.
    stream_id: Option<String>,
}

/// What the figures mean
#[utoipa::path(
    get,
    path = "/api/v1/figures",
    tag = "Figures",
    operation_id = "listFigures",
    responses((status = 200, description = "All figures with their definitions", body = FigureList)),
    security(("bearer" = [])),
)]
pub(super) async fn list(_: Authenticated) -> Response {
    json(StatusCode::OK, &FigureList { items: catalogue().iter().map(Into::into).collect() })
}

/// What a figure means, and what it is made of
#[utoipa::path(
    get,
    path = "/api/v1/figures/{name}/explain",
    tag = "Figures",
    operation_id = "explainFigure",
    params(
        ("name" = String, Path, description = "The figure, such as viewerRetention"),
        AboutQuery,
        AsOfQuery,
        ("limit" = Option<u32>, Query, description = "Events of a page, at most 200"),
        ("cursor" = Option<String>, Query, description = "The nextCursor of the page before"),
    ),
    responses(
        (status = 200, description = "The definition; with a stream also the events behind the figure", body = Explanation),
        (status = 403, description = "Only for the stream's creator and administrators", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "Unknown figure or stream", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The warehouse is away, overloaded, still loading, or not that far", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(super) async fn get(
    State(insight): State<Arc<Insight>>,
    Authenticated(caller): Authenticated,
    at: Moment,
    page: Page,
    Query(AboutQuery { stream_id }): Query<AboutQuery>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let figure = catalogue().iter().find(|figure| figure.name == name);
    let figure = figure
        .ok_or_else(|| Problem::not_found("figure_not_found", "GET /api/v1/figures lists the figures"))?;
    let Some(stream_id) = stream_id.filter(|id| !id.is_empty()) else {
        let explanation = Explanation { figure: figure.into(), evidence: None };
        return Ok(json(StatusCode::OK, &explanation).into_response());
    };
    let about = insight.about_show(&stream_id, &caller, at).await?;
    let (about, figures) = insight.stream_analytics(about).await?;
    let evidence = Some(insight.evidence(figure, &about, &figures, &page).await?);
    Ok(answer(about.as_of, &Explanation { figure: figure.into(), evidence }))
}

impl Insight {
    async fn evidence(
        &self,
        figure: &Figure,
        about: &AboutShow,
        analytics: &StreamAnalytics,
        page: &Page,
    ) -> Result<Evidence, Problem> {
        let after: Option<u64> = page.cursor()?;
        let from = after.map_or(0, |after| after.saturating_add(1));
        let (warehouse, figures) = (&self.warehouse, self.warehouse.figures()?);
        let (show, as_of) = (about.show, about.as_of);
        let (counts, references) = futures::try_join!(
            warehouse.ask(figures.event_counts(show, as_of, figure.events)),
            warehouse.ask(figures.event_references(show, as_of, figure.events, from, page.limit + 1)),
        )?;
        let events = page.answer(references, |reference| reference.revision)?.map(Into::into);
        let counts = counts.into_iter().map(Into::into).collect();
        let value = member(analytics, figure.name).map_err(|error| Problem::internal(&error))?;
        Ok(Evidence { stream_id: show.0, value, counts, events, as_of: as_of.into() })
    }
}

/// A member of an answer, as it is written there.
fn member(document: &impl Serialize, name: &str) -> Result<Option<Box<RawValue>>, serde_json::Error> {
    let text = serde_json::to_string(document)?;
    let mut members: BTreeMap<&str, Box<RawValue>> = serde_json::from_str(&text)?;
    Ok(members.remove(name))
}
