//! Writing a history over the embedded node: whole, again, and after having been interrupted at any append.

use super::edge::DeploymentEdge;
use super::meter::Meter;
use super::write::Writer;
use super::{SHOWS_AT_ONCE, foreign, write_shows};
use async_trait::async_trait;
use embedded::event_log::{Node, NodeConfig};
use futures::StreamExt;
use generator::{Edge, History, Options};
use platform::event_log::eventstore::EventStoreLog;
use platform::event_log::memory::MemoryLog;
use platform::event_log::{
    AppendError, Appended, EventLog, Expected, LogItem, LogItems, NewEvent, NoEvents, Prefixes, ReadError,
    StoredEvent, codec,
};
use platform::pseudonym::Pseudonyms;
use platform::shutdown::Shutdown;
use platform::vault::Vault;
use schemas::events::{ChatEvent, ShowEvent};
use schemas::{Event, EventId, Position, Revision, streams};
use secrecy::SecretBox;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

/// What stands in each stream, in order.
type Contents = BTreeMap<String, Vec<EventId>>;

/// A node of its own, and a log that can be told to take so many appends and no more.
struct Stage {
    node: Node,
    log: Arc<Failing>,
    vault: Vault,
    history: Arc<History>,
    _dir: TempDir,
}

/// A log that refuses appends when its patience is over.
struct Failing {
    inner: Arc<dyn EventLog>,
    left: AtomicU64,
}

fn history(seed: u64) -> Arc<History> {
    let until = "2025-07-01T00:00:00Z".parse().unwrap();
    Arc::new(History::plan(Options { seed, events: 4_000, months: 1, creators: None, until }))
}

fn edge() -> Arc<dyn Edge> {
    Arc::new(DeploymentEdge::new(Pseudonyms::new(&SecretBox::new(Box::new([7; 32])))))
}

impl Stage {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let node = Node::start(NodeConfig::new(dir.path().join("event-log")).listen(listen)).await.unwrap();
        let inner = EventStoreLog::new(&format!("kurrentdb://{}?tls=false", node.addr()), "test").unwrap();
        let log = Arc::new(Failing { inner: Arc::new(inner), left: AtomicU64::new(u64::MAX) });
        Self { node, log, vault: Vault::in_memory(1), history: history(1), _dir: dir }
    }

    /// Runs as the command does. Answers what was new and what was known.
    async fn run(&self, appends: u64) -> (anyhow::Result<()>, (u64, u64)) {
        self.log.left.store(appends, Ordering::Relaxed);
        let meter = Arc::new(Meter::new(1).unwrap());
        let writer = Writer {
            history: Arc::clone(&self.history),
            edge: edge(),
            log: Arc::clone(&self.log) as Arc<dyn EventLog>,
            vault: self.vault.clone(),
            meter: Arc::clone(&meter),
        };
        let writer = Arc::new(writer);
        let ended = write_shows(&writer, &Shutdown::new()).await;
        // shows that were under way when another failed
        while Arc::strong_count(&writer) > 1 {
            tokio::task::yield_now().await;
        }
        (ended, meter.counts())
    }

    async fn stored(&self) -> Vec<StoredEvent> {
        let mut items = self.log.subscribe(None, &streams::EVENT_STREAMS).await.unwrap();
        let mut stored = Vec::new();
        while let LogItem::Event(event) = items.next().await.unwrap().unwrap() {
            stored.push(event);
        }
        stored
    }

    async fn contents(&self) -> Contents {
        let mut contents = Contents::new();
        for event in self.stored().await {
            let stream = contents.entry(event.stream).or_default();
            assert_eq!(event.revision, stream.len() as u64);
            stream.push(event.id);
        }
        contents
    }

    async fn stop(self) {
        drop(self.log);
        self.node.shutdown().await.unwrap();
    }
}

