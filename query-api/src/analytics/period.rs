//! The period of figures of many shows, and the time zone of its days and hours.

use ::analytics::figures::Period;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::{DateTime, Duration, NaiveDate, NaiveTime, TimeZone};
use chrono_tz::Tz;
use platform::http::problem::Problem;
use platform::http::query::Query;
use schemas::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The period where nobody says: four whole weeks, so that each weekday is in it as often as every other.
const DAYS_DEFAULT: i64 = 28;

/// The longest period, ten years: its quarters of an hour are made in memory.
const DAYS_MAX: i64 = 3_660;

const DAY_MS: i64 = 86_400_000;

/// Times that the warehouse can hold: 1970 to 2100.
const TIME_MS_MAX: i64 = 4_102_444_800_000;

/// From when to when, in the words of the query.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// From when, included: a time (RFC 3339) or a date, which is its first instant. 28 days before `to` by default.
    #[param(example = "2025-06-01")]
    from: Option<String>,
    /// To when, excluded: a time (RFC 3339) or a date, which is its first instant. Now by default.
    #[param(example = "2025-07-01")]
    to: Option<String>,
    /// Time zone (IANA) of dates, days and hours. UTC by default.
    #[param(example = "Europe/Berlin")]
    timezone: Option<String>,
}

/// A period with its time zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub(super) period: Period,
    pub(super) zone: Tz,
}

/// The period of an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PeriodDocument {
    /// From when, included.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// To when, excluded.
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    #[schema(example = "Europe/Berlin")]
    timezone: &'static str,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Query(asked) = Query::<Self>::of(&parts.uri)?;
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Self { from: given(asked.from), to: given(asked.to), timezone: given(asked.timezone) })
    }
}

impl Asked {
    /// The period that is meant.
    pub(super) fn span(&self, now: Timestamp) -> Result<Span, Problem> {
        let zone = match &self.timezone {
            None => Tz::UTC,
            Some(name) => name.parse().map_err(|_| {
                Problem::invalid_field("timezone", "timezone is an IANA name, such as Europe/Berlin")
            })?,
        };
        let to = self.to.as_deref().map_or(Ok(now), |text| instant("to", text, zone))?;
        let from = match self.from.as_deref() {
            Some(text) => instant("from", text, zone)?,
            None => Timestamp::from_millis((to.millis() - DAYS_DEFAULT * DAY_MS).max(0)),
        };
        let length_ms = to.millis_since(from);
        if length_ms <= 0 {
            return Err(Problem::invalid_field("from", "from is before to"));
        }
        if length_ms > DAYS_MAX * DAY_MS {
            let detail = format!("a period is at most {DAYS_MAX} days");
            return Err(Problem::invalid_field("from", detail).with_limit(DAYS_MAX.unsigned_abs()));
        }
        Ok(Span { period: Period { from, to }, zone })
    }
}

impl Span {
    pub(super) fn document(self) -> PeriodDocument {
        PeriodDocument { from: self.period.from, to: self.period.to, timezone: self.zone.name() }
    }
}

fn instant(field: &str, text: &str, zone: Tz) -> Result<Timestamp, Problem> {
    let time = match text.parse::<NaiveDate>() {
        Ok(date) => first_instant(date, zone),
        // a query's plus sign is a space
        Err(_) => text.replace(' ', "+").parse().ok(),
    };
    time.filter(|time| (0..=TIME_MS_MAX).contains(&time.millis())).ok_or_else(|| {
        let detail = format!(
            "{field} is a time such as 2025-06-27T20:00:00Z or a date such as 2025-06-27, 1970 to 2100"
        );
        Problem::invalid_field(field, detail)
    })
}

/// Where a day begins with a leap forward, its first instant is after it.
fn first_instant(date: NaiveDate, zone: Tz) -> Option<Timestamp> {
    let midnight = date.and_time(NaiveTime::MIN);
    let begin = |hours: i64| -> Option<DateTime<Tz>> {
        let local = midnight.checked_add_signed(Duration::minutes(hours * 15))?;
        zone.from_local_datetime(&local).earliest()
    };
    // clocks leap by a day at most, where the date line moves
    (0..=96).find_map(begin).map(|time| Timestamp::from_millis(time.timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(
        from: Option<&str>,
        to: Option<&str>,
        timezone: Option<&str>,
    ) -> Result<(String, String), String> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let asked = Asked { from: owned(from), to: owned(to), timezone: owned(timezone) };
        let span = asked.span("2025-07-01T12:00:00Z".parse().unwrap());
        span.map(|span| (span.period.from.to_string(), span.period.to.to_string()))
            .map_err(|problem| problem.detail().to_owned())
    }

    #[test]
    fn dates_are_their_first_instants_in_the_time_zone() {
        let ok = |from: &str, to: &str| Ok((from.to_owned(), to.to_owned()));
        assert_eq!(span(None, None, None), ok("2025-06-03T12:00:00.000Z", "2025-07-01T12:00:00.000Z"));
        assert_eq!(
            span(Some("2025-06-01"), Some("2025-06-02"), Some("Asia/Kolkata")),
            ok("2025-05-31T18:30:00.000Z", "2025-06-01T18:30:00.000Z")
        );
        assert_eq!(
            span(Some("2025-06-01T00:00:00 02:00"), None, None),
            ok("2025-05-31T22:00:00.000Z", "2025-07-01T12:00:00.000Z")
        );
        // midnight did not happen: clocks went from 23:59 to 01:00
        assert_eq!(
            span(Some("2024-09-08"), Some("2024-09-09"), Some("America/Santiago")).unwrap().0,
            "2024-09-08T04:00:00.000Z"
        );
        // a whole day did not happen
        assert_eq!(
            span(Some("2011-12-30"), Some("2012-01-01"), Some("Pacific/Apia")).unwrap().0,
            "2011-12-30T10:00:00.000Z"
        );
    }

    #[test]
    fn what_is_no_period_is_refused() {
        for (from, to, timezone) in [
            (Some("yesterday"), None, None),
            (Some("2025-02-30"), None, None),
            (Some("2025-06-02"), Some("2025-06-01"), None),
            (Some("2025-06-02"), Some("2025-06-02"), None),
            (Some("2026-01-01"), None, None),
            (Some("1969-12-31"), None, None),
            (Some("2000-01-01"), None, None),
            (None, Some("2101-01-01"), None),
            (None, Some("+262000-01-01"), None),
            (None, None, Some("Berlin")),
            (None, None, Some("UTC'; DROP TABLE shows")),
        ] {
            assert!(span(from, to, timezone).is_err(), "{from:?} {to:?} {timezone:?}");
        }
    }
}
