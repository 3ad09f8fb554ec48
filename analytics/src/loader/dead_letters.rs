//! The topic for records that no version of the code can read: kept as they came, for somebody to look at.

use std::error::Error;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};

use platform::http::problem::Chain;
use platform::kafka::keep_settings;
use schemas::published::RECORD_BYTES_MAX;

use super::consumer::{Quiet, client};
use super::lane::Message;

/// What follows the name of the topic.
const SUFFIX: &str = ".dead";

/// How long the broker may take to confirm; the batch is tried again afterwards.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest letter, in bytes: what came to us must fit on its way out, with its headers.
const LETTER_BYTES_MAX: usize = RECORD_BYTES_MAX + 1024 * 1024;

/// Letters are kept until somebody deletes them, whatever the broker does with topics by default.
const KEPT: [(&str, &str); 3] =
    [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];

/// How many replicas: as many as the cluster makes by default.
const REPLICAS_OF_CLUSTER: i32 = -1;

/// A record that nobody can read, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DeadLetter {
    pub(crate) partition: i32,
    offset: i64,
    time_ms: Option<i64>,
    key: Option<Vec<u8>>,
    payload: Vec<u8>,
    pub(crate) reason: String,
}

impl DeadLetter {
    pub(crate) fn new(partition: i32, message: Message<'_>, error: &(dyn Error + 'static)) -> Self {
        let Message { offset, time_ms, key, payload } = message;
        let (key, payload) = (key.map(<[u8]>::to_vec), payload.to_vec());
        Self { partition, offset, time_ms, key, payload, reason: Chain(error).to_string() }
    }

    /// Leaves word of it.
    pub(crate) fn tell(&self, topic: &str) {
        let Self { partition, offset, reason, .. } = self;
        metrics::counter!("loader_dead_letters_total").increment(1);
        tracing::error!(
            topic,
            partition,
            offset,
            reason,
            "record {offset} of partition {partition} cannot be read, it is set aside: {reason}"
        );
    }
}

/// Where dead letters go. Connects when there is one.
pub(crate) struct DeadLetters {
    config: ClientConfig,
    source: String,
    topic: String,
    producer: tokio::sync::OnceCell<FutureProducer<Quiet>>,
}

impl DeadLetters {
    pub(crate) fn new(brokers: &str, source: &str) -> Self {
        let mut config = client(brokers);
        config
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", SEND_TIMEOUT.as_millis().to_string())
            .set("message.max.bytes", LETTER_BYTES_MAX.to_string());
        let topic = format!("{source}{SUFFIX}");
        Self { config, source: source.to_owned(), topic, producer: tokio::sync::OnceCell::new() }
    }

    /// Sends letters one after the other, each confirmed before the next. After a failure some may be there already.
    pub(crate) async fn send(&self, letters: &[DeadLetter]) -> Result<(), KafkaError> {
        for letter in letters {
            let producer = self.producer.get_or_try_init(|| self.connect()).await?;
            let (partition, offset) = (letter.partition.to_string(), letter.offset.to_string());
            let time_ms = letter.time_ms.map_or_else(String::new, |time| time.to_string());
            let headers = [
                ("reason", letter.reason.as_str()),
                ("topic", &self.source),
                ("partition", &partition),
                ("offset", &offset),
                ("time-ms", &time_ms),
            ]
            .into_iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header { key, value: Some(value) })
            });
            let mut record = FutureRecord::to(&self.topic)
                .partition(letter.partition)
                .payload(&letter.payload)
                .headers(headers);
            if let Some(key) = &letter.key {
                record = record.key(key);
            }
            producer.send(record, SEND_TIMEOUT).await.map_err(|(error, _)| error)?;
        }
        Ok(())
    }

    /// Makes the topic, with as many partitions as its source has.
    async fn connect(&self) -> Result<FutureProducer<Quiet>, KafkaError> {
        let producer: FutureProducer<Quiet> = self.config.create_with_context(Quiet)?;
        let (asked, source) = (producer.clone(), self.source.clone());
        let metadata =
            tokio::task::spawn_blocking(move || asked.client().fetch_metadata(Some(&source), SEND_TIMEOUT))
                .await
                .map_err(|_| KafkaError::Canceled)??;
        let partitions = metadata.topics().iter().map(|topic| topic.partitions().len()).sum::<usize>();
        let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
        let admin: AdminClient<Quiet> = self.config.create_with_context(Quiet)?;
        let largest = LETTER_BYTES_MAX.to_string();
        let mut settings = KEPT.to_vec();
        settings.push(("max.message.bytes", &largest));
        let mut topic = NewTopic::new(&self.topic, partitions, TopicReplication::Fixed(REPLICAS_OF_CLUSTER));
        for (name, value) in &settings {
            topic = topic.set(name, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(SEND_TIMEOUT));
        for made in admin.create_topics([&topic], &options).await? {
            match made {
                Ok(_) => {}
                // perhaps by a version that left to the broker how long letters are kept
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {
                    keep_settings(&admin, &self.topic, &settings).await;
                }
                Err((_, code)) => return Err(KafkaError::AdminOp(code)),
            }
        }
        Ok(producer)
    }
}
