//! Where a show stands, without its figures.

use clickhouse::Row;
use schemas::{ShowId, Timestamp};
use serde::Deserialize;

use super::show::rolled_up;
use super::{AsOf, FigureError, Figures};

/// Where a show stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// SCHEDULED, LIVE, ENDED or CANCELLED.
    pub status: String,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Its currency (ISO 4217).
    pub currency: String,
    /// Tips whose payment is under way.
    pub pending_tips: u64,
}

impl Standing {
    /// Whether its figures stay as they are: it is over, and no payment is under way.
    #[must_use]
    pub fn is_final(&self) -> bool {
        is_final(&self.status, self.pending_tips)
    }
}

/// The same of a show's figures.
pub(super) fn is_final(status: &str, pending_tips: u64) -> bool {
    matches!(status, "ENDED" | "CANCELLED") && pending_tips == 0
}

/// By the definitions of `figures_of_shows`.
const STANDING: &str = "
SELECT
    multiIf(is_cancelled, 'CANCELLED', ended_ms IS NOT NULL, 'ENDED', started_ms IS NOT NULL, 'LIVE', 'SCHEDULED') AS status,
    started_ms,
    ended_ms,
    currency,
    toUInt64(assumeNotNull((
        SELECT countIf(kind = 'REQUESTED') - countIf(kind != 'REQUESTED')
        FROM tip_changes
        WHERE show_id IN {shows:Array(UUID)} AND position <= {position:UInt64}
    ))) AS pending_tips
FROM (
    SELECT
        countIf(kind = 'CANCELLED') > 0 AS is_cancelled,
        toUnixTimestamp64Milli(minOrNullIf(occurred_at, kind = 'STARTED')) AS started_ms,
        toUnixTimestamp64Milli(minOrNullIf(occurred_at, kind = 'ENDED')) AS ended_ms,
        toString(argMaxIf(c.currency, revision, kind IN ('CREATED', 'REVISED'))) AS currency
    FROM show_changes AS c
    WHERE show_id IN {shows:Array(UUID)} AND position <= {position:UInt64}
    HAVING countIf(kind = 'CREATED') > 0
)";

/// The same after the retention of the facts.
const ROLLED_UP: &str = rolled_up!(
    "
SELECT
    status,
    toUnixTimestamp64Milli(started_at) AS started_ms,
    toUnixTimestamp64Milli(ended_at) AS ended_ms,
    toString(currency) AS currency,
    pending_tips"
);

#[derive(Row, Deserialize)]
struct Answer {
    status: String,
    started_ms: Option<i64>,
    ended_ms: Option<i64>,
    currency: String,
    pending_tips: u64,
}

impl Figures {
    /// Where a show stands; `None` where the warehouse does not know it.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn standing(&self, show: ShowId, as_of: AsOf) -> Result<Option<Standing>, FigureError> {
        let known: Option<Answer> = self.of_shows(STANDING, &[show], as_of).fetch_optional().await?;
        let answer = match known {
            Some(answer) => Some(answer),
            None => self.of_shows(ROLLED_UP, &[show], as_of).fetch_optional().await?,
        };
        Ok(answer.map(|answer| Standing {
            status: answer.status,
            started_at: answer.started_ms.map(Timestamp::from_millis),
            ended_at: answer.ended_ms.map(Timestamp::from_millis),
            currency: answer.currency,
            pending_tips: answer.pending_tips,
        }))
    }
}
