//! Where a show stands, and from when to when it counts: asked first, and told to the questions that follow.

use clickhouse::Row;
use clickhouse::query::Query;
use schemas::{ShowId, Timestamp};
use serde::Deserialize;
use uuid::Uuid;

use super::show::rolled_up;
use super::{AsOf, FigureError, Figures};

/// Where a show stands as of a position.
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
    /// `None` where the warehouse has no facts of it.
    clock: Option<Clock>,
}

/// What a show's questions are told besides, where the warehouse has facts of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Clock {
    show: ShowId,
    as_of: AsOf,
    creator: Uuid,
    last_ms: i64,
}

impl Standing {
    /// Of a show that the warehouse has not heard of: it is about to begin.
    #[must_use]
    pub fn unheard_of(currency: String) -> Self {
        let status = "SCHEDULED".to_owned();
        Self { status, started_at: None, ended_at: None, currency, pending_tips: 0, clock: None }
    }

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

/// By the definitions of `figures_of_shows` and `clock`. Tables in place of the views over them, and without repeats even where they would change nothing:
/// so the server leaves parts out before it reads, and it takes half the time.
const STANDING: &str = "
SELECT
    multiIf(is_cancelled, 'CANCELLED', ended_ms IS NOT NULL, 'ENDED', started_ms IS NOT NULL, 'LIVE', 'SCHEDULED') AS status,
    started_ms,
    ended_ms,
    currency,
    creator,
    toNullable(toUnixTimestamp64Milli(assumeNotNull((
        SELECT max(occurred_at)
        FROM fact_events FINAL
        WHERE stream IN {streams:Array(String)} AND position <= {position:UInt64}
    )))) AS last_ms,
    toUInt64(assumeNotNull((
        SELECT countIf(kind = 'REQUESTED') - countIf(kind != 'REQUESTED')
        FROM fact_tip_changes FINAL
        WHERE show_id IN {shows:Array(UUID)} AND position <= {position:UInt64}
    ))) AS pending_tips
FROM (
    SELECT
        anyIf(c.creator, kind = 'CREATED') AS creator,
        countIf(kind = 'CANCELLED') > 0 AS is_cancelled,
        toUnixTimestamp64Milli(minOrNullIf(occurred_at, kind = 'STARTED')) AS started_ms,
        toUnixTimestamp64Milli(minOrNullIf(occurred_at, kind = 'ENDED')) AS ended_ms,
        toString(argMaxIf(c.currency, revision, kind IN ('CREATED', 'REVISED'))) AS currency
    FROM fact_show_changes AS c FINAL
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
    creator,
    CAST(NULL, 'Nullable(Int64)') AS last_ms,
    pending_tips"
);

#[derive(Row, Deserialize)]
struct Answer {
    status: String,
    started_ms: Option<i64>,
    ended_ms: Option<i64>,
    currency: String,
    #[serde(with = "clickhouse::serde::uuid")]
    creator: Uuid,
    /// When its last event was; `None`: that expired.
    last_ms: Option<i64>,
    pending_tips: u64,
}

impl Answer {
    fn standing(self, show: ShowId, as_of: AsOf) -> Standing {
        let Self { status, started_ms, ended_ms, currency, creator, last_ms, pending_tips } = self;
        Standing {
            status,
            started_at: started_ms.map(Timestamp::from_millis),
            ended_at: ended_ms.map(Timestamp::from_millis),
            currency,
            pending_tips,
            clock: last_ms.map(|last_ms| Clock { show, as_of, creator, last_ms }),
        }
    }
}

impl Figures {
    /// Where a show stands; `None` where the warehouse does not know it.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn standing(&self, show: ShowId, as_of: AsOf) -> Result<Option<Standing>, FigureError> {
        match self.known(show, as_of).await? {
            Some(known) => Ok(Some(known)),
            None => self.stands(ROLLED_UP, show, as_of).await,
        }
    }

    /// The same; `None` where the warehouse has no facts of it either.
    pub(super) async fn known(&self, show: ShowId, as_of: AsOf) -> Result<Option<Standing>, FigureError> {
        self.stands(STANDING, show, as_of).await
    }

    async fn stands(&self, sql: &str, show: ShowId, as_of: AsOf) -> Result<Option<Standing>, FigureError> {
        let answer: Option<Answer> = self.of_shows(sql, &[show], as_of).fetch_optional().await?;
        Ok(answer.map(|answer| answer.standing(show, as_of)))
    }

    /// A question about one show that is told its clock; `None` where the warehouse has no facts of it.
    pub(super) fn of_show(&self, sql: &str, standing: &Standing) -> Option<Query> {
        let Clock { show, as_of, creator, last_ms } = standing.clock?;
        let query = self
            .of_shows(sql, &[show], as_of)
            .param("creator", creator.to_string())
            .param("currency", &standing.currency)
            .param("has_started", standing.started_at.is_some())
            .param("start_ms", standing.started_at.unwrap_or_default().millis())
            .param("has_ended", standing.ended_at.is_some())
            .param("end_ms", standing.ended_at.unwrap_or_default().millis())
            .param("is_cancelled", standing.status == "CANCELLED")
            .param("last_ms", last_ms);
        Some(query)
    }
}
