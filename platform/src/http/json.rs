//! JSON in and out, strictly: one content type, no repeated names, bounded depth, and the field at fault named.

use std::ops::Deref;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::problem::Problem;

mod parse;

pub use parse::{DEPTH_MAX, parse};

/// Largest body where the edge sets no other limit: several times the largest honest request.
pub const BODY_LIMIT_DEFAULT: usize = 64 * 1024;

const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The most bytes that a request's body may have; set by the edge as an extension.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimit(pub usize);

impl BodyLimit {
    /// Makes the limit hold for a request, for our extractors and for axum's.
    pub fn apply(self, request: &mut Request) {
        // each extension costs an allocation: what holds anyway is not written down
        if self.0 != BODY_LIMIT_DEFAULT {
            request.extensions_mut().insert(self);
        }
        let is_within = request.body().size_hint().upper().is_some_and(|length| length <= self.0 as u64);
        if !is_within {
            DefaultBodyLimit::max(self.0).apply(request);
        }
    }
}

/// SHA-256 of a request's raw body: two requests with one key are repeats only where it is equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BodyDigest([u8; 32]);

impl BodyDigest {
    /// The digest of `body`.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        Self(Sha256::digest(body).into())
    }

    /// All of the digest.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 16 bytes: what event metadata keeps. Collisions need an attacker who harms only his own retries.
    #[must_use]
    pub fn short(&self) -> [u8; 16] {
        let mut short = [0; 16];
        short.copy_from_slice(&self.0[..16]);
        short
    }
}

/// Extractor of a JSON body, required.
#[derive(Debug, Clone)]
pub struct Json<T> {
    /// What the body says.
    pub value: T,
    /// Digest of the raw body.
    pub digest: BodyDigest,
}

impl<T> Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        let body = read_body(request).await?;
        Ok(Self { value: parse(&body)?, digest: BodyDigest::of(&body) })
    }
}

/// Extractor of a JSON body that may be left out; no body at all needs no content type either.
#[derive(Debug, Clone)]
pub struct OptionalJson<T> {
    /// What the body says, if there is one.
    pub value: Option<T>,
    /// Digest of the raw body, also of an empty one.
    pub digest: BodyDigest,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let content_type = require_json(request.headers());
        let body = read_body(request).await?;
        let digest = BodyDigest::of(&body);
        if body.is_empty() {
            return Ok(Self { value: None, digest });
        }
        content_type?;
        Ok(Self { value: Some(parse(&body)?), digest })
    }
}

/// Extractor of a raw body within the limit, for signed callbacks.
#[derive(Debug, Clone)]
pub struct RawBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        Ok(Self(read_body(request).await?))
    }
}

/// An answer with a JSON body.
pub fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Response {
    let body = match serde_json::to_vec(value) {
        Ok(body) => body,
        Err(error) => return Problem::internal(&error).into_response(),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, APPLICATION_JSON);
    response
}

/// 413, with the limit.
#[must_use]
pub fn too_large(limit: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        format!("send at most {limit} bytes in one request"),
    )
    .with_limit(limit as u64)
}

/// `application/json`, or a type whose suffix says that it is JSON, in UTF-8.
fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_content_encoding",
            "send the body as it is, without Content-Encoding",
        ));
    }
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let only = values.next().filter(|_| values.next().is_none());
    // what nearly every client sends, without looking closer
    if only == Some(&APPLICATION_JSON) {
        return Ok(());
    }
    if only.and_then(|value| value.to_str().ok()).is_some_and(is_json) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "send the body as application/json in UTF-8",
    ))
}

fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let Some(subtype) = essence.strip_prefix("application/") else { return false };
    let has_json_suffix = subtype.strip_suffix("+json").is_some_and(|name| !name.is_empty());
    (subtype == "json" || has_json_suffix) && parts.all(is_acceptable_parameter)
}

fn is_acceptable_parameter(parameter: &str) -> bool {
    match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        Some(_) => true,
        None => parameter.is_empty(),
    }
}

async fn read_body(request: Request) -> Result<Bytes, Problem> {
    let limit = request.extensions().get::<BodyLimit>().map_or(BODY_LIMIT_DEFAULT, |limit| limit.0);
    let body = request.into_body();
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Err(_) => {
            Err(Problem::bad_request("body_incomplete", "the body ended early; send the request again"))
        }
    }
}
