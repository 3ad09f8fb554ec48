//! The lock that elects one instance among all nodes. It saves work; whatever must be exact needs a fence of its own.

use std::io;
use std::time::Duration;

use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};
use tokio::time::timeout;
use uuid::Uuid;

/// Names of our locks are hashed under this namespace, so that they meet no other user's of the database.
const NAMESPACE: Uuid = Uuid::from_u128(0x7a11_7000_0000_4000_8000_7072_6f6a_6563);

/// The server frees the lock of a node that vanished when it has noticed so: within some ten seconds instead
/// of two hours.
const NOTICE_LOSS: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "10000"),
];

/// A server that does not answer for so long may have given the lock to somebody else.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// A session-level advisory lock, held as long as its own connection lives. Dropping it gives it away as soon as
/// the server sees that the connection is gone.
pub struct AdvisoryLock {
    connection: PgConnection,
    key: i64,
}

impl AdvisoryLock {
    /// Tries to take the lock of this name; `None` where somebody else holds it.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn try_acquire(pool: &PgPool, name: &str) -> Result<Option<Self>, sqlx::Error> {
        // not of the pool: the lock belongs to the session
        let options = (*pool.connect_options()).clone().options(NOTICE_LOSS);
        let mut connection = options.connect().await?;
        let key = key_of(name);
        let is_ours: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(key)
            .fetch_one(&mut connection)
            .await?;
        if is_ours {
            return Ok(Some(Self { connection, key }));
        }
        // there is nothing to lose where this fails
        drop(connection.close().await);
        Ok(None)
    }

    /// The connection that holds the lock. What is written on it was written by the one who held the lock.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Whether the lock is still held: its connection answers.
    ///
    /// # Errors
    /// Where it does not, in time.
    pub async fn check(&mut self) -> Result<(), sqlx::Error> {
        let silent = || Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()));
        timeout(CHECK_TIMEOUT, self.connection.ping()).await.unwrap_or_else(|_| silent())
    }

    /// Gives the lock away. Afterwards it is free, unless the database does not answer.
    pub async fn release(mut self) {
        // the server frees it at the end of the connection too, but only some time after it was closed here
        let unlock =
            sqlx::query("SELECT pg_advisory_unlock($1)").bind(self.key).execute(&mut self.connection);
        // a connection that does not answer is gone, and the lock with it
        drop(timeout(CHECK_TIMEOUT, unlock).await);
        drop(self.connection.close().await);
    }
}

/// The key of a lock.
#[must_use]
pub fn key_of(name: &str) -> i64 {
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).as_u64_pair().0.cast_signed()
}
