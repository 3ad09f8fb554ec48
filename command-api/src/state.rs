//! What the service is made of, and how it starts and ends.

use std::sync::Arc;

use domain::Rules;
use platform::clock::Clock;
use platform::event_log::EventLog;
use platform::ids::Ids;
use platform::pseudonym::Pseudonyms;
use platform::vault::Vault;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa_axum::router::OpenApiRouter;

use crate::actors::{ActorSettings, Shows};
use crate::adapters::audience_facts::AudienceFacts;
use crate::http;
use crate::ports::payments::Payments;
use crate::ports::video::Video;
use crate::presence::{Presence, PresenceDeps, PresenceSettings};
use crate::sealing::Sealing;
use crate::tips::{Settler, SettlerSettings, Tips};

/// What the service needs to start.
pub struct Deps {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// The database of the vault and of presence, with the migrations applied.
    pub pool: PgPool,
    /// Keys of persons.
    pub vault: Vault,
    /// Names of persons in the log.
    pub pseudonyms: Arc<Pseudonyms>,
    /// The payment provider.
    pub payments: Arc<dyn Payments>,
    /// The video provider.
    pub video: Arc<dyn Video>,
    /// Devices and places of viewers.
    pub audience_facts: AudienceFacts,
    /// The time.
    pub clock: Clock,
    /// Fresh ids.
    pub ids: Ids,
    /// The limits that decisions know.
    pub rules: Rules,
    /// How actors run.
    pub actors: ActorSettings,
    /// How presence runs.
    pub presence: PresenceSettings,
}

/// What handlers share.
pub(crate) struct App {
    pub(crate) shows: Shows,
    pub(crate) tips: Tips,
    pub(crate) presence: Presence,
    pub(crate) sealing: Sealing,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) video: Arc<dyn Video>,
    pub(crate) audience_facts: AudienceFacts,
    pub(crate) clock: Clock,
}

/// The state of every handler.
pub(crate) type AppState = Arc<App>;

/// The running service.
pub struct CommandApi {
    app: AppState,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl CommandApi {
    /// Starts the service. Must be called within a runtime.
    #[must_use]
    pub fn start(deps: Deps) -> Self {
        let shows = Shows::new(Arc::clone(&deps.log), deps.rules, deps.actors);
        let tips = Tips::new(
            shows.clone(),
            Arc::clone(&deps.log),
            Arc::clone(&deps.payments),
            deps.vault.clone(),
            deps.clock.clone(),
        );
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let settler = Settler::new(tips.clone(), Some(deps.pool.clone()), SettlerSettings::default());
        tasks.spawn(settler.run(stop.clone()));
        let presence = Presence::start(PresenceDeps {
            pool: deps.pool,
            log: Arc::clone(&deps.log),
            shows: shows.clone(),
            clock: deps.clock.clone(),
            settings: deps.presence,
        });
        let app = App {
            shows,
            tips,
            presence,
            sealing: Sealing { vault: deps.vault, pseudonyms: deps.pseudonyms },
            log: deps.log,
            video: deps.video,
            audience_facts: deps.audience_facts,
            clock: deps.clock,
        };
        Self { app: Arc::new(app), stop, tasks }
    }

    /// The commands, under `/api/v1`, to be merged with the queries on the same paths.
    #[must_use]
    pub fn router(&self) -> OpenApiRouter {
        http::router(Arc::clone(&self.app))
    }

    /// Signs of life, for gateways in the same process.
    #[must_use]
    pub fn presence(&self) -> Presence {
        self.app.presence.clone()
    }

    /// Takes no more commands, and returns when those that were taken are answered.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.app.presence.shutdown().await;
        self.app.shows.shutdown().await;
    }
}
