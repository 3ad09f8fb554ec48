//! When a creator's shows are watched most: hours of the week in the creator's time zone.

use clickhouse::Row;
use schemas::Money;
use serde::Deserialize;

use super::revenue::amounts;
use super::{Estimate, FigureError, Figures, Period, Scope, scope};

/// An hour of the week.
#[derive(Clone, PartialEq, Debug)]
pub struct HourOfWeek {
    /// 1 is Monday, 7 is Sunday.
    pub weekday: u8,
    /// 0 to 23.
    pub hour: u8,
    /// Average concurrent viewers of the shows that were on air in it: watch time ÷ time on air, show by show.
    pub concurrent: Estimate,
    /// Tips captured in it, by currency; also those of shows that were over by then.
    pub tips: Vec<Money>,
}

/// Advice needs at least so many shows in an hour: `docs/metrics.md`.
pub const MIN_SHOWS_FOR_ADVICE: u64 = 3;

/// How many hours are advised at most.
const ADVISED_MAX: usize = 3;

/// An hour of the week that is worth trying again.
#[derive(Clone, PartialEq, Debug)]
pub struct Advice {
    /// 1 is Monday, 7 is Sunday.
    pub weekday: u8,
    /// 0 to 23.
    pub hour: u8,
    /// Average concurrent viewers.
    pub concurrent: Estimate,
    /// Whether even the low end of the interval is above the mean of all hours that can be judged.
    pub is_clear: bool,
}

/// The best hours among those with enough shows, best first.
#[must_use]
pub fn advice(hours: &[HourOfWeek]) -> Vec<Advice> {
    let mut judged: Vec<&HourOfWeek> =
        hours.iter().filter(|hour| hour.concurrent.shows >= MIN_SHOWS_FOR_ADVICE).collect();
    judged.sort_by(|a, b| b.concurrent.mean.total_cmp(&a.concurrent.mean));
    #[expect(clippy::cast_precision_loss, reason = "a week has 168 hours")]
    let mean = judged.iter().map(|hour| hour.concurrent.mean).sum::<f64>() / judged.len().max(1) as f64;
    judged
        .iter()
        .take(ADVISED_MAX)
        .map(|hour| Advice {
            weekday: hour.weekday,
            hour: hour.hour,
            concurrent: hour.concurrent,
            is_clear: hour.concurrent.interval.is_some_and(|(low, _)| low > mean),
        })
        .collect()
}

/// Made of quarters of an hour, since some time zones differ from others by quarters.
const HOURS: &str = concat!(
    "
SELECT
    weekday,
    hour,
    shows,
    mean,
    deviation,
    arrayMap((code, amount) -> (code, toString(amount)), sums.1, sums.2) AS tips
FROM (
    SELECT
        weekday,
        hour,
        countIf(air_ms > 0) AS shows,
        if(shows = 0, 0, avgIf(watched_ms / air_ms, air_ms > 0)) AS mean,
        if(shows < 2, 0, stddevSampIf(watched_ms / air_ms, air_ms > 0)) AS deviation,
        sumMap([code], [taken]) AS sums
    FROM (
        SELECT
            show_id,
            toUInt8(toDayOfWeek(quarter, 0, {time_zone:String})) AS weekday,
            toUInt8(toHour(quarter, {time_zone:String})) AS hour,
            any(s.currency) AS code,
            sum(q.on_air_ms) AS air_ms,
            sum(q.watch_ms) AS watched_ms,
            sum(q.tips) AS taken
        FROM show_quarters AS q
        INNER JOIN (SELECT show_id, currency FROM shows WHERE ",
    scope!(),
    ") AS s ON s.show_id = q.show_id
        WHERE {everybody:UInt8} OR q.creator = {creator:UUID}
        GROUP BY show_id, weekday, hour
    )
    GROUP BY weekday, hour
)
WHERE shows > 0 OR notEmpty(sums.1)
ORDER BY weekday, hour"
);

#[derive(Row, Deserialize)]
struct Answer {
    weekday: u8,
    hour: u8,
    shows: u64,
    mean: f64,
    deviation: f64,
    tips: Vec<(String, String)>,
}

impl Figures {
    /// The hours of the week in which shows that started in a period were on air or were tipped.
    ///
    /// # Errors
    /// [`FigureError`].
    pub async fn peak_times(
        &self,
        scope: Scope,
        period: Period,
        time_zone: &str,
    ) -> Result<Vec<HourOfWeek>, FigureError> {
        let query = self.of_scope(HOURS, scope, period).param("time_zone", time_zone);
        let answers: Vec<Answer> = query.fetch_all().await?;
        answers
            .into_iter()
            .map(|answer| {
                Ok(HourOfWeek {
                    weekday: answer.weekday,
                    hour: answer.hour,
                    concurrent: Estimate::new(answer.shows, answer.mean, answer.deviation),
                    tips: amounts(&answer.tips)?,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hours_with_enough_shows_are_advised() {
        let hour = |hour, shows, mean| HourOfWeek {
            weekday: 1,
            hour,
            concurrent: Estimate::new(shows, mean, 0.5),
            tips: Vec::new(),
        };
        let advised = advice(&[hour(1, 2, 99.0), hour(2, 3, 10.0), hour(3, 30, 20.0), hour(4, 30, 1.0)]);
        assert_eq!(advised.iter().map(|hour| hour.hour).collect::<Vec<_>>(), vec![3, 2, 4]);
        assert!(advised[0].is_clear && !advised[1].is_clear && !advised[2].is_clear);
        assert_eq!(advice(&[hour(1, 2, 99.0)]), Vec::new());
    }
}
