//! What is known of the request that the current task answers.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, Uri};
use uuid::Uuid;

use crate::telemetry::traceparent::TraceContext;

/// The header that carries the request id, both ways.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request id that a client sends may be at most this long: it goes to logs and to event metadata.
pub const REQUEST_ID_LENGTH_MAX: usize = 128;

tokio::task_local! {
    static CURRENT: RequestContext;
}

/// Identity of a request: for answers, logs, and the metadata of the events that it makes.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The client's `x-request-id`, or one of ours.
    pub request_id: Arc<str>,
    /// Where the request stands in a distributed trace; its span is ours.
    pub trace: TraceContext,
    uri: Uri,
}

impl RequestContext {
    /// Reads what the client sent, and makes what it did not.
    #[must_use]
    pub fn of(parts: &Parts) -> Self {
        let sent_id = parts.headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
        let request_id = match sent_id {
            Some(id) if is_acceptable_request_id(id) => Arc::from(id),
            _ => Arc::from(Uuid::now_v7().as_hyphenated().encode_lower(&mut Uuid::encode_buffer()) as &str),
        };
        let trace = parts
            .headers
            .get(crate::telemetry::traceparent::TRACEPARENT)
            .and_then(|value| value.to_str().ok())
            .and_then(TraceContext::parse)
            .map_or_else(TraceContext::start, |parent| parent.child());
        Self { request_id, trace, uri: parts.uri.clone() }
    }

    /// The request's path, without its query (which may hold a token).
    #[must_use]
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// Runs `future` so that [`RequestContext::current`] knows this request.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }

    /// The context of the request that the current task answers, if it answers one.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Infallible;

    /// The edge's context; outside an edge (a handler's own test) one is made of the request.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::current().unwrap_or_else(|| Self::of(parts)))
    }
}

/// Visible ASCII of a bounded length: nothing that could break a log line or a header.
fn is_acceptable_request_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= REQUEST_ID_LENGTH_MAX && id.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn context(request_id: &str) -> RequestContext {
        let request = Request::builder().uri("/a?access_token=x").header("x-request-id", request_id);
        RequestContext::of(&request.body(()).expect("request").into_parts().0)
    }

    #[test]
    fn a_sane_request_id_is_kept_and_others_replaced() {
        assert_eq!(&*context("abc-1").request_id, "abc-1");
        for bad in ["", "a b", &"x".repeat(129)] {
            assert!(Uuid::parse_str(&context(bad).request_id).is_ok(), "{bad}");
        }
        assert_eq!(context("a").path(), "/a");
    }
}
