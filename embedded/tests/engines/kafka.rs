//! The broker, by way of the client that the product uses.

use std::fs;
use std::time::{Duration, Instant};

use embedded::kafka::{Kafka, KafkaConfig, KafkaError};
use embedded::{ServerError, ServerState};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};

use crate::support::{
    DataDir, Kernel, PATIENCE, in_time, kill_a_parent, parent_data_dir, serve_until_killed, until,
};

const TOPIC: &str = "tips";

fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("broker.address.family", "v4");
    config
}

async fn create_topic(bootstrap: &str) {
    let admin: AdminClient<DefaultClientContext> = client(bootstrap).create().unwrap();
    let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1));
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    for made in in_time("making a topic", admin.create_topics([&topic], &options)).await.unwrap() {
        made.unwrap();
    }
}

fn producer(bootstrap: &str) -> FutureProducer {
    client(bootstrap)
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", PATIENCE.as_millis().to_string())
        // an unknown topic is one that nobody makes just now
        .set("topic.metadata.propagation.max.ms", "1000")
        .create()
        .unwrap()
}

/// Sends these one after the other; returns when the broker has acknowledged the last.
async fn produce(producer: &FutureProducer, messages: impl IntoIterator<Item = String>) {
    for message in messages {
        let record = FutureRecord::<(), _>::to(TOPIC).payload(&message);
        in_time("producing", producer.send(record, PATIENCE)).await.map_err(|(error, _)| error).unwrap();
    }
}

fn numbered(from: u32, to: u32) -> impl Iterator<Item = String> {
    (from..to).map(|number| format!("tip {number}"))
}

