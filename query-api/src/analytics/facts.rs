//! `GET /streams/{id}/analytics/facts/{table}` and `GET /creators/{id}/analytics/facts/{table}`: what figures are made of, as files for
//! analysts. Persons are pseudonyms, messages their length and language.

use std::sync::Arc;

use ::analytics::figures::export::{Format, ScopeTable, ShowTable};
use axum::extract::{Path, State};
use axum::response::Response;
use platform::http::auth::Authenticated;
use platform::http::position::MinPosition;
use platform::http::problem::Problem;

use super::Insight;
use super::export::{FormatQuery, Wanted, file};
use super::moment::{AsOfQuery, Moment};
use super::period::Asked;

/// A file is what these are for: CSV where nobody says otherwise.
fn format(wanted: Wanted) -> Format {
    match wanted {
        Wanted::File(format) => format,
        Wanted::Json => Format::Csv,
    }
}

fn unknown_table(tables: &[&str]) -> Problem {
    let detail = format!("there are the tables {}", tables.join(", "));
    Problem::not_found("table_not_found", detail)
}

/// What a stream's figures are made of
#[utoipa::path(
    get,
    path = "/api/v1/streams/{id}/analytics/facts/{table}",
    tag = "Figures",
    operation_id = "exportStreamFacts",
    params(
        ("id" = String, Path, description = "The stream"),
        ("table" = String, Path, description = "events, audience, messages, reactions, tips, viewers"),
        AsOfQuery,
        FormatQuery,
    ),
    responses(
        (status = 200, description = "The rows in the order of events", content(
            (String = "text/csv"),
            (Vec<u8> = "application/vnd.apache.parquet"),
        )),
        (status = 403, description = "Only for the stream's creator and administrators", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "Unknown stream or table", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The warehouse is away, overloaded, still loading, or not that far", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(super) async fn of_stream(
    State(insight): State<Arc<Insight>>,
    Authenticated(caller): Authenticated,
    at: Moment,
    wanted: Wanted,
    Path((stream_id, table)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let about = insight.about_show(&stream_id, &caller, at).await?;
    let table = ShowTable::ALL.into_iter().find(|known| known.name() == table);
    let table = table.ok_or_else(|| unknown_table(&ShowTable::ALL.map(ShowTable::name)))?;
    let (show, as_of, format) = (about.show, about.as_of, format(wanted));
    let export = insight.warehouse.export(move |figures| figures.export_show(table, show, as_of, format));
    file(as_of, format, &about.file_name(table.name()), export.await?)
}

/// A creator's streams and viewers
#[utoipa::path(
    get,
    path = "/api/v1/creators/{id}/analytics/facts/{table}",
    tag = "Figures",
    operation_id = "exportCreatorFacts",
    params(
        ("id" = String, Path, description = "The creator, by token subject"),
        ("table" = String, Path, description = "shows, viewers"),
        Asked,
        FormatQuery,
    ),
    responses(
        (status = 200, description = "The rows, of streams that started in the period", content(
            (String = "text/csv"),
            (Vec<u8> = "application/vnd.apache.parquet"),
        )),
        (status = 403, description = "Only for the creator and administrators", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "Unknown creator or table", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A parameter that is none", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The warehouse is away, overloaded, still loading, or not that far", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(super) async fn of_creator(
    State(insight): State<Arc<Insight>>,
    Authenticated(caller): Authenticated,
    min: MinPosition,
    asked: Asked,
    wanted: Wanted,
    Path((creator_id, table)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let about = insight.about_creator(&creator_id, &caller, &asked, min).await?;
    let table = ScopeTable::ALL.into_iter().find(|known| known.name() == table);
    let table = table.ok_or_else(|| unknown_table(&ScopeTable::ALL.map(ScopeTable::name)))?;
    let (scope, period, format) = (about.scope, about.period, format(wanted));
    let export = insight.warehouse.export(move |figures| figures.export_scope(table, scope, period, format));
    file(about.as_of, format, &about.file_name(table.name()), export.await?)
}
