//! A real Postgres with the read models of a log in memory, filled by the projections themselves.

use embedded::postgres::{Postgres, PostgresConfig};
use platform::clock::Clock;
use platform::event_log::EventLog;
use platform::event_log::memory::MemoryLog;
use projections::Projections;
use sqlx::PgPool;
use std::sync::Arc;
use tempfile::TempDir;

/// Connections of a test: enough for the views and for the queries.
const CONNECTIONS_MAX: u32 = 20;

pub(crate) struct Database {
    pub(crate) pool: PgPool,
    postgres: Postgres,
    _dir: TempDir,
}

impl Database {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("tally-query-").tempdir().unwrap();
        let postgres = Postgres::start(PostgresConfig::new(dir.path())).await.unwrap();
        let pool = platform::postgres::connect(&postgres.url(), CONNECTIONS_MAX).await.unwrap();
        platform::postgres::migrate(&pool).await.unwrap();
        Self { pool, postgres, _dir: dir }
    }

    /// Fills the read models with what is in the log, and with what comes.
    pub(crate) fn project(&self, log: &MemoryLog) -> Projections {
        let log: Arc<dyn EventLog> = Arc::new(log.clone());
        Projections::start(&projections::Deps::new(log, self.pool.clone(), Clock::system()))
    }

    pub(crate) async fn stop(self) {
        self.pool.close().await;
        self.postgres.stop().await.unwrap();
    }
}
