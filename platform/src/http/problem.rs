//! Errors as answers: `application/problem+json` (RFC 9457) with a stable `code`.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use super::context::RequestContext;

/// The media type of an error's body.
pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Longest `detail`: it may quote the client's own input, which must not come back at any length.
const DETAIL_LENGTH_MAX: usize = 500;

/// How deep a chain of causes is logged; a longer one is a loop.
const CAUSES_MAX: usize = 16;

/// An error answer. A `code` is stable: clients decide by it, and it is the last part of `type`.
#[derive(Debug, Clone)]
pub struct Problem(Box<Content>);

#[derive(Debug, Clone)]
struct Content {
    status: StatusCode,
    code: Cow<'static, str>,
    title: Cow<'static, str>,
    detail: Cow<'static, str>,
    retry_after_seconds: Option<u64>,
    extensions: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem of any status. `detail` says what to do about it.
    #[must_use]
    pub fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let mut detail = detail.into();
        if detail.len() > DETAIL_LENGTH_MAX {
            let end = detail.floor_char_boundary(DETAIL_LENGTH_MAX);
            detail.to_mut().truncate(end);
        }
        Self(Box::new(Content {
            status,
            code: code.into(),
            title: Cow::Borrowed(status.canonical_reason().unwrap_or("Error")),
            detail,
            retry_after_seconds: None,
            extensions: Map::new(),
            headers: Vec::new(),
        }))
    }

    /// 400: the request cannot be read.
    #[must_use]
    pub fn bad_request(code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401, with the challenge that the standard asks for.
    #[must_use]
    pub fn unauthorized(code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 403: the caller is known and may not; `code` is the reason, repeated as `reason`.
    #[must_use]
    pub fn forbidden(code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        let code = code.into();
        let reason = code.clone();
        Self::new(StatusCode::FORBIDDEN, code, detail).with("reason", reason)
    }

    /// 404: there is no such thing.
    #[must_use]
    pub fn not_found(code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 409: the thing is in a state that does not allow this.
    #[must_use]
    pub fn conflict(code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 412: `If-Match` names another version.
    #[must_use]
    pub fn precondition_failed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "stale_version", detail)
    }

    /// 422: understood, and not acceptable.
    #[must_use]
    pub fn unprocessable(code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 422 `invalid_field`, naming the field by its path (`settings.maxViewers`).
    #[must_use]
    pub fn invalid_field(field: impl Into<String>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::unprocessable("invalid_field", detail).with_field(field)
    }

    /// 429: too much, too fast.
    #[must_use]
    pub fn limited(detail: impl Into<Cow<'static, str>>, retry_after_seconds: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail).with_retry_after(retry_after_seconds)
    }

    /// 503: not now. Nothing in `detail` may tell a cause.
    #[must_use]
    pub fn unavailable(
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
        retry_after_seconds: u64,
    ) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).with_retry_after(retry_after_seconds)
    }

    /// 500 with a constant body; the whole chain of causes is logged here, once.
    #[must_use]
    pub fn internal(cause: &(dyn Error + 'static)) -> Self {
        tracing::error!(error.chain = %Chain(cause), "request failed");
        Self::internal_logged()
    }

    /// 500 with a constant body, for a cause that is already in the log.
    #[must_use]
    pub fn internal_logged() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "something went wrong on our side; quote the request id when you report it",
        )
    }

    /// Names the request's field that is at fault.
    #[must_use]
    pub fn with_field(self, field: impl Into<String>) -> Self {
        self.with("field", field.into())
    }

    /// Tells the limit that was passed.
    #[must_use]
    pub fn with_limit(self, limit: u64) -> Self {
        self.with("limit", limit)
    }

    /// When to try again, in the body and as `Retry-After`.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_seconds = Some(seconds);
        self
    }

    /// Adds a member of any name (`accessGranted`, `state`).
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// The answer's status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// What to do about it.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// When to try again, if that is known.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.0.retry_after_seconds
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.0.status.as_u16(), self.0.code, self.0.detail)
    }
}

