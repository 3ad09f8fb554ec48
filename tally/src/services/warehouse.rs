//! What carries events to the warehouse and asks it: the relay, the loader and the figures.

use std::time::Duration;

use analytics::figures::Figures;
use analytics::loader::{Loader, LoaderDeps, LoaderSettings};
use analytics::migrate::Layout;
use clickhouse::Client;
use platform::config::Config;
use platform::health::Health;
use projections::{Readings, Relay, RelayDeps, RelaySettings};
use secrecy::ExposeSecret;

use super::{Stores, register};

/// Seconds of a day.
const DAY_SECONDS: u64 = 86_400;

/// Asks the warehouse, where ClickHouse is configured.
pub(super) fn figures(config: &Config) -> Option<Figures> {
    (!config.clickhouse.url.is_empty()).then(|| Figures::new(client(config)))
}

/// Publishes the log, where Kafka is configured.
pub(super) fn start_relay(config: &Config, stores: &Stores, health: &Health) -> Option<Relay> {
    if config.kafka.brokers.is_empty() {
        return None;
    }
    let retention = Duration::from_secs(u64::from(config.kafka.retention_days) * DAY_SECONDS);
    let relay = Relay::start(RelayDeps {
        log: stores.log.clone(),
        readings: Readings::default(),
        pool: stores.pool.clone(),
        clock: stores.clock.clone(),
        settings: RelaySettings {
            brokers: config.kafka.brokers.clone(),
            replication: i32::from(config.kafka.replication),
            retention,
        },
    });
    register(health, "relay", relay.check());
    Some(relay)
}

/// Loads the warehouse, where Kafka and ClickHouse are configured.
pub(super) fn start_loader(config: &Config, stores: &Stores, health: &Health) -> Option<Loader> {
    if config.kafka.brokers.is_empty() || config.clickhouse.url.is_empty() {
        return None;
    }
    let settings = &config.clickhouse;
    let loader = Loader::start(LoaderDeps {
        warehouse: client(config),
        clock: stores.clock.clone(),
        settings: LoaderSettings::new(config.kafka.brokers.clone()),
        layout: Layout {
            cluster: (!settings.cluster.is_empty()).then(|| settings.cluster.clone()),
            retention_days: (settings.retention_days > 0).then_some(settings.retention_days),
        },
    });
    register(health, "loader", loader.check());
    Some(loader)
}

fn client(config: &Config) -> Client {
    let settings = &config.clickhouse;
    let client = Client::default()
        .with_url(settings.url.clone())
        .with_database(settings.database.clone())
        .with_user(settings.user.clone());
    match settings.password.get() {
        Some(password) => client.with_password(password.expose_secret()),
        None => client,
    }
}
