//! A subscription without end, over the network.

use std::sync::Arc;
use std::time::Duration;

use platform::event_log::subscription::{Subscription, SubscriptionOptions};
use tokio_util::sync::CancellationToken;

use crate::conformance::append;
use crate::relay::Relay;
use crate::{connect, node};

/// Six hundred appends, one after the other, take no longer on a slow disk either.
const PATIENCE: Duration = Duration::from_secs(300);

/// Connections are cut at random moments while events are appended and read: every event comes, once, in order.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_connections_break() {
    let directory = tempfile::tempdir().unwrap();
    let node = node(&directory).await;
    let relay = Relay::to(node.addr()).await;
    let (writer, reader) = (connect(node.addr()).await, connect(relay.address).await);
    let options = SubscriptionOptions::new("test", CancellationToken::new());
    let mut subscription = Subscription::open(Arc::new(reader), None, &["show-"], options);
    let writing = async {
        for id in 0..600_u128 {
            append(&writer, &format!("show-{}", id % 7), id..id + 1).await;
            if id % 50 == 49 {
                relay.cut();
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let reading = async {
        let mut ids = Vec::new();
        while ids.len() < 600 {
            let batch = subscription.next_batch(100, Duration::from_secs(30)).await.unwrap();
            assert!(batch.position >= batch.events.last().map(|event| event.position));
            ids.extend(batch.events.iter().map(|event| event.id.0.as_u128()));
        }
        ids
    };
    let both = async { tokio::join!(writing, reading).1 };
    let ids = tokio::time::timeout(PATIENCE, both).await.expect("all events in time");
    assert_eq!(ids, (0..600).collect::<Vec<_>>());
    node.shutdown().await.unwrap();
}
