//! What the tests of the way from the log to the warehouse share: what was appended, and whether the topic and the warehouse hold it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use analytics::figures::Figures;
use anyhow::Context;
use clickhouse::{Client, Compression};
use embedded::clickhouse::{ClickHouse, ClickHouseConfig, DATABASE};
use platform::event_log::eventstore::EventStoreLog;
use platform::event_log::{EventLog, Expected, NewEvent, StoredEvent, codec};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rust_decimal::Decimal;
use rustix::process::{Pid, Signal, kill_process};
use schemas::events::{LedgerEvent, ShowEvent};
use schemas::published::{PARTITIONS, Record, TOPIC, partition_of};
use schemas::{Event, Position};
use secrecy::ExposeSecret;

use crate::harness::{Violation, promise};

/// Longest that anything here may take, on a machine that does other things as well.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(50);
const POLL: Duration = Duration::from_millis(200);

/// An event that was appended: its stream, revision and position.
type Entry = (String, u64, u64);

/// What was appended, in the order of the log.
#[derive(Default)]
pub(super) struct Ledger {
    entries: Vec<Entry>,
    /// Tips captured, by currency.
    tips: BTreeMap<String, Decimal>,
}

impl Ledger {
    /// Appends events and takes note of them.
    pub(super) async fn append(
        &mut self,
        log: &EventStoreLog,
        events: &[(String, NewEvent)],
    ) -> anyhow::Result<()> {
        for (stream, event) in events {
            let appended = log.append(stream, Expected::Any, vec![event.clone()]).await?;
            let stored = StoredEvent {
                id: event.id,
                stream: stream.clone(),
                revision: appended.revision,
                position: appended.position,
                kind: event.kind.clone(),
                data: event.data.clone(),
                metadata: event.metadata.clone(),
            };
            if let Event::Show(ShowEvent::Ledger(LedgerEvent::TipCaptured(tip))) =
                codec::decode(&stored)?.event
            {
                *self.tips.entry(tip.amount.currency().code().to_owned()).or_default() += tip.amount.amount();
            }
            self.entries.push((stored.stream, stored.revision, stored.position.0));
        }
        Ok(())
    }

    pub(super) fn head(&self) -> Option<Position> {
        self.entries.last().map(|(.., position)| Position(*position))
    }

