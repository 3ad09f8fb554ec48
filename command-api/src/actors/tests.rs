//! The actors over a log that fails on request.

mod batches;
mod conflicts;
mod properties;
mod reactions;
mod snapshots;
mod unknown;

use std::sync::Arc;
use std::time::Duration;

use domain::{Command, Rules, Show};
use platform::event_log::memory::MemoryLog;
use platform::event_log::{StoredEvent, codec};
use schemas::streams;

use super::{ActorSettings, CommandError, Done, Shows};
use crate::test_kit::*;
use domain::Action;

/// Rates that no test meets by chance.
fn rules() -> Rules {
    let mut rules = Rules::default();
    rules.chat.count = 1_000_000;
    rules.chat_staff.count = 1_000_000;
    rules.duplicate_window_ms = 0;
    rules
}

fn node(log: &MemoryLog) -> Shows {
    node_with(log, ActorSettings::default())
}

fn node_with(log: &MemoryLog, settings: ActorSettings) -> Shows {
    Shows::new(Arc::new(log.clone()), rules(), settings)
}

async fn run(node: &Shows, command: Command) -> Result<Done<()>, CommandError> {
    node.dispatch(show_id(), command, |_| ()).await
}

/// A log with a show on air.
async fn live() -> (MemoryLog, Shows) {
    let log = MemoryLog::new(7);
    let node = node(&log);
    run(&node, by(HOST, 1, create(None))).await.unwrap();
    run(&node, by(HOST, 2, Action::Start)).await.unwrap();
    (log, node)
}

fn stored(log: &MemoryLog) -> Vec<StoredEvent> {
    let stream = streams::show(show_id());
    log.events().into_iter().filter(|event| event.stream == stream).collect()
}

/// The state that a plain fold over the log gives.
fn folded(log: &MemoryLog) -> Show {
    let mut show = Show::default();
    for event in stored(log) {
        show.evolve(&super::load::decode(&event).unwrap());
    }
    show
}

/// How often a command's events stand in the log.
fn times_in_log(log: &MemoryLog, id: u128) -> usize {
    let caused = |event: &StoredEvent| codec::decode(event).unwrap().meta.causation.0.as_u128() == id;
    stored(log).iter().filter(|event| caused(event)).count()
}

/// What must happen happens well within this.
const PATIENCE: Duration = Duration::from_secs(60);

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "took too long: {what}");
        soon().await;
    }
}

async fn soon() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
