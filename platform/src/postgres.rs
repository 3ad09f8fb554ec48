//! Postgres: a pool that waits for its server, and the migrations.

mod leadership;
mod lock;

pub use leadership::Leadership;
pub use lock::{AdvisoryLock, key_of};

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgPool};
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout};

/// How long a start waits for the server: a container beside us may still be recovering.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The pause between two tries to connect.
const WAIT_PAUSE: Duration = Duration::from_millis(500);

/// A step of the schema may rewrite a large table; one that takes longer than this was never tried before.
const MIGRATE_MAX: Duration = Duration::from_secs(15 * 60);

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
    /// The schema, or another node that is at it.
    #[error("the database schema was not brought up to date within {} minutes", MIGRATE_MAX.as_secs() / 60)]
    MigrateTimeout,
}

/// A pool of connections, once the server answers. How durable a commit is stays the server's default.
///
/// # Errors
/// [`PostgresError`], where it does not within a minute, or refuses us.
pub async fn connect(url: &str, connections_max: u32) -> Result<PgPool, PostgresError> {
    let options: PgConnectOptions = url.parse().map_err(PostgresError::Url)?;
    let options = options.application_name("tally").options([("statement_timeout", STATEMENT_TIMEOUT)]);
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let pool = PgPoolOptions::new().max_connections(connections_max).acquire_timeout(ACQUIRE_TIMEOUT);
        match pool.connect_with(options.clone()).await {
            Ok(pool) => return Ok(pool),
            Err(error) if Instant::now() >= deadline || is_final(&error) => {
                return Err(PostgresError::Unreachable(error));
            }
            Err(error) => {
                tracing::info!(error = &error as &dyn std::error::Error, "waiting for postgres");
                sleep(WAIT_PAUSE).await;
            }
        }
    }
}

/// Whether waiting does not help: the server is there and does not want us.
fn is_final(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    // classes: invalid authorization, invalid catalog name (no such database)
    code.is_some_and(|code| code.starts_with("28") || code.starts_with("3D"))
}

/// Brings the schema up to date. Nodes that start together take turns by an advisory lock. A schema that is
/// newer than this node is left as it is: in a rolling upgrade old nodes start beside new ones.
///
/// # Errors
/// [`PostgresError::Migrate`], [`PostgresError::MigrateTimeout`].
pub async fn migrate(pool: &PgPool) -> Result<(), PostgresError> {
    let failed = |error| PostgresError::Migrate(MigrateError::Execute(error));
    // on a connection of its own: the pool's limit on statements is none for these, nor for waiting one's turn
    let options = (*pool.connect_options()).clone().options([("statement_timeout", "0")]);
    let mut connection = options.connect().await.map_err(failed)?;
    let migrations = Migrator { ignore_missing: true, ..sqlx::migrate!("../migrations/postgres") };
    match timeout(MIGRATE_MAX, migrations.run(&mut connection)).await {
        Ok(Ok(())) => connection.close().await.map_err(failed),
        Ok(Err(error)) => Err(PostgresError::Migrate(error)),
        Err(_) => Err(PostgresError::MigrateTimeout),
    }
}
