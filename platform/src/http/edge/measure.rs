//! How long answers take, by route and status. Handles are kept, for making one costs more than using it.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::MatchedPath;
use axum::http::{Method, StatusCode};
use metrics::Histogram;
use parking_lot::RwLock;

/// What requests without a route are counted as.
const NO_ROUTE: &str = "(none)";

/// What a method is counted as that is none of the usual: anyone can invent some.
const OTHER_METHOD: &str = "OTHER";

struct Handle {
    method: &'static str,
    status: StatusCode,
    seconds: Histogram,
}

/// The histograms `http_request_seconds` of each route. They count requests too.
#[derive(Default)]
pub(super) struct RouteMetrics(RwLock<HashMap<Box<str>, Vec<Handle>>>);

impl RouteMetrics {
    pub(super) fn record(
        &self,
        method: &Method,
        route: Option<&MatchedPath>,
        status: StatusCode,
        took: Duration,
    ) {
        let route = route.map_or(NO_ROUTE, MatchedPath::as_str);
        let method = known(method);
        let is_it = |handle: &&Handle| handle.method == method && handle.status == status;
        if let Some(handle) = self.0.read().get(route).and_then(|handles| handles.iter().find(is_it)) {
            handle.seconds.record(took);
            return;
        }
        let labels = [
            ("route", route.to_owned()),
            ("method", method.to_owned()),
            ("status", status.as_str().to_owned()),
        ];
        let seconds = metrics::histogram!("http_request_seconds", &labels);
        seconds.record(took);
        self.0.write().entry(route.into()).or_default().push(Handle { method, status, seconds });
    }
}

fn known(method: &Method) -> &'static str {
    let usual = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    usual.into_iter().find(|name| *name == method.as_str()).unwrap_or(OTHER_METHOD)
}
