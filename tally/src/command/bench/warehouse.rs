//! A private ClickHouse with a warehouse for each measurement.

use analytics::migrate::{Layout, migrate};
use anyhow::Context;
use clickhouse::{Client, Compression};
use embedded::clickhouse::{ClickHouse, ClickHouseConfig, Credentials};
use secrecy::ExposeSecret;
use std::path::Path;

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
        let writer = self.server.writer();
        let client = Client::default()
            .with_url(self.server.url())
            .with_user(writer.user)
            .with_password(writer.password.expose_secret())
            .with_compression(Compression::None);
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
