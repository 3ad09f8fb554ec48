//! A topic, and a relay that writes it by heart.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::producer::{FutureProducer, FutureRecord};
use schemas::published::{PARTITIONS, Published, RECORD_BYTES_MAX, Record, Watermark, partition_of};
use schemas::{Position, Timestamp};
use uuid::Uuid;

use crate::scene::PATIENCE;
use crate::stores::Stores;
use crate::world::{Show, published};

pub struct Topic {
    pub name: String,
    brokers: String,
    producer: FutureProducer,
    /// The last position of each partition.
    previous: BTreeMap<i32, Position>,
    /// All that was sent, in order.
    sent: Vec<(i32, Vec<u8>)>,
}

fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("broker.address.family", "v4");
    config
}

impl Topic {
    pub async fn new(stores: &Stores) -> Self {
        let name = format!("events-{}", Uuid::now_v7().simple());
        let topic = Self::named(stores, name);
        topic.create().await;
        topic
    }

    /// One that is not there yet.
    pub fn named(stores: &Stores, name: String) -> Self {
        let brokers = stores.kafka.bootstrap();
        let producer = client(&brokers)
            .set("enable.idempotence", "true")
            .set("linger.ms", "2")
            .set("message.max.bytes", RECORD_BYTES_MAX.to_string())
            .set("message.timeout.ms", PATIENCE.as_millis().to_string())
            .set("reconnect.backoff.max.ms", "1000")
            .create()
            .unwrap();
        Self { name, brokers, producer, previous: BTreeMap::new(), sent: Vec::new() }
    }

    pub async fn create(&self) {
        let (admin, largest) = (self.admin(), RECORD_BYTES_MAX.to_string());
        let topic = NewTopic::new(&self.name, PARTITIONS.cast_signed(), TopicReplication::Fixed(1))
            .set("max.message.bytes", &largest);
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        for made in admin.create_topics([&topic], &options).await.unwrap() {
            made.unwrap();
        }
    }

    /// A record as the next of its partition.
    pub fn chain(&mut self, mut event: Published) -> (i32, Vec<u8>) {
        let partition = partition_of(&event.stream);
        event.previous = self.previous.insert(partition, event.position);
        (partition, Record::Event(event).encode().unwrap())
    }

    /// Events in the order of the log, then a watermark.
    pub async fn publish(&mut self, shows: &[Show]) {
        let events = in_order(shows);
        self.publish_some(&events).await;
        self.close(&events).await;
    }

    pub fn chain_all(&mut self, events: &[Published]) -> Vec<(i32, Vec<u8>)> {
        events.iter().map(|event| self.chain(event.clone())).collect()
    }

    pub async fn publish_some(&mut self, events: &[Published]) {
        let records = self.chain_all(events);
        self.send(records).await;
    }

    /// A watermark behind the last of these events, in each partition.
    pub async fn close(&mut self, events: &[Published]) {
        let last = events.last().unwrap();
        self.watermark(last.position, last.occurred_at).await;
    }

    pub async fn watermark(&mut self, position: Position, time: Timestamp) {
        let records = self.watermarks(position, time);
        self.send(records).await;
    }

    /// Watermarks as the next of all partitions.
    pub fn watermarks(&mut self, position: Position, time: Timestamp) -> Vec<(i32, Vec<u8>)> {
        let watermark = |partition| {
            let previous = self.previous.insert(partition, position);
            let watermark = Watermark { partition, position, previous, time };
            (partition, Record::Watermark(watermark).encode().unwrap())
        };
        (0..PARTITIONS.cast_signed()).map(watermark).collect()
    }

    pub async fn send(&mut self, records: Vec<(i32, Vec<u8>)>) {
        self.send_raw(&records).await;
        self.sent.extend(records);
    }

    /// Says again what was said, from a place on.
    pub async fn repeat(&mut self, from: usize) {
        let records = self.sent[from..].to_vec();
        self.send_raw(&records).await;
    }

    pub fn said(&self) -> usize {
        self.sent.len()
    }

    pub async fn send_raw(&self, records: &[(i32, Vec<u8>)]) {
        let sends = records.iter().map(|(partition, payload)| {
            let record = FutureRecord::to(&self.name).partition(*partition).key("key").payload(payload);
            self.producer.send(record, PATIENCE)
        });
        // polled in this order, so sent in this order
        for sent in futures::future::join_all(sends).await {
            sent.map_err(|(error, _)| error).unwrap();
        }
    }

    /// The topic of dead letters, as a version made it that left to the broker how long they are kept.
    pub async fn create_dead(&self) {
        let (admin, dead) = (self.admin(), format!("{}.dead", self.name));
        let topic = NewTopic::new(&dead, PARTITIONS.cast_signed(), TopicReplication::Fixed(1))
            .set("max.message.bytes", "2000000")
            .set("segment.ms", "86400000");
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        for made in admin.create_topics([&topic], &options).await.unwrap() {
            made.unwrap();
        }
    }

    /// How long the topic of dead letters keeps them, by time, size and cleaning, and a setting that is none of ours.
    pub async fn dead_settings(&self) -> [String; 4] {
        let (admin, dead) = (self.admin(), format!("{}.dead", self.name));
        let place = ResourceSpecifier::Topic(&dead);
        // a broker that was only just told of the topic says nothing of it
        for _ in 0..100 {
            let told = admin.describe_configs([&place], &AdminOptions::new()).await.unwrap();
            let topic = told.into_iter().next().unwrap().unwrap();
            if !topic.entries.is_empty() {
                return ["retention.ms", "retention.bytes", "cleanup.policy", "segment.ms"]
                    .map(|name| topic.get(name).unwrap().value.clone().unwrap());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{dead} is not there");
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        client(&self.brokers).create().unwrap()
    }

    /// The dead letters: partition, payload, headers.
    pub async fn dead_letters(&self, count: usize) -> Vec<(i32, Vec<u8>, Vec<(String, String)>)> {
        let (brokers, dead) = (self.brokers.clone(), format!("{}.dead", self.name));
        let read = move || {
            let consumer: BaseConsumer = client(&brokers)
                .set("group.id", "reader of dead letters")
                .set("auto.offset.reset", "earliest")
                .create()
                .unwrap();
            consumer.subscribe(&[&dead]).unwrap();
            let (begin, mut letters) = (std::time::Instant::now(), Vec::new());
            while letters.len() < count {
                assert!(begin.elapsed() < PATIENCE, "only {} dead letters came", letters.len());
                if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                    letters.push(letter(&message));
                }
            }
            letters
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    }
}

fn letter(message: &BorrowedMessage<'_>) -> (i32, Vec<u8>, Vec<(String, String)>) {
    let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
    let headers = message.headers().unwrap().iter().map(|header| (header.key.to_owned(), text(header.value)));
    (message.partition(), message.payload().unwrap().to_vec(), headers.collect())
}

/// The events of all shows, in the order of the log.
pub fn in_order(shows: &[Show]) -> Vec<Published> {
    let mut events: Vec<Published> =
        shows.iter().flat_map(|show| show.events.iter().map(|event| published(show.id, event))).collect();
    events.sort_by_key(|event| event.position);
    events
}
