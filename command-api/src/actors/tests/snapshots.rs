//! Snapshots, whole and in pieces.

mod large;
mod properties;

use super::*;
use crate::actors::load::{load, load_until};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use platform::event_log::{
    AppendError, Appended, EventLog, Expected, LogItems, NewEvent, Prefixes, ReadError, StoredEvent,
};
use schemas::{EventId, Position, Revision};
use std::collections::HashSet;
use uuid::Uuid;

/// A log that hides some events, and counts what is read.
struct Watched {
    log: MemoryLog,
    hidden: HashSet<(String, Revision)>,
    /// The stream of each event that was read.
    read: Mutex<Vec<String>>,
}

impl Watched {
    fn new(log: &MemoryLog, hidden: impl IntoIterator<Item = (String, Revision)>) -> Self {
        Self { log: log.clone(), hidden: hidden.into_iter().collect(), read: Mutex::default() }
    }

    /// How many events of a stream were read.
    fn times_read(&self, stream: &str) -> usize {
        self.read.lock().iter().filter(|read| *read == stream).count()
    }

    fn watch(&self, mut events: Vec<StoredEvent>) -> Vec<StoredEvent> {
        events.retain(|event| !self.hidden.contains(&(event.stream.clone(), event.revision)));
        self.read.lock().extend(events.iter().map(|event| event.stream.clone()));
        events
    }
}

#[async_trait]
impl EventLog for Watched {
    async fn append(
        &self,
        stream: &str,
        expected: Expected,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        self.log.append(stream, expected, events).await
    }

    async fn read_stream(
        &self,
        stream: &str,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        Ok(self.watch(self.log.read_stream(stream, from, limit).await?))
    }

    async fn read_stream_back(
        &self,
        stream: &str,
        from: Option<Revision>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        Ok(self.watch(self.log.read_stream_back(stream, from, limit).await?))
    }

    async fn head(&self) -> Result<Option<Position>, ReadError> {
        self.log.head().await
    }

    async fn subscribe(&self, after: Option<Position>, wanted: Prefixes) -> Result<LogItems, ReadError> {
        self.log.subscribe(after, wanted).await
    }
}

fn events_of(log: &MemoryLog, stream: &str) -> Vec<StoredEvent> {
    log.events().into_iter().filter(|event| event.stream == stream).collect()
}

fn snapshots(log: &MemoryLog) -> Vec<StoredEvent> {
    events_of(log, &streams::show_snapshot(show_id()))
}

fn pieces(log: &MemoryLog) -> Vec<StoredEvent> {
    events_of(log, &streams::show_snapshot_pieces(show_id()))
}

/// A show with 40 events, and a snapshot after each ten of them.
async fn with_snapshots() -> MemoryLog {
    let log = MemoryLog::new(3);
    let node = node_with(&log, ActorSettings { snapshot_every: 10, ..ActorSettings::default() });
    run(&node, by(HOST, 1, create(None))).await.unwrap();
    run(&node, by(HOST, 2, Action::Start)).await.unwrap();
    for id in 10..48 {
        let action = if id % 3 == 0 { join() } else { post(id) };
        run(&node, by(id, id, action)).await.unwrap();
        // snapshots are written beside the commands: one that is due comes before the next of these
        until("a snapshot is written", async || snapshots(&log).len() == stored(&log).len() / 10).await;
    }
    node.shutdown().await;
    log
}

/// The newest of some events again, with another text.
fn forge(log: &MemoryLog, of: &[StoredEvent], change: impl FnOnce(String) -> String) {
    let newest = of.last().unwrap();
    let event = NewEvent {
        id: EventId(Uuid::now_v7()),
        kind: newest.kind.clone(),
        data: Bytes::from(change(String::from_utf8(newest.data.to_vec()).unwrap())),
        metadata: Bytes::from_static(b"{}"),
    };
    log.append_elsewhere(&newest.stream, Expected::Any, vec![event]).unwrap();
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
async fn each_snapshot_adds_what_changed_and_a_node_that_starts_goes_on_with_it() {
    let log = with_snapshots().await;
    assert_eq!(pieces(&log).len(), 4, "one a snapshot");
    let sizes: Vec<usize> = pieces(&log).iter().map(|piece| piece.data.len()).collect();
    assert!(sizes[3] < 2 * sizes[0], "a piece holds what changed, not all: {sizes:?}");

    let node = node_with(&log, ActorSettings { snapshot_every: 1, ..ActorSettings::default() });
    run(&node, by(99, 99, post(99))).await.unwrap();
    node.shutdown().await;
    assert_eq!((snapshots(&log).len(), pieces(&log).len()), (5, 5));
    assert!(pieces(&log)[4].data.len() < sizes[0] / 2, "two commands were new");
    let log = Watched::new(&log, []);
    let loaded = load(&log, show_id()).await.unwrap();
    assert_eq!(log.times_read(&streams::show(show_id())), 0);
    assert!(loaded.base == folded(&log.log));
}

#[tokio::test]
async fn snapshots_of_other_versions_and_damaged_ones_are_ignored() {
    let log = with_snapshots().await;
    let is = format!("\"version\":{}", Show::SNAPSHOT_VERSION);
    forge(&log, &snapshots(&log), |text| text.replacen(&is, "\"version\":9999", 1));
    forge(&log, &snapshots(&log)[..4], |text| text[..text.len() / 2].to_owned());
    let loaded = load(&log, show_id()).await.unwrap();
    assert!(loaded.base == folded(&log));
    assert!(loaded.since_snapshot < 10, "the third newest is usable");
}

#[tokio::test]
async fn a_snapshot_of_which_a_piece_is_missing_or_another_one_is_ignored() {
    let log = with_snapshots().await;
    let stream = streams::show_snapshot_pieces(show_id());
    for (missing, tail) in [(3, 10..20), (2, 20..30), (1, 40..41), (0, 40..41)] {
        let log = Watched::new(&log, [(stream.clone(), missing)]);
        let loaded = load(&log, show_id()).await.unwrap();
        assert!(tail.contains(&loaded.since_snapshot), "{missing} is missing: {}", loaded.since_snapshot);
        assert!(loaded.base == folded(&log.log));
    }
    let is = format!("\"version\":{}", Show::SNAPSHOT_VERSION);
    for (from, to) in [(is.as_str(), "\"version\":9999"), ("\"whole\":\"0", "\"whole\":\"1")] {
        // a snapshot that names the forged piece instead of its own
        let log = with_snapshots().await;
        forge(&log, &pieces(&log), |text| text.replacen(from, to, 1));
        forge(&log, &snapshots(&log), |text| text.replacen("[[0,3]]", "[[0,2],[4,4]]", 1));
        assert!(String::from_utf8_lossy(&snapshots(&log)[4].data).contains("[4,4]"));
        let loaded = load(&log, show_id()).await.unwrap();
        assert!(loaded.base == folded(&log));
        let log = Watched::new(&log, []);
        load(&log, show_id()).await.unwrap();
        assert_eq!(log.times_read(&streams::show_snapshot(show_id())), 2, "the newest is not usable");
    }
}

#[tokio::test]
async fn an_earlier_state_is_read_from_the_snapshot_before_it() {
    let log = with_snapshots().await;
    let mut expected = Show::default();
    stored(&log)
        .iter()
        .take(36)
        .for_each(|event| expected.evolve(&crate::actors::load::decode(event).unwrap()));
    let log = Watched::new(&log, []);
    assert!(load_until(&log, show_id(), 35).await.unwrap() == expected);
    assert!(log.times_read(&streams::show(show_id())) < 20, "not from the start");
}
