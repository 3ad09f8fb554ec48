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
    pub(super) clock: Option<Clock>,
}

/// From when to when a show counts, as of a position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Clock {
    show: ShowId,
    as_of: AsOf,
    creator: Uuid,
    currency: String,
    started_ms: Option<i64>,
    ended_ms: Option<i64>,
    is_cancelled: bool,
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
    is_cancelled,
    toUnixTimestamp64Milli(assumeNotNull((
        SELECT max(occurred_at)
        FROM fact_events FINAL
        WHERE stream IN {streams:Array(String)} AND position <= {position:UInt64}
    ))) AS last_ms,
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
    pending_tips"
);

#[derive(Row, Deserialize)]
struct Known {
    status: String,
    started_ms: Option<i64>,
    ended_ms: Option<i64>,
    currency: String,
    #[serde(with = "clickhouse::serde::uuid")]
    creator: Uuid,
    is_cancelled: bool,
    last_ms: i64,
    pending_tips: u64,
}

#[derive(Row, Deserialize)]
struct RolledUp {
    status: String,
    started_ms: Option<i64>,
    ended_ms: Option<i64>,
    currency: String,
    pending_tips: u64,
}

impl Known {
    fn clock(&self, show: ShowId, as_of: AsOf) -> Clock {
        Clock {
            show,
            as_of,
            creator: self.creator,
            currency: self.currency.clone(),
            started_ms: self.started_ms,
            ended_ms: self.ended_ms,
            is_cancelled: self.is_cancelled,
            last_ms: self.last_ms,
        }
    }
}

impl Figures {
    /// Where a show stands; `None` where the warehouse does not know it.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn standing(&self, show: ShowId, as_of: AsOf) -> Result<Option<Standing>, FigureError> {
        if let Some(known) = self.known(show, as_of).await? {
            return Ok(Some(Standing {
                clock: Some(known.clock(show, as_of)),
                status: known.status,
                started_at: known.started_ms.map(Timestamp::from_millis),
                ended_at: known.ended_ms.map(Timestamp::from_millis),
                currency: known.currency,
                pending_tips: known.pending_tips,
            }));
        }
        let rolled_up: Option<RolledUp> = self.of_shows(ROLLED_UP, &[show], as_of).fetch_optional().await?;
        Ok(rolled_up.map(|rolled_up| Standing {
            clock: None,
            status: rolled_up.status,
            started_at: rolled_up.started_ms.map(Timestamp::from_millis),
            ended_at: rolled_up.ended_ms.map(Timestamp::from_millis),
            currency: rolled_up.currency,
            pending_tips: rolled_up.pending_tips,
        }))
    }

    /// From when to when a show counts; `None` where the warehouse has no facts of it.
    pub(super) async fn clock(&self, show: ShowId, as_of: AsOf) -> Result<Option<Clock>, FigureError> {
        Ok(self.known(show, as_of).await?.map(|known| known.clock(show, as_of)))
    }

    async fn known(&self, show: ShowId, as_of: AsOf) -> Result<Option<Known>, FigureError> {
        Ok(self.of_shows(STANDING, &[show], as_of).fetch_optional().await?)
    }

    /// A question about one show that is told its clock.
    pub(super) fn of_show(&self, sql: &str, clock: &Clock) -> Query {
        self.of_shows(sql, &[clock.show], clock.as_of)
            .param("creator", clock.creator.to_string())
            .param("currency", &clock.currency)
            .param("has_started", clock.started_ms.is_some())
            .param("start_ms", clock.started_ms.unwrap_or_default())
            .param("has_ended", clock.ended_ms.is_some())
            .param("end_ms", clock.ended_ms.unwrap_or_default())
            .param("is_cancelled", clock.is_cancelled)
            .param("last_ms", clock.last_ms)
    }
}
