//! Which minutes of a stream an answer holds: all of them, but for one that has been on air for longer than a week.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use platform::http::problem::Problem;
use platform::http::query::Query;
use serde::Deserialize;
use utoipa::IntoParams;

/// Most minutes of an answer, those of a week: it is built in memory. A file has no such limit.
const MINUTES_MAX: u32 = 7 * 24 * 60;

/// For the documentation.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct MinutesQuery {
    /// The first minute of a JSON answer, which holds 10,080 at most: the `nextMinute` of the answer before. 0 by default.
    #[param(value_type = Option<u32>)]
    from_minute: Option<String>,
}

/// The first minute that is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct FromMinute(u32);

impl<S: Send + Sync> FromRequestParts<S> for FromMinute {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Query(MinutesQuery { from_minute }) = Query::of(&parts.uri)?;
        let from = from_minute.filter(|text| !text.is_empty()).map_or(Ok(0), |text| text.parse());
        let problem = |_| Problem::invalid_field("fromMinute", "fromMinute is the nextMinute of an answer");
        from.map(Self).map_err(problem)
    }
}

impl FromMinute {
    /// Those of all minutes that an answer holds, and where the next answer begins.
    pub(super) fn part<T>(self, minutes: Vec<T>) -> (Vec<T>, Option<u32>) {
        let end = self.0.saturating_add(MINUTES_MAX);
        let next = (minutes.len() > end as usize).then_some(end);
        let part = minutes.into_iter().skip(self.0 as usize).take(MINUTES_MAX as usize);
        (part.collect(), next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_follow_one_another_without_a_gap() {
        let minutes: Vec<u32> = (0..2 * MINUTES_MAX + 1).collect();
        let (mut found, mut from) = (Vec::new(), Some(0));
        while let Some(minute) = from {
            let (part, next) = FromMinute(minute).part(minutes.clone());
            assert!(part.len() <= MINUTES_MAX as usize);
            found.extend(part);
            from = next;
        }
        assert_eq!(found, minutes);
        assert_eq!(FromMinute(0).part(vec![0; MINUTES_MAX as usize]).1, None);
        assert_eq!(FromMinute(u32::MAX).part(minutes), (Vec::new(), None));
    }
}
