//! The platform: popular shows, and when people watch.

use clickhouse::Row;
use schemas::{PersonId, ShowId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{FigureError, Figures, Period, Scope, scope};

/// A show that many watched.
#[derive(Clone, PartialEq, Debug, Row, Deserialize)]
pub struct PopularShow {
    /// The show.
    #[serde(deserialize_with = "show_id")]
    pub show_id: ShowId,
    /// Its creator.
    #[serde(deserialize_with = "person_id")]
    pub creator: PersonId,
    /// Its title.
    pub title: String,
    /// Its category, or `unknown`.
    pub category: String,
    /// Persons who watched.
    pub unique_viewers: u64,
    /// The largest viewer count.
    pub peak_viewers: u64,
    /// Time watched, in milliseconds.
    pub watch_ms: i64,
}

fn show_id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<ShowId, D::Error> {
    clickhouse::serde::uuid::deserialize(deserializer).map(ShowId)
}

fn person_id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<PersonId, D::Error> {
    clickhouse::serde::uuid::deserialize(deserializer).map(PersonId)
}

/// An hour of the week on the whole platform.
#[derive(Clone, PartialEq, Debug, Row, Deserialize)]
pub struct PeakUsage {
    /// 1 is Monday, 7 is Sunday.
    pub weekday: u8,
    /// 0 to 23.
    pub hour: u8,
    /// Concurrent viewers on average over all such hours of the period, also those without shows.
    pub mean: f64,
    /// Concurrent viewers in the quarter of an hour in which they were most.
    pub peak: f64,
}

impl PopularShow {
    /// Where it stands among the others: the next ones come after it.
    #[must_use]
    pub fn rank(&self) -> PopularRank {
        PopularRank { unique_viewers: self.unique_viewers, watch_ms: self.watch_ms, show: self.show_id.0 }
    }
}

/// A place in the list of popular shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PopularRank {
    /// Persons who watched.
    pub unique_viewers: u64,
    /// Time watched, in milliseconds.
    pub watch_ms: i64,
    /// The show.
    pub show: Uuid,
}

const POPULAR: &str = concat!(
    "
SELECT show_id, creator, title, category, unique_viewers, peak_viewers, watch_ms
FROM shows
WHERE ",
    scope!(),
    "
    AND (unique_viewers, watch_ms) <= ({after_viewers:UInt64}, {after_ms:Int64})
    AND ((unique_viewers, watch_ms) != ({after_viewers:UInt64}, {after_ms:Int64}) OR show_id > {after_show:UUID})
ORDER BY unique_viewers DESC, watch_ms DESC, show_id
LIMIT {limit:UInt32}"
);

/// By when people watched, not by when shows started. The period is cut to whole quarters of an hour.
const USAGE: &str = "
SELECT
    toUInt8(toDayOfWeek(begin, 0, {time_zone:String})) AS weekday,
    toUInt8(toHour(begin, {time_zone:String})) AS hour,
    sum(w.watch_ms) / (count() * 900000) AS mean,
    max(w.watch_ms) / 900000 AS peak
FROM (
    SELECT toDateTime(arrayJoin(range(
        toUInt32(intDiv({from_ms:Int64}, 900000)), toUInt32(intDiv({to_ms:Int64}, 900000))
    )) * 900, 'UTC') AS begin
) AS q
LEFT JOIN (
    SELECT quarter, sum(watch_ms) AS watch_ms
    FROM show_quarters
    WHERE ({everybody:UInt8} OR creator = {creator:UUID})
        AND quarter >= toDateTime(intDiv({from_ms:Int64}, 900000) * 900, 'UTC')
        AND quarter < toDateTime(intDiv({to_ms:Int64}, 900000) * 900, 'UTC')
    GROUP BY quarter
) AS w ON w.quarter = q.begin
GROUP BY weekday, hour
ORDER BY weekday, hour";

impl Figures {
    /// The shows of a period that most people watched, from the first on or after a place in the list.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn popular(
        &self,
        scope: Scope,
        period: Period,
        after: Option<PopularRank>,
        limit: u32,
    ) -> Result<Vec<PopularShow>, FigureError> {
        let first = PopularRank { unique_viewers: u64::MAX, watch_ms: i64::MAX, show: Uuid::nil() };
        let PopularRank { unique_viewers, watch_ms, show } = after.unwrap_or(first);
        let query = self.of_scope(POPULAR, scope, period).param("limit", limit);
        let query = query.param("after_viewers", unique_viewers).param("after_ms", watch_ms);
        Ok(query.param("after_show", show.to_string()).fetch_all().await?)
    }

    /// When people watch: the hours of the week.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn peak_usage(
        &self,
        scope: Scope,
        period: Period,
        time_zone: &str,
    ) -> Result<Vec<PeakUsage>, FigureError> {
        Ok(self.of_scope(USAGE, scope, period).param("time_zone", time_zone).fetch_all().await?)
    }
}
