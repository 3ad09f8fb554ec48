//! Answers of commands.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use platform::http::json::json;
use platform::http::position::Position;
use platform::http::problem::Problem;
use schemas::Revision;
use serde::Serialize;

use crate::ports::video::VideoError;

/// An answer with its body and `Tally-Position`.
pub(super) fn done(status: StatusCode, position: schemas::Position, body: &impl Serialize) -> Response {
    (Position(position.0), json(status, body)).into_response()
}

/// The same with an `ETag`.
pub(super) fn with_etag(mut response: Response, version: Revision) -> Response {
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// No token for the video channel: a defect of ours or of the configuration.
pub(super) fn no_token(error: &VideoError) -> Problem {
    Problem::internal(error)
}
