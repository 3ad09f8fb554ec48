//! The read side's service: queries over the read models, and shows in real time.

mod analytics;
mod entries;
mod opening;
mod positions;
mod read_model;
pub mod realtime;
mod resources;
#[cfg(test)]
mod testkit;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ::analytics::figures::Figures;
use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use platform::clock::Clock;
use platform::event_log::EventLog;
use platform::health::Health;
use platform::pseudonym::Pseudonyms;
use platform::vault::Vault;
use sqlx::PgPool;
use tokio::task::JoinHandle;
use utoipa_axum::router::OpenApiRouter;

use crate::entries::{PostgresEntries, PostgresSeeds};
use crate::positions::Positions;
use crate::read_model::ReadModel;
use crate::realtime::commands::CommandClient;
use crate::realtime::{Realtime, RealtimeDeps, RealtimeSettings};

/// The sockets' document (AsyncAPI 3), kept true by a test.
pub const ASYNCAPI: &str = include_str!("../asyncapi.json");

/// What the service needs. Tokens are verified by the edge that its routers are put behind.
pub struct Deps {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// The database of the read models.
    pub pool: PgPool,
    /// The warehouse's figures; `None` where this installation has no warehouse.
    pub figures: Option<Figures>,
    /// Opens personal data.
    pub vault: Vault,
    /// Persons by their subjects.
    pub pseudonyms: Arc<Pseudonyms>,
    /// Where commands of sockets go.
    pub commands: CommandClient,
    /// The time.
    pub clock: Clock,
    /// The video provider's public id of this platform.
    pub agora_app_id: String,
    /// Where recordings are played; the show's id is added.
    pub recordings_base: String,
    /// Bounds of the realtime side.
    pub realtime: RealtimeSettings,
    /// Where lag and failure are told.
    pub health: Health,
}

/// The running service.
pub struct QueryApi {
    read_model: Arc<ReadModel>,
    figures: Option<Figures>,
    realtime: Realtime,
    watcher: JoinHandle<()>,
}

impl QueryApi {
    /// Starts following the log. Must be called within a runtime.
    #[must_use]
    pub fn start(deps: Deps) -> Self {
        let positions = Arc::new(Positions::new(deps.pool.clone(), Arc::clone(&deps.log)));
        let read_model = Arc::new(ReadModel {
            pool: deps.pool,
            vault: deps.vault.clone(),
            pseudonyms: Arc::clone(&deps.pseudonyms),
            positions: Arc::clone(&positions),
            clock: deps.clock.clone(),
            agora_app_id: deps.agora_app_id,
            recordings_base: deps.recordings_base.trim_end_matches('/').to_owned(),
        });
        let realtime = RealtimeDeps {
            log: deps.log,
            vault: deps.vault,
            seeds: Arc::new(PostgresSeeds(Arc::clone(&read_model))),
            entries: Arc::new(PostgresEntries(Arc::clone(&read_model))),
            pseudonyms: deps.pseudonyms,
            commands: deps.commands,
            clock: deps.clock,
            settings: deps.realtime,
        };
        let realtime = Realtime::start(realtime, &deps.health);
        let watcher = tokio::spawn(async move { positions.watch().await });
        Self { read_model, figures: deps.figures, realtime, watcher }
    }

    /// The queries, under `/api/v1`, with their documentation; to be merged with the commands' router.
    pub fn router(&self) -> OpenApiRouter {
        let figures = analytics::router(Arc::clone(&self.read_model), self.figures.clone());
        resources::router(Arc::clone(&self.read_model)).merge(figures)
    }

    /// Sockets, event streams, and their document at `/asyncapi.json`.
    pub fn sockets(&self) -> Router {
        self.realtime.sockets().route("/asyncapi.json", get(asyncapi))
    }

    /// The realtime side.
    #[must_use]
    pub fn realtime(&self) -> &Realtime {
        &self.realtime
    }

    /// Closes all sockets, spread over a while, and waits for them to go.
    pub async fn shutdown(&self) {
        self.realtime.shutdown().await;
        self.watcher.abort();
    }
}

impl Drop for QueryApi {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

async fn asyncapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], ASYNCAPI)
}
