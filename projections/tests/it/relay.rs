//! The relay over a real broker: everything of the log is in the topic, in order and as a chain, whatever happens to either side.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use embedded::kafka::{Kafka, KafkaConfig};
use platform::event_log::{Expected, NewEvent, codec};
use projections::{Readings, Relay, RelayDeps, RelaySettings, RelayState};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use schemas::published::{PARTITIONS, Published, PublishedEvent, Record, TOPIC, partition_of};
use schemas::{Position, Timestamp};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use super::bench::{Bench, PATIENCE, until};
use super::events::{created, of_show, posted};
use super::history::History;

const MIGRATION: &str = include_str!("../../../migrations/postgres/0030_relay.sql");

/// The topic has one name, so each test has a broker of its own, and there is room for one at a time.
static ONE_BROKER: Mutex<()> = Mutex::const_new(());

/// Without it a reader takes the record for an event's data alone.
const CLOUD_EVENT: Header<'_, &[u8]> =
    Header { key: "content-type", value: Some(b"application/cloudevents+json; charset=UTF-8") };

struct Stage {
    bench: Bench,
    kafka: Kafka,
    dir: TempDir,
    _one: MutexGuard<'static, ()>,
}

impl Stage {
    async fn new(name: &str) -> Self {
        let one = ONE_BROKER.lock().await;
        let bench = Bench::new(name).await;
        for _ in 0..2 {
            sqlx::raw_sql(MIGRATION).execute(&bench.pool).await.unwrap();
        }
        let dir = tempfile::Builder::new().prefix("tally-relay-").tempdir().unwrap();
        let kafka = Kafka::start(KafkaConfig::new(dir.path())).await.unwrap();
        Self { bench, kafka, dir, _one: one }
    }

    fn deps(&self) -> RelayDeps {
        RelayDeps {
            log: Arc::new(self.bench.log.clone()),
            readings: Readings::default(),
            pool: self.bench.pool.clone(),
            clock: self.bench.clock.clone(),
            settings: RelaySettings {
                brokers: self.kafka.bootstrap(),
                replication: 1,
                retention: Duration::from_secs(3_600),
            },
        }
    }

    /// Waits until everything of the log is acknowledged, whoever publishes it.
    async fn published(&self) {
        let head = Some(self.bench.head());
        until("everything is published", async || self.checkpoint().await.0 >= head).await;
    }

    async fn checkpoint(&self) -> (Option<Position>, String) {
        let row: Option<(Option<i64>, String)> =
            sqlx::query_as("SELECT position, coalesce(detail, '') FROM relay.checkpoints")
                .fetch_optional(&self.bench.pool)
                .await
                .unwrap();
        let (position, detail) = row.unwrap_or_default();
        (position.map(|position| Position(position.cast_unsigned())), detail)
    }

    /// Everything in the topic, by partition.
    fn topic(&self) -> Vec<Vec<Record>> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.kafka.bootstrap())
            .set("group.id", "test")
            .create()
            .unwrap();
        (0..PARTITIONS.cast_signed()).map(|partition| read(&consumer, partition)).collect()
    }

    /// What a reader has of the topic who follows the rules: repeats dropped, no hole met.
    fn events(&self) -> Vec<Published> {
        let mut events: Vec<_> = self.topic().iter().flat_map(|records| follow(records)).collect();
        events.sort_by_key(|event| event.position);
        events
    }

    fn assert_whole(&self) {
        let stored = self.bench.log.events();
        let events = self.events();
        assert_eq!(events.len(), stored.len(), "events in the topic and in the log");
        for (published, stored) in events.iter().zip(&stored) {
            let envelope = codec::decode(stored).unwrap();
            assert_eq!(published.event_id, stored.id);
            assert_eq!(published.stream, stored.stream);
            assert_eq!(published.revision, stored.revision);
            assert_eq!(published.position, stored.position);
            assert_eq!(published.occurred_at, envelope.meta.occurred_at);
            assert_eq!(published.event, PublishedEvent::of(&envelope.event));
        }
    }
}

