//! How far the warehouse is, by partition.

use std::collections::BTreeMap;

use clickhouse::Row;
use clickhouse::query::Query;
use schemas::{Position, Timestamp};
use serde::Deserialize;

use super::{Warehouse, WarehouseError, in_time};

/// What stands in place of an offset where nobody knows it: the back-fill reads the log, not the topic.
const UNKNOWN_OFFSET: i64 = -1;

/// How far a partition is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Progress {
    /// Everything of the partition up to here is in the warehouse.
    pub(crate) position: Position,
    /// Up to when that is.
    pub(crate) time: Timestamp,
    /// The next record to be read; `None`: not known.
    pub(crate) offset: Option<i64>,
}

/// A step of a partition: from what is believed to be its progress to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) partition: i32,
    pub(crate) believed: Option<Progress>,
    pub(crate) next: Progress,
}

#[derive(Row, Deserialize)]
struct Known {
    partition: i32,
    position: u64,
    time_ms: i64,
    offset: i64,
}

const READ: &str = "
SELECT partition, position, toUnixTimestamp64Milli(time) AS time_ms, offset
FROM loading
WHERE topic = {topic:String}";

/// A row for each step whose beginning is what the table says. Whoever was taken for dead, or slept through an exchange of the tables, writes none.
const ADVANCE: &str = "
INSERT INTO loader_progress (topic, partition, position, time, offset, updated_at)
SELECT
    {topic:String},
    partition,
    position,
    fromUnixTimestamp64Milli(greatest(time_ms, n.time_ms), 'UTC'),
    offset,
    fromUnixTimestamp64Milli({now_ms:Int64}, 'UTC')
FROM (
    SELECT
        step.1 AS partition, step.2 AS is_known, step.3 AS believed, step.4 AS position, step.5 AS time_ms, step.6 AS offset
    FROM (
        SELECT arrayJoin(arrayZip(
            {partitions:Array(Int32)}, {known:Array(UInt8)}, {believed:Array(UInt64)},
            {positions:Array(UInt64)}, {times:Array(Int64)}, {offsets:Array(Int64)}
        )) AS step
    )
) AS w
LEFT JOIN (
    SELECT partition, count() AS rows, max(position) AS position, toUnixTimestamp64Milli(max(time)) AS time_ms
    FROM loader_progress
    WHERE topic = {topic:String}
    GROUP BY partition
) AS n ON n.partition = w.partition
WHERE if(n.rows = 0, w.is_known = 0, w.is_known = 1 AND n.position = w.believed)";

const LOADED: &str = "
INSERT INTO loader_progress (topic, partition, position, time, offset, updated_at)
SELECT
    {topic:String},
    step.1,
    step.2,
    fromUnixTimestamp64Milli(step.3, 'UTC'),
    {offset:Int64},
    fromUnixTimestamp64Milli({now_ms:Int64}, 'UTC')
FROM (
    SELECT arrayJoin(arrayZip({partitions:Array(Int32)}, {positions:Array(UInt64)}, {times:Array(Int64)})) AS step
)";

/// Never beyond the facts: they may have been exchanged for older ones since the roll-ups were made.
const ROLLED_UP: &str = "
INSERT INTO rollup_progress (topic, partition, position, time, updated_at)
SELECT
    {topic:String},
    w.partition,
    least(w.position, n.position),
    fromUnixTimestamp64Milli(least(w.time_ms, n.time_ms), 'UTC'),
    fromUnixTimestamp64Milli({now_ms:Int64}, 'UTC')
FROM (
    SELECT step.1 AS partition, step.2 AS position, step.3 AS time_ms
    FROM (
        SELECT arrayJoin(arrayZip({partitions:Array(Int32)}, {positions:Array(UInt64)}, {times:Array(Int64)})) AS step
    )
) AS w
INNER JOIN (
    SELECT partition, max(position) AS position, toUnixTimestamp64Milli(max(time)) AS time_ms
    FROM loader_progress
    WHERE topic = {topic:String}
    GROUP BY partition
) AS n ON n.partition = w.partition";

impl Warehouse {
    /// The progress of every partition that has one.
    pub(crate) async fn progress(&self) -> Result<BTreeMap<i32, Progress>, WarehouseError> {
        let known: Vec<Known> =
            in_time(self.client.query_raw(READ).param("topic", &self.topic).fetch_all()).await?;
        Ok(known.iter().map(|known| (known.partition, Progress::of(known))).collect())
    }

    /// Takes steps whose beginning is what the warehouse says, and no others. What became of each, [`Warehouse::progress`] tells: the
    /// answer may get lost, and others may write at the same time. Whoever wins, everything up to the row that stands is here.
    pub(crate) async fn advance(&self, claims: &[Claim], now: Timestamp) -> Result<(), WarehouseError> {
        let column = |of: fn(&Claim) -> u64| claims.iter().map(of).collect::<Vec<u64>>();
        let signed = |of: fn(&Claim) -> i64| claims.iter().map(of).collect::<Vec<i64>>();
        let query = self
            .client
            .query_raw(ADVANCE)
            .param("topic", &self.topic)
            .param("now_ms", now.millis())
            .param("partitions", claims.iter().map(|claim| claim.partition).collect::<Vec<i32>>())
            .param("known", column(|claim| u64::from(claim.believed.is_some())))
            .param("believed", column(|claim| claim.believed.map_or(0, |believed| believed.position.0)))
            .param("positions", column(|claim| claim.next.position.0))
            .param("times", signed(|claim| claim.next.time.millis()))
            .param("offsets", signed(|claim| claim.next.offset.unwrap_or(UNKNOWN_OFFSET)));
        in_time(query.execute()).await
    }

    /// Tells up to where everything of partitions was written by another way than the topic. One that is further already stays so.
    pub(crate) async fn tell_loaded(
        &self,
        reached: &BTreeMap<i32, Progress>,
        now: Timestamp,
    ) -> Result<(), WarehouseError> {
        in_time(self.tell(LOADED, reached, now).param("offset", UNKNOWN_OFFSET).execute()).await
    }

    /// Tells up to where the roll-ups of partitions count.
    pub(crate) async fn tell_rolled_up(
        &self,
        reached: &BTreeMap<i32, Progress>,
        now: Timestamp,
    ) -> Result<(), WarehouseError> {
        if reached.is_empty() {
            return Ok(());
        }
        in_time(self.tell(ROLLED_UP, reached, now).execute()).await
    }

    fn tell(&self, sql: &str, reached: &BTreeMap<i32, Progress>, now: Timestamp) -> Query {
        self.client
            .query_raw(sql)
            .param("topic", &self.topic)
            .param("now_ms", now.millis())
            .param("partitions", reached.keys().copied().collect::<Vec<i32>>())
            .param("positions", reached.values().map(|progress| progress.position.0).collect::<Vec<u64>>())
            .param("times", reached.values().map(|progress| progress.time.millis()).collect::<Vec<i64>>())
    }
}

impl Progress {
    fn of(known: &Known) -> Self {
        Self {
            position: Position(known.position),
            time: Timestamp::from_millis(known.time_ms),
            offset: (known.offset >= 0).then_some(known.offset),
        }
    }
}
