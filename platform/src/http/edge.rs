//! What every request passes, in one place and one service: identity, limits, time, panics, and the headers of answers.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use ipnet::IpNet;
use tower::{Layer, Service, ServiceExt};
use tracing::Instrument;

use self::measure::RouteMetrics;
use super::auth::{AuthOutcome, TokenError, Verifier, find_token};
use super::context::{RequestContext, X_REQUEST_ID};
use super::json::{BodyLimit, too_large};
use super::limits::{ClientAddress, LimitSettings, RequestLimits, Standings, client_address};
use super::problem::{PROBLEM_JSON, Problem};
use super::server::Connection;
use crate::config::{Config, Limits};

mod compress;
mod cors;
mod measure;

/// After a time-out the client waits this long: what was slow will not be quick at once.
const TIMEOUT_RETRY_SECONDS: u64 = 2;

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What the edge does.
#[derive(Clone)]
pub struct EdgeConfig {
    /// Most bytes of a request's body.
    pub body_limit: usize,
    /// How long a handler may take to begin its answer.
    pub request_timeout: Duration,
    /// Compress JSON for those who accept it.
    pub compression: bool,
    /// Origins of web pages that may call; `*` is any.
    pub cors_allowed_origins: Vec<String>,
    /// Proxies whose word about the client's address is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Verifies tokens; without one nobody is known.
    pub verifier: Option<Arc<Verifier>>,
    /// Counts requests; without one nobody is limited.
    pub limits: Option<Arc<RequestLimits>>,
    /// Leave the router's own answer to unknown routes, such as a web console's pages.
    pub keeps_fallback: bool,
}

impl EdgeConfig {
    /// The edge that the configuration describes.
    #[must_use]
    pub fn of(config: &Config, verifier: Arc<Verifier>) -> Self {
        let http = &config.http;
        Self {
            body_limit: http.body_limit_bytes,
            request_timeout: Duration::from_secs(http.request_timeout_seconds),
            compression: http.compression,
            cors_allowed_origins: http.cors_allowed_origins.0.clone(),
            trusted_proxies: http.trusted_proxies.0.clone(),
            verifier: Some(verifier),
            limits: Some(Arc::new(RequestLimits::new(limit_settings(&config.limits)))),
            keeps_fallback: false,
        }
    }
}

fn limit_settings(limits: &Limits) -> LimitSettings {
    let at_least_one = |limit: u32| NonZeroU32::new(limit).unwrap_or(NonZeroU32::MIN);
    LimitSettings {
        per_person: at_least_one(limits.requests_per_person_second),
        per_address: at_least_one(limits.requests_per_address_second),
        keys_max: limits.keys_max,
    }
}

/// Puts the edge around a router. Health and metrics are merged outside of it.
pub fn edge(router: Router, config: EdgeConfig) -> Router {
    let router = if config.keeps_fallback { router } else { router.fallback(no_route) };
    let router = router.method_not_allowed_fallback(no_method);
    let cors = cors::layer(&config.cors_allowed_origins);
    let router = router.layer(EdgeLayer(Arc::new(Edge { config, metrics: RouteMetrics::default() })));
    match cors {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

async fn no_route() -> Problem {
    Problem::not_found("route_not_found", "there is nothing at this path; /openapi.json lists what there is")
}

/// The router adds `Allow`.
async fn no_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "use one of the methods in the header Allow",
    )
}

struct Edge {
    config: EdgeConfig,
    metrics: RouteMetrics,
}

#[derive(Clone)]
struct EdgeLayer(Arc<Edge>);

impl<S> Layer<S> for EdgeLayer {
    type Service = EdgeService<S>;

    fn layer(&self, inner: S) -> EdgeService<S> {
        EdgeService { edge: Arc::clone(&self.0), inner }
    }
}

#[derive(Clone)]
struct EdgeService<S> {
    edge: Arc<Edge>,
    inner: S,
}

impl<S> Service<Request> for EdgeService<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // `oneshot` asks the inner service when it is called
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (edge, inner) = (Arc::clone(&self.edge), self.inner.clone());
        Box::pin(async move { Ok(edge.answer(inner, request).await) })
    }
}

/// A request's route template and what the answer needs of its head, kept while the handler has the request.
struct Arrived {
    started: Instant,
    method: Method,
    route: Option<MatchedPath>,
    accepts_gzip: bool,
}