fn read(consumer: &BaseConsumer, partition: i32) -> Vec<Record> {
    // the topic may not be there yet, or not again
    let Ok((low, high)) = consumer.fetch_watermarks(TOPIC, partition, PATIENCE) else { return Vec::new() };
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(TOPIC, partition, Offset::Offset(low)).unwrap();
    consumer.assign(&place).unwrap();
    let (mut records, deadline) = (Vec::new(), Instant::now() + PATIENCE);
    while records.len() < usize::try_from(high - low).unwrap() {
        let Some(message) = consumer.poll(Duration::from_millis(500)) else {
            assert!(Instant::now() < deadline, "{} of {low}..{high}", records.len());
            continue;
        };
        let message = message.unwrap();
        assert_eq!(message.partition(), partition);
        let record = Record::decode(message.payload().unwrap()).unwrap();
        let headers: Vec<_> = message.headers().unwrap().iter().collect();
        assert_eq!(headers, [CLOUD_EVENT]);
        match &record {
            Record::Event(event) => {
                assert_eq!(message.key(), Some(event.stream.as_bytes()));
                assert_eq!(partition_of(&event.stream), partition);
            }
            Record::Watermark(watermark) => assert_eq!(watermark.partition, partition),
        }
        records.push(record);
    }
    records
}

