//! As of when a stream's figures are wanted: as far as the warehouse is, or as of a position and a time of before, which always gives the same answer.

use ::analytics::figures::AsOf;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use platform::http::position::MinPosition;
use platform::http::problem::Problem;
use platform::http::query::Query;
use schemas::{Position, Timestamp};
use serde::Deserialize;
use utoipa::IntoParams;

/// As of when, in the words of the query.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct AsOfQuery {
    /// Only events up to this position count: the `asOf.position` of an earlier answer, or any `Tally-Position`. As far as the warehouse is by default.
    #[param(value_type = Option<u64>)]
    as_of: Option<String>,
    /// With `asOf`: a stream that ran counts up to this time (RFC 3339), the `asOf.time` of an earlier answer. Up to its last event by default.
    #[param(value_type = Option<String>, format = DateTime)]
    as_of_time: Option<String>,
}

/// As of when figures are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Moment {
    /// As of which position at least the warehouse must be.
    pub(super) min: MinPosition,
    /// As of when, where the query says.
    pub(super) asked: Option<AsOf>,
}

impl<S: Send + Sync> FromRequestParts<S> for Moment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let min = MinPosition::from_request_parts(parts, state).await?;
        let asked = Query::<AsOfQuery>::of(&parts.uri)?.0.asked()?;
        let min = min.0.max(asked.map(|asked| asked.position.0));
        Ok(Self { min: MinPosition(min), asked })
    }
}

impl AsOfQuery {
    fn asked(self) -> Result<Option<AsOf>, Problem> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let (position, time) = (given(self.as_of), given(self.as_of_time));
        let Some(position) = position else {
            let alone =
                Problem::invalid_field("asOfTime", "send asOf with it: the position of the same answer");
            return if time.is_some() { Err(alone) } else { Ok(None) };
        };
        let no_position = || Problem::invalid_field("asOf", "asOf is the asOf.position of an earlier answer");
        let position = position.parse().map_err(|_| no_position())?;
        // a query's plus sign is a space
        let time = time.map(|time| time.replace(' ', "+").parse::<Timestamp>()).transpose();
        let time = time.map_err(|_| {
            Problem::invalid_field("asOfTime", "asOfTime is a time such as 2025-06-27T20:00:00Z")
        })?;
        Ok(Some(AsOf { position: Position(position), time: time.unwrap_or_default() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    async fn moment(query: &str, min: Option<&str>) -> Result<Moment, Problem> {
        let mut request = Request::get(format!("/{query}"));
        if let Some(min) = min {
            request = request.header("tally-min-position", min);
        }
        Moment::from_request_parts(&mut request.body(()).unwrap().into_parts().0, &()).await
    }

    #[tokio::test]
    async fn what_is_asked_for_must_be_there() {
        let as_of = |position, time: &str| AsOf { position: Position(position), time: time.parse().unwrap() };
        let epoch = "1970-01-01T00:00:00Z";
        for (query, min, expected) in [
            ("", None, (None, None)),
            ("", Some("7"), (Some(7), None)),
            ("?asOf=9", Some("7"), (Some(9), Some(as_of(9, epoch)))),
            ("?asOf=5&asOfTime=", Some("7"), (Some(7), Some(as_of(5, epoch)))),
            (
                "?asOf=5&asOfTime=2025-06-27T20:00:00Z",
                None,
                (Some(5), Some(as_of(5, "2025-06-27T20:00:00Z"))),
            ),
            (
                "?asOf=5&asOfTime=2025-06-27T20:00:00+02:00",
                None,
                (Some(5), Some(as_of(5, "2025-06-27T18:00:00Z"))),
            ),
        ] {
            let moment = moment(query, min).await.unwrap();
            assert_eq!((moment.min.0, moment.asked), expected, "{query}");
        }
        for query in [
            "?asOf=now",
            "?asOf=-1",
            "?asOf=1&asOf=2",
            "?asOfTime=2025-06-27T20:00:00Z",
            "?asOf=1&asOfTime=noon",
        ] {
            assert!(moment(query, None).await.is_err(), "{query}");
        }
    }
}
