//! The topic in Kafka.

use std::thread;
use std::time::{Duration, Instant};

use platform::kafka::keep_settings;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use schemas::published::{PARTITIONS, RECORD_BYTES_MAX, TOPIC};

use super::{RelayFailure, RelaySettings};

/// How long the broker may take to answer questions about the topic.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Between questions for what the broker does not know yet.
const ADMIN_PAUSE: Duration = Duration::from_millis(100);

/// What is found of the topic.
struct Found {
    partitions: usize,
    /// Copies of each record, of the partition that has fewest.
    copies: usize,
}

/// Makes sure that the topic is there, with its partitions and settings.
///
/// # Errors
/// [`RelayFailure::Kafka`] where the broker does not answer, [`RelayFailure::Partitions`] where somebody made the topic
/// with another number of them.
pub(super) async fn ensure(settings: &RelaySettings) -> Result<(), RelayFailure> {
    let admin: AdminClient<DefaultClientContext> = settings.client().create()?;
    let is_new = make(&admin, settings).await?;
    // blocks for as long as the broker takes
    let looked = tokio::task::spawn_blocking(move || look(&admin).map(|found| (admin, found)));
    let (admin, found) = looked.await.map_err(|_| RelayFailure::Fenced)??;
    if found.partitions != PARTITIONS as usize {
        return Err(RelayFailure::Partitions { found: found.partitions });
    }
    if !is_new {
        renew(&admin, settings, &found).await;
    }
    Ok(())
}

/// Whether it was not there before.
async fn make(
    admin: &AdminClient<DefaultClientContext>,
    settings: &RelaySettings,
) -> Result<bool, RelayFailure> {
    let copies = TopicReplication::Fixed(settings.replication);
    let wanted = wanted(settings, usize::try_from(settings.replication).unwrap_or(1));
    let mut topic = NewTopic::new(TOPIC, PARTITIONS.cast_signed(), copies);
    for (name, value) in &wanted {
        topic = topic.set(name, value);
    }
    let options = AdminOptions::new().operation_timeout(Some(ADMIN_TIMEOUT));
    let mut is_new = true;
    for result in admin.create_topics([&topic], &options).await? {
        match result {
            Ok(_) => {}
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => is_new = false,
            Err((_, code)) => return Err(RelayFailure::Kafka(KafkaError::AdminOp(code))),
        }
    }
    Ok(is_new)
}

/// The settings that are ours, of a topic with so many copies of each record: were two of them to be in sync where there is one, nothing could be written.
fn wanted(settings: &RelaySettings, copies: usize) -> [(&'static str, String); 4] {
    let in_sync = if copies > 2 { "2" } else { "1" };
    [
        ("cleanup.policy", "delete".to_owned()),
        ("retention.ms", settings.retention.as_millis().to_string()),
        ("max.message.bytes", RECORD_BYTES_MAX.to_string()),
        ("min.insync.replicas", in_sync.to_owned()),
    ]
}

/// Brings the settings of a topic of before to what they should be by now, as far as that is allowed.
async fn renew(admin: &AdminClient<DefaultClientContext>, settings: &RelaySettings, found: &Found) {
    let (copies, replication) = (found.copies, settings.replication);
    if usize::try_from(replication) != Ok(copies) {
        tracing::warn!(
            copies,
            replication,
            "the topic {TOPIC} has {copies} copies of each record and should have {replication}: \
             reassign its partitions, and restart"
        );
    }
    let wanted = wanted(settings, copies);
    let wanted: Vec<_> = wanted.iter().map(|(name, value)| (*name, value.as_str())).collect();
    keep_settings(admin, TOPIC, &wanted).await;
}

/// What the topic is like. A broker that was only just told of it does not know its partitions yet, and is asked again. Blocks.
fn look(admin: &AdminClient<DefaultClientContext>) -> Result<Found, RelayFailure> {
    let deadline = Instant::now() + ADMIN_TIMEOUT;
    loop {
        let metadata = admin.inner().fetch_metadata(Some(TOPIC), ADMIN_TIMEOUT)?;
        let partitions = metadata.topics().first().map_or(&[][..], |topic| topic.partitions());
        let copies = partitions.iter().map(|partition| partition.replicas().len()).min();
        match copies {
            Some(copies) => return Ok(Found { partitions: partitions.len(), copies }),
            None if Instant::now() < deadline => thread::sleep(ADMIN_PAUSE),
            None => return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition).into()),
        }
    }
}
