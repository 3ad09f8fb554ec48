//! Reading one's own writes: `Tally-Position` on a command's answer, `Tally-Min-Position` on a query.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponseParts, ResponseParts};

use super::problem::Problem;

/// On an answer: the commit position of the command's last event.
pub const TALLY_POSITION: HeaderName = HeaderName::from_static("tally-position");

/// On a query: the position that every store it reads must have reached.
pub const TALLY_MIN_POSITION: HeaderName = HeaderName::from_static("tally-min-position");

/// Puts `Tally-Position` on an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position(pub u64);

impl IntoResponseParts for Position {
    type Error = Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Infallible> {
        response.headers_mut().insert(TALLY_POSITION, HeaderValue::from(self.0));
        Ok(response)
    }
}

/// Reads `Tally-Min-Position`; `None` where the query does not care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinPosition(pub Option<u64>);

impl<S: Send + Sync> FromRequestParts<S> for MinPosition {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(&TALLY_MIN_POSITION).iter();
        let Some(value) = values.next() else { return Ok(Self(None)) };
        // digits only: `+5` is a number to Rust, and not a position
        let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let position = digits.and_then(|digits| digits.parse().ok()).filter(|_| values.next().is_none());
        match position {
            Some(position) => Ok(Self(Some(position))),
            None => Err(Problem::invalid_field(
                "Tally-Min-Position",
                "send the Tally-Position of an earlier answer, as it was given",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    async fn read(values: &[&str]) -> Option<Option<u64>> {
        let mut request = Request::builder();
        for value in values {
            request = request.header(TALLY_MIN_POSITION, *value);
        }
        let mut parts = request.body(()).expect("request").into_parts().0;
        MinPosition::from_request_parts(&mut parts, &()).await.ok().map(|position| position.0)
    }

    #[tokio::test]
    async fn a_position_is_digits_and_nothing_else() {
        assert_eq!(read(&[]).await, Some(None));
        assert_eq!(read(&["0"]).await, Some(Some(0)));
        assert_eq!(read(&["18446744073709551615"]).await, Some(Some(u64::MAX)));
        for bad in [&["18446744073709551616"][..], &["+5"], &["-1"], &[""], &["1.0"], &["1", "2"]] {
            assert_eq!(read(bad).await, None, "{bad:?}");
        }
    }

    #[test]
    fn the_answer_carries_it() {
        let response = axum::response::IntoResponse::into_response((Position(7), "x"));
        assert_eq!(response.headers()["tally-position"], "7");
    }
}
