//! A database of its own for each test.

use analytics::migrate::{Layout, migrate};
use analytics::rows::{Fact, Rows};
use clickhouse::{Client, Compression};
use serde::Serialize;
use uuid::Uuid;

/// A database that exists as long as this.
pub struct Database {
    pub client: Client,
    pub name: String,
    server: Client,
}

/// Where the engine is; `None`, said loudly, where there is none.
pub fn url() -> Option<String> {
    let url = std::env::var("TALLY_TEST_CLICKHOUSE_URL").ok();
    if url.is_none() {
        eprintln!("\n*** NOT TESTED: no ClickHouse; set TALLY_TEST_CLICKHOUSE_URL ***\n");
    }
    url
}

impl Database {
    /// A new one with all tables; `None` where there is no engine.
    pub async fn new() -> Option<Self> {
        let url = url()?;
        let server = Client::default().with_url(url).with_compression(Compression::None);
        let name = format!("test_{}", Uuid::now_v7().simple());
        server.query(&format!("CREATE DATABASE {name}")).execute().await.unwrap();
        let client = server.clone().with_database(&name);
        migrate(&client, &Layout::default()).await.unwrap();
        Some(Self { client, name, server })
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