/// What the log should hold.
fn wanted(history: &Arc<History>) -> Contents {
    let mut contents = Contents::new();
    let edge = edge();
    for (place, plan) in history.shows().iter().enumerate() {
        for happening in history.play(place, &edge) {
            contents.entry(streams::show(plan.id)).or_default().push(happening.event.event_id);
            for step in happening.before.iter().chain(&happening.after) {
                let ids = step.events.iter().map(|event| event.event_id);
                contents.entry(streams::payment(step.payment)).or_default().extend(ids);
            }
        }
    }
    contents
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_written_once_however_often_it_is_asked_for() {
    let stage = Stage::new().await;
    let wanted = wanted(&stage.history);
    let events = wanted.values().map(Vec::len).sum::<usize>() as u64;
    let (ended, counts) = stage.run(u64::MAX).await;
    ended.unwrap();
    assert_eq!(counts, (events, 0));
    assert_eq!(stage.contents().await, wanted);
    let (ended, (new, _)) = stage.run(u64::MAX).await;
    ended.unwrap();
    assert_eq!(new, 0);
    assert_eq!(stage.contents().await, wanted);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_goes_on_where_it_stopped() {
    let stage = Stage::new().await;
    let wanted = wanted(&stage.history);
    let mut interruptions = 0;
    for appends in [1, 2, 3, 5, 8, 13, 21, 34, u64::MAX] {
        let (ended, _) = stage.run(appends).await;
        interruptions += u32::from(ended.is_err());
        for (stream, ids) in stage.contents().await {
            assert!(wanted[&stream].starts_with(&ids), "{stream} holds what is not of the history");
        }
    }
    assert!(interruptions >= 6, "{interruptions}");
    assert_eq!(stage.contents().await, wanted);
    stage.stop().await;
}

/// Whatever the append is that a run did not come to, the next one makes it, and payments are never left half.
#[tokio::test(flavor = "multi_thread")]
async fn a_show_can_be_interrupted_before_any_of_its_appends() {
    let until = "2025-07-01T00:00:00Z".parse().unwrap();
    let options = Options { seed: 1, events: 10_000, months: 1, creators: Some(1), until };
    let history = Arc::new(History::plan(options));
    let tips = |place: &usize| history.play(*place, &edge()).filter(|one| one.before.is_some()).count();
    let place = (0..history.shows().len()).max_by_key(tips).unwrap();
    assert!(tips(&place) > 1);
    let stream = streams::show(history.shows()[place].id);
    let wanted = wanted(&history)[&stream].len();
    for appends in 0.. {
        let log = Arc::new(Failing { inner: Arc::new(MemoryLog::new(1)), left: AtomicU64::new(appends) });
        let writer = Writer {
            history: Arc::clone(&history),
            edge: edge(),
            log: Arc::clone(&log) as Arc<dyn EventLog>,
            vault: Vault::in_memory(1),
            meter: Arc::new(Meter::new(1).unwrap()),
        };
        let ended = writer.write(place).await;
        log.left.store(u64::MAX, Ordering::Relaxed);
        writer.write(place).await.unwrap();
        assert_eq!(log.read_stream(&stream, 0, 10_000).await.unwrap().len(), wanted);
        for happening in history.play(place, &edge()) {
            let Some(step) = happening.before else { continue };
            let payment = log.read_stream(&streams::payment(step.payment), 0, 10).await.unwrap();
            assert_eq!(payment.len(), 3, "after {appends} appends");
        }
        if ended.is_ok() {
            assert!(appends > tips(&place) as u64 * 2, "{appends}");
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_can_be_read_with_the_keys() {
    let stage = Stage::new().await;
    stage.run(u64::MAX).await.0.unwrap();
    let mut texts = 0;
    for stored in stage.stored().await {
        let envelope = codec::decode(&stored).unwrap();
        if let Event::Show(ShowEvent::Chat(ChatEvent::Posted(posted))) = envelope.event {
            let text = stage.vault.open_text(&posted.text, stored.id, "text").await.unwrap().unwrap();
            let who = stage.vault.open_identity(&posted.identity, stored.id).await.unwrap().unwrap();
            assert_eq!(posted.features, command_api::features::of(&text));
            assert_eq!(posted.author, edge().person(&who.sub));
            texts += 1;
        }
    }
    assert!(texts > 500, "{texts}");
    stage.stop().await;
}

/// Positions rise about with time: nothing stands far behind what began much later.
#[tokio::test(flavor = "multi_thread")]
async fn shows_stand_in_the_log_about_as_they_began() {
    let stage = Stage::new().await;
    stage.run(u64::MAX).await.0.unwrap();
    let mut first: Vec<String> = Vec::new();
    for stored in stage.stored().await {
        if streams::parse_show(&stored.stream).is_some() && stored.revision == 0 {
            first.push(stored.stream);
        }
    }
    for (place, show) in stage.history.shows().iter().enumerate() {
        let found = first.iter().position(|stream| *stream == streams::show(show.id)).unwrap();
        assert!(found.abs_diff(place) < SHOWS_AT_ONCE, "{found} instead of {place}");
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_history_is_refused_and_ones_own_is_not() {
    let stage = Stage::new().await;
    foreign::refuse(stage.log.as_ref(), &stage.history).await.unwrap();
    stage.run(3).await.0.unwrap_err();
    foreign::refuse(stage.log.as_ref(), &stage.history).await.unwrap();
    let refused = foreign::refuse(stage.log.as_ref(), &history(2)).await.unwrap_err();
    assert!(refused.to_string().contains("--into-existing"), "{refused}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_show_that_somebody_else_went_on_with_is_told() {
    let stage = Stage::new().await;
    stage.run(u64::MAX).await.0.unwrap();
    let show = stage.history.shows().last().unwrap();
    let stream = streams::show(show.id);
    let last = stage.log.read_stream_back(&stream, None, 1).await.unwrap().remove(0);
    let other = NewEvent {
        id: EventId(uuid::Uuid::from_u128(1)),
        kind: last.kind.clone(),
        data: last.data.clone(),
        metadata: last.metadata.clone(),
    };
    stage.log.append(&stream, Expected::Revision(last.revision), vec![other]).await.unwrap();
    let told = stage.run(u64::MAX).await.0.unwrap_err().to_string();
    assert!(told.contains("not of this history"), "{told}");
    stage.stop().await;
}

#[async_trait]
impl EventLog for Failing {
    async fn append(
        &self,
        stream: &str,
        expected: Expected,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        match taken {
            Ok(_) => self.inner.append(stream, expected, events).await,
            Err(_) => Err(AppendError::Refused(NoEvents.into())),
        }
    }

    async fn read_stream(
        &self,
        stream: &str,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        self.inner.read_stream(stream, from, limit).await
    }

    async fn read_stream_back(
        &self,
        stream: &str,
        from: Option<Revision>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        self.inner.read_stream_back(stream, from, limit).await
    }

    async fn head(&self) -> Result<Option<Position>, ReadError> {
        self.inner.head().await
    }

    async fn subscribe(&self, after: Option<Position>, wanted: Prefixes) -> Result<LogItems, ReadError> {
        self.inner.subscribe(after, wanted).await
    }
}
