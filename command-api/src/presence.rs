//! Presence: who still gives signs of life. Joins and leaves are events; heartbeats are not.
//!
//! Signs of life gather in memory and go to Postgres every few seconds, where they touch the rows of open sessions
//! (`beats`). The rows themselves are made and removed by following the log's joins, leaves and ends
//! (`register`), so a node that dies between a join and a heartbeat leaves no session behind that nobody would
//! end. One elected node does that, and asks for the end of sessions that were not seen for the grace period
//! (`sweeper`); the decision is the show's, with the time last seen.
//!
//! Whoever is elected expires nobody within the first grace period: what happened before is an outage of ours, not
//! a silence of the viewers'. The same holds after the database was away.

mod beats;
mod register;
mod sweeper;
#[cfg(test)]
mod tests;

use platform::clock::Clock;
use platform::event_log::EventLog;
use schemas::{PersonId, SessionId, ShowId, Timestamp};
use sqlx::PgPool;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::actors::Shows;
use beats::{Beat, Beats};
use sweeper::Sweeper;

/// How often clients give signs of life: three fit into the grace period.
pub(crate) const HEARTBEAT_SECONDS: u64 = 20;

/// How presence runs. The defaults are the contract's.
#[derive(Clone, Copy, Debug)]
pub struct PresenceSettings {
    /// How often signs of life go to the database.
    pub flush_interval: Duration,
    /// A session that is unseen for this long is over.
    pub grace: Duration,
    /// How often unseen sessions are looked for.
    pub sweep_interval: Duration,
}

impl Default for PresenceSettings {
    fn default() -> Self {
        Self {
            flush_interval: Duration::from_secs(5),
            grace: Duration::from_secs(60),
            sweep_interval: Duration::from_secs(5),
        }
    }
}

/// What presence needs.
pub(crate) struct PresenceDeps {
    /// Schema `presence`.
    pub(crate) pool: PgPool,
    /// Joins, leaves and ends.
    pub(crate) log: Arc<dyn EventLog>,
    /// Who decides on the end of sessions.
    pub(crate) shows: Shows,
    /// Time.
    pub(crate) clock: Clock,
    /// How it runs.
    pub(crate) settings: PresenceSettings,
}

/// Signs of life on this node. Clones share them.
#[derive(Clone, Default)]
pub struct Presence {
    beats: Arc<Beats>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Presence {
    /// Starts to write signs of life, and stands for election.
    pub(crate) fn start(deps: PresenceDeps) -> Self {
        let presence = Self::default();
        let beats = Arc::clone(&presence.beats);
        let stop = presence.stop.clone();
        presence.tasks.spawn(beats.run(deps.pool.clone(), deps.settings.flush_interval, stop.clone()));
        presence.tasks.spawn(Sweeper::new(deps).run(stop));
        presence.tasks.close();
        presence
    }

    /// A sign of life of one session.
    pub fn seen(&self, show: ShowId, session: SessionId, at: Timestamp) {
        self.beats.note(Beat::Session(show, session), at);
    }

    /// A sign of life of a person without saying on which device: of all their sessions in the show.
    pub fn seen_person(&self, show: ShowId, person: PersonId, at: Timestamp) {
        self.beats.note(Beat::Person(show, person), at);
    }

    /// Writes what has gathered, and gives the office away.
    pub(crate) async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}
