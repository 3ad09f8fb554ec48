//! A private ClickHouse with a warehouse for each measurement.

use analytics::migrate::{Layout, migrate};
use anyhow::Context;
use clickhouse::Client;
use embedded::clickhouse::{ClickHouse, ClickHouseConfig, Credentials};
use std::path::Path;

use crate::foundation::warehouse::client_of;

/// A running server, with the product's settings.
pub(super) struct Warehouse {
    server: ClickHouse,
}

impl Warehouse {
    pub(super) async fn start(dir: &Path) -> anyhow::Result<Self> {
        let launcher = std::env::current_exe().context("cannot find this program")?;
        Ok(Self { server: ClickHouse::start(ClickHouseConfig::new(dir, launcher)).await? })
    }

    pub(super) fn url(&self) -> String {
        self.server.url()
    }

    pub(super) fn writer(&self) -> &Credentials {
        self.server.writer()
    }

    /// A new database with all tables; its name begins as the writer's rights say.
    pub(super) async fn database(&self, name: &str) -> anyhow::Result<Client> {
        let client = client_of(&self.server.url(), self.server.writer());
        client.query(&format!("CREATE DATABASE {name}")).execute().await?;
        let client = client.with_database(name);
        migrate(&client, &Layout::default()).await?;
        Ok(client)
    }

    pub(super) async fn drop(&self, client: Client, name: &str) -> anyhow::Result<()> {
        Ok(client.query(&format!("DROP DATABASE {name}")).execute().await?)
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        Ok(self.server.shutdown().await?)
    }
}
