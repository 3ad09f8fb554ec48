//! The connection to Kafka: settings, and what the group decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

use super::lane::Lane;

/// What the group decided for this loader.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Membership {
    /// These partitions are ours. Reading begins when they are assigned, each with where it is to begin.
    Given(Vec<i32>),
    /// None is ours any more; all of them were taken from the reader already.
    Taken,
}

/// A client that leaves its words in our log.
#[derive(Clone, Copy)]
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tell(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tell_error(&error, reason);
    }
}

/// Hears the group's decisions while messages are polled.
pub(crate) struct Member {
    decisions: mpsc::UnboundedSender<Membership>,
    is_leaving: AtomicBool,
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tell(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tell_error(&error, reason);
    }
}

impl ConsumerContext for Member {
    /// Partitions are handed back at once: what is not yet in the warehouse, the next one reads again. New ones wait until the warehouse has told
    /// how far they are: Kafka's own offsets are not asked.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let is_given = code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if is_given && !self.is_leaving.load(Ordering::Acquire) {
            let partitions = list.elements().iter().map(TopicPartitionListElem::partition).collect();
            // nobody listens where the loader ends; then nothing is to be read either
            drop(self.decisions.send(Membership::Given(partitions)));
            return;
        }
        if let Err(error) = consumer.unassign() {
            tracing::warn!("partitions were not handed back: {error}");
        }
        drop(self.decisions.send(Membership::Taken));
    }
}

fn tell(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(facility, "kafka client: {message}");
        }
        // lost connections among them, which come back by themselves
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => {
            tracing::warn!(facility, "kafka client: {message}");
        }
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::debug!(facility, "kafka client: {message}");
        }
    }
}

/// Errors of the reader come with its messages too, and are told there.
fn tell_error(error: &KafkaError, reason: &str) {
    tracing::debug!(reason, "kafka client: {error}");
}

/// What all our clients have in common.
pub(crate) fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("client.id", "tally-loader")
        // a broker that is back is found again within two seconds
        .set("reconnect.backoff.max.ms", "2000")
        .set_log_level(RDKafkaLogLevel::Warning);
    config
}

/// The reader of the topic.
pub(crate) struct Reader {
    consumer: Arc<StreamConsumer<Member>>,
    topic: String,
}

impl Reader {
    /// Asks the group for partitions of the topic. A topic that is not there yet is waited for.
    pub(crate) fn join(
        brokers: &str,
        group: &str,
        topic: &str,
    ) -> KafkaResult<(Self, mpsc::UnboundedReceiver<Membership>)> {
        // the group decides every now and then, and each decision is taken from here before the next message is read
        let (decisions, decided) = mpsc::unbounded_channel();
        let mut config = client(brokers);
        config
            .set("group.id", group)
            // all partitions are given anew at each change: one rule for all, and it takes a moment only
            .set("partition.assignment.strategy", "range")
            // a loader that died is missed after this, and its partitions are read by another one
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "1000")
            // the loop polls while it waits for stores; one that does not hangs, and others take over
            .set("max.poll.interval.ms", "120000")
            // progress is in the warehouse; offsets are committed for tools that show lags
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // an offset that is no more: begin at the beginning, repeats are dropped and holes are seen
            .set("auto.offset.reset", "earliest")
            .set("allow.auto.create.topics", "false")
            .set("topic.metadata.refresh.interval.ms", "5000")
            // freshness: the broker answers a fetch after this, however little there is
            .set("fetch.wait.max.ms", "100")
            // memory: what waits in the client, and what comes with one answer
            .set("queued.max.messages.kbytes", "16384")
            .set("fetch.max.bytes", "8388608")
            // compressed; little of each partition at a time keeps all of them at about one time, so that a batch is of few months, each of which is a part
            .set("max.partition.fetch.bytes", "262144")
            // a full queue is drained within a moment; the default pause of a second would make us wait
            .set("fetch.queue.backoff.ms", "20");
        let member = Member { decisions, is_leaving: AtomicBool::new(false) };
        let consumer: StreamConsumer<Member> = config.create_with_context(member)?;
        consumer.subscribe(&[topic])?;
        Ok((Self { consumer: Arc::new(consumer), topic: topic.to_owned() }, decided))
    }

    pub(crate) fn consumer(&self) -> Arc<StreamConsumer<Member>> {
        Arc::clone(&self.consumer)
    }

    /// Reads on in each partition where it says. Messages that wait in the client are given up.
    pub(crate) fn go_on<'l>(&self, lanes: impl Iterator<Item = (i32, &'l Lane)>) -> KafkaResult<()> {
        let (mut all, mut stopped) = (TopicPartitionList::new(), TopicPartitionList::new());
        for (partition, lane) in lanes {
            let from = lane.read_to().map_or(Offset::Beginning, Offset::Offset);
            all.add_partition_offset(&self.topic, partition, from)?;
            if lane.is_stopped() {
                stopped.add_partition(&self.topic, partition);
            }
        }
        self.consumer.assign(&all)?;
        self.consumer.resume(&all)?;
        if stopped.count() > 0 {
            self.consumer.pause(&stopped)?;
        }
        Ok(())
    }

    /// Reads nothing of these for now.
    pub(crate) fn pause(&self, partitions: impl Iterator<Item = i32>) -> KafkaResult<()> {
        self.consumer.pause(&self.list(partitions))
    }

    /// Reads these again.
    pub(crate) fn resume(&self, partitions: impl Iterator<Item = i32>) -> KafkaResult<()> {
        self.consumer.resume(&self.list(partitions))
    }

    fn list(&self, partitions: impl Iterator<Item = i32>) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&self.topic, partition);
        }
        list
    }

    /// Tells the group how far partitions are, for whoever watches lags. Nothing rests on it.
    pub(crate) fn commit(&self, offsets: impl Iterator<Item = (i32, i64)>) {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            if let Err(error) = list.add_partition_offset(&self.topic, partition, Offset::Offset(offset)) {
                tracing::debug!(partition, "offset {offset} cannot be committed: {error}");
            }
        }
        if list.count() == 0 {
            return;
        }
        if let Err(error) = self.consumer.commit(&list, rdkafka::consumer::CommitMode::Async) {
            tracing::debug!("offsets were not committed: {error}");
        }
    }

    /// Leaves the group, so that others need not wait until we are missed. Blocks.
    pub(crate) fn leave(self) {
        self.consumer.context().is_leaving.store(true, Ordering::Release);
        // the client does not end while a decision of its group is unanswered
        if let Err(error) = self.consumer.unassign() {
            tracing::debug!("partitions were not handed back: {error}");
        }
    }
}
