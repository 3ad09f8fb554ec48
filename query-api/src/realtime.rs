//! The realtime side: what happens in a show, told to everybody who watches, as it happens.
//!
//! One subscription a node follows the log ([`feed`]) and brings each event to its show's room ([`rooms`],
//! [`room_task`]). The room turns it into bytes once ([`translate`], [`frame`], [`wire`]) and keeps what it said
//! last ([`ring`]); each socket ([`socket`]) is a cursor in there, and a few loops a room ([`crowd`]) write to them
//! all. A client that was away resumes from the show's own stream ([`history`]). What clients send becomes the same
//! commands as over REST ([`commands`]).

mod admission;
pub mod commands;
mod core;
mod crowd;
mod events;
mod feed;
mod frame;
mod history;
mod inbound;
mod life_signs;
mod ring;
mod room;
mod room_task;
mod rooms;
mod seats;
mod seed;
mod settings;
mod socket;
mod state;
#[cfg(test)]
mod tests;
mod translate;
mod upgrade;
mod wire;

pub use admission::{Entries, EntriesError};
pub use frame::{FrameType, Status};
pub use inbound::CLIENT_TYPES;
pub use seed::{NoSeeds, SeedError, Seeds};
pub use settings::RealtimeSettings;
pub use state::{Posted, ShowState};
pub use wire::CloseCode;

use axum::Router;
use platform::clock::Clock;
use platform::event_log::EventLog;
use platform::health::Health;
use platform::pseudonym::Pseudonyms;
use platform::vault::Vault;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::task::JoinHandle;

use self::admission::Admission;
use self::commands::CommandClient;
use self::core::Core;
use self::history::History;
use self::life_signs::LifeSigns;
use self::rooms::Rooms;
use self::seats::Seats;

/// How long sockets may take to go after the spread of a stop: closing is one exchange.
const FAREWELL: Duration = Duration::from_secs(3);

/// What the realtime side needs.
pub struct RealtimeDeps {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// Opens sealed fields.
    pub vault: Vault,
    /// Where long shows begin.
    pub seeds: Arc<dyn Seeds>,
    /// Who has entered.
    pub entries: Arc<dyn Entries>,
    /// Persons by their subjects.
    pub pseudonyms: Arc<Pseudonyms>,
    /// Where commands go.
    pub commands: CommandClient,
    /// The time, for the ends of tokens.
    pub clock: Clock,
    /// Bounds.
    pub settings: RealtimeSettings,
}

/// The realtime side of a node.
pub struct Realtime {
    core: Arc<Core>,
    tasks: Vec<JoinHandle<()>>,
}

impl Realtime {
    /// Starts following the log.
    #[must_use]
    pub fn start(deps: RealtimeDeps, health: &Health) -> Self {
        let settings = Arc::new(deps.settings);
        let log = Arc::clone(&deps.log);
        let history = Arc::new(History { log: deps.log, vault: deps.vault, seeds: deps.seeds });
        let rooms = Arc::new(Rooms::new(Arc::clone(&history), Arc::clone(&settings)));
        let core = Arc::new(Core {
            history,
            rooms: Arc::clone(&rooms),
            seats: Arc::new(Seats::default()),
            life_signs: LifeSigns::new(deps.commands.clone(), Arc::clone(&settings)),
            admission: Admission {
                entries: deps.entries,
                pseudonyms: deps.pseudonyms,
                is_anonymous_reading: settings.is_anonymous_reading,
            },
            commands: deps.commands,
            settings,
            clock: deps.clock,
            sockets: AtomicU64::new(0),
        });
        let beating = Arc::clone(&core);
        let tasks = vec![
            tokio::spawn(feed::follow(log, rooms, health.reporter("realtime"))),
            tokio::spawn(async move { beating.life_signs.run().await }),
        ];
        Self { core, tasks }
    }

    /// The routes of sockets and event streams.
    pub fn sockets(&self) -> Router {
        upgrade::router(Arc::clone(&self.core)).merge(events::router(Arc::clone(&self.core)))
    }

    /// Sockets and rooms that are open.
    #[must_use]
    pub fn open(&self) -> (usize, usize) {
        (self.core.seats.taken(), self.core.rooms.count())
    }

    /// A show's state, with or without the read model.
    #[cfg(test)]
    pub(crate) async fn state_of(
        &self,
        show: schemas::ShowId,
        is_seeded: bool,
    ) -> Result<ShowState, history::HistoryError> {
        if is_seeded {
            return self.core.history.state(show).await;
        }
        let (log, vault) = (Arc::clone(&self.core.history.log), self.core.history.vault.clone());
        History { log, vault, seeds: Arc::new(NoSeeds) }.state(show).await
    }

    /// Closes all sockets, spread over a while, and waits for them to go.
    pub async fn shutdown(&self) {
        self.core.rooms.close_all(CloseCode::GoingAway);
        self.core.rooms.emptied(self.core.settings.shutdown_spread + FAREWELL).await;
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Drop for Realtime {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
