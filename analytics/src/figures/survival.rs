//! How long people stay: the survival curve of a show, by Kaplan and Meier.

use clickhouse::Row;
use serde::Deserialize;

use super::definition::of_shows;
use super::{FigureError, Figures, Standing};

/// From this minute mark on, until the next step, this share is still here. Before the first step everybody is.
#[derive(Clone, PartialEq, Debug, Row, Deserialize)]
pub struct SurvivalStep {
    /// Minutes after a person's own first join: what happens up to there is counted.
    pub minute: u64,
    /// The share of persons who stay longer, as far as that can be told.
    pub share: f64,
    /// Persons who left for good since the step before.
    pub gone: u64,
    /// Persons whose stay the end of the show cut off, or who are still here, after a stay that ends between the step before and this one.
    pub censored: u64,
}

/// A lifetime runs from the first join to the last leave, gaps ignored. It is censored where the end closed it, or where it is open.
const STEPS: &str = of_shows!(
    told,
    ",
lifetimes AS (
    SELECT
        toUInt64(if(is_open, until_ms, last_ms) - first_ms) AS lifetime_ms,
        countIf(NOT is_open) AS gone,
        countIf(is_open) AS censored
    FROM viewers
    GROUP BY lifetime_ms
),
products AS (
    SELECT
        lifetime_ms,
        gone,
        censored,
        exp(sum(log(1 - gone / at_risk)) OVER (
            ORDER BY lifetime_ms ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        )) AS share
    FROM (
        SELECT
            *,
            sum(gone + censored) OVER (
                ORDER BY lifetime_ms ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
            ) AS at_risk
        FROM lifetimes
    )
)
SELECT
    intDiv(lifetime_ms + 59999, 60000) AS minute,
    argMax(p.share, lifetime_ms) AS share,
    sum(p.gone) AS gone,
    sum(p.censored) AS censored
FROM products AS p
GROUP BY minute
ORDER BY minute"
);

impl Figures {
    /// The survival curve of a show, at the minute marks where something changes; nothing after its facts expired.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn survival(&self, standing: &Standing) -> Result<Vec<SurvivalStep>, FigureError> {
        let Some(query) = self.of_clock(STEPS, standing) else { return Ok(Vec::new()) };
        Ok(query.fetch_all().await?)
    }
}
