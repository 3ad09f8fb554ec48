//! An engine and databases for tests.

use analytics::migrate::{Layout, migrate};
use analytics::rows::{Fact, Rows};
use clickhouse::{Client, Compression};
use embedded::clickhouse::{ClickHouse, ClickHouseConfig, Credentials, DATABASE};
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret;
use serde::Serialize;
use std::path::Path;
use tempfile::TempDir;
use uuid::Uuid;

/// The real engine, as long as this exists.
pub struct Engine {
    server: ClickHouse,
    dir: TempDir,
}

#[allow(dead_code, reason = "each test program uses a part of it")]
impl Engine {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // this test's program lies in a directory below that of the workspace's programs
        let launcher =
            std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("embedded-clickhouse");
        assert!(launcher.exists(), "{} is missing: cargo build -p embedded makes it", launcher.display());
        let server =
            ClickHouse::start(ClickHouseConfig::new(dir.path().join("engine"), launcher)).await.unwrap();
        Self { server, dir }
    }

    /// Kills the server without warning; it is started again.
    pub fn kill(&self) {
        kill_noted(&self.dir.path().join("engine"));
    }

    pub async fn stop(&self) {
        self.server.shutdown().await.unwrap();
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The two who may read the database [`embedded::clickhouse::DATABASE`].
    pub fn credentials(&self, name: &str) -> &Credentials {
        let readers = [self.server.analyst(), self.server.grafana()];
        readers.into_iter().find(|reader| reader.user == name).unwrap()
    }

    /// One of them, at work.
    pub fn reader(&self, name: &str) -> Client {
        self.client(self.credentials(name)).with_database(DATABASE)
    }

    fn client(&self, credentials: &Credentials) -> Client {
        Client::default()
            .with_url(self.server.url())
            .with_user(credentials.user)
            .with_password(credentials.password.expose_secret())
            .with_compression(Compression::None)
    }
}

/// Kills the server of a data directory.
#[allow(dead_code, reason = "only the loader's tests do")]
pub fn kill_noted(dir: &Path) {
    let note = std::fs::read_to_string(dir.join("server.pid")).unwrap();
    let pid = Pid::from_raw(note.split(' ').next().unwrap().parse().unwrap()).unwrap();
    // it may be dead already, and not yet started again
    let _ = kill_process(pid, Signal::KILL);
}

/// A database that exists as long as this.
pub struct Database {
    pub client: Client,
    pub name: String,
    server: Client,
}

#[allow(dead_code, reason = "each test program uses a part of it")]
impl Database {
    /// A new one with all tables.
    pub async fn new(engine: &Engine) -> Self {
        let server = engine.client(engine.server.writer());
        let name = format!("warehouse_{}", Uuid::now_v7().simple());
        server.query(&format!("CREATE DATABASE {name}")).execute().await.unwrap();
        let client = server.clone().with_database(&name);
        migrate(&client, &Layout::default()).await.unwrap();
        Self { client, name, server }
    }

    /// The one that analysts and dashboards see, with all tables. An engine has one.
    pub async fn of_readers(engine: &Engine) -> Self {
        let server = engine.client(engine.server.writer());
        let client = server.clone().with_database(DATABASE);
        migrate(&client, &Layout::default()).await.unwrap();
        Self { client, name: DATABASE.to_owned(), server }
    }

    pub async fn drop(self) {
        self.server.query(&format!("DROP DATABASE {}", self.name)).execute().await.unwrap();
    }

    /// Writes rows as a loader does, without any help of deduplication tokens.
    pub async fn insert(&self, rows: &Rows) {
        self.write(&rows.show_changes).await;
        self.write(&rows.audience_changes).await;
        self.write(&rows.messages).await;
        self.write(&rows.reactions).await;
        self.write(&rows.reactors).await;
        self.write(&rows.tip_changes).await;
        self.write(&rows.payment_changes).await;
        self.write(&rows.events).await;
    }

    async fn write<T>(&self, rows: &[T])
    where
        T: Fact + Serialize + for<'a> clickhouse::Row<Value<'a> = T>,
    {
        if rows.is_empty() {
            return;
        }
        let mut insert = self.client.insert::<T>(T::TABLE).await.unwrap();
        for row in rows {
            insert.write(row).await.unwrap();
        }
        insert.end().await.unwrap();
    }
}
