use bytes::Bytes;
use schemas::EventId;
use uuid::Uuid;

use super::*;
use crate::event_log::memory::MemoryLog;
use crate::event_log::{Appended, Expected, NewEvent};

const SHOWS: Prefixes = &["show-"];
const WAIT: Duration = Duration::from_secs(120);

fn open(log: &MemoryLog, after: Option<Position>) -> Subscription {
    open_with(log, after, SubscriptionOptions::new("test", CancellationToken::new()))
}

fn open_with(log: &MemoryLog, after: Option<Position>, options: SubscriptionOptions) -> Subscription {
    Subscription::open(Arc::new(log.clone()), after, SHOWS, options)
}

async fn append(log: &MemoryLog, stream: &str, ids: std::ops::Range<u128>) -> Appended {
    let events = ids.map(|id| NewEvent {
        id: EventId(Uuid::from_u128(id)),
        kind: "Tested".to_owned(),
        data: Bytes::from_static(b"{}"),
        metadata: Bytes::from_static(b"{}"),
    });
    log.append_elsewhere(stream, Expected::Any, events.collect()).unwrap()
}

/// So many events, with the last position told.
async fn events(subscription: &mut Subscription, count: usize) -> (Vec<u128>, Option<Position>) {
    let (mut ids, mut position) = (Vec::new(), None);
    while ids.len() < count {
        let batch = subscription.next_batch(10, WAIT).await.unwrap();
        ids.extend(batch.events.iter().map(|event| event.id.0.as_u128()));
        position = batch.position;
    }
    (ids, position)
}

