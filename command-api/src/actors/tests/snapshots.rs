use super::*;
use crate::actors::load::load;
use bytes::Bytes;
use platform::event_log::{Expected, NewEvent};
use schemas::EventId;
use uuid::Uuid;

fn snapshots(log: &MemoryLog) -> Vec<StoredEvent> {
    let stream = streams::show_snapshot(show_id());
    log.events().into_iter().filter(|event| event.stream == stream).collect()
}

async fn with_snapshots() -> MemoryLog {
    let log = MemoryLog::new(3);
    let node = node_with(&log, ActorSettings { snapshot_every: 10, ..ActorSettings::default() });
    run(&node, by(HOST, 1, create(None))).await.unwrap();
    run(&node, by(HOST, 2, Action::Start)).await.unwrap();
    for id in 10..48 {
        let action = if id % 3 == 0 { join() } else { post(id) };
        run(&node, by(id, id, action)).await.unwrap();
        // snapshots are written beside the commands: give them time
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    node.shutdown().await;
    log
}

#[tokio::test]
async fn snapshot_and_tail_equal_the_whole_fold() {
    let log = with_snapshots().await;
    assert_eq!(snapshots(&log).len(), 4);
    let loaded = load(&log, show_id()).await.unwrap();
    assert!(loaded.since_snapshot < 10);
    assert!(loaded.base == folded(&log));
    assert_eq!(loaded.position, stored(&log).last().unwrap().position);
}

#[tokio::test]
async fn snapshots_of_other_versions_and_damaged_ones_are_ignored() {
    let log = with_snapshots().await;
    let newest = snapshots(&log).pop().unwrap();
    let text = String::from_utf8(newest.data.to_vec()).unwrap();
    let other = text.replacen(&format!("\"version\":{}", Show::SNAPSHOT_VERSION), "\"version\":9999", 1);
    for (id, data) in [(1, other), (2, text[..text.len() / 2].to_owned())] {
        let event = NewEvent {
            id: EventId(Uuid::from_u128(id)),
            kind: newest.kind.clone(),
            data: Bytes::from(data),
            metadata: Bytes::from_static(b"{}"),
        };
        log.append_elsewhere(&newest.stream, Expected::Any, vec![event]).unwrap();
    }
    let loaded = load(&log, show_id()).await.unwrap();
    assert!(loaded.base == folded(&log));
    assert!(loaded.since_snapshot < 10, "the third newest is usable");
}
