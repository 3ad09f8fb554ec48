//! Whether the process lives and can do its work, for those who start and watch it.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parking_lot::RwLock;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::json::json;
use crate::telemetry::Metrics;

/// Media type of Prometheus' text format.
const PROMETHEUS_TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// How a component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// Not yet ready.
    Starting,
    /// It works.
    Up,
    /// It does not, and requests are answered all the same.
    Degraded,
    /// It does not.
    Down,
}

impl Condition {
    fn is_ready(self) -> bool {
        matches!(self, Self::Up | Self::Degraded)
    }
}

/// A component's condition, with a few words that may be shown to anyone.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Component {
    /// Which component.
    pub name: &'static str,
    /// How it is.
    pub condition: Condition,
    /// Why; without addresses, names or causes that an outsider must not see.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub detail: String,
}

type Check = Box<dyn Fn() -> (Condition, String) + Send + Sync>;

/// All components of the process. Clones are one.
#[derive(Clone, Default)]
pub struct Health(Arc<RwLock<Vec<(&'static str, Check)>>>);

/// A component's own hand on its condition.
#[derive(Clone)]
pub struct Reporter(Arc<RwLock<(Condition, String)>>);

impl Reporter {
    /// It works.
    pub fn up(&self) {
        *self.0.write() = (Condition::Up, String::new());
    }

    /// It does not, because of `detail`.
    pub fn down(&self, detail: impl Into<String>) {
        *self.0.write() = (Condition::Down, detail.into());
    }
}

impl Health {
    /// No components yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a component that is asked. The check must be quick and must not block.
    pub fn register(
        &self,
        name: &'static str,
        check: impl Fn() -> (Condition, String) + Send + Sync + 'static,
    ) {
        self.0.write().push((name, Box::new(check)));
    }

    /// Adds a component that tells; until it does it is starting.
    #[must_use]
    pub fn reporter(&self, name: &'static str) -> Reporter {
        let state = Arc::new(RwLock::new((Condition::Starting, String::new())));
        let read = Arc::clone(&state);
        self.register(name, move || read.read().clone());
        Reporter(state)
    }

    /// Each component as it is now.
    #[must_use]
    pub fn components(&self) -> Vec<Component> {
        let checks = self.0.read();
        checks
            .iter()
            .map(|(name, check)| {
                let (condition, detail) = check();
                Component { name, condition, detail }
            })
            .collect()
    }

    /// Whether requests can be answered.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.components().iter().all(|component| component.condition.is_ready())
    }
}

#[derive(Serialize)]
struct Report {
    status: Condition,
    components: Vec<Component>,
}

/// `/health/live`, `/health/ready` and `/metrics`. Not for the public address where one is in front.
pub fn router(health: Health, metrics: Option<Metrics>) -> Router {
    let routes = Router::new()
        .route("/health/live", get(|| async { json(StatusCode::OK, &serde_json::json!({ "status": "up" })) }))
        .route("/health/ready", get(ready))
        .with_state(health);
    match metrics {
        Some(metrics) => routes.merge(Router::new().route("/metrics", get(render)).with_state(metrics)),
        None => routes,
    }
}

async fn ready(State(health): State<Health>) -> Response {
    let components = health.components();
    if components.iter().all(|component| component.condition.is_ready()) {
        let is_up = components.iter().all(|component| component.condition == Condition::Up);
        let status = if is_up { Condition::Up } else { Condition::Degraded };
        return json(StatusCode::OK, &Report { status, components });
    }
    let failing = components.into_iter().filter(|component| !component.condition.is_ready()).collect();
    json(StatusCode::SERVICE_UNAVAILABLE, &Report { status: Condition::Down, components: failing })
}

async fn render(State(metrics): State<Metrics>) -> Response {
    ([(header::CONTENT_TYPE, PROMETHEUS_TEXT)], metrics.render()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn get(router: &Router, path: &str) -> (u16, String) {
        let request = Request::builder().uri(path).body(Body::empty()).expect("request");
        let response = router.clone().oneshot(request).await.expect("infallible");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("body").to_bytes();
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn readiness_names_what_is_not_up() {
        let health = Health::new();
        let log = health.reporter("event log");
        health.register("postgres", || (Condition::Up, String::new()));
        let router = router(health.clone(), None);
        assert_eq!(get(&router, "/health/live").await.0, 200);
        let (status, body) = get(&router, "/health/ready").await;
        assert_eq!(status, 503);
        assert_eq!(body, r#"{"status":"down","components":[{"name":"event log","condition":"starting"}]}"#);
        log.up();
        assert!(health.is_ready());
        assert_eq!(get(&router, "/health/ready").await.0, 200);
        log.down("no leader");
        assert!(get(&router, "/health/ready").await.1.contains("no leader"));
        assert_eq!(get(&router, "/metrics").await.0, 404);
    }

    #[tokio::test]
    async fn who_is_degraded_gets_requests_and_says_so() {
        let health = Health::new();
        health.register("loader", || (Condition::Degraded, "waits".to_owned()));
        assert!(health.is_ready());
        let (status, body) = get(&router(health, None), "/health/ready").await;
        assert_eq!(status, 200);
        assert!(body.starts_with(r#"{"status":"degraded""#) && body.contains("waits"), "{body}");
    }
}
