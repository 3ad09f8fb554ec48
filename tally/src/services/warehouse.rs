//! What carries events to the warehouse and asks it: the relay, the loader and the figures.

use std::time::Duration;

use analytics::figures::Figures;
use analytics::loader::{Loader, LoaderDeps, LoaderSettings};
use analytics::migrate::Layout;
use platform::config::Config;
use platform::health::{Condition, Health};
use projections::{Readings, Relay, RelayDeps, RelaySettings};

use super::{Services, Stores, register};
use crate::foundation::warehouse::Warehouse;

/// Seconds of a day.
const DAY_SECONDS: u64 = 86_400;

/// What carries events to the warehouse.
pub(super) struct Carriers {
    relay: Option<Relay>,
    loader: Option<Loader>,
}

impl Carriers {
    /// Starts those that belong to the services and have where to carry to.
    pub(super) fn start(
        config: &Config,
        services: Services,
        stores: &Stores,
        warehouse: &Warehouse,
        health: &Health,
    ) -> Self {
        // who answers requests goes on while figures wait
        let trouble = if services.answer_requests() { Condition::Degraded } else { Condition::Down };
        let relay = services.projections.then(|| start_relay(config, stores, warehouse)).flatten();
        let loader = services.analytics.then(|| start_loader(config, stores, warehouse)).flatten();
        relay.iter().for_each(|relay| register(health, "relay", trouble, relay.check()));
        loader.iter().for_each(|loader| register(health, "loader", trouble, loader.check()));
        Self { relay, loader }
    }

    pub(super) async fn stop(self) {
        if let Some(relay) = self.relay {
            relay.shutdown().await;
        }
        if let Some(loader) = self.loader {
            loader.shutdown().await;
        }
    }
}

/// Asks the warehouse, where there is one.
pub(super) fn figures(warehouse: &Warehouse) -> Option<Figures> {
    warehouse.client.clone().map(Figures::new)
}

/// Publishes the log, where there are brokers.
fn start_relay(config: &Config, stores: &Stores, warehouse: &Warehouse) -> Option<Relay> {
    let brokers = warehouse.brokers.clone()?;
    let retention = Duration::from_secs(u64::from(config.kafka.retention_days) * DAY_SECONDS);
    Some(Relay::start(RelayDeps {
        log: stores.log.clone(),
        readings: Readings::default(),
        pool: stores.pool.clone(),
        clock: stores.clock.clone(),
        settings: RelaySettings { brokers, replication: i32::from(config.kafka.replication), retention },
    }))
}

/// Loads the warehouse, where there are brokers and one to fill.
fn start_loader(config: &Config, stores: &Stores, warehouse: &Warehouse) -> Option<Loader> {
    let (brokers, client) = (warehouse.brokers.clone()?, warehouse.client.clone()?);
    Some(Loader::start(LoaderDeps {
        warehouse: client,
        clock: stores.clock.clone(),
        settings: LoaderSettings::new(brokers),
        layout: layout(config),
    }))
}

/// How the tables of the warehouse are laid out.
pub(crate) fn layout(config: &Config) -> Layout {
    let settings = &config.clickhouse;
    Layout {
        cluster: (!settings.cluster.is_empty()).then(|| settings.cluster.clone()),
        retention_days: (settings.retention_days > 0).then_some(settings.retention_days),
    }
}
