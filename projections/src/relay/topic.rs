//! The topic in Kafka.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use schemas::published::{PARTITIONS, RECORD_BYTES_MAX, TOPIC};

use super::{RelayFailure, RelaySettings};

/// How long the broker may take to answer questions about the topic.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Between questions for what the broker does not know yet.
const ADMIN_PAUSE: Duration = Duration::from_millis(100);

/// Makes sure that the topic is there, with its partitions.
///
/// # Errors
/// [`RelayFailure::Kafka`] where the broker does not answer, [`RelayFailure::Partitions`] where somebody made the topic
/// with another number of them.
pub(super) async fn ensure(settings: &RelaySettings) -> Result<(), RelayFailure> {
    let admin: AdminClient<DefaultClientContext> = settings.client().create()?;
    let retention = settings.retention.as_millis().to_string();
    let largest = RECORD_BYTES_MAX.to_string();
    let in_sync = if settings.replication > 2 { "2" } else { "1" };
    let topic = NewTopic::new(TOPIC, PARTITIONS.cast_signed(), TopicReplication::Fixed(settings.replication))
        .set("cleanup.policy", "delete")
        .set("retention.ms", &retention)
        .set("max.message.bytes", &largest)
        .set("min.insync.replicas", in_sync);
    let options = AdminOptions::new().operation_timeout(Some(ADMIN_TIMEOUT));
    for result in admin.create_topics([&topic], &options).await? {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(RelayFailure::Kafka(KafkaError::AdminOp(code))),
        }
    }
    // blocks for as long as the broker takes
    let found =
        tokio::task::spawn_blocking(move || partitions(&admin)).await.map_err(|_| RelayFailure::Fenced)??;
    if found == PARTITIONS as usize { Ok(()) } else { Err(RelayFailure::Partitions { found }) }
}

/// How many partitions the topic has. A broker that was only just told of the topic does not know them yet, and is asked again. Blocks.
fn partitions(admin: &AdminClient<DefaultClientContext>) -> Result<usize, RelayFailure> {
    let deadline = Instant::now() + ADMIN_TIMEOUT;
    loop {
        let metadata = admin.inner().fetch_metadata(Some(TOPIC), ADMIN_TIMEOUT)?;
        match metadata.topics().first().map_or(0, |topic| topic.partitions().len()) {
            0 if Instant::now() < deadline => thread::sleep(ADMIN_PAUSE),
            0 => return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition).into()),
            found => return Ok(found),
        }
    }
}
