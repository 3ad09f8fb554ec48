//! Growth: who came back. Followers and subscribers join here when their events exist.

use clickhouse::Row;
use serde::Deserialize;

use super::definition::of_shows;
use super::{FigureError, Figures, Period, Scope, Standing, ratio, scope, signed};

/// How many of the viewers of a period had watched before it.
#[derive(Clone, PartialEq, Eq, Debug, Row, Deserialize)]
pub struct Returning {
    /// Persons who watched shows that started in the period.
    pub viewers: u64,
    /// Those of them who watched a show of the same scope that started before the period.
    pub returning: u64,
}

impl Returning {
    /// The returning share of viewers.
    #[must_use]
    pub fn share(&self) -> f64 {
        ratio(signed(self.returning), signed(self.viewers))
    }
}

/// Of the persons who came first in one month, how many came in another.
#[derive(Clone, PartialEq, Eq, Debug, Row, Deserialize)]
pub struct Cohort {
    /// Month of their first visit in the scope, as `2025-06`.
    pub first_month: String,
    /// A month, the same or a later one.
    pub month: String,
    /// How many of them came in it.
    pub persons: u64,
}

/// `started_at` is NULL of shows that never started, and nobody watched those. A repeat is here or there as its first copy is.
const RETURNING: &str = concat!(
    "
SELECT countIf(now_here) AS viewers, countIf(now_here AND before_here) AS returning
FROM (
    SELECT
        person,
        max(assumeNotNull(",
    scope!(),
    ")) AS now_here,
        max(assumeNotNull(started_at) < fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')) AS before_here
    FROM rollup_show_viewers
    WHERE ({everybody:UInt8} OR creator = {creator:UUID})
        AND started_at < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
    GROUP BY person
)"
);

/// Viewers of a show who watched an earlier one of its creator.
const RETURNING_TO_SHOW: &str = of_shows!(
    told,
    "
SELECT
    count() AS viewers,
    countIf(person IN (
        SELECT person
        FROM rollup_show_viewers
        WHERE creator = {creator:UUID}
            AND {has_started:Bool}
            AND started_at < fromUnixTimestamp64Milli({start_ms:Int64}, 'UTC')
    )) AS returning
FROM viewers"
);

/// A visit counts in the month in which a person came first into a show. The months of a person are bits, counted from the first of the period, with room for
/// 21 years: sets of dates take twice the time. Visits of before only tell who is new; a repeat of one changes no minimum.
const COHORTS: &str = concat!(
    "
WITH (SELECT min(first_joined_at) FROM rollup_show_viewers WHERE ",
    scope!(),
    ") AS begin
SELECT
    formatDateTime(c.first, '%Y-%m') AS first_month,
    formatDateTime(
        addMonths(toStartOfMonth(toDate(assumeNotNull(begin), {time_zone:String})), arrayJoin(months)), '%Y-%m'
    ) AS month,
    sum(c.persons) AS persons
FROM (
    SELECT
        first,
        arrayFilter(month -> bitAnd(bitShiftRight(bits, month), 1) = 1, range(256)) AS months,
        count() AS persons
    FROM (
        SELECT
            person,
            toStartOfMonth(toDate(min(v.joined_at), {time_zone:String})) AS first,
            groupBitOr(v.bit) AS bits
        FROM (
            SELECT
                person,
                first_joined_at AS joined_at,
                toUInt256(bitShiftLeft(
                    toUInt256(1),
                    toRelativeMonthNum(first_joined_at, {time_zone:String})
                        - toRelativeMonthNum(assumeNotNull(begin), {time_zone:String})
                )) AS bit
            FROM show_viewers
            WHERE ",
    scope!(),
    "
            UNION ALL
            SELECT person, first_joined_at, toUInt256(0)
            FROM rollup_show_viewers
            WHERE ({everybody:UInt8} OR creator = {creator:UUID})
                AND started_at < fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
        ) AS v
        GROUP BY person
        HAVING bits != 0
    )
    GROUP BY first, bits
) AS c
GROUP BY first_month, month
ORDER BY first_month, month"
);

impl Figures {
    /// How many of the viewers of a period had watched before it.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn returning(&self, scope: Scope, period: Period) -> Result<Returning, FigureError> {
        Ok(self.of_scope(RETURNING, scope, period).fetch_one().await?)
    }

    /// How many of the viewers of a show had watched a show of its creator that started before it; nobody after its facts expired.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn returning_to(&self, standing: &Standing) -> Result<Returning, FigureError> {
        let Some(query) = self.of_clock(RETURNING_TO_SHOW, standing) else {
            return Ok(Returning { viewers: 0, returning: 0 });
        };
        Ok(query.fetch_one().await?)
    }

    /// Cohorts by month of first visit in the scope, also before the period: who of each came to shows that started in it, and when.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn cohorts(
        &self,
        scope: Scope,
        period: Period,
        time_zone: &str,
    ) -> Result<Vec<Cohort>, FigureError> {
        Ok(self.of_scope(COHORTS, scope, period).param("time_zone", time_zone).fetch_all().await?)
    }
}
