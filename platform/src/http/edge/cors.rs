//! Which web pages may call from a browser.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::EXPOSED_HEADERS;
use crate::http::context::X_REQUEST_ID;
use crate::http::idempotency::IDEMPOTENCY_KEY;
use crate::http::position::TALLY_MIN_POSITION;

/// How long a browser may remember what is allowed.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Nothing, where no origin is allowed: then every request is spared the look.
///
/// Credentials in cookies are not allowed for anyone; tokens are sent by the page itself.
pub(super) fn layer(origins: &[String]) -> Option<CorsLayer> {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        let origins: Vec<_> =
            origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
        if origins.is_empty() {
            return None;
        }
        AllowOrigin::list(origins)
    };
    let requested = [
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        IDEMPOTENCY_KEY,
        TALLY_MIN_POSITION,
        X_REQUEST_ID,
        HeaderName::from_static("traceparent"),
        HeaderName::from_static("last-event-id"),
    ];
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(requested)
        .expose_headers(EXPOSED_HEADERS)
        .max_age(REMEMBERED);
    Some(layer)
}
