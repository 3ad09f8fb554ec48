//! A real warehouse with the facts of a log in memory, loaded at once where a test says so.

use ::analytics::backfill::Backfill;
use ::analytics::figures::{AsOf, Figures};
use ::analytics::migrate::{Layout, migrate};
use clickhouse::{Client, Compression};
use embedded::clickhouse::{ClickHouse, ClickHouseConfig};
use parking_lot::Mutex;
use platform::event_log::codec;
use platform::event_log::memory::MemoryLog;
use schemas::Position;
use schemas::published::{PARTITIONS, Published, TOPIC};
use secrecy::ExposeSecret;
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
        let (events, loaded) = (log.events(), *self.loaded.lock());
        let mut fill = Backfill::new(&self.client, TOPIC, PARTITIONS, |_| {});
        for stored in &events[loaded..] {
            let envelope = codec::decode(stored).unwrap();
            let published = Published::of(&stored.stream, stored.position, &envelope);
            fill.add(&published).await.unwrap();
        }
        let position = events.last().map_or(Position(0), |event| event.position);
        let filled = fill.finish(AsOf { position, time: time.parse().unwrap() }).await.unwrap();
        assert_eq!(filled.refused, 0);
        *self.loaded.lock() = events.len();
    }

    /// Tells that the facts reach up to a position, and nothing of the roll-ups.
    pub(crate) async fn tell_loaded(&self, position: u64, time: &str) {
        let sql = "INSERT INTO loader_progress (topic, partition, position, time, offset, updated_at)
            SELECT {topic:String}, number, {position:UInt64}, parseDateTime64BestEffort({time:String}, 3, 'UTC'), -1, now64(3)
            FROM numbers({partitions:UInt32})";
        let tell = self.client.query_raw(sql).param("topic", TOPIC).param("partitions", PARTITIONS);
        tell.param("position", position).param("time", time).execute().await.unwrap();
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
