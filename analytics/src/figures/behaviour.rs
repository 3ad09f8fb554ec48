//! How people watch.

use clickhouse::Row;
use serde::Deserialize;

use super::{FigureError, Figures, Period, Scope, ratio, scope, signed};

/// What the viewers of many shows do.
#[derive(Clone, PartialEq, Eq, Debug, Row, Deserialize)]
pub struct Behaviour {
    /// Distinct persons who began a session.
    pub viewers: u64,
    /// Sessions begun.
    pub sessions: u64,
    /// Shows that each of them watched, added up.
    pub visits: u64,
    /// Time watched, in milliseconds.
    pub watch_ms: i64,
    /// Time that half of them watched less than, in milliseconds.
    pub watch_ms_median: i64,
    /// Time that nine of ten watched less than, in milliseconds.
    pub watch_ms_p90: i64,
    /// Those who wrote.
    pub chatters: u64,
    /// Those who reacted.
    pub reactors: u64,
    /// Those who tipped.
    pub tippers: u64,
    /// Those who did any of it.
    pub engaged: u64,
}

impl Behaviour {
    /// Those who wrote, reacted or tipped ÷ viewers.
    #[must_use]
    pub fn engagement_rate(&self) -> f64 {
        ratio(signed(self.engaged), signed(self.viewers))
    }

    /// Those who tipped ÷ viewers.
    #[must_use]
    pub fn tip_conversion(&self) -> f64 {
        ratio(signed(self.tippers), signed(self.viewers))
    }

    /// Shows that a viewer watched on average.
    #[must_use]
    pub fn shows_per_viewer(&self) -> f64 {
        ratio(signed(self.visits), signed(self.viewers))
    }
}

const BEHAVIOUR: &str = concat!(
    "
SELECT
    count() AS viewers,
    sum(p.sessions) AS sessions,
    sum(p.visits) AS visits,
    sum(p.watch_ms) AS watch_ms,
    quantileExact(0.5)(p.watch_ms) AS watch_ms_median,
    quantileExact(0.9)(p.watch_ms) AS watch_ms_p90,
    countIf(has_written) AS chatters,
    countIf(p.has_reacted) AS reactors,
    countIf(has_tipped) AS tippers,
    countIf(has_written OR p.has_reacted OR has_tipped) AS engaged
FROM (
    SELECT
        person,
        sum(v.sessions) AS sessions,
        count() AS visits,
        sum(v.watch_ms) AS watch_ms,
        max(v.messages > 0) AS has_written,
        max(v.has_reacted) AS has_reacted,
        max(v.tips_count > 0) AS has_tipped
    FROM show_viewers AS v
    WHERE ",
    scope!(),
    "
    GROUP BY person
) AS p"
);

impl Figures {
    /// What the viewers of all shows of a scope that started in a period did.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn behaviour(&self, scope: Scope, period: Period) -> Result<Behaviour, FigureError> {
        Ok(self.of_scope(BEHAVIOUR, scope, period).fetch_one().await?)
    }
}