fn follow(records: &[Record]) -> Vec<Published> {
    let mut reached = None;
    let mut events = Vec::new();
    for record in records {
        assert!(record.previous() <= reached, "a hole between {reached:?} and {record:?}");
        if Some(record.position()) > reached {
            reached = Some(record.position());
            if let Record::Event(event) = record {
                events.push(event.clone());
            }
        }
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_log_is_in_the_topic_as_a_chain_and_nothing_else() {
    let stage = Stage::new("relay_whole").await;
    let events = History::of(21, 900);
    let (first, second) = events.split_at(600);
    stage.bench.append(first);
    let relay = Relay::start(stage.deps());
    stage.published().await;
    stage.bench.append(second);
    stage.published().await;
    stage.assert_whole();
    relay.shutdown().await;
    // not even who leads is left
    let again = Relay::start(stage.deps());
    until("it leads again", async || matches!(again.state(), RelayState::Publishing(_))).await;
    assert_eq!((again.check())(), Ok("publishing".to_owned()));
    again.shutdown().await;
    assert_eq!(stage.events().len(), stage.bench.log.events().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_partitions_are_told_where_the_log_is() {
    let stage = Stage::new("relay_watermarks").await;
    stage.bench.append(&[of_show(1, 0, created(1))]);
    let now = Timestamp::from_millis(1_900_000_000_000);
    stage.bench.clock.advance(now.millis());
    let relay = Relay::start(stage.deps());
    let head = stage.bench.head();
    stage.published().await;
    until("every partition knows", async || {
        let topic = stage.topic();
        topic.len() == PARTITIONS as usize
            && topic.iter().all(|records| {
                matches!(records.last(), Some(Record::Watermark(mark)) if mark.position >= head && mark.time == now)
            })
    })
    .await;
    relay.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_that_come_and_go_and_a_broker_that_is_killed_leave_no_hole() {
    let stage = Stage::new("relay_kills").await;
    let events = History::of(22, 3_000);
    let mut relays = vec![Relay::start(stage.deps())];
    for (round, chunk) in events.chunks(events.len() / 10).enumerate() {
        for part in chunk.chunks(25) {
            stage.bench.append(part);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        match round % 3 {
            // dropped in the middle, as a process that dies
            0 => relays.clear(),
            1 => kill_broker(&stage),
            _ => relays.push(Relay::start(stage.deps())),
        }
        if relays.is_empty() {
            relays.push(Relay::start(stage.deps()));
        }
    }
    stage.published().await;
    for relay in relays {
        relay.shutdown().await;
    }
    stage.assert_whole();
}

fn kill_broker(stage: &Stage) {
    let pid = std::fs::read_to_string(stage.dir.path().join("server.pid")).unwrap();
    let pid = pid.split_whitespace().next().unwrap().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    // it may be dead already, and not yet started again
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_lost_is_published_again() {
    let stage = Stage::new("relay_lost").await;
    let events = History::of(23, 400);
    stage.bench.append(&events);
    let relay = Relay::start(stage.deps());
    stage.published().await;
    relay.shutdown().await;
    delete_topic(&stage.kafka.bootstrap()).await;
    let relay = Relay::start(stage.deps());
    let whole = stage.bench.log.events().len();
    until("it is there again", async || {
        matches!(relay.state(), RelayState::Publishing(_)) && stage.events().len() == whole
    })
    .await;
    stage.assert_whole();
    relay.shutdown().await;
}

fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap()
}

async fn delete_topic(brokers: &str) {
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    for result in admin(brokers).delete_topics(&[TOPIC], &options).await.unwrap() {
        result.unwrap();
    }
}

/// Settings of the topic, of which some are an operator's.
async fn topic_settings(brokers: &str) -> [String; 5] {
    let told = admin(brokers).describe_configs([&ResourceSpecifier::Topic(TOPIC)], &AdminOptions::new());
    let topic = told.await.unwrap().pop().unwrap().unwrap();
    ["retention.ms", "max.message.bytes", "min.insync.replicas", "cleanup.policy", "segment.ms"]
        .map(|name| topic.get(name).unwrap().value.clone().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_settings_reaches_the_topic_that_is_there_and_leaves_those_of_others() {
    let stage = Stage::new("relay_settings").await;
    let brokers = stage.kafka.bootstrap();
    stage.bench.append(&History::of(24, 100));
    let relay = Relay::start(stage.deps());
    stage.published().await;
    relay.shutdown().await;
    let [hour, largest, ..] = topic_settings(&brokers).await;
    assert_eq!(hour, "3600000");
    // as an operator would: another setting changed, one of ours overridden, one of ours lost
    let theirs = AlterConfig::new(ResourceSpecifier::Topic(TOPIC))
        .set("segment.ms", "86400000")
        .set("retention.ms", "60000");
    for altered in admin(&brokers).alter_configs([&theirs], &AdminOptions::new()).await.unwrap() {
        altered.unwrap();
    }
    let mut deps = stage.deps();
    deps.settings.retention = Duration::from_secs(30 * 86_400);
    // nobody made copies: were two to be in sync, nothing could be written any more
    deps.settings.replication = 3;
    let relay = Relay::start(deps);
    stage.bench.append(&History::of(25, 100));
    stage.published().await;
    let wanted = ["2592000000", &largest, "1", "delete", "86400000"];
    assert_eq!(topic_settings(&brokers).await, wanted);
    relay.shutdown().await;
    stage.assert_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_event_halts_the_relay_after_what_came_before_it() {
    let stage = Stage::new("relay_halting").await;
    stage.bench.append(&[of_show(1, 0, created(1))]);
    let (stream, known) = of_show(2, 0, posted(42, 1, None));
    let unknown = NewEvent { kind: "FromTheFuture".to_owned(), ..known };
    stage.bench.log.append_elsewhere(&stream, Expected::Any, vec![unknown]).unwrap();
    let relay = Relay::start(stage.deps());
    until("it halts", async || matches!(relay.state(), RelayState::Halted { .. })).await;
    assert_eq!((relay.check())(), Err("the relay is halted".to_owned()));
    let (position, detail) = stage.checkpoint().await;
    assert!(detail.contains("FromTheFuture") && detail.contains("upgrade this node"), "{detail}");
    assert!(position < Some(stage.bench.head()));
    let kinds: BTreeMap<_, _> =
        stage.events().into_iter().map(|event| (event.revision, event.event.stored().0)).collect();
    assert_eq!(kinds, BTreeMap::from([(0, "ShowCreated")]));
    relay.shutdown().await;
}
