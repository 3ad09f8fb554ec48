//! A real warehouse with the facts of a log in memory, loaded at once where a test says so.

use ::analytics::figures::{Figures, rollup};
use ::analytics::migrate::{Layout, migrate};
use ::analytics::rows::{Fact, Rows};
use clickhouse::{Client, Compression};
use embedded::clickhouse::{ClickHouse, ClickHouseConfig};
use parking_lot::Mutex;
use platform::event_log::codec;
use platform::event_log::memory::MemoryLog;
use schemas::Timestamp;
use schemas::published::{PARTITIONS, Published, PublishedEvent, TOPIC};
use secrecy::ExposeSecret;
use serde::Serialize;
use tempfile::TempDir;
use uuid::Uuid;

pub(crate) struct Warehouse {
    pub(crate) client: Client,
    /// How many events of the log are in it.
    loaded: Mutex<usize>,
    server: ClickHouse,
    _dir: TempDir,
}

impl Warehouse {
    /// A new one without tables.
    pub(crate) async fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("tally-query-").tempdir().unwrap();
        // this test's program lies in a directory below that of the workspace's programs
        let launcher =
            std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("embedded-clickhouse");
        assert!(launcher.exists(), "{} is missing: cargo build -p embedded makes it", launcher.display());
        let server =
            ClickHouse::start(ClickHouseConfig::new(dir.path().join("engine"), launcher)).await.unwrap();
        let writer = server.writer();
        let client = Client::default()
            .with_url(server.url())
            .with_user(writer.user)
            .with_password(writer.password.expose_secret())
            .with_compression(Compression::None);
        let name = format!("warehouse_{}", Uuid::now_v7().simple());
        client.query(&format!("CREATE DATABASE {name}")).execute().await.unwrap();
        Self { client: client.with_database(name), loaded: Mutex::new(0), server, _dir: dir }
    }

    pub(crate) async fn migrate(&self) {
        migrate(&self.client, &Layout::default()).await.unwrap();
    }

    pub(crate) fn figures(&self) -> Figures {
        Figures::new(self.client.clone())
    }

    /// Loads what is new in the log, and tells that everything is here up to its end and up to a time.
    pub(crate) async fn load(&self, log: &MemoryLog, time: &str) {
        let events = log.events();
        let mut rows = Rows::default();
        for stored in &events[*self.loaded.lock()..] {
            let envelope = codec::decode(stored).unwrap();
            let published = Published {
                event_id: stored.id,
                stream: stored.stream.clone(),
                revision: stored.revision,
                position: stored.position,
                previous: None,
                occurred_at: envelope.meta.occurred_at,
                event: PublishedEvent::of(&envelope.event),
            };
            rows.add(&published).unwrap();
        }
        self.insert(&rows).await;
        let shows: Vec<_> = rows.shows.iter().copied().collect();
        rollup::refresh(&self.client, &shows).await.unwrap();
        self.tell(events.last().map_or(0, |event| event.position.0), time).await;
        *self.loaded.lock() = events.len();
    }

    async fn tell(&self, position: u64, time: &str) {
        let sql = "INSERT INTO loader_progress
            SELECT {topic:String}, number, {position:UInt64}, fromUnixTimestamp64Milli({time_ms:Int64}, 'UTC'), 0, now64(3)
            FROM numbers({partitions:UInt32})";
        let query = self.client.query_raw(sql).param("topic", TOPIC).param("partitions", PARTITIONS);
        let time_ms = time.parse::<Timestamp>().unwrap().millis();
        query.param("position", position).param("time_ms", time_ms).execute().await.unwrap();
    }

    async fn insert(&self, rows: &Rows) {
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

    /// Lets the engine itself read a file of its own making, and answer a question about it, which goes by the name `file`.
    pub(crate) async fn read_back(
        &self,
        columns: &str,
        format: &str,
        file: Vec<u8>,
        question: &str,
    ) -> String {
        self.client
            .query(&format!("CREATE OR REPLACE TABLE file ({columns}) ENGINE = Memory"))
            .execute()
            .await
            .unwrap();
        let writer = self.server.writer();
        let insert = format!("INSERT INTO file FORMAT {format}");
        let request = reqwest::Client::new().post(self.server.url());
        let request = request.basic_auth(writer.user, Some(writer.password.expose_secret()));
        let database = self.client.clone();
        let name: String = database.query("SELECT currentDatabase()").fetch_one().await.unwrap();
        let answer =
            request.query(&[("database", &name), ("query", &insert)]).body(file).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        self.client.query(question).fetch_one().await.unwrap()
    }

    pub(crate) async fn stop(self) {
        self.server.shutdown().await.unwrap();
    }
}
