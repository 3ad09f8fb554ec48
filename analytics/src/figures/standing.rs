//! Where a show stands, and from when to when it counts: asked first, and told to the questions that follow.

use clickhouse::Row;
use clickhouse::query::Query;
use schemas::{ShowId, Timestamp};
use serde::Deserialize;
use uuid::Uuid;

use super::show::{Answer, ROLLED_UP};
use super::{AsOf, FigureError, Figures};

const MINUTE_MS: u64 = 60_000;

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

    /// When the last of the events was that it counts; its end, where its facts expired.
    #[must_use]
    pub fn last_event_at(&self) -> Option<Timestamp> {
        self.clock.map(|clock| Timestamp::from_millis(clock.last_ms)).or(self.ended_at)
    }

    /// Up to when it counts.
    fn until_ms(&self, clock: Clock) -> i64 {
        self.ended_at.map_or(clock.last_ms.max(clock.as_of.time.millis()), Timestamp::millis)
    }

    /// Minutes from its start to its end, or to now; the last one may be shorter. 0 where the warehouse has no facts of it.
    pub(super) fn minutes(&self) -> u32 {
        let (Some(clock), Some(started_at)) = (self.clock, self.started_at) else { return 0 };
        let duration_ms = u64::try_from(self.until_ms(clock) - started_at.millis()).unwrap_or(0);
        u32::try_from(duration_ms.div_ceil(MINUTE_MS)).unwrap_or(u32::MAX)
    }
}

/// The same of a show's figures.
pub(super) fn is_final(status: &str, pending_tips: u64) -> bool {
    matches!(status, "ENDED" | "CANCELLED") && pending_tips == 0
}

/// Its life, by the definitions of `clock` and `figures_of_shows`. It is asked for beside the other two: as one question the three take twice the time.
const LIFE: &str = "
SELECT
    multiIf(is_cancelled, 'CANCELLED', ended_ms IS NOT NULL, 'ENDED', started_ms IS NOT NULL, 'LIVE', 'SCHEDULED') AS status,
    started_ms,
    ended_ms,
    currency,
    creator
FROM (
    SELECT
        anyIf(c.creator, kind = 'CREATED') AS creator,
        countIf(kind = 'CANCELLED') > 0 AS is_cancelled,
        toUnixTimestamp64Milli(minOrNullIf(occurred_at, kind = 'STARTED')) AS started_ms,
        toUnixTimestamp64Milli(minOrNullIf(occurred_at, kind = 'ENDED')) AS ended_ms,
        toString(argMaxIf(c.currency, revision, kind IN ('CREATED', 'REVISED'))) AS currency
    FROM fact_show_changes AS c FINAL
    WHERE show_id = {show:UUID} AND position <= {position:UInt64}
    HAVING countIf(kind = 'CREATED') > 0
)";

/// When its last event was. Without repeats, even where they would change nothing: so the server leaves parts out before it reads.
const LAST_EVENT: &str = "
SELECT toUnixTimestamp64Milli(max(occurred_at))
FROM fact_events FINAL
WHERE stream = {stream:String} AND position <= {position:UInt64}";

const PENDING_TIPS: &str = "
SELECT toUInt64(countIf(kind = 'REQUESTED') - countIf(kind != 'REQUESTED'))
FROM fact_tip_changes FINAL
WHERE show_id = {show:UUID} AND position <= {position:UInt64}";

#[derive(Row, Deserialize)]
struct Life {
    status: String,
    started_ms: Option<i64>,
    ended_ms: Option<i64>,
    currency: String,
    #[serde(with = "clickhouse::serde::uuid")]
    creator: Uuid,
}

impl Answer {
    /// Where a show stands, of its figures.
    pub(super) fn standing(&self, as_of: AsOf) -> Standing {
        let clock =
            Clock { show: ShowId(self.show_id), as_of, creator: self.creator, last_ms: self.until_ms };
        Standing {
            status: self.status.clone(),
            started_at: self.started_ms.map(Timestamp::from_millis),
            ended_at: self.ended_ms.map(Timestamp::from_millis),
            currency: self.currency.clone(),
            pending_tips: self.pending_tips,
            clock: self.has_facts.then_some(clock),
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
            return Ok(Some(known));
        }
        let rolled_up: Option<Answer> = self.of_show(ROLLED_UP, show, as_of).fetch_optional().await?;
        Ok(rolled_up.map(|answer| Answer { has_facts: false, ..answer }.standing(as_of)))
    }

    /// The same; `None` where the warehouse has no facts of it either.
    pub(super) async fn known(&self, show: ShowId, as_of: AsOf) -> Result<Option<Standing>, FigureError> {
        let (life, last_ms, pending_tips) = futures::try_join!(
            self.of_show(LIFE, show, as_of).fetch_optional::<Life>(),
            self.of_show(LAST_EVENT, show, as_of).fetch_one::<i64>(),
            self.of_show(PENDING_TIPS, show, as_of).fetch_one::<u64>(),
        )?;
        Ok(life.map(|life| Standing {
            status: life.status,
            started_at: life.started_ms.map(Timestamp::from_millis),
            ended_at: life.ended_ms.map(Timestamp::from_millis),
            currency: life.currency,
            pending_tips,
            clock: Some(Clock { show, as_of, creator: life.creator, last_ms }),
        }))
    }

    /// A question about one show that is told its clock; `None` where the warehouse has no facts of it.
    pub(super) fn of_clock(&self, sql: &str, standing: &Standing) -> Option<Query> {
        let clock @ Clock { show, as_of, creator, .. } = standing.clock?;
        let query = self
            .of_show(sql, show, as_of)
            .param("creator", creator.to_string())
            .param("status", &standing.status)
            .param("currency", &standing.currency)
            .param("has_started", standing.started_at.is_some())
            .param("start_ms", standing.started_at.unwrap_or_default().millis())
            .param("has_ended", standing.ended_at.is_some())
            .param("end_ms", standing.ended_at.unwrap_or_default().millis())
            .param("until_ms", standing.until_ms(clock));
        Some(query)
    }
}
