use super::*;
use domain::Rejection;
use domain::rejection::AccessReason;
use platform::event_log::memory::AppendFault;
use schemas::{BodyHash, CommandId};

#[tokio::test(start_paused = true)]
async fn a_node_that_is_behind_reads_what_it_missed_and_decides_again() {
    let (log, one) = live().await;
    let two = node(&log);
    run(&two, by(9, 10, post(1))).await.unwrap();
    run(&one, by(9, 11, post(2))).await.unwrap();
    run(&two, by(9, 12, post(3))).await.unwrap();
    let revisions: Vec<_> = stored(&log).iter().map(|event| event.revision).collect();
    assert_eq!(revisions, [0, 1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_behind_does_not_refuse_what_is_allowed() {
    let log = MemoryLog::new(1);
    let (one, two) = (node(&log), node(&log));
    run(&one, by(HOST, 1, create(Some(1)))).await.unwrap();
    run(&one, by(HOST, 2, Action::Start)).await.unwrap();
    run(&one, by(9, 10, join())).await.unwrap();
    run(&two, by(9, 11, leave(None))).await.unwrap();
    // `one` still sees the seat taken, until it looks at the head
    run(&one, by(8, 12, join())).await.unwrap();
    let full = run(&two, by(7, 13, join())).await.unwrap_err();
    assert_eq!(full, CommandError::Rejected(Rejection::AccessDenied(AccessReason::ShowFull)));
}

#[tokio::test(start_paused = true)]
async fn a_look_sees_what_another_node_did() {
    let (log, one) = live().await;
    let two = node(&log);
    run(&two, by(9, 10, post(1))).await.unwrap();
    let looked = one.look(show_id(), Show::messages_count).await.unwrap();
    assert_eq!((looked.seen, looked.revision), (1, 2));
    assert_eq!(looked.position, stored(&log).last().unwrap().position);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_on_another_node_gets_the_first_answer() {
    let (log, one) = live().await;
    let two = node(&log);
    two.look(show_id(), |_| ()).await.unwrap();
    let first = run(&one, by(9, 10, post(1))).await.unwrap();
    // `two` does not know it yet, and to the log its append is a repeat: the same ids at the same revision
    let mut again = by(9, 10, post(1));
    again.at = NOW.plus_millis(77);
    let repeat = run(&two, again.clone()).await.unwrap();
    assert!(repeat.is_repeat);
    assert_eq!((repeat.revision, repeat.position), (first.revision, first.position));
    assert_eq!(repeat.events[0].meta.occurred_at, NOW);
    assert_eq!(times_in_log(&log, 10), 1);

    // and under another body it is another request, which a node that is behind must notice too
    let three = node(&log);
    run(&three, by(9, 20, post(5))).await.unwrap();
    again.id = CommandId(uuid::Uuid::from_u128(20));
    again.body_hash = BodyHash([3; 16]);
    let reused = run(&two, again).await.unwrap_err();
    assert_eq!(reused, CommandError::Rejected(Rejection::KeyReused));
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_read_or_refuses_is_said_to_be() {
    let (log, node) = live().await;
    log.faults().on_append(0, AppendFault::Refuse);
    assert_eq!(run(&node, by(9, 10, post(1))).await.unwrap_err(), CommandError::Broken);
    log.faults().fail_reads(1);
    assert_eq!(run(&node, by(9, 11, post(1))).await.unwrap_err(), CommandError::Unavailable);
    run(&node, by(9, 10, post(1))).await.unwrap();
    assert_eq!(times_in_log(&log, 10), 1);
}

#[tokio::test(start_paused = true)]
async fn a_gap_in_the_stream_stops_the_show() {
    let (log, one) = live().await;
    run(&one, by(9, 10, post(1))).await.unwrap();
    let gapped = MemoryLog::new(1);
    let mut events = stored(&log);
    events.remove(1);
    for event in events {
        let new = platform::event_log::NewEvent {
            id: event.id,
            kind: "Foreign".to_owned(),
            data: event.data,
            metadata: event.metadata,
        };
        gapped.append_elsewhere(&event.stream, platform::event_log::Expected::Any, vec![new]).unwrap();
    }
    let broken = run(&node(&gapped), by(9, 11, post(1))).await.unwrap_err();
    assert_eq!(broken, CommandError::Broken, "an event that is not understood is never skipped");
}