    pub(super) fn count(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Whether the chain of each partition has no hole and holds, without what comes again, the log in its order. Says how many records
    /// came again.
    pub(super) fn promise_topic(&self, topic: &[Vec<Record>]) -> Result<u64, Violation> {
        let mut repeats = 0;
        for (records, partition) in topic.iter().zip(0..) {
            let (mut reached, mut events) = (None, Vec::new());
            for record in records {
                promise(record.previous() <= reached, || {
                    let (position, previous) = (record.position(), record.previous());
                    format!(
                        "partition {partition}: {position} follows on {previous:?}, and {reached:?} is reached"
                    )
                })?;
                if Some(record.position()) <= reached {
                    repeats += 1;
                    continue;
                }
                reached = Some(record.position());
                if let Record::Event(event) = record {
                    events.push((event.stream.clone(), event.revision, event.position.0));
                }
            }
            let log: Vec<_> = self
                .entries
                .iter()
                .filter(|(stream, ..)| partition_of(stream) == partition)
                .cloned()
                .collect();
            promise(events == log, || {
                let missing = log.iter().find(|entry| !events.contains(entry));
                let (there, wanted) = (events.len(), log.len());
                format!("partition {partition} holds {there} events of {wanted}; missing first: {missing:?}")
            })?;
        }
        Ok(repeats)
    }

    /// Whether the warehouse holds every event once, and every tip. `table` is where events are counted.
    pub(super) async fn promise_warehouse(&self, client: &Client, table: &str) -> anyhow::Result<()> {
        let sql = format!("SELECT stream, revision, position FROM {table} ORDER BY position");
        let found: Vec<Entry> = client.query(&sql).fetch_all().await?;
        promise(found == self.entries, || {
            let missing = self.entries.iter().find(|entry| !found.contains(entry));
            let (there, wanted) = (found.len(), self.entries.len());
            format!("the warehouse holds {there} events of {wanted}; missing first: {missing:?}")
        })?;
        for (what, sql) in [
            (
                "facts",
                "SELECT toString(currency) AS c, toString(sum(amount)) FROM tip_changes WHERE kind = 'CAPTURED' GROUP BY c",
            ),
            (
                "roll-ups",
                "SELECT toString(currency) AS c, toString(sum(tips)) FROM shows GROUP BY c HAVING sum(tips) > 0",
            ),
        ] {
            let sums: Vec<(String, String)> = client.query(sql).fetch_all().await?;
            let sums = sums.into_iter().map(|(currency, sum)| Ok((currency, sum.parse()?)));
            let sums = sums.collect::<anyhow::Result<BTreeMap<String, Decimal>>>()?;
            promise(sums == self.tips, || {
                format!("tips by {what} are {sums:?}, by the log {:?}", self.tips)
            })?;
        }
        Ok(())
    }

    /// Waits until the warehouse says that facts and roll-ups reach to the head of the log.
    pub(super) async fn loaded(&self, client: &Client) -> Result<(), Violation> {
        let (figures, head) = (Figures::new(client.clone()), self.head());
        until("the warehouse gets to the head of the log", async || {
            let facts = figures.as_of(TOPIC, PARTITIONS).await.ok().flatten();
            let rollups = figures.rolled_up_as_of(TOPIC, PARTITIONS).await.ok().flatten();
            facts.map(|as_of| as_of.position) >= head && rollups.map(|as_of| as_of.position) >= head
        })
        .await
    }
}

/// Where a service finds this warehouse, in place of one of its own.
pub(super) fn settings_of(warehouse: &ClickHouse) -> [(&'static str, String); 4] {
    let writer = warehouse.writer();
    [
        ("TALLY_CLICKHOUSE__URL", warehouse.url()),
        ("TALLY_CLICKHOUSE__DATABASE", DATABASE.to_owned()),
        ("TALLY_CLICKHOUSE__USER", writer.user.to_owned()),
        ("TALLY_CLICKHOUSE__PASSWORD", writer.password.expose_secret().to_owned()),
    ]
}

/// Waits until something holds; a promise that it will.
pub(super) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) -> Result<(), Violation> {
    let start = Instant::now();
    while !holds().await {
        promise(start.elapsed() < PATIENCE, || format!("never happens: {what}"))?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// What is in the topic, by partition, as a plain consumer reads it.
pub(super) async fn read_topic(brokers: String) -> anyhow::Result<Vec<Vec<Record>>> {
    let read = move || {
        let consumer = reader(&brokers)?;
        (0..PARTITIONS.cast_signed()).map(|partition| read_partition(&consumer, partition)).collect()
    };
    tokio::task::spawn_blocking(read).await?
}

/// How many records are in the topic of what nobody can read.
pub(super) async fn dead_letters(brokers: String) -> anyhow::Result<i64> {
    let count = move || {
        let (consumer, topic) = (reader(&brokers)?, format!("{TOPIC}.dead"));
        let count = |partition| Ok(consumer.fetch_watermarks(&topic, partition, PATIENCE)?.1);
        (0..PARTITIONS.cast_signed()).map(count).sum()
    };
    tokio::task::spawn_blocking(count).await?
}

fn reader(brokers: &str) -> anyhow::Result<BaseConsumer> {
    Ok(ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", "reader").create()?)
}

fn read_partition(consumer: &BaseConsumer, partition: i32) -> anyhow::Result<Vec<Record>> {
    let (low, high) = consumer.fetch_watermarks(TOPIC, partition, PATIENCE)?;
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(TOPIC, partition, Offset::Offset(low))?;
    consumer.assign(&place)?;
    let (mut records, start) = (Vec::new(), Instant::now());
    let mut next = low;
    while next < high {
        anyhow::ensure!(start.elapsed() < PATIENCE, "partition {partition} is not read to its end");
        let Some(message) = consumer.poll(POLL) else { continue };
        // the client goes on by itself after an error
        let Ok(message) = message else { continue };
        next = message.offset() + 1;
        records.push(Record::decode(message.payload().unwrap_or_default())?);
    }
    Ok(records)
}

/// A warehouse of the program that people run.
pub(super) async fn warehouse(directory: &Path) -> anyhow::Result<ClickHouse> {
    let launcher = tally_tests::server::binary();
    Ok(ClickHouse::start(ClickHouseConfig::new(directory.join("clickhouse"), launcher)).await?)
}

/// Who writes it.
pub(super) fn writer(warehouse: &ClickHouse) -> Client {
    Client::default()
        .with_url(warehouse.url())
        .with_user(warehouse.writer().user)
        .with_password(warehouse.writer().password.expose_secret())
        .with_database(DATABASE)
        .with_compression(Compression::None)
}

/// Tells progress up to a position, whatever is there: what a loader would do that is broken in this way.
pub(super) async fn tell_ahead(client: &Client, head: u64) -> anyhow::Result<()> {
    let sql =
        "INSERT INTO loader_progress SELECT topic, partition, ?, time, offset + 1000, now64(3) FROM loading";
    Ok(client.query(sql).bind(head).execute().await?)
}

/// Whether `tally verify`, which ended like this, found nothing.
pub(super) fn promise_verified(ended: &Output) -> Result<(), Violation> {
    promise(ended.status.success(), || {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        format!("tally verify: {} {}", text(&ended.stdout), text(&ended.stderr))
    })
}

/// SIGKILL for the server of a data directory; its supervisor starts it again.
pub(super) fn kill_server(data_dir: &Path) -> anyhow::Result<()> {
    let note = std::fs::read_to_string(data_dir.join("server.pid"))?;
    let pid = note.split_whitespace().next().context("an empty pid file")?.parse()?;
    // it may be dead already, and not yet started again
    let _ = kill_process(Pid::from_raw(pid).context("no process")?, Signal::KILL);
    Ok(())
}

#[cfg(test)]
mod tests {
    use schemas::events::ShowStarted;
    use schemas::published::{Published, PublishedEvent, Watermark};
    use schemas::{EventId, ShowId, Timestamp, streams};
    use uuid::Uuid;

    use super::*;

    fn event(position: u64, previous: Option<u64>) -> Record {
        let show_id = ShowId(Uuid::from_u128(1));
        Record::Event(Published {
            event_id: EventId(Uuid::from_u128(u128::from(position))),
            stream: streams::show(show_id),
            revision: position / 10 - 1,
            position: Position(position),
            previous: previous.map(Position),
            occurred_at: Timestamp::from_millis(0),
            event: PublishedEvent::ShowStarted(ShowStarted { show_id }),
        })
    }

    fn watermark(position: u64, previous: u64) -> Record {
        let (position, previous) = (Position(position), Some(Position(previous)));
        Record::Watermark(Watermark { partition: 0, position, previous, time: Timestamp::from_millis(0) })
    }

    /// What is said of a topic whose log holds events at 10, 20 and 30.
    fn judge(records: Vec<Record>) -> Result<u64, Violation> {
        let stream = streams::show(ShowId(Uuid::from_u128(1)));
        let partition = usize::try_from(partition_of(&stream)).unwrap_or_default();
        let entries = (0..3).map(|revision| (stream.clone(), revision, revision * 10 + 10)).collect();
        let mut topic = vec![Vec::new(); PARTITIONS as usize];
        topic[partition] = records;
        Ledger { entries, tips: BTreeMap::new() }.promise_topic(&topic)
    }

    #[test]
    fn a_topic_is_well_with_repeats_and_not_with_a_record_less() {
        let (first, second, third) = (event(10, None), event(20, Some(10)), event(30, Some(20)));
        let (first, second) = (&first, &second);
        let whole = vec![first.clone(), second.clone(), first.clone(), second.clone(), third.clone()];
        assert_eq!(judge(whole).unwrap_or_default(), 2);
        assert!(judge(vec![first.clone(), third.clone()]).is_err(), "a hole");
        assert!(
            judge(vec![first.clone(), event(30, Some(10))]).is_err(),
            "a chain that passes an event over"
        );
        assert!(
            judge(vec![first.clone(), second.clone(), watermark(30, 20), third]).is_err(),
            "told too early"
        );
        assert!(judge(vec![first.clone(), second.clone()]).is_err(), "an end that is missing");
    }
}
