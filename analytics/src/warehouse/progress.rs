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
    /// When the row was written that says so; `None`: it is still to be written. It tells rows with one position apart: tables that were
    /// exchanged may be exactly as far as those before.
    pub(crate) told_at: Option<Timestamp>,
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
    told_ms: i64,
}

/// Where each partition stands: the row of the highest position, the latest of several.
macro_rules! standing {
    () => {
        "
    SELECT
        partition,
        max(p.position) AS position,
        toUnixTimestamp64Milli(max(p.time)) AS time_ms,
        argMax(p.offset, (p.position, p.updated_at)) AS offset,
        toUnixTimestamp64Milli(argMax(p.updated_at, (p.position, p.updated_at))) AS told_ms
    FROM loader_progress AS p
    WHERE topic = {topic:String}
    GROUP BY partition"
    };
}

const READ: &str = standing!();

/// A row for each step whose beginning is what the table says. Whoever was taken for dead, or slept through an exchange of the tables, writes none.
const ADVANCE: &str = concat!(
    "
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
        step.1 AS partition, step.2 AS believed, step.3 AS believed_ms, step.4 AS position, step.5 AS time_ms, step.6 AS offset
    FROM (
        SELECT arrayJoin(arrayZip(
            {partitions:Array(Int32)}, {believed:Array(UInt64)}, {believed_ms:Array(Int64)},
            {positions:Array(UInt64)}, {times:Array(Int64)}, {offsets:Array(Int64)}
        )) AS step
    )
) AS w
LEFT JOIN (",
    standing!(),
    "
) AS n ON n.partition = w.partition
WHERE n.position = w.believed AND n.told_ms = w.believed_ms"
);

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
        // where nothing stands a join gives zeros
        let column = |of: fn(&Claim) -> u64| claims.iter().map(of).collect::<Vec<u64>>();
        let signed = |of: fn(&Claim) -> i64| claims.iter().map(of).collect::<Vec<i64>>();
        let told_ms =
            |claim: &Claim| claim.believed.and_then(|believed| believed.told_at).map_or(0, Timestamp::millis);
        let query = self
            .client
            .query_raw(ADVANCE)
            .param("topic", &self.topic)
            .param("now_ms", now.millis())
            .param("partitions", claims.iter().map(|claim| claim.partition).collect::<Vec<i32>>())
            .param("believed", column(|claim| claim.believed.map_or(0, |believed| believed.position.0)))
            .param("believed_ms", claims.iter().map(told_ms).collect::<Vec<i64>>())
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
            told_at: Some(Timestamp::from_millis(known.told_ms)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::started;
    use super::*;

    const PARTITION: i32 = 3;

    fn at(position: u64) -> Progress {
        let time = Timestamp::from_millis(1_748_888_400_000);
        Progress { position: Position(position), time, offset: Some(5), told_at: None }
    }

    async fn position(warehouse: &Warehouse) -> Option<u64> {
        warehouse.progress().await.unwrap().get(&PARTITION).map(|progress| progress.position.0)
    }

    #[tokio::test]
    async fn a_step_is_taken_from_the_row_that_was_read_and_from_no_other_at_the_same_position() {
        let dir = tempfile::tempdir().unwrap();
        let (server, client) = started(dir.path()).await;
        let warehouse = Warehouse::new(&client, "topic");
        let now = Timestamp::from_millis;
        let step = |believed, to| [Claim { partition: PARTITION, believed, next: at(to) }];

        warehouse.advance(&step(None, 10), now(1)).await.unwrap();
        let first = warehouse.progress().await.unwrap().remove(&PARTITION);
        assert_eq!(position(&warehouse).await, Some(10));
        // nobody begins a partition that has begun
        warehouse.advance(&step(None, 20), now(2)).await.unwrap();
        assert_eq!(position(&warehouse).await, Some(10));
        // as an exchange by tables that are exactly as far
        warehouse.tell_loaded(&BTreeMap::from([(PARTITION, at(10))]), now(3)).await.unwrap();
        warehouse.advance(&step(first, 20), now(4)).await.unwrap();
        assert_eq!(position(&warehouse).await, Some(10));
        let again = warehouse.progress().await.unwrap().remove(&PARTITION);
        assert_eq!(again.and_then(|progress| progress.offset), None);
        warehouse.advance(&step(again, 20), now(5)).await.unwrap();
        assert_eq!(position(&warehouse).await, Some(20));
        // older than what stands
        warehouse.tell_loaded(&BTreeMap::from([(PARTITION, at(15))]), now(6)).await.unwrap();
        assert_eq!(position(&warehouse).await, Some(20));
        server.shutdown().await.unwrap();
    }
}