impl Edge {
    async fn answer<S>(&self, inner: S, request: Request) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible> + Send,
        S::Future: Send,
    {
        let (parts, body) = request.into_parts();
        let context = RequestContext::of(&parts);
        let arrived = Arrived {
            started: Instant::now(),
            method: parts.method.clone(),
            route: parts.extensions.get::<MatchedPath>().cloned(),
            accepts_gzip: self.config.compression && compress::is_accepted(&parts.headers),
        };
        let span = tracing::info_span!(
            "request",
            method = arrived.method.as_str(),
            route = arrived.route.as_ref().map(MatchedPath::as_str),
            request_id = &*context.request_id,
            trace_id = %context.trace.trace_id(),
        );
        let request_id = Arc::clone(&context.request_id);
        let request = Request::from_parts(parts, body);
        // boxed: its state is large, and each wrapping would move it
        let passing = Box::pin(self.pass(inner, request));
        let (mut response, standings) = context.scope(passing).instrument(span).await;
        if arrived.accepts_gzip {
            response = compress::compress(response).await;
        }
        self.finish(response.headers_mut(), &request_id, standings.as_ref());
        self.metrics.record(
            &arrived.method,
            arrived.route.as_ref(),
            response.status(),
            arrived.started.elapsed(),
        );
        response
    }

    /// Everything that can refuse a request, then the handler.
    async fn pass<S>(&self, inner: S, mut request: Request) -> (Response, Option<Standings>)
    where
        S: Service<Request, Response = Response, Error = Infallible> + Send,
        S::Future: Send,
    {
        let address = self.address(&request);
        let limits = self.config.limits.as_deref();
        // what has no address does not come over a network, but from this process
        let mut standings = limits.zip(address).map(|(limits, address)| limits.arrive(address));
        if let Some(refusal) = self.refusal(standings.as_ref()) {
            return (refusal.into_response(), standings);
        }
        if declared_length(request.headers()).is_some_and(|length| length > self.config.body_limit as u64) {
            return (too_large(self.config.body_limit).into_response(), standings);
        }
        if let Some(outcome) = self.authenticate(request.headers(), request.uri()).await {
            if let (Ok(caller), Some(limits), Some(arrived)) = (&outcome.0, limits, standings) {
                standings = Some(limits.identify(arrived, &caller.sub));
                if let Some(refusal) = self.refusal(standings.as_ref()) {
                    return (refusal.into_response(), standings);
                }
            }
            request.extensions_mut().insert(outcome);
        }
        if let Some(address) = address {
            request.extensions_mut().insert(ClientAddress(address));
        }
        BodyLimit(self.config.body_limit).apply(&mut request);
        (self.handle(inner, request).await, standings)
    }

    fn refusal(&self, standings: Option<&Standings>) -> Option<Problem> {
        let limits = self.config.limits.as_ref()?;
        let refusal = limits.judge(standings?).err()?;
        metrics::counter!("http_rate_limited_total").increment(1);
        Some(refusal)
    }

    fn address(&self, request: &Request) -> Option<IpAddr> {
        let peer = request.extensions().get::<Connection>()?.peer.ip();
        Some(client_address(peer, request.headers(), &self.config.trusted_proxies))
    }

    /// `None` where no token was sent.
    async fn authenticate(&self, headers: &HeaderMap, uri: &Uri) -> Option<AuthOutcome> {
        let verifier = self.config.verifier.as_ref()?;
        let outcome = match find_token(headers, uri) {
            Ok(None) => return None,
            Ok(Some(token)) => verifier.verify(token).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &outcome {
            log_refusal(error);
        }
        Some(AuthOutcome(outcome))
    }

    /// The handler, within its time, and its panics caught.
    async fn handle<S>(&self, inner: S, request: Request) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible> + Send,
        S::Future: Send,
    {
        let answer = AssertUnwindSafe(inner.oneshot(request)).catch_unwind();
        match tokio::time::timeout(self.config.request_timeout, answer).await {
            Ok(Ok(Ok(response))) => response,
            // the panic hook has logged the cause
            Ok(Err(_)) => Problem::internal_logged().into_response(),
            Err(_) => {
                tracing::warn!("request timed out");
                let detail =
                    "this took too long; try again, with the same Idempotency-Key where you sent one";
                Problem::unavailable("timeout", detail, TIMEOUT_RETRY_SECONDS).into_response()
            }
            Ok(Ok(Err(never))) => match never {},
        }
    }

    fn finish(&self, headers: &mut HeaderMap, request_id: &str, standings: Option<&Standings>) {
        if let Ok(request_id) = HeaderValue::from_str(request_id) {
            headers.insert(X_REQUEST_ID, request_id);
        }
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        if is_json(headers) && !headers.contains_key(header::CACHE_CONTROL) {
            headers.insert(header::CACHE_CONTROL, NO_STORE);
        }
        if let (Some(limits), Some(standings)) = (&self.config.limits, standings) {
            limits.write(standings, headers);
        }
    }
}

fn log_refusal(error: &TokenError) {
    tracing::debug!(reason = %error, "token refused");
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json") || *kind == PROBLEM_JSON)
}

/// Headers of our answers that a browser's script may read.
pub const EXPOSED_HEADERS: [HeaderName; 9] = [
    super::position::TALLY_POSITION,
    header::ETAG,
    header::LOCATION,
    header::RETRY_AFTER,
    X_REQUEST_ID,
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    header::LINK,
    header::CONTENT_DISPOSITION,
];

#[cfg(test)]
#[path = "edge/tests.rs"]
mod tests;
