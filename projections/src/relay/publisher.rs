//! One term of publishing: reads the log, hands records to the producer, and takes its acknowledgements in the same order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord};
use schemas::published::{PARTITIONS, Published, PublishedEvent, Record, TOPIC, Watermark, partition_of};
use schemas::{Position, Timestamp, streams};
use tokio::time::{MissedTickBehavior, interval};

use super::checkpoint::{self, Checkpoint, Epoch};
use super::{RelayDeps, RelayFailure};
use crate::framework::readings::{Follower, Item};
use crate::framework::recorded::{Read, Recorded};

/// What tells readers that the whole record is a CloudEvent, and not its data alone: CloudEvents' binding to Kafka, structured mode.
const CONTENT_TYPE: Header<'static, &str> =
    Header { key: "content-type", value: Some("application/cloudevents+json; charset=UTF-8") };

/// Records that Kafka has not acknowledged yet: some hundred milliseconds of its highest rate. The log is read no further meanwhile.
const UNDER_WAY_MAX: usize = 10_000;

/// The same in bytes: less than the producer's queue holds, even with one more chunk of large records.
const UNDER_WAY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Records that are handed over before acknowledgements are looked at again.
const CHUNK: usize = 256;

/// How often the checkpoint is written: what a crash makes come again.
const SAVE_INTERVAL: Duration = Duration::from_millis(200);

/// How often quiet partitions are told how far the log is.
const WATERMARK_INTERVAL: Duration = Duration::from_secs(1);

/// A record under way.
struct UnderWay {
    partition: i32,
    position: Position,
    bytes: usize,
    /// Of an event.
    occurred_at: Option<Timestamp>,
    delivery: DeliveryFuture,
}

/// One term of the relay.
pub(super) struct Publisher<'a> {
    deps: &'a RelayDeps,
    producer: FutureProducer,
    epoch: Epoch,
    follower: Follower,
    under_way: VecDeque<UnderWay>,
    under_way_bytes: usize,
    /// Everything up to here was handed to the producer.
    sent: Checkpoint,
    /// Everything up to here was acknowledged.
    acked: Checkpoint,
    /// The checkpoint as it is written down.
    saved: Checkpoint,
    /// When the latest event happened that was handed over.
    latest: Timestamp,
    /// Everything that happened before is acknowledged, as far as that is known.
    until: Option<Timestamp>,
}

impl<'a> Publisher<'a> {
    pub(super) fn new(
        deps: &'a RelayDeps,
        producer: FutureProducer,
        epoch: Epoch,
        checkpoint: Checkpoint,
    ) -> Self {
        let wanted = &[streams::SHOW, streams::PAYMENT];
        let follower = deps.readings.follow(&deps.log, checkpoint.position, wanted);
        let (sent, acked) = (checkpoint.clone(), checkpoint.clone());
        Self {
            deps,
            producer,
            epoch,
            follower,
            under_way: VecDeque::new(),
            under_way_bytes: 0,
            sent,
            acked,
            saved: checkpoint,
            latest: Timestamp::from_millis(0),
            until: None,
        }
    }

    /// Publishes until something fails. Dropped half-way it has done no harm.
    pub(super) async fn run(
        &mut self,
        observe: &(dyn Fn(Option<Position>, Option<Timestamp>) + Send + Sync),
    ) -> Result<(), RelayFailure> {
        let (mut save_due, mut watermark_due) = (interval(SAVE_INTERVAL), interval(WATERMARK_INTERVAL));
        for due in [&mut save_due, &mut watermark_due] {
            due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            let has_room = self.under_way.len() < UNDER_WAY_MAX && self.under_way_bytes < UNDER_WAY_BYTES_MAX;
            tokio::select! {
                biased;
                _ = save_due.tick() => {
                    self.save().await?;
                    observe(self.acked.position, self.until);
                }
                acknowledged = first(&mut self.under_way) => {
                    acknowledged?;
                    self.acknowledge();
                }
                _ = watermark_due.tick(), if has_room => self.tell_watermark().await?,
                items = self.follower.next(CHUNK), if has_room => self.send_all(items?)?,
            }
        }
    }

    /// Waits until everything that was handed over is acknowledged; as long as a delivery may take.
    pub(super) async fn drain(&mut self) -> Result<(), RelayFailure> {
        while !self.under_way.is_empty() {
            first(&mut self.under_way).await?;
            self.acknowledge();
        }
        Ok(())
    }

