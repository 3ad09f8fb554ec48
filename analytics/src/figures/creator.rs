//! The audience of many shows, in sums.

use clickhouse::Row;
use serde::Deserialize;

use super::{FigureError, Figures, Period, Scope, ratio, scope, signed};

/// The audience of all shows of a scope that started in a period.
#[derive(Clone, PartialEq, Eq, Debug, Row, Deserialize)]
pub struct AudienceTotals {
    /// Shows that started.
    pub shows: u64,
    /// Sessions begun.
    pub total_views: u64,
    /// Distinct persons who began a session.
    pub unique_viewers: u64,
    /// Largest peak of any of the shows.
    pub peak_viewers: u64,
    /// Time on air, in milliseconds.
    pub duration_ms: i64,
    /// Time watched, in milliseconds.
    pub watch_ms: i64,
    /// From the first join of each viewer to the end of each show, in milliseconds.
    pub possible_watch_ms: i64,
    /// Messages shown.
    pub messages: u64,
    /// Reactions.
    pub reactions: u64,
    /// Viewers who wrote, reacted or tipped.
    pub engaged: u64,
    /// Viewers who tipped.
    pub tippers: u64,
}

impl AudienceTotals {
    /// `watchTime ÷ uniqueViewers`, in seconds.
    #[must_use]
    pub fn average_view_seconds(&self) -> f64 {
        ratio(self.watch_ms, signed(self.unique_viewers) * 1_000)
    }

    /// `watchTime ÷ duration`.
    #[must_use]
    pub fn average_concurrent(&self) -> f64 {
        ratio(self.watch_ms, self.duration_ms)
    }

    /// Viewers who wrote, reacted or tipped ÷ viewers.
    #[must_use]
    pub fn engagement_rate(&self) -> f64 {
        ratio(signed(self.engaged), signed(self.unique_viewers))
    }

    /// Viewers who tipped ÷ viewers.
    #[must_use]
    pub fn tip_conversion(&self) -> f64 {
        ratio(signed(self.tippers), signed(self.unique_viewers))
    }

    /// `Σ watchTime ÷ Σ (first join → end)`.
    #[must_use]
    pub fn viewer_retention(&self) -> f64 {
        ratio(self.watch_ms, self.possible_watch_ms)
    }
}

/// Persons are counted once however often they stand there, and a repeat knows nothing of them that does not hold: so they need no look for repeats.
const TOTALS: &str = concat!(
    "
WITH (
    SELECT (
        uniqExact(person),
        uniqExactIf(person, messages > 0 OR has_reacted OR tips_count > 0),
        uniqExactIf(person, tips_count > 0)
    )
    FROM rollup_show_viewers
    WHERE ",
    scope!(),
    "
) AS persons
SELECT
    count() AS shows,
    sum(s.total_views) AS total_views,
    assumeNotNull(persons.1) AS unique_viewers,
    max(s.peak_viewers) AS peak_viewers,
    sum(s.duration_ms) AS duration_ms,
    sum(s.watch_ms) AS watch_ms,
    sum(s.possible_watch_ms) AS possible_watch_ms,
    sum(s.messages) AS messages,
    sum(s.reactions) AS reactions,
    assumeNotNull(persons.2) AS engaged,
    assumeNotNull(persons.3) AS tippers
FROM shows AS s
WHERE ",
    scope!()
);

impl Figures {
    /// The audience of all shows of a scope that started in a period.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn audience(&self, scope: Scope, period: Period) -> Result<AudienceTotals, FigureError> {
        Ok(self.of_scope(TOTALS, scope, period).fetch_one().await?)
    }
}