impl Error for Problem {}

impl Serialize for Problem {
    /// The body. `instance` and `requestId` are those of the request that the current task answers.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let content = &*self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &format_args!("/problems/{}", content.code))?;
        map.serialize_entry("title", &content.title)?;
        map.serialize_entry("status", &content.status.as_u16())?;
        map.serialize_entry("detail", &content.detail)?;
        map.serialize_entry("code", &content.code)?;
        if let Some(context) = RequestContext::current() {
            map.serialize_entry("instance", context.path())?;
            map.serialize_entry("requestId", &*context.request_id)?;
        }
        if let Some(seconds) = content.retry_after_seconds {
            map.serialize_entry("retryAfter", &seconds)?;
        }
        for (name, value) in &content.extensions {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // a map of strings and numbers cannot fail to serialise; an empty body would still carry the status
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.0.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
        if let Some(seconds) = self.0.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        headers.extend(self.0.headers);
        response
    }
}

/// What an error answer looks like, for the OpenAPI document.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProblemSchema {
    /// A stable reference of the kind of problem: `/problems/` and the code.
    #[serde(rename = "type")]
    #[schema(example = "/problems/invalid_field")]
    kind: String,
    /// The status in words.
    #[schema(example = "Unprocessable Entity")]
    title: String,
    /// The HTTP status.
    #[schema(example = 422)]
    status: u16,
    /// What to do about it.
    detail: String,
    /// The stable code to decide by.
    #[schema(example = "invalid_field")]
    code: String,
    /// The path of the request.
    instance: Option<String>,
    /// The request's id, to quote in a report.
    request_id: Option<String>,
    /// Seconds after which it may be tried again.
    retry_after: Option<u64>,
    /// The field at fault, as a path.
    #[schema(example = "settings.maxViewers")]
    field: Option<String>,
    /// The limit that was passed.
    limit: Option<u64>,
    /// Why it was refused, with a 403.
    reason: Option<String>,
}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        ProblemSchema::schema()
    }
}

impl ToSchema for Problem {}

/// An error with all its causes, for the log.
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        for _ in 0..CAUSES_MAX {
            let Some(error) = cause else { break };
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(problem: &Problem) -> Value {
        serde_json::to_value(problem).expect("serialises")
    }

    #[test]
    fn members_and_headers_are_those_of_the_standard() {
        let problem = Problem::limited("slow down", 7).with_limit(20).with("accessGranted", false);
        let json = body(&problem);
        assert_eq!(json["type"], "/problems/rate_limited");
        assert_eq!(json["title"], "Too Many Requests");
        assert_eq!(json["status"], 429);
        assert_eq!(json["code"], "rate_limited");
        assert_eq!(json["retryAfter"], 7);
        assert_eq!(json["limit"], 20);
        assert_eq!(json["accessGranted"], false);
        let response = problem.into_response();
        assert_eq!(response.headers()["retry-after"], "7");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }

    #[test]
    fn an_internal_error_tells_no_cause() {
        let cause = std::io::Error::other("password=hunter2");
        assert!(!body(&Problem::internal(&cause)).to_string().contains("hunter2"));
    }

    #[test]
    fn a_refusal_has_its_reason_and_an_unknown_caller_a_challenge() {
        assert_eq!(body(&Problem::forbidden("banned", "you are banned"))["reason"], "banned");
        let response = Problem::unauthorized("token_missing", "send a token").into_response();
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }

    #[test]
    fn the_schema_names_the_members() {
        let schema = serde_json::to_value(Problem::schema()).expect("serialises").to_string();
        for member in ["type", "status", "code", "retryAfter", "requestId"] {
            assert!(schema.contains(&format!("\"{member}\"")), "{member}: {schema}");
        }
        assert_eq!(Problem::name(), "Problem");
    }

    #[test]
    fn a_detail_that_quotes_input_is_cut() {
        let problem = Problem::bad_request("x", "é".repeat(1_000));
        assert!(problem.detail().len() <= DETAIL_LENGTH_MAX);
    }
}
