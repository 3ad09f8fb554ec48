//! A world that can be told when to end.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::command::RequestTip;
use domain::{Action, Command, Rules};
use platform::clock::Clock;
use platform::event_log::memory::MemoryLog;
use platform::event_log::{
    AppendError, Appended, EventLog, Expected, LogItems, NewEvent, Prefixes, ReadError, StoredEvent, codec,
};
use platform::vault::Vault;
use schemas::{BodyHash, Event, Identity, Revision};
use tokio_util::sync::CancellationToken;

use crate::actors::{ActorSettings, Shows};
pub(super) use crate::test_kit::provider::{Crash, Provider, amount};
use crate::test_kit::*;
use crate::tips::{Settler, SettlerSettings, TipError, TipStanding, Tips, ids_of};

/// A log that a crash can stop before and after each call.
struct CrashingLog(MemoryLog, Crash);

#[async_trait]
impl EventLog for CrashingLog {
    async fn append(
        &self,
        stream: &str,
        expected: Expected,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        self.1.point().await;
        let appended = self.0.append(stream, expected, events).await;
        self.1.point().await;
        appended
    }

    async fn read_stream(
        &self,
        stream: &str,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        self.1.point().await;
        self.0.read_stream(stream, from, limit).await
    }

    async fn read_stream_back(
        &self,
        stream: &str,
        from: Option<Revision>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        self.1.point().await;
        self.0.read_stream_back(stream, from, limit).await
    }

    async fn head(&self) -> Result<Option<schemas::Position>, ReadError> {
        self.0.head().await
    }

    async fn subscribe(
        &self,
        after: Option<schemas::Position>,
        wanted: Prefixes,
    ) -> Result<LogItems, ReadError> {
        self.0.subscribe(after, wanted).await
    }
}

/// What outlives a node: the log, the keys, the provider.
pub(super) struct World {
    pub(super) log: MemoryLog,
    pub(super) vault: Vault,
    pub(super) provider: Provider,
    pub(super) clock: Clock,
}

/// One node's part.
pub(super) struct Node {
    pub(super) shows: Shows,
    pub(super) tips: Tips,
}

impl World {
    /// With a show on air.
    pub(super) async fn with(provider: Provider) -> Self {
        let world =
            Self { log: MemoryLog::new(5), vault: Vault::in_memory(1), provider, clock: Clock::manual(NOW) };
        let node = world.node(&Crash::never());
        node.shows.dispatch(show_id(), by(HOST, 1, create(None)), |_| ()).await.unwrap();
        node.shows.dispatch(show_id(), by(HOST, 2, Action::Start), |_| ()).await.unwrap();
        world
    }

    /// A node that ends with the crash.
    pub(super) fn node(&self, crash: &Crash) -> Node {
        let log: Arc<dyn EventLog> = Arc::new(CrashingLog(self.log.clone(), crash.clone()));
        let shows = Shows::new(Arc::clone(&log), Rules::default(), ActorSettings::default());
        let provider = Provider { crash: crash.clone(), ..self.provider.clone() };
        let vault = self.vault.clone();
        let tips = Tips::new(shows.clone(), log, Arc::new(provider), vault, self.clock.clone());
        Node { shows, tips }
    }

    /// The tip's command and what it asks for, sealed.
    pub(super) async fn tip(&self, id: u128) -> (Command, RequestTip) {
        let command = Command { at: self.clock.now(), ..by(9, id, Action::Start) };
        let (tip_id, payment_id) = ids_of(command.id);
        let identity = Identity { sub: "anna".to_owned(), name: "Anna".to_owned() };
        let event = command.id.event(0);
        let identity = self.vault.seal_identity(person(9), event, &identity).await.unwrap();
        let message = self.vault.seal_text(person(9), event, "message", "well done").await.unwrap();
        (command, RequestTip { tip_id, payment_id, identity, amount: amount(), message: Some(message) })
    }

    pub(super) async fn give(&self, node: &Node, id: u128) -> Result<TipStanding, TipError> {
        let (command, tip) = self.tip(id).await;
        node.tips.give(show_id(), command, tip).await
    }

    pub(super) async fn give_with_body(
        &self,
        node: &Node,
        id: u128,
        body: u8,
    ) -> Result<TipStanding, TipError> {
        let (command, tip) = self.tip(id).await;
        node.tips.give(show_id(), Command { body_hash: BodyHash([body; 16]), ..command }, tip).await
    }

    /// Lets a new node's settler work for a while.
    pub(super) async fn settle(&self, time: Duration) {
        let node = self.node(&Crash::never());
        let settings = SettlerSettings { stuck_after: Duration::from_secs(5), ..SettlerSettings::default() };
        let stop = CancellationToken::new();
        let settler = tokio::spawn(Settler::new(node.tips, None, settings).run(stop.clone()));
        tokio::time::sleep(time).await;
        stop.cancel();
        settler.await.unwrap();
    }

    pub(super) fn count(&self, kind: &str) -> usize {
        self.log.events().iter().filter(|event| event.kind == kind).count()
    }

    pub(super) fn events(&self, kind: &str) -> Vec<schemas::Envelope<Event>> {
        let events = self.log.events();
        events.iter().filter(|event| event.kind == kind).map(|event| codec::decode(event).unwrap()).collect()
    }
}
