//! What only a log over the network can get wrong.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use embedded::event_log::{Node, NodeConfig};
use futures::StreamExt;
use platform::event_log::eventstore::{APPEND_DEADLINE, EventStoreLog};
use platform::event_log::{AppendError, EventLog, Expected, LogItem, NewEvent};

use crate::conformance::{append, event, events};
use crate::delay::are_held_back;
use crate::relay::Relay;
use crate::{connect, node};
use uuid::Uuid;

/// What must happen happens well within this, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// Appends one event; as often as it takes, where connections are lost.
async fn insist(log: &EventStoreLog) {
    let event = event(Uuid::new_v4().as_u128());
    while let Err(error) = log.append("show-a", Expected::Any, vec![event.clone()]).await {
        assert!(matches!(error, AppendError::OutcomeUnknown(_)), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_append_waits_for_a_delayed_acknowledgement() {
    let directory = tempfile::tempdir().unwrap();
    let node = node(&directory).await;
    let (relay, prompt) = (Relay::to(node.addr()).await, Relay::prompt(node.addr()).await);
    let (log, undelayed) = (connect(relay.address).await, connect(prompt.address).await);
    assert!(!are_held_back(async || insist(&log).await, async || insist(&undelayed).await).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_lost_connection_appends_are_fast_again() {
    let directory = tempfile::tempdir().unwrap();
    let node = node(&directory).await;
    let (relay, prompt) = (Relay::to(node.addr()).await, Relay::prompt(node.addr()).await);
    let (log, undelayed) = (connect(relay.address).await, connect(prompt.address).await);
    insist(&log).await;
    // so that the look at the sockets is due again
    tokio::time::sleep(Duration::from_secs(5)).await;
    relay.cut();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    while are_held_back(async || insist(&log).await, async || insist(&undelayed).await).await {
        assert!(begun.elapsed() < PATIENCE, "appends stay slow");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_whose_server_comes_late_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let first = node(&directory).await;
    let address = first.addr();
    first.shutdown().await.unwrap();
    let log = EventStoreLog::new(&format!("esdb://{address}?tls=false"), "test").unwrap();
    let failed = log.append("show-a", Expected::NoStream, events(0..1)).await;
    assert!(matches!(failed, Err(AppendError::OutcomeUnknown(_))));
    assert!(log.wait_until_ready(Duration::from_secs(1)).await.is_err());
    let node = at(address, &directory).await;
    log.wait_until_ready(PATIENCE).await.unwrap();
    append(&log, "show-a", 0..1).await;
    node.shutdown().await.unwrap();
}

async fn at(address: SocketAddr, directory: &tempfile::TempDir) -> Node {
    Node::start(NodeConfig::new(directory.path()).listen(address)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_server_ends_subscriptions_and_serves_again() {
    let directory = tempfile::tempdir().unwrap();
    let first = node(&directory).await;
    let address = first.addr();
    let log = connect(address).await;
    append(&log, "show-a", 0..3).await;
    let mut items = log.subscribe(None, &["show-"]).await.unwrap();
    while items.next().await.unwrap().unwrap() != LogItem::CaughtUp {}
    first.shutdown().await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, async { while let Some(Ok(_)) = items.next().await {} });
    ended.await.expect("an error in time");
    assert!(items.next().await.is_none());

    let second = at(address, &directory).await;
    log.wait_until_ready(PATIENCE).await.unwrap();
    append(&log, "show-a", 3..4).await;
    let mut again = log.subscribe(None, &["show-"]).await.unwrap();
    for revision in 0..4 {
        let item = again.next().await.unwrap().unwrap();
        assert!(matches!(item, LogItem::Event(event) if event.revision == revision));
    }
    second.shutdown().await.unwrap();
}

/// By a clock that goes on as soon as nobody has anything to do.
#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_given_up_in_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let log = EventStoreLog::new(&format!("esdb://{address}?tls=false"), "test").unwrap();
    let begun = tokio::time::Instant::now();
    let failed = log.append("show-a", Expected::NoStream, events(0..1)).await;
    assert!(matches!(failed, Err(AppendError::OutcomeUnknown(_))));
    assert!(begun.elapsed() < APPEND_DEADLINE + Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_no_json_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = NodeConfig {
        event_bytes_max: 10_000,
        append_bytes_max: 20_000,
        ..NodeConfig::new(directory.path()).listen(any_port)
    };
    let node = Node::start(config).await.unwrap();
    let log = connect(node.addr()).await;
    let large = |bytes| NewEvent { data: Bytes::from(format!("\"{}\"", "x".repeat(bytes))), ..event(1) };
    let refused = async |events| {
        let result = log.append("show-a", Expected::NoStream, events).await;
        assert!(matches!(result, Err(AppendError::Refused(_))), "{result:?}");
    };
    refused(vec![large(30_000)]).await;
    refused(vec![NewEvent { data: Bytes::from_static(b"no json"), ..event(1) }]).await;
    assert!(log.append("show-a", Expected::NoStream, vec![large(5_000)]).await.is_ok());
    node.shutdown().await.unwrap();
}

/// A conflict ends the session that all appends share, and no other append hears of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_of_one_stream_costs_no_other_an_event() {
    let directory = tempfile::tempdir().unwrap();
    let node = node(&directory).await;
    let log = connect(node.addr()).await;
    append(&log, "show-rival", 0..1).await;
    let writers = (0..8).map(|writer| {
        let log = log.clone();
        tokio::spawn(async move {
            let stream = format!("show-{writer}");
            for revision in 0..50_u64 {
                let id = u128::from(revision);
                let expected = Expected::after(revision.checked_sub(1));
                log.append(&stream, expected, vec![event(id)]).await.unwrap();
                if writer == 0 && id % 25 == 0 {
                    let rival = log.append("show-rival", Expected::NoStream, vec![event(1_000 + id)]).await;
                    assert!(
                        matches!(rival, Err(AppendError::WrongExpected { actual: Some(0) })),
                        "{rival:?}"
                    );
                    // sessions rest after a conflict: let there be one again, to be ended by the next
                    tokio::time::sleep(Duration::from_millis(2_100)).await;
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    for writer in 0..8 {
        let stored = log.read_stream(&format!("show-{writer}"), 0, 100).await.unwrap();
        let ids: Vec<_> = stored.iter().map(|event| event.id).collect();
        assert_eq!(ids, (0..50).map(|id| event(id).id).collect::<Vec<_>>());
    }
    assert_eq!(log.read_stream("show-rival", 0, 100).await.unwrap().len(), 1);
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_nobody_reads_stalls_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let node = node(&directory).await;
    let log = connect(node.addr()).await;
    let heavy = |id| NewEvent { data: Bytes::from(format!("\"{}\"", "x".repeat(100_000))), ..event(id) };
    for id in 0..100 {
        log.append("show-a", Expected::Any, vec![heavy(id)]).await.unwrap();
    }
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(log.subscribe(None, &["show-"]).await.unwrap());
    }
    let mut items = log.subscribe(None, &["show-"]).await.unwrap();
    let read = async {
        let mut count = 0;
        while count < 101 {
            count += usize::from(matches!(items.next().await, Some(Ok(LogItem::Event(_)))));
        }
    };
    append(&log, "show-a", 100..101).await;
    tokio::time::timeout(PATIENCE, read).await.expect("a neighbour's idleness is no stall");
    drop(idle);
    node.shutdown().await.unwrap();
}
