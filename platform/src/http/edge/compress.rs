//! Smaller answers for those who accept them: whole JSON bodies, in one go.

use std::io::Write;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::BodyExt;

use super::is_json;

/// Smaller bodies fit a packet as they are.
const LENGTH_MIN: u64 = 1_024;

/// Larger bodies would keep the thread too long.
const LENGTH_MAX: u64 = 1024 * 1024;

const GZIP: HeaderValue = HeaderValue::from_static("gzip");
const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("accept-encoding");

/// Whether the client takes gzip.
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(is_gzip)
}

fn is_gzip(offer: &str) -> bool {
    let (name, weight) = offer.split_once(';').unwrap_or((offer, "q=1"));
    let quality = weight.trim().strip_prefix("q=").and_then(|quality| quality.parse::<f32>().ok());
    name.trim().eq_ignore_ascii_case("gzip") && quality.is_some_and(|quality| quality > 0.0)
}

/// Compresses what is worth it. Answers with an `ETag` stay as they are: it names these bytes.
pub(super) async fn compress(response: Response) -> Response {
    let headers = response.headers();
    let length = response.body().size_hint().exact();
    let is_worth_it = length.is_some_and(|length| (LENGTH_MIN..=LENGTH_MAX).contains(&length))
        && is_json(headers)
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !headers.contains_key(header::ETAG);
    if !is_worth_it {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(body) = body.collect().await else {
        return Response::from_parts(parts, Body::empty());
    };
    let body = body.to_bytes();
    let Some(smaller) = gzip(&body) else { return Response::from_parts(parts, Body::from(body)) };
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_ENCODING, GZIP);
    parts.headers.append(header::VARY, ACCEPT_ENCODING);
    Response::from_parts(parts, Body::from(smaller))
}

fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wish_for_gzip_is_one() {
        for (offer, expected) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0", false),
            ("gzip;x", false),
            ("br", false),
            ("*", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(offer));
            assert_eq!(is_accepted(&headers), expected, "{offer}");
        }
    }
}