async fn until_caught_up(subscription: &mut Subscription) -> Batch {
    loop {
        let batch = subscription.next_batch(1_000, WAIT).await.unwrap();
        if batch.caught_up {
            return batch;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn batches_are_bounded_and_do_not_wait_for_more_than_there_is() {
    let log = MemoryLog::new(1);
    append(&log, "show-a", 0..25).await;
    let mut subscription = open(&log, None);
    let begun = Instant::now();
    let mut sizes = Vec::new();
    loop {
        let batch = subscription.next_batch(10, WAIT).await.unwrap();
        sizes.push(batch.events.len());
        if batch.caught_up {
            assert_eq!(batch.position, log.events().last().map(|event| event.position));
            break;
        }
    }
    assert!(sizes.iter().all(|&size| size <= 10), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>(), 25);
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let quiet = subscription.next_batch(10, Duration::from_secs(3)).await.unwrap();
    assert!(quiet.events.is_empty() && quiet.caught_up);
    assert!(begun.elapsed() >= Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn the_position_advances_on_what_is_not_wanted() {
    let log = MemoryLog::new(1);
    let mut subscription = open(&log, None);
    until_caught_up(&mut subscription).await;
    let appended = append(&log, "payment-a", 0..1).await;
    let batch = subscription.next_batch(10, WAIT).await.unwrap();
    assert_eq!((batch.events.len(), batch.position), (0, Some(appended.position)));
}

#[tokio::test(start_paused = true)]
async fn a_lost_log_is_subscribed_to_again_where_it_was() {
    let log = MemoryLog::new(1);
    append(&log, "show-a", 0..10).await;
    let mut subscription = open(&log, None);
    for round in 1..=5 {
        let begin = (round - 1) * 10;
        let (ids, _) = events(&mut subscription, 10).await;
        assert_eq!(ids, (begin..begin + 10).collect::<Vec<_>>());
        log.faults().fail_reads(3);
        log.faults().disconnect();
        append(&log, "show-a", round * 10..round * 10 + 10).await;
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_not_caught_up_while_the_log_is_away() {
    let log = MemoryLog::new(1);
    append(&log, "show-a", 0..1).await;
    let mut subscription = open(&log, None);
    until_caught_up(&mut subscription).await;
    log.faults().fail_reads(1);
    log.faults().disconnect();
    let batch = subscription.next_batch(10, WAIT).await.unwrap();
    assert!(!batch.caught_up);
    until_caught_up(&mut subscription).await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_event_ends_it_for_good_after_all_before_it() {
    let log = MemoryLog::new(1);
    append(&log, "show-a", 0..3).await;
    let mut subscription = open(&log, None);
    events(&mut subscription, 3).await;
    log.faults().hide_events(1);
    append(&log, "show-b", 10..11).await;
    let last = append(&log, "show-a", 3..4).await;
    // the first of `show-b` was hidden: that stream has nothing else to be told by
    assert_eq!(events(&mut subscription, 1).await.0, [3]);
    let found = append(&log, "show-b", 11..13).await;
    let gap = loop {
        match subscription.next_batch(10, WAIT).await {
            Ok(batch) => assert!(batch.events.is_empty() && batch.position <= Some(last.position)),
            Err(gap) => break gap,
        }
    };
    let SubscriptionError::Gap { stream, expected, found: revision, position } = &gap else { panic!() };
    assert_eq!((stream.as_str(), *expected, *revision), ("show-b", 0, 1));
    assert!(*position < found.position);
    assert_eq!(subscription.next_batch(10, WAIT).await, Err(gap));
}

#[tokio::test(start_paused = true)]
async fn from_midway_a_stream_may_go_on_but_not_skip() {
    let log = MemoryLog::new(1);
    let start = append(&log, "show-a", 0..3).await.position;
    append(&log, "show-a", 3..5).await;
    let mut subscription = open(&log, Some(start));
    assert_eq!(events(&mut subscription, 2).await.0, [3, 4]);

    // the first event after the start is lost on the way: its successor tells
    log.faults().hide_events(1);
    let mut holed = open(&log, Some(start));
    let ended = holed.next_batch(10, WAIT).await;
    assert!(matches!(ended, Err(SubscriptionError::Gap { expected: 3, found: 4, .. })), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn forgotten_streams_are_looked_up_and_holes_still_found() {
    let log = MemoryLog::new(1);
    let few =
        || SubscriptionOptions { streams: 3, ..SubscriptionOptions::new("test", CancellationToken::new()) };
    for id in 0..60 {
        append(&log, &format!("show-{}", id % 20), id..id + 1).await;
    }
    let mut subscription = open_with(&log, None, few());
    assert_eq!(events(&mut subscription, 60).await.0, (0..60).collect::<Vec<_>>());
    log.faults().hide_events(1);
    append(&log, "show-0", 60..62).await;
    let ended = loop {
        if let Err(ended) = subscription.next_batch(10, WAIT).await {
            break ended;
        }
    };
    assert!(matches!(ended, SubscriptionError::Gap { expected: 3, found: 4, .. }), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_look_at_an_earlier_event_is_repeated() {
    let log = MemoryLog::new(1);
    let start = append(&log, "show-a", 0..3).await.position;
    append(&log, "show-a", 3..5).await;
    // the subscription itself succeeds, the look at revision 2 fails
    log.faults().fail_read(1);
    let mut subscription = open(&log, Some(start));
    assert_eq!(events(&mut subscription, 2).await.0, [3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_log_that_grows_is_given_up_and_a_quiet_one_is_not() {
    let log = MemoryLog::new(1);
    append(&log, "show-a", 0..1).await;
    let mut subscription = open(&log, None);
    until_caught_up(&mut subscription).await;
    let quiet = subscription.next_batch(10, Duration::from_secs(100)).await.unwrap();
    assert!(quiet.caught_up && quiet.events.is_empty(), "nothing to come is no stall");

    log.faults().stall(true);
    append(&log, "show-a", 1..2).await;
    let stalled = subscription.next_batch(10, Duration::from_secs(100)).await.unwrap();
    assert!(!stalled.caught_up && stalled.events.is_empty(), "it noticed: {stalled:?}");
    log.faults().stall(false);
    assert_eq!(events(&mut subscription, 1).await.0, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_is_no_stall_and_loses_nothing() {
    let log = MemoryLog::new(1);
    append(&log, "show-a", 0..5_000).await;
    let mut subscription = open(&log, None);
    let mut ids = Vec::new();
    while ids.len() < 5_000 {
        let batch = subscription.next_batch(700, WAIT).await.unwrap();
        ids.extend(batch.events.iter().map(|event| event.id.0.as_u128()));
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(ids, (0..5_000).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_dropped_lose_nothing() {
    let log = MemoryLog::new(1);
    let mut subscription = open(&log, None);
    let mut ids = Vec::new();
    for id in 0..200 {
        append(&log, "show-a", id..id + 1).await;
        let call = subscription.next_batch(10, WAIT);
        tokio::select! {
            biased;
            () = tokio::task::yield_now() => {}
            batch = call => ids.extend(batch.unwrap().events.iter().map(|event| event.id.0.as_u128())),
        }
    }
    while ids.len() < 200 {
        ids.extend(events(&mut subscription, 1).await.0);
    }
    assert_eq!(ids, (0..200).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_it() {
    let log = MemoryLog::new(1);
    let cancel = CancellationToken::new();
    let mut subscription = open_with(&log, None, SubscriptionOptions::new("test", cancel.clone()));
    until_caught_up(&mut subscription).await;
    cancel.cancel();
    let ended = subscription.next_batch(10, WAIT).await;
    assert_eq!(ended, Err(SubscriptionError::Cancelled));
    assert_eq!(subscription.next_batch(10, WAIT).await, Err(SubscriptionError::Cancelled));
}
