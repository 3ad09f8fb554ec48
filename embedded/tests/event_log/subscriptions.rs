//! Subscriptions: stored events, then live ones; checkpoints; restarts of the node.

use std::time::Duration;

use eventstore::{
    Client, Position, RetryOptions, StreamPosition, SubscribeToAllOptions, SubscribeToStreamOptions,
    Subscription, SubscriptionEvent, SubscriptionFilter,
};
use tokio::time::timeout;

use super::support::{TestNode, event, events, fresh, number};

const PATIENCE: Duration = Duration::from_secs(20);

async fn append(client: &Client, stream: &str, event_type: &str, numbers: std::ops::Range<u64>) {
    for at in numbers {
        client.append_to_stream(stream, &Default::default(), vec![event(event_type, at)]).await.unwrap();
    }
}

async fn next(subscription: &mut Subscription) -> SubscriptionEvent {
    timeout(PATIENCE, subscription.next_subscription_event()).await.expect("an event in time").unwrap()
}

/// What a subscription tells until it has caught up.
async fn until_caught_up(subscription: &mut Subscription) -> (Vec<u64>, Vec<Position>) {
    let (mut numbers, mut checkpoints) = (Vec::new(), Vec::new());
    loop {
        match next(subscription).await {
            SubscriptionEvent::EventAppeared(event) => numbers.push(number(&event)),
            SubscriptionEvent::Checkpoint(position) => checkpoints.push(position),
            SubscriptionEvent::CaughtUp(_) => return (numbers, checkpoints),
            other => assert!(matches!(other, SubscriptionEvent::Confirmed(_)), "{other:?}"),
        }
    }
}

async fn take_numbers(subscription: &mut Subscription, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        if let SubscriptionEvent::EventAppeared(event) = next(subscription).await {
            numbers.push(number(&event));
        }
    }
    numbers
}

#[tokio::test]
async fn a_stream_is_followed_from_any_place() {
    let node = TestNode::start().await;
    let client = node.client();
    let (stream, other) = (fresh("follow"), fresh("other"));
    client.append_to_stream(stream.as_str(), &Default::default(), events("a", 5)).await.unwrap();
    let from = |place| SubscribeToStreamOptions::default().start_from(place);
    let mut from_start = client.subscribe_to_stream(stream.as_str(), &from(StreamPosition::Start)).await;
    let mut after_2 = client.subscribe_to_stream(stream.as_str(), &from(StreamPosition::Position(2))).await;
    let mut from_end = client.subscribe_to_stream(stream.as_str(), &from(StreamPosition::End)).await;
    assert_eq!(until_caught_up(&mut from_start).await.0, [0, 1, 2, 3, 4]);
    assert_eq!(until_caught_up(&mut after_2).await.0, [3, 4]);
    assert_eq!(until_caught_up(&mut from_end).await.0, Vec::<u64>::new());
    append(&client, &other, "a", 0..3).await;
    append(&client, &stream, "a", 5..8).await;
    for subscription in [&mut from_start, &mut after_2, &mut from_end] {
        assert_eq!(take_numbers(subscription, 3).await, [5, 6, 7]);
    }
}

#[tokio::test]
async fn a_checkpoint_resumes_without_loss_or_repeat() {
    let node = TestNode::start().await;
    let client = node.client();
    let (wanted, unwanted) = (fresh("wanted"), fresh("unwanted"));
    for at in 0..40 {
        append(&client, &wanted, "a", at..at + 1).await;
        append(&client, &unwanted, "b", 0..3).await;
    }
    let filter = || SubscriptionFilter::on_stream_name().add_prefix("wanted-").max(10);
    let options = SubscribeToAllOptions::default().position(StreamPosition::Start).filter(filter());
    let mut subscription = client.subscribe_to_all(&options).await;
    let mut seen = Vec::new();
    let checkpoint = loop {
        match next(&mut subscription).await {
            SubscriptionEvent::EventAppeared(event) => seen.push(number(&event)),
            SubscriptionEvent::Checkpoint(position) if seen.len() >= 10 => break position,
            other => {
                let early =
                    matches!(other, SubscriptionEvent::Checkpoint(_) | SubscriptionEvent::Confirmed(_));
                assert!(early, "no checkpoint in time, but {other:?}");
            }
        }
    };
    drop(subscription);
    let options =
        SubscribeToAllOptions::default().position(StreamPosition::Position(checkpoint)).filter(filter());
    let mut resumed = client.subscribe_to_all(&options).await;
    let (rest, checkpoints) = until_caught_up(&mut resumed).await;
    seen.extend(rest);
    assert_eq!(seen, (0..40).collect::<Vec<_>>());
    assert!(!checkpoints.is_empty(), "one checkpoint comes before the subscription is live");

    // live, only unwanted events: checkpoints go on
    append(&client, &unwanted, "b", 0..3).await;
    let event = next(&mut resumed).await;
    assert!(matches!(event, SubscriptionEvent::Checkpoint(_)), "{event:?}");
}

#[tokio::test]
async fn the_whole_log_is_followed_live_by_many() {
    let node = TestNode::start().await;
    let client = node.client();
    let stream = fresh("many");
    let options = SubscribeToAllOptions::default().position(StreamPosition::Start);
    let mut subscriptions = Vec::new();
    for _ in 0..10 {
        let mut subscription = client.subscribe_to_all(&options).await;
        until_caught_up(&mut subscription).await;
        subscriptions.push(subscription);
    }
    append(&client, &stream, "a", 0..200).await;
    for subscription in &mut subscriptions {
        assert_eq!(take_numbers(subscription, 200).await, (0..200).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_subscription_outlives_a_restart_of_the_node() {
    let mut node = TestNode::start().await;
    let stream = fresh("restart");
    let client = node.client();
    append(&client, &stream, "a", 0..5).await;
    let retry = RetryOptions::default().retry_forever();
    let options = SubscribeToAllOptions::default().position(StreamPosition::Start).retry_options(retry);
    let mut subscription = client.subscribe_to_all(&options).await;
    assert_eq!(take_numbers(&mut subscription, 5).await, [0, 1, 2, 3, 4]);
    node.restart().await;
    append(&node.client(), &stream, "a", 5..10).await;
    assert_eq!(take_numbers(&mut subscription, 5).await, [5, 6, 7, 8, 9]);
}

#[tokio::test]
async fn a_subscription_ends_with_unavailable_and_never_with_ok() {
    let mut node = TestNode::start().await;
    let client = node.client();
    let mut subscription = client.subscribe_to_all(&Default::default()).await;
    until_caught_up(&mut subscription).await;
    node.stop().await;
    let ended = timeout(PATIENCE, subscription.next_subscription_event()).await.expect("an end in time");
    assert!(matches!(&ended, Err(eventstore::Error::ServerError(_))), "{ended:?}");
}