/// The first so many messages of the topic, from its beginning.
async fn consume(bootstrap: &str, count: usize) -> Vec<String> {
    let consumer: BaseConsumer = client(bootstrap).set("group.id", "test").create().unwrap();
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(TOPIC, 0, Offset::Beginning).unwrap();
    consumer.assign(&from).unwrap();
    let read = tokio::task::spawn_blocking(move || {
        let (start, mut messages) = (Instant::now(), Vec::new());
        while messages.len() < count {
            assert!(start.elapsed() < PATIENCE, "only {} of {count} messages came", messages.len());
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                messages.push(String::from_utf8(message.payload().unwrap().to_owned()).unwrap());
            }
        }
        messages
    });
    read.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_serves_stops_and_keeps_messages() {
    let data = DataDir::new();
    let kafka = in_time("first start", Kafka::start(KafkaConfig::new(&data.path))).await.unwrap();
    assert!(kafka.bootstrap().starts_with("127.0.0.1:"));
    assert_eq!(Kafka::running(&data.path), Some(kafka.bootstrap()));
    create_topic(&kafka.bootstrap()).await;
    let client = producer(&kafka.bootstrap());
    produce(&client, numbered(0, 20)).await;
    let expected: Vec<String> = numbered(0, 20).collect();
    assert_eq!(consume(&kafka.bootstrap(), 20).await, expected);

    let unknown = FutureRecord::<(), str>::to("no-such-topic").payload("lost");
    let (refused, _) = client.send(unknown, PATIENCE).await.unwrap_err();
    assert!(
        matches!(
            refused,
            ClientError::MessageProduction(
                RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition
            )
        ),
        "{refused}"
    );

    in_time("stop", kafka.shutdown()).await.unwrap();
    in_time("second stop", kafka.shutdown()).await.unwrap();
    assert_eq!(*kafka.state().borrow(), ServerState::Stopped);
    assert!(!data.is_served());
    assert_eq!(Kafka::running(&data.path), None);

    // the stopped handle still lives, and the directory can be started again all the same
    let again = in_time("second start", Kafka::start(KafkaConfig::new(&data.path))).await.unwrap();
    assert_eq!(consume(&again.bootstrap(), 20).await, expected);
    in_time("last stop", again.shutdown()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_comes_back_with_its_messages_at_the_same_address() {
    let data = DataDir::new();
    let kafka = in_time("start", Kafka::start(KafkaConfig::new(&data.path))).await.unwrap();
    let bootstrap = kafka.bootstrap();
    create_topic(&bootstrap).await;
    let client = producer(&bootstrap);
    produce(&client, numbered(0, 10)).await;

    let mut state = kafka.state();
    data.kill_server();
    in_time("death seen", state.wait_for(|state| *state == ServerState::Restarting { attempt: 1 }))
        .await
        .unwrap();
    in_time("revival", state.wait_for(|state| *state == ServerState::Running)).await.unwrap();
    assert_eq!(kafka.bootstrap(), bootstrap);
    // the same client finds it again
    produce(&client, numbered(10, 20)).await;
    assert_eq!(consume(&bootstrap, 20).await, numbered(0, 20).collect::<Vec<_>>());
    kafka.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_is_named() {
    let data = DataDir::new();
    let kafka = in_time("start", Kafka::start(KafkaConfig::new(&data.path))).await.unwrap();
    let error = Kafka::start(KafkaConfig::new(&data.path)).await.unwrap_err();
    let own_pid = std::process::id().to_string();
    assert!(
        matches!(&error, KafkaError::Server(ServerError::AlreadyRunning { pid, .. }) if *pid == own_pid),
        "{error}"
    );
    assert!(error.to_string().contains("in use by another Tally"), "{error}");

    let taken: u16 = kafka.bootstrap().split(':').nth(1).unwrap().parse().unwrap();
    let elsewhere = DataDir::new();
    let error =
        Kafka::start(KafkaConfig { port: taken, ..KafkaConfig::new(&elsewhere.path) }).await.unwrap_err();
    assert!(matches!(error, KafkaError::Server(ServerError::PortTaken { port }) if port == taken), "{error}");
    drop(kafka);
    assert!(!data.is_served(), "dropping the handle stops the broker");

    let foreign = DataDir::new();
    fs::create_dir_all(foreign.path.join("log")).unwrap();
    let error = Kafka::start(KafkaConfig::new(&foreign.path)).await.unwrap_err();
    assert!(matches!(error, KafkaError::NotKafkaData { .. }), "{error}");

    // a creation that was cut off is begun anew; a setting that the broker does not take is quoted
    let half = DataDir::new();
    fs::create_dir_all(half.path.join("log.unfinished/__cluster_metadata-0")).unwrap();
    let settings = [("num.io.threads".to_owned(), "none".to_owned())].into();
    let error = Kafka::start(KafkaConfig { settings, ..KafkaConfig::new(&half.path) }).await.unwrap_err();
    assert!(error.to_string().contains("num.io.threads"), "{error}");
    assert!(!half.path.join("log").exists());
}

/// Not a test by itself: the tests below run it in a process of its own and kill that.
#[tokio::test(flavor = "multi_thread")]
async fn a_parent_to_be_killed() {
    let Some(dir) = parent_data_dir() else {
        return;
    };
    let kafka = Kafka::start(KafkaConfig::new(&dir)).await.unwrap();
    create_topic(&kafka.bootstrap()).await;
    produce(&producer(&kafka.bootstrap()), numbered(0, 3)).await;
    serve_until_killed(&dir).await;
    kafka.shutdown().await.unwrap();
}

async fn starts_with_what_the_parent_wrote(data: &DataDir) {
    let kafka = in_time("start", Kafka::start(KafkaConfig::new(&data.path))).await.unwrap();
    assert_eq!(consume(&kafka.bootstrap(), 3).await, numbered(0, 3).collect::<Vec<_>>());
    kafka.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_of_a_killed_parent_ends_by_itself() {
    let data = DataDir::new();
    kill_a_parent("kafka::a_parent_to_be_killed", &data, Kernel::Helps).await;
    until("the broker has ended", || !data.is_served()).await;
    starts_with_what_the_parent_wrote(&data).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_is_stopped_before_the_next_start() {
    let data = DataDir::new();
    kill_a_parent("kafka::a_parent_to_be_killed", &data, Kernel::DoesNotHelp).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(data.is_served(), "the orphan should have survived");
    let orphan = data.noted_pid();
    starts_with_what_the_parent_wrote(&data).await;
    assert!(!data.is_served());
    let traces = format!("/proc/{}/cwd", orphan.as_raw_nonzero());
    assert!(fs::read_link(traces).is_err(), "the orphan still works");
}
