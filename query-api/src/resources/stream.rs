//! `GET /streams/{id}`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use platform::http::auth::Authenticated;
use platform::http::json::json;
use platform::http::position::{MinPosition, Position};
use platform::http::problem::Problem;
use sqlx::AssertSqlSafe;

use super::document::{COLUMNS, StreamDocument, StreamRow, documents};
use crate::read_model::{ReadModel, show_id, store_failed, unknown_show, vault_failed, view};

/// One stream
#[utoipa::path(
    get,
    path = "/api/v1/streams/{id}",
    tag = "Streams",
    operation_id = "getStream",
    params(("id" = String, Path, description = "The stream")),
    responses(
        (status = 200, description = "The stream; its ETag is the version that If-Match asks for", body = StreamDocument),
        (status = 404, description = "Unknown", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(super) async fn get(
    State(read_model): State<Arc<ReadModel>>,
    _: Authenticated,
    min: MinPosition,
    Path(stream_id): Path<String>,
) -> Result<Response, Problem> {
    let show = show_id(&stream_id)?;
    let position = Position(read_model.positions.reach(&[view::STREAMS], min).await?);
    // only constants are put together here
    let sql = AssertSqlSafe(format!("SELECT {COLUMNS} FROM read.streams WHERE show_id = $1"));
    let row: Option<StreamRow> = sqlx::query_as(sql)
        .bind(show.0)
        .fetch_optional(&read_model.pool)
        .await
        .map_err(|e| store_failed(&e))?;
    let row = row.ok_or_else(unknown_show)?;
    // the version of what `If-Match` guards; statistics change without it, so it cannot say "not modified"
    let etag = format!("\"{}\"", row.version);
    let etag = HeaderValue::from_str(&etag).map_err(|error| Problem::internal(&error))?;
    let document = documents(&read_model, vec![row]).await.map_err(|error| vault_failed(&error))?.pop();
    let document = document.ok_or_else(unknown_show)?;
    Ok((position, [(header::ETAG, etag)], json(StatusCode::OK, &document)).into_response())
}