    /// Writes the checkpoint, if it has moved.
    pub(super) async fn save(&mut self) -> Result<(), RelayFailure> {
        #[expect(clippy::cast_precision_loss, reason = "it is bounded")]
        metrics::gauge!("relay_records_under_way").set(self.under_way.len() as f64);
        if self.acked != self.saved {
            checkpoint::save(&self.deps.pool, self.epoch, &self.acked).await?;
            self.saved = self.acked.clone();
        }
        Ok(())
    }

    /// The oldest record under way is acknowledged.
    fn acknowledge(&mut self) {
        let Some(record) = self.under_way.pop_front() else { return };
        self.under_way_bytes -= record.bytes;
        self.acked.advance(record.partition, record.position);
        self.until = self.until.max(record.occurred_at);
        metrics::counter!("relay_records_total").increment(1);
    }

    fn send_all(&mut self, items: Vec<Item>) -> Result<(), RelayFailure> {
        for item in items {
            match item {
                Item::Event(read) => self.send_event(&read)?,
                // once more, for the cause
                Item::Unreadable(stored) => {
                    Read::of(&stored)?;
                }
                Item::Reached(position) => self.sent.position = self.sent.position.max(Some(position)),
            }
        }
        Ok(())
    }

    fn send_event(&mut self, read: &Arc<Read>) -> Result<(), RelayFailure> {
        let partition = partition_of(&read.stream);
        let (event_id, event) = match &read.event {
            Recorded::Show(_, envelope) => (envelope.event_id, PublishedEvent::of_show(&envelope.event)),
            Recorded::Payment(_, envelope) => {
                (envelope.event_id, PublishedEvent::of_payment(&envelope.event))
            }
        };
        let occurred_at = read.event.occurred_at();
        self.latest = self.latest.max(occurred_at);
        let record = Record::Event(Published {
            event_id,
            stream: read.stream.clone(),
            revision: read.revision,
            position: read.position,
            previous: self.sent.previous_of(partition),
            occurred_at,
            event,
        });
        self.send(partition, Some(&read.stream), &record, Some(occurred_at))
    }

    /// Tells every partition how far the log was read, and up to when: now, where nothing else stands in the log.
    async fn tell_watermark(&mut self) -> Result<(), RelayFailure> {
        // taken first: what is appended later happens later, up to the moment that a command takes to be decided
        let now = self.deps.clock.now();
        let head = self.deps.log.head().await.map_err(|error| RelayFailure::Log(error.into()))?;
        let at_head = self.sent.position >= head;
        if at_head && self.under_way.is_empty() {
            self.until = Some(now);
        }
        let Some(position) = self.sent.position else { return Ok(()) };
        let time = if at_head { now } else { self.latest };
        for partition in 0..PARTITIONS.cast_signed() {
            let previous = self.sent.previous_of(partition);
            let record = Record::Watermark(Watermark { partition, position, previous, time });
            self.send(partition, None, &record, None)?;
        }
        Ok(())
    }

    fn send(
        &mut self,
        partition: i32,
        key: Option<&str>,
        record: &Record,
        occurred_at: Option<Timestamp>,
    ) -> Result<(), RelayFailure> {
        let position = record.position();
        let payload = record.encode().map_err(|source| RelayFailure::Encode { position, source })?;
        let headers = OwnedHeaders::new_with_capacity(1).insert(CONTENT_TYPE);
        let mut message = FutureRecord::<str, [u8]>::to(TOPIC);
        message = message.partition(partition).payload(&payload).headers(headers);
        if let Some(key) = key {
            message = message.key(key);
        }
        let delivery = self.producer.send_result(message).map_err(|(error, _)| RelayFailure::Kafka(error))?;
        let bytes = payload.len();
        self.under_way.push_back(UnderWay { partition, position, bytes, occurred_at, delivery });
        self.under_way_bytes += bytes;
        self.sent.advance(partition, position);
        Ok(())
    }
}

/// Waits until the oldest record is acknowledged; for ever where none is under way.
async fn first(under_way: &mut VecDeque<UnderWay>) -> Result<(), RelayFailure> {
    let Some(oldest) = under_way.front_mut() else { return std::future::pending().await };
    let delivered = (&mut oldest.delivery).await.map_err(|_| RelayFailure::Lost)?;
    delivered.map(|_| ()).map_err(|(error, _)| RelayFailure::Kafka(error))
}
