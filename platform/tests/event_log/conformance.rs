//! What every log does.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use platform::event_log::{
    AppendError, Appended, CHECKPOINT_INTERVAL, EventLog, Expected, LogItem, LogItems, NewEvent, Prefixes,
    StoredEvent,
};
use schemas::{EventId, Position};
use uuid::Uuid;

const SHOWS: Prefixes = &["show-"];

/// Nothing here takes longer, on a busy machine neither.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often what must happen within a given time is tried.
const TRIES_MAX: u128 = 20;

pub fn event(id: u128) -> NewEvent {
    NewEvent {
        id: EventId(Uuid::from_u128(id)),
        kind: "Tested".to_owned(),
        data: Bytes::from(format!(r#"{{"number":{id},"text":"ünï \" {{"}}"#)),
        metadata: Bytes::from(format!(r#"{{"by":{id}}}"#)),
    }
}

pub fn events(ids: std::ops::Range<u128>) -> Vec<NewEvent> {
    ids.map(event).collect()
}

pub async fn append(log: &impl EventLog, stream: &str, ids: std::ops::Range<u128>) -> Appended {
    log.append(stream, Expected::Any, events(ids)).await.unwrap()
}

fn actual(result: &Result<Appended, AppendError>) -> Option<u64> {
    let Err(AppendError::WrongExpected { actual }) = result else { panic!("no conflict: {result:?}") };
    *actual
}

async fn next(items: &mut LogItems) -> LogItem {
    tokio::time::timeout(PATIENCE, items.next()).await.expect("an item in time").unwrap().unwrap()
}

/// The next events, whatever stands between them.
async fn next_events(items: &mut LogItems, count: usize) -> Vec<StoredEvent> {
    let mut events = Vec::new();
    while events.len() < count {
        match next(items).await {
            LogItem::Event(event) => events.push(event),
            LogItem::Checkpoint(_) | LogItem::CaughtUp => {}
        }
    }
    events
}

fn numbers(events: &[StoredEvent]) -> Vec<u128> {
    events.iter().map(|event| event.id.0.as_u128()).collect()
}

pub async fn what_is_appended_is_read_back_in_order(log: &impl EventLog) {
    let first = log.append("show-a", Expected::NoStream, events(0..3)).await.unwrap();
    let second = log.append("show-a", Expected::Revision(2), events(3..5)).await.unwrap();
    assert_eq!((first.revision, second.revision), (2, 4));
    assert!(first.position < second.position);
    let stored = log.read_stream("show-a", 0, 100).await.unwrap();
    assert_eq!(stored.len(), 5);
    for (stored, id) in stored.iter().zip(0..) {
        let new = event(id);
        assert_eq!((stored.id, &stored.kind), (new.id, &new.kind));
        assert_eq!((&stored.data, &stored.metadata), (&new.data, &new.metadata));
        assert_eq!((stored.stream.as_str(), stored.revision), ("show-a", u64::try_from(id).unwrap()));
    }
    assert!(stored.is_sorted_by(|a, b| a.position < b.position));
    assert_eq!(stored[2].position, first.position);
    assert_eq!(stored[4].position, second.position);
}

pub async fn a_stream_must_be_as_expected(log: &impl EventLog) {
    assert_eq!(actual(&log.append("show-a", Expected::Revision(0), events(0..1)).await), None);
    append(log, "show-a", 0..2).await;
    assert_eq!(actual(&log.append("show-a", Expected::NoStream, events(9..10)).await), Some(1));
    assert_eq!(actual(&log.append("show-a", Expected::Revision(0), events(9..10)).await), Some(1));
    assert_eq!(actual(&log.append("show-a", Expected::Revision(5), events(9..10)).await), Some(1));
    assert_eq!(log.read_stream("show-a", 0, 100).await.unwrap().len(), 2);
}

pub async fn the_same_append_again_is_no_second_write(log: &impl EventLog) {
    let first = log.append("show-a", Expected::NoStream, events(0..3)).await.unwrap();
    assert_eq!(log.append("show-a", Expected::NoStream, events(0..3)).await.unwrap(), first);
    let second = log.append("show-a", Expected::Revision(2), events(3..6)).await.unwrap();
    append(log, "show-a", 6..8).await;
    // also when others appended meanwhile
    assert_eq!(log.append("show-a", Expected::NoStream, events(0..3)).await.unwrap(), first);
    assert_eq!(log.append("show-a", Expected::Revision(2), events(3..6)).await.unwrap(), second);
    assert_eq!(append(log, "show-a", 3..6).await, second);
    assert_eq!(log.read_stream("show-a", 0, 100).await.unwrap().len(), 8);
    // an id is known within its stream only
    assert_eq!(log.append("show-b", Expected::NoStream, events(0..3)).await.unwrap().revision, 2);
}

pub async fn a_part_of_an_append_again_is_a_conflict(log: &impl EventLog) {
    append(log, "show-a", 0..3).await;
    assert_eq!(actual(&log.append("show-a", Expected::NoStream, events(0..4)).await), Some(2));
    assert_eq!(actual(&log.append("show-a", Expected::NoStream, events(1..3)).await), Some(2));
    let swapped = vec![event(1), event(0)];
    assert_eq!(actual(&log.append("show-a", Expected::NoStream, swapped).await), Some(2));
    assert_eq!(log.read_stream("show-a", 0, 100).await.unwrap().len(), 3);
}

pub async fn one_of_many_rivals_wins(log: &impl EventLog) {
    append(log, "show-a", 0..1).await;
    let rivals = (1..21).map(|id| log.append("show-a", Expected::Revision(0), vec![event(id)]));
    let results = futures::future::join_all(rivals).await;
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    assert!(lost.into_iter().all(|lost| actual(&lost) == Some(1)));
    assert_eq!(log.read_stream("show-a", 0, 100).await.unwrap().len(), 2);
}

pub async fn reads_are_bounded_and_know_both_directions(log: &impl EventLog) {
    append(log, "show-a", 0..10).await;
    append(log, "show-b", 10..12).await;
    let forward = async |from, limit| numbers(&log.read_stream("show-a", from, limit).await.unwrap());
    assert_eq!(forward(0, 3).await, [0, 1, 2]);
    assert_eq!(forward(8, 3).await, [8, 9]);
    assert_eq!(forward(10, 3).await, []);
    assert_eq!(forward(0, 0).await, []);
    let back = async |from, limit| numbers(&log.read_stream_back("show-a", from, limit).await.unwrap());
    assert_eq!(back(None, 2).await, [9, 8]);
    assert_eq!(back(Some(1), 5).await, [1, 0]);
    assert_eq!(back(Some(4), 1).await, [4]);
    assert_eq!(back(None, 0).await, []);
    assert!(log.read_stream("show-none", 0, 1).await.unwrap().is_empty());
    assert!(log.read_stream_back("show-none", None, 1).await.unwrap().is_empty());
}

pub async fn what_is_no_event_is_refused(log: &impl EventLog) {
    let nothing = log.append("show-a", Expected::NoStream, Vec::new()).await;
    assert!(matches!(nothing, Err(AppendError::Refused(_))));
    assert!(log.read_stream("show-a", 0, 1).await.unwrap().is_empty());
}

pub async fn a_subscription_yields_what_is_wanted_after_a_position(log: &impl EventLog) {
    let first = append(log, "show-a", 0..5).await;
    append(log, "snapshot-show-a", 100..103).await;
    append(log, "payment-a", 200..203).await;
    append(log, "show-b", 5..10).await;
    let mut all = log.subscribe(None, SHOWS).await.unwrap();
    assert_eq!(numbers(&next_events(&mut all, 10).await), (0..10).collect::<Vec<_>>());
    let mut rest = log.subscribe(Some(first.position), SHOWS).await.unwrap();
    let rest = next_events(&mut rest, 5).await;
    assert_eq!(numbers(&rest), (5..10).collect::<Vec<_>>());
    assert_eq!(rest[4].position, log.read_stream("show-b", 4, 1).await.unwrap()[0].position);
    let mut both = log.subscribe(None, &["payment-", "show-b"]).await.unwrap();
    assert_eq!(numbers(&next_events(&mut both, 8).await), [200, 201, 202, 5, 6, 7, 8, 9]);
}

pub async fn a_subscription_goes_from_stored_to_live_without_a_gap(log: &impl EventLog) {
    append(log, "show-a", 0..200).await;
    let mut items = log.subscribe(None, SHOWS).await.unwrap();
    let writing = async {
        for id in 200..400 {
            append(log, "show-a", id..id + 1).await;
        }
    };
    let (events, ()) = tokio::join!(next_events(&mut items, 400), writing);
    assert_eq!(numbers(&events), (0..400).collect::<Vec<_>>());
    assert!(events.is_sorted_by(|a, b| a.position < b.position));
}

pub async fn the_position_advances_on_unwanted_events_too(log: &impl EventLog) {
    append(log, "show-a", 0..1).await;
    let mut items = log.subscribe(None, SHOWS).await.unwrap();
    while next(&mut items).await != LogItem::CaughtUp {}
    // more than once, for a machine that is busy with other tests
    let mut ids = 1..TRIES_MAX;
    let is_in_time = loop {
        let Some(id) = ids.next() else { break false };
        let unwanted = append(log, "payment-a", id..id + 1).await;
        let advanced = async {
            loop {
                match next(&mut items).await {
                    LogItem::Checkpoint(position) if position >= unwanted.position => break,
                    LogItem::Checkpoint(_) | LogItem::CaughtUp => {}
                    LogItem::Event(event) => panic!("unwanted: {event:?}"),
                }
            }
        };
        if tokio::time::timeout(CHECKPOINT_INTERVAL * 2, advanced).await.is_ok() {
            break true;
        }
    };
    assert!(is_in_time, "no checkpoint in time");
    let wanted = append(log, "show-a", 1_000..1_001).await;
    let event = next_events(&mut items, 1).await.remove(0);
    assert_eq!((event.revision, event.position), (1, wanted.position));
}

pub async fn a_checkpoint_is_a_place_to_go_on_from(log: &impl EventLog) {
    for id in 0..60 {
        append(log, if id % 20 == 0 { "show-a" } else { "payment-a" }, id..id + 1).await;
    }
    let mut places: Vec<(Option<Position>, usize)> = vec![(None, 0)];
    let mut items = log.subscribe(None, SHOWS).await.unwrap();
    let mut seen = 0;
    loop {
        match next(&mut items).await {
            LogItem::Event(event) => {
                seen += 1;
                places.push((Some(event.position), seen));
            }
            LogItem::Checkpoint(position) => places.push((Some(position), seen)),
            LogItem::CaughtUp => break,
        }
    }
    append(log, "show-a", 60..61).await;
    for (place, seen) in places {
        let mut rest = log.subscribe(place, SHOWS).await.unwrap();
        let rest = next_events(&mut rest, 4 - seen).await;
        assert_eq!(numbers(&rest), [0, 20, 40, 60][seen..], "from {place:?}");
    }
}

pub async fn the_head_is_the_last_event(log: &impl EventLog) {
    let before = log.head().await.unwrap();
    let appended = append(log, "show-a", 0..3).await;
    let head = log.head().await.unwrap().unwrap();
    // a server may have appended events of its own meanwhile
    assert!(head >= appended.position && Some(head) > before);
}
