//! The topic in Kafka.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use schemas::published::{PARTITIONS, RECORD_BYTES_MAX, TOPIC};

use super::{RelayFailure, RelaySettings};

/// How long the broker may take to answer questions about the topic.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes sure that the topic is there, with its partitions.
///
/// # Errors
/// [`RelayFailure::Kafka`] where the broker does not answer, [`RelayFailure::Partitions`] where somebody made the topic
/// with another number of them.
pub(super) async fn ensure(settings: &RelaySettings) -> Result<(), RelayFailure> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &settings.brokers).create()?;
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

/// How many partitions the topic has. A broker that was only just told of the topic does not know them yet: then it is asked again in the next
/// term, for nothing is wrong with the topic.
fn partitions(admin: &AdminClient<DefaultClientContext>) -> Result<usize, RelayFailure> {
    let metadata = admin.inner().fetch_metadata(Some(TOPIC), ADMIN_TIMEOUT)?;
    match metadata.topics().first().map_or(0, |topic| topic.partitions().len()) {
        0 => Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition).into()),
        found => Ok(found),
    }
}
