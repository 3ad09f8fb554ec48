//! The services, composed: all in one process, or one of them.

mod documents;
mod providers;
mod warehouse;

use analytics::figures::Figures;
use anyhow::{Context, bail};
use axum::Router;
use command_api::{CommandApi, PresenceSettings};
use platform::clock::Clock;
use platform::config::Config;
use platform::event_log::EventLog;
use platform::health::{Condition, Health};
use platform::http::edge::{EdgeConfig, edge};
use platform::http::server::{ServerConfig, serve};
use platform::ids::Ids;
use platform::pseudonym::Pseudonyms;
use platform::shutdown::Shutdown;
use platform::telemetry::Metrics;
use platform::vault::{MasterKey, Vault, VaultOptions};
use projections::Projections;
use query_api::QueryApi;
use query_api::realtime::commands::CommandClient;
use sqlx::PgPool;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::foundation::warehouse::Warehouse;
use crate::foundation::{Database, Log, data_dir};
use crate::identity;
use crate::secrets::Secrets;
use providers::Providers;
use warehouse::Carriers;
pub(crate) use warehouse::layout;

/// How often metrics are tidied up.
const METRICS_UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Which services a process runs.
#[derive(Clone, Copy)]
pub(crate) struct Services {
    name: &'static str,
    command_api: bool,
    query_api: bool,
    projections: bool,
    analytics: bool,
    /// Runs the stores that the configuration leaves open. One that shares its stores with others must be told
    /// where they are.
    has_own_stores: bool,
}

impl Services {
    const NONE: Self = Self {
        name: "tally",
        command_api: false,
        query_api: false,
        projections: false,
        analytics: false,
        has_own_stores: false,
    };
    /// Everything.
    pub(crate) const ALL: Self =
        Self { query_api: true, projections: true, analytics: true, ..Self::WRITE_SIDE };
    /// The write side with stores of its own, to be measured.
    pub(crate) const WRITE_SIDE: Self = Self { command_api: true, has_own_stores: true, ..Self::NONE };
    /// The write side.
    pub(crate) const COMMAND_API: Self = Self { name: "command-api", command_api: true, ..Self::NONE };
    /// The read side.
    pub(crate) const QUERY_API: Self = Self { name: "query-api", query_api: true, ..Self::NONE };
    /// The projections.
    pub(crate) const PROJECTIONS: Self = Self { name: "projections", projections: true, ..Self::NONE };
    /// The loader of the warehouse.
    pub(crate) const ANALYTICS: Self = Self { name: "analytics", analytics: true, ..Self::NONE };

    fn answer_requests(self) -> bool {
        self.command_api || self.query_api
    }

    fn check(self, config: &Config) -> anyhow::Result<()> {
        if self.has_own_stores {
            return Ok(());
        }
        for (setting, is_set) in [
            ("event_log.url", config.event_log.url.get().is_some()),
            ("postgres.url", config.postgres.url.get().is_some()),
        ] {
            if !is_set {
                bail!(
                    "{} runs alone: set {setting}, or use `tally up` for everything on this machine",
                    self.name
                );
            }
        }
        if self.query_api && config.services.command_api_url.is_empty() {
            bail!("query-api runs alone: set services.command_api_url, so that sockets can send commands");
        }
        let warehouse = !config.kafka.brokers.is_empty() && !config.clickhouse.url.is_empty();
        if self.analytics && !warehouse {
            bail!("analytics runs alone: set kafka.brokers and clickhouse.url");
        }
        Ok(())
    }
}

/// Runs services until they are told to stop, or cannot go on.
pub(crate) async fn run(config: &Config, services: Services) -> anyhow::Result<()> {
    let metrics = platform::telemetry::init(&config.telemetry)?;
    services.check(config)?;
    let shutdown = Shutdown::new();
    shutdown.watch_signals().context("cannot listen for signals")?;
    let secrets = Secrets::load(config, &data_dir(config)?)?;
    let log = Log::open(config, services.name).await?;
    let database = Database::open(config, &shutdown).await?;
    let warehouse = Warehouse::open(config, services.has_own_stores && services.analytics)?;
    let stores = Stores::of(&log, &database, &secrets);
    let running = Running::start(config, services, &secrets, stores, &warehouse, &metrics).await?;
    running.serve(config, &shutdown).await?;
    running.stop().await;
    warehouse.close().await;
    database.close().await?;
    log.close().await?;
    tracing::info!("stopped");
    Ok(())
}

/// What every service works with.
#[derive(Clone)]
struct Stores {
    log: Arc<dyn EventLog>,
    pool: PgPool,
    vault: Vault,
    pseudonyms: Arc<Pseudonyms>,
    clock: Clock,
}

impl Stores {
    fn of(log: &Log, database: &Database, secrets: &Secrets) -> Self {
        let master = MasterKey::new(&secrets.master_key);
        Self {
            log: log.log.clone(),
            pool: database.pool.clone(),
            vault: Vault::postgres(database.pool.clone(), master, &VaultOptions::default()),
            pseudonyms: Arc::new(Pseudonyms::new(&secrets.pseudonym_key)),
            clock: Clock::system(),
        }
    }
}

/// The services that run, and the router in front of them.
struct Running {
    router: Router,
    commands: Option<CommandApi>,
    providers: Option<Providers>,
    queries: Option<QueryApi>,
    projections: Option<Projections>,
    carriers: Carriers,
}

