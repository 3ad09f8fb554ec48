//! Which content is watched most: shows by category.

use clickhouse::Row;
use schemas::Money;
use serde::Deserialize;

use super::advice::Compared;
use super::revenue::amounts;
use super::{Estimate, FigureError, Figures, Period, Scope, scope};

/// The shows of a category.
#[derive(Clone, PartialEq, Debug)]
pub struct ContentType {
    /// The category, or `unknown`.
    pub category: String,
    /// Average concurrent viewers, show by show.
    pub concurrent: Estimate,
    /// Time watched, in milliseconds.
    pub watch_ms: i64,
    /// Tips captured, by currency.
    pub tips: Vec<Money>,
}

impl Compared for ContentType {
    fn concurrent(&self) -> Estimate {
        self.concurrent
    }
}

const CATEGORIES: &str = concat!(
    "
SELECT
    category,
    shows,
    mean,
    deviation,
    watched_ms AS watch_ms,
    arrayMap((code, amount) -> (code, toString(amount)), sums.1, sums.2) AS tips
FROM (
    SELECT
        category,
        count() AS shows,
        avg(if(duration_ms = 0, 0, watch_ms / duration_ms)) AS mean,
        if(shows < 2, 0, stddevSampStable(if(duration_ms = 0, 0, watch_ms / duration_ms))) AS deviation,
        sum(watch_ms) AS watched_ms,
        sumMap([currency], [tips]) AS sums
    FROM shows
    WHERE ",
    scope!(),
    "
    GROUP BY category
)
ORDER BY mean DESC, category"
);

#[derive(Row, Deserialize)]
struct Answer {
    category: String,
    shows: u64,
    mean: f64,
    deviation: f64,
    watch_ms: i64,
    tips: Vec<(String, String)>,
}

impl Figures {
    /// The categories of shows that started in a period, best first.
    ///
    /// # Errors
    /// [`FigureError`].
    pub async fn content_types(&self, scope: Scope, period: Period) -> Result<Vec<ContentType>, FigureError> {
        let answers: Vec<Answer> = self.of_scope(CATEGORIES, scope, period).fetch_all().await?;
        answers
            .into_iter()
            .map(|answer| {
                Ok(ContentType {
                    category: answer.category,
                    concurrent: Estimate::new(answer.shows, answer.mean, answer.deviation),
                    watch_ms: answer.watch_ms,
                    tips: amounts(&answer.tips)?,
                })
            })
            .collect()
    }
}
