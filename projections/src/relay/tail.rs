//! What the topic really holds, compared with the checkpoint when a term begins.
//!
//! A broker acknowledges before its disk does. With copies on other machines that is safe; a single broker whose power fails loses what it had
//! acknowledged, and somebody may delete the topic. Whatever is missing at a partition's end is published again.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use schemas::Position;
use schemas::published::{Record, TOPIC};

use super::checkpoint::Checkpoint;
use super::{RelayFailure, RelaySettings};

/// How long the broker may take for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one look for a record takes.
const POLL_TIMEOUT: Duration = Duration::from_millis(500);

/// The last records that are looked at: among so many is one of ours, even if somebody else wrote to the topic.
const LAST_RECORDS: i64 = 64;

/// How a partition ends.
enum End {
    /// Nothing was ever written.
    Empty,
    /// All that was written is older than the topic keeps.
    Expired,
    /// The highest position among its last records; `None` where none is ours.
    At(Option<Position>),
}

/// The checkpoint, or the place from where the topic is to be filled again.
///
/// # Errors
/// [`RelayFailure::Kafka`], where the broker does not answer.
pub(super) async fn checked(
    settings: &RelaySettings,
    checkpoint: Checkpoint,
) -> Result<Checkpoint, RelayFailure> {
    let consumer: BaseConsumer = settings
        .client()
        // a consumer must have one; nothing is ever committed
        .set("group.id", "tally-relay")
        .set("enable.auto.commit", "false")
        .create()?;
    // blocks for as long as the broker takes
    tokio::task::spawn_blocking(move || compare(&consumer, checkpoint))
        .await
        .map_err(|_| RelayFailure::Lost)?
}

fn compare(consumer: &BaseConsumer, checkpoint: Checkpoint) -> Result<Checkpoint, RelayFailure> {
    let mut held = checkpoint.previous.clone();
    let mut from: Option<Option<Position>> = None;
    for (held, partition) in held.iter_mut().zip(0..) {
        let Some(told) = *held else { continue };
        let last = match end(consumer, partition)? {
            End::Expired => continue,
            End::Empty => None,
            End::At(last) if last >= Some(told) => continue,
            End::At(last) => last,
        };
        tracing::warn!(
            partition,
            "the topic lost records of partition {partition}: they are published again"
        );
        *held = last;
        from = Some(from.map_or(last, |from| from.min(last)));
    }
    let Some(from) = from else { return Ok(checkpoint) };
    metrics::counter!("relay_refills_total").increment(1);
    // what is published again and still there follows on the last that is surely there
    let previous = held.into_iter().map(|held| held.min(from)).collect();
    Ok(Checkpoint { position: from, previous })
}

fn end(consumer: &BaseConsumer, partition: i32) -> Result<End, KafkaError> {
    let (low, high) = consumer.fetch_watermarks(TOPIC, partition, ANSWER_TIMEOUT)?;
    if high == 0 {
        return Ok(End::Empty);
    }
    if low == high {
        return Ok(End::Expired);
    }
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(TOPIC, partition, Offset::Offset(low.max(high - LAST_RECORDS)))?;
    consumer.assign(&place)?;
    let (mut last, deadline) = (None, Instant::now() + ANSWER_TIMEOUT);
    loop {
        // a poll may end early with nothing, after it has dealt with something else than a message
        let message = match consumer.poll(POLL_TIMEOUT) {
            Some(message) => message?,
            None if Instant::now() < deadline => continue,
            None => return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut)),
        };
        let record = message.payload().and_then(|payload| Record::decode(payload).ok());
        last = last.max(record.map(|record| record.position()));
        if message.offset() >= high - 1 {
            return Ok(End::At(last));
        }
    }
}
