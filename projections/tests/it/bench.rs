//! A database of its own for each test, in one cluster for all, and a log in memory.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};

use embedded::postgres::{Postgres, PostgresConfig};
use platform::clock::Clock;
use platform::event_log::memory::MemoryLog;
use platform::event_log::{Expected, NewEvent};
use projections::{Deps, Projections, hash_of, rebuild};
use schemas::{Position, Timestamp};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

/// Longest that anything here may take; generous, since the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const MIGRATION: &str = include_str!("../../../migrations/postgres/0020_read_models.sql");

/// What a test may hold: each view of its projectors, their elections and its own questions.
const POOL_CONNECTIONS_MAX: u32 = 12;

/// For all tests at once, on a machine that has a processor for each, and some for making their databases.
const CLUSTER_CONNECTIONS_MAX: u32 = 1_000;

/// A database and a log.
pub(crate) struct Bench {
    pub(crate) pool: PgPool,
    pub(crate) log: MemoryLog,
    pub(crate) clock: Clock,
}

impl Bench {
    /// In the cluster that all tests of this binary share.
    pub(crate) async fn new(name: &str) -> Self {
        let server = PgConnectOptions::from_str(cluster()).unwrap();
        let mut connection = PgConnection::connect_with(&server).await.unwrap();
        let sql = format!("DROP DATABASE IF EXISTS t_{name} WITH (FORCE)");
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        let sql = format!("CREATE DATABASE t_{name}");
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        Self::over(server.database(&format!("t_{name}"))).await
    }

    /// In a given database.
    pub(crate) async fn over(options: PgConnectOptions) -> Self {
        let options = options.options([("TimeZone", "UTC")]);
        let pool = PgPoolOptions::new()
            .max_connections(POOL_CONNECTIONS_MAX)
            .acquire_timeout(Duration::from_secs(30))
            .connect_with(options)
            .await
            .unwrap();
        // twice, as every migration must bear
        for _ in 0..2 {
            sqlx::raw_sql(MIGRATION).execute(&pool).await.unwrap();
        }
        Self { pool, log: MemoryLog::new(7), clock: Clock::manual(Timestamp::from_millis(0)) }
    }

    pub(crate) fn deps(&self) -> Deps {
        Deps::new(Arc::new(self.log.clone()), self.pool.clone(), self.clock.clone())
    }

    /// Appends events to the log, each to its stream.
    pub(crate) fn append(&self, events: &[(String, NewEvent)]) {
        for (stream, event) in events {
            self.log.append_elsewhere(stream, Expected::Any, vec![event.clone()]).unwrap();
        }
    }

    pub(crate) fn head(&self) -> Position {
        self.log.events().last().unwrap().position
    }

    /// Lets a projector bring a view to the head of the log, and then ends it.
    pub(crate) async fn project(&self, view: &str) {
        let projections = Projections::start_views(&self.deps(), &[view]);
        self.reached(view).await;
        projections.shutdown().await;
    }

    /// The committed position of what a view serves.
    pub(crate) async fn position(&self, view: &str) -> Option<Position> {
        let position: Option<Option<i64>> =
            sqlx::query_scalar("SELECT position FROM read.positions WHERE view = $1")
                .bind(view)
                .fetch_optional(&self.pool)
                .await
                .unwrap();
        position.flatten().map(|position| Position(position.try_into().unwrap()))
    }

    pub(crate) async fn is_reached(&self, view: &str) -> bool {
        self.position(view).await >= Some(self.head())
    }

    pub(crate) async fn reached(&self, view: &str) {
        let start = Instant::now();
        while !self.is_reached(view).await {
            assert!(start.elapsed() < PATIENCE, "{view} did not reach the head of the log");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Each row of a query, as Postgres writes a row: `(a,b,)`, where nothing is NULL.
    pub(crate) async fn rows(&self, columns: &str, rest: &str) -> Vec<String> {
        let sql = format!("SELECT ROW({columns})::text FROM {rest}");
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&self.pool).await.unwrap()
    }

    /// The digest of what a view serves.
    pub(crate) async fn hash(&self, view: &str) -> String {
        hash_of(&self.pool, view).await.unwrap().unwrap().hash
    }

    /// Rebuilds a view from the first event on, and gives the digest of that.
    pub(crate) async fn replayed(&self, view: &str) -> String {
        let deps = self.deps();
        rebuild(&deps, view, &CancellationToken::new(), &|_| {}).await.unwrap();
        self.hash(view).await
    }
}

pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < PATIENCE, "took too long: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Where the cluster lives: one place for each build directory, which itself may be closed to the server's account.
fn cluster_dir() -> PathBuf {
    let mut hasher = DefaultHasher::new();
    env!("CARGO_TARGET_TMPDIR").hash(&mut hasher);
    std::env::temp_dir().join(format!("tally-projections-{:016x}", hasher.finish()))
}

/// The address of the shared cluster. Its directory stays from run to run, its server ends with this process.
fn cluster() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| {
        let (sender, receiver) = mpsc::channel();
        // a runtime that outlives every test's own
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let dir = cluster_dir();
                let fast = [("fsync", "off"), ("full_page_writes", "off")];
                let mut config =
                    PostgresConfig { max_connections: CLUSTER_CONNECTIONS_MAX, ..PostgresConfig::new(dir) };
                config.settings.extend(fast.map(|(name, value)| (name.to_owned(), value.to_owned())));
                let postgres = Postgres::start(config).await.unwrap();
                sender.send(postgres.url()).unwrap();
                std::future::pending::<()>().await;
            });
        });
        receiver.recv().expect("the cluster starts")
    })
}
