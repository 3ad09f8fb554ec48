//! Postgres: a pool that waits for its server, and the migrations.

mod lock;

pub use lock::{AdvisoryLock, key_of};

use sqlx::PgPool;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use std::time::Duration;
use thiserror::Error;

/// The schema's steps, in the order of their numbers. Each is safe to apply beside a running older version.
static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/postgres");

/// How long a start waits for the server: a container beside us may still be recovering.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The pause between two tries to connect.
const WAIT_PAUSE: Duration = Duration::from_millis(500);

/// A request that gets no connection within this time is refused rather than queued for ever.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// A statement that runs longer is a mistake, not work. Rebuilds set their own.
const STATEMENT_TIMEOUT: &str = "30s";

/// Why the database cannot be used.
#[derive(Debug, Error)]
pub enum PostgresError {
    /// The connection string.
    #[error("postgres.url is no connection string")]
    Url(#[source] sqlx::Error),
    /// The server.
    #[error("postgres does not answer")]
    Unreachable(#[source] sqlx::Error),
    /// The schema.
    #[error("the database schema cannot be brought up to date")]
    Migrate(#[source] MigrateError),
}

/// A pool of connections, once the server answers.
///
/// # Errors
/// [`PostgresError`], where it does not within a minute.
pub async fn connect(url: &str, connections_max: u32) -> Result<PgPool, PostgresError> {
    let options: PgConnectOptions = url.parse().map_err(PostgresError::Url)?;
    let options = options.application_name("tally").options([("statement_timeout", STATEMENT_TIMEOUT)]);
    let deadline = tokio::time::Instant::now() + WAIT_MAX;
    loop {
        let pool = PgPoolOptions::new().max_connections(connections_max).acquire_timeout(ACQUIRE_TIMEOUT);
        match pool.connect_with(options.clone()).await {
            Ok(pool) => return Ok(pool),
            Err(error) if tokio::time::Instant::now() >= deadline => {
                return Err(PostgresError::Unreachable(error));
            }
            Err(error) => {
                tracing::info!(%error, "waiting for postgres");
                tokio::time::sleep(WAIT_PAUSE).await;
            }
        }
    }
}

/// Brings the schema up to date. Nodes that start together take turns by an advisory lock.
///
/// # Errors
/// [`PostgresError::Migrate`].
pub async fn migrate(pool: &PgPool) -> Result<(), PostgresError> {
    MIGRATIONS.run(pool).await.map_err(PostgresError::Migrate)
}