impl Running {
    async fn start(
        config: &Config,
        services: Services,
        secrets: &Secrets,
        stores: Stores,
        warehouse: &Warehouse,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let health = Health::new();
        watch_stores(&health, &stores);
        keep_metrics(metrics.clone());
        let verifier = identity::verifier(config, secrets)?;
        verifier.warm_up().await;
        let edge_config = EdgeConfig::of(config, Arc::clone(&verifier));
        let projections = services.projections.then(|| start_projections(&stores, &health));
        let carriers = Carriers::start(config, services, &stores, warehouse, &health);
        let (mut commands, mut providers) = (None, None);
        if services.command_api {
            let started = Providers::start(config, secrets).await?;
            commands = Some(CommandApi::start(command_deps(config, &stores, &started)));
            providers = Some(started);
        }
        let mut queries = None;
        if services.query_api {
            let client = match &commands {
                Some(api) => CommandClient::in_process(edge(nested(api.router()).0, edge_config.clone())),
                None => CommandClient::remote(&config.services.command_api_url)?,
            };
            let figures = warehouse::figures(warehouse);
            queries = Some(QueryApi::start(query_deps(config, secrets, &stores, figures, client, &health)));
        }
        let api = OpenApiRouter::new();
        let api = commands.iter().fold(api, |api, service| api.merge(service.router()));
        let api = queries.iter().fold(api, |api, service| api.merge(service.router()));
        let (router, document) = nested(api);
        let router = queries.iter().fold(router, |router, service| router.merge(service.sockets()));
        let router = edge(router.merge(documents::router(document)), edge_config)
            .merge(platform::health::router(health, Some(metrics.clone())));
        Ok(Self { router, commands, providers, queries, projections, carriers })
    }

    /// Serves until told to stop, and until what was under way has been answered.
    async fn serve(&self, config: &Config, shutdown: &Shutdown) -> anyhow::Result<()> {
        let listen = config.http.listen;
        let listener =
            TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        println!("listening on http://{}", listener.local_addr()?);
        let closing = async {
            shutdown.begun().await;
            if let Some(queries) = &self.queries {
                queries.shutdown().await;
            }
        };
        let serving = serve(listener, self.router.clone(), ServerConfig::of(config), shutdown);
        let (ended, ()) = tokio::join!(serving, closing);
        tracing::info!(?ended, "requests ended");
        Ok(())
    }

    /// Ends the services, the last reader last.
    async fn stop(self) {
        if let Some(commands) = self.commands {
            commands.shutdown().await;
        }
        if let Some(providers) = self.providers {
            providers.stop().await;
        }
        if let Some(projections) = self.projections {
            projections.shutdown().await;
        }
        self.carriers.stop().await;
    }
}

/// Everything of the API stands under one path, and in one document.
fn nested(api: OpenApiRouter) -> (Router, OpenApi) {
    api.split_for_parts()
}

fn start_projections(stores: &Stores, health: &Health) -> Projections {
    let deps = projections::Deps::new(Arc::clone(&stores.log), stores.pool.clone(), stores.clock.clone());
    let projections = Projections::start(&deps);
    register(health, "projections", Condition::Down, projections.check());
    projections
}

/// Readiness follows a service's own check; what it means where that fails is told.
fn register(
    health: &Health,
    name: &'static str,
    trouble: Condition,
    check: impl Fn() -> Result<String, String> + Send + Sync + 'static,
) {
    health.register(name, move || match check() {
        Ok(detail) => (Condition::Up, detail),
        Err(detail) => (trouble, detail),
    });
}

fn command_deps(config: &Config, stores: &Stores, providers: &Providers) -> command_api::Deps {
    command_api::Deps {
        log: Arc::clone(&stores.log),
        pool: stores.pool.clone(),
        vault: stores.vault.clone(),
        pseudonyms: Arc::clone(&stores.pseudonyms),
        payments: Arc::clone(&providers.payments),
        video: Arc::clone(&providers.video),
        audience_facts: providers.audience_facts.clone(),
        clock: stores.clock.clone(),
        ids: Ids::new(stores.clock.clone()),
        rules: providers::rules(config),
        actors: providers::actor_settings(config),
        presence: PresenceSettings::default(),
    }
}

fn query_deps(
    config: &Config,
    secrets: &Secrets,
    stores: &Stores,
    figures: Option<Figures>,
    commands: CommandClient,
    health: &Health,
) -> query_api::Deps {
    query_api::Deps {
        log: Arc::clone(&stores.log),
        pool: stores.pool.clone(),
        figures,
        vault: stores.vault.clone(),
        pseudonyms: Arc::clone(&stores.pseudonyms),
        clock: stores.clock.clone(),
        commands,
        agora_app_id: secrets.agora_app_id.clone(),
        recordings_base: config.public.recordings_base.clone(),
        realtime: providers::realtime_settings(config),
        health: health.clone(),
    }
}

/// Readiness follows the stores: a node that cannot reach one should get no requests.
fn watch_stores(health: &Health, stores: &Stores) {
    let (log, pool) = (Arc::clone(&stores.log), stores.pool.clone());
    let (log_state, database_state) = (health.reporter("event-log"), health.reporter("postgres"));
    tokio::spawn(async move {
        loop {
            match log.head().await {
                Ok(_) => log_state.up(),
                Err(_) => log_state.down("the event log does not answer"),
            }
            match sqlx::query("SELECT 1").execute(&pool).await {
                Ok(_) => database_state.up(),
                Err(_) => database_state.down("postgres does not answer"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
}

fn keep_metrics(metrics: Metrics) {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(METRICS_UPKEEP_INTERVAL).await;
            metrics.upkeep();
        }
    });
}
