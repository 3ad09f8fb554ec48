use std::time::Duration;

use bytes::Bytes;
use schemas::EventId;
use uuid::Uuid;

use super::*;
use crate::event_log::LogItem;

const SHOWS: Prefixes = &["show-"];

fn event(id: u128) -> NewEvent {
    NewEvent {
        id: EventId(Uuid::from_u128(id)),
        kind: "Tested".to_owned(),
        data: Bytes::from_static(b"{}"),
        metadata: Bytes::from_static(b"{}"),
    }
}

async fn append(log: &MemoryLog, stream: &str, id: u128) -> Appended {
    log.append(stream, Expected::Any, vec![event(id)]).await.unwrap()
}

#[tokio::test]
async fn a_lost_answer_is_found_again_by_repeating() {
    let log = MemoryLog::new(1);
    log.faults().on_append(0, AppendFault::LoseAnswer);
    log.faults().on_append(1, AppendFault::LoseRequest);
    for _ in 0..2 {
        let lost = log.append("show-a", Expected::NoStream, vec![event(1)]).await;
        assert!(matches!(lost, Err(AppendError::OutcomeUnknown(_))));
    }
    let again = log.append("show-a", Expected::NoStream, vec![event(1)]).await.unwrap();
    assert_eq!(again.revision, 0);
    assert_eq!(log.events().len(), 1);
}

#[tokio::test]
async fn a_refusal_and_a_conflict_write_nothing() {
    let log = MemoryLog::new(1);
    let rival = vec![event(7)];
    log.faults().on_append(0, AppendFault::Refuse);
    log.faults().on_append(1, AppendFault::Overtaken { stream: "show-a".to_owned(), events: rival });
    let refused = log.append("show-a", Expected::NoStream, vec![event(1)]).await;
    assert!(matches!(refused, Err(AppendError::Refused(_))));
    let overtaken = log.append("show-a", Expected::NoStream, vec![event(1)]).await;
    assert!(matches!(overtaken, Err(AppendError::WrongExpected { actual: Some(0) })));
    assert_eq!(log.events().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_late_append_is_written_after_all() {
    let log = MemoryLog::new(1);
    log.faults().on_append(0, AppendFault::Late(Duration::from_secs(5)));
    let late = log.append("show-a", Expected::NoStream, vec![event(1)]).await;
    assert!(matches!(late, Err(AppendError::OutcomeUnknown(_))));
    assert!(log.events().is_empty());
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(log.events().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn held_appends_wait_until_they_are_let_go() {
    let log = MemoryLog::new(1);
    let held = log.faults().hold_appends();
    let rival = log.clone();
    let waiting = tokio::spawn(async move { append(&rival, "show-a", 1).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(log.events().is_empty());
    drop(held);
    assert_eq!(waiting.await.unwrap().revision, 0);
}

#[tokio::test]
async fn one_seed_gives_one_run_and_faults_do_not_move_positions() {
    let run = async |seed, chaos| {
        let log = MemoryLog::new(seed);
        log.faults().chaos(chaos);
        for id in 0..50 {
            let stream = format!("show-{id}");
            while log.append(&stream, Expected::NoStream, vec![event(id)]).await.is_err() {}
        }
        log.events().iter().map(|event| event.position).collect::<Vec<_>>()
    };
    assert_eq!(run(1, 0).await, run(1, 40).await);
    assert_ne!(run(1, 0).await, run(2, 0).await);
}

#[tokio::test]
async fn a_disconnected_subscription_ends_with_an_error() {
    let log = MemoryLog::new(1);
    append(&log, "show-a", 1).await;
    let mut items = log.subscribe(None, SHOWS).await.unwrap();
    assert!(matches!(items.next().await, Some(Ok(LogItem::Event(_)))));
    log.faults().disconnect();
    assert!(matches!(items.next().await, Some(Err(_))));
    assert!(items.next().await.is_none());
    log.faults().fail_reads(1);
    assert!(log.subscribe(None, SHOWS).await.is_err());
    assert!(log.subscribe(None, SHOWS).await.is_ok());
}

#[tokio::test]
async fn one_event_is_hidden_from_every_subscription_until_nothing_is() {
    let log = MemoryLog::new(1);
    log.faults().hide(event(1).id);
    let (first, second) = (append(&log, "show-a", 1).await, append(&log, "show-a", 2).await);
    for (is_hidden, position) in [(true, second.position), (true, second.position), (false, first.position)] {
        if !is_hidden {
            log.faults().hide_nothing();
        }
        let item = log.subscribe(None, SHOWS).await.unwrap().next().await.unwrap().unwrap();
        assert!(matches!(item, LogItem::Event(event) if event.position == position));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_subscription_is_silent_and_a_hidden_event_is_left_out() {
    let log = MemoryLog::new(1);
    let mut items = log.subscribe(None, SHOWS).await.unwrap();
    assert_eq!(items.next().await.unwrap().unwrap(), LogItem::CaughtUp);
    log.faults().stall(true);
    log.faults().hide_events(1);
    append(&log, "show-a", 1).await;
    let second = append(&log, "show-a", 2).await;
    assert!(tokio::time::timeout(Duration::from_secs(60), items.next()).await.is_err());
    log.faults().stall(false);
    let item = items.next().await.unwrap().unwrap();
    assert!(matches!(item, LogItem::Event(event) if event.position == second.position));
}
