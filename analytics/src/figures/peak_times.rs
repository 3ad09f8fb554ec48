//! When a creator's shows are watched most: hours of the week in the creator's time zone.

use clickhouse::Row;
use schemas::Money;
use serde::Deserialize;

use super::advice::Compared;
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

impl Compared for HourOfWeek {
    fn concurrent(&self) -> Estimate {
        self.concurrent
    }
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
        if(shows < 2, 0, stddevSampStableIf(watched_ms / air_ms, air_ms > 0)) AS deviation,
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
