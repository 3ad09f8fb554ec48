//! The lock that elects one instance among all nodes. It saves work; whatever must be exact needs a fence of its own.

use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

/// Names of our locks are hashed under this namespace, so that they meet no other user's of the database.
const NAMESPACE: Uuid = Uuid::from_u128(0x7a11_7000_0000_4000_8000_7072_6f6a_6563);

/// A session-level advisory lock, held as long as its own connection lives. Dropping it gives it away as soon as
/// the server sees that the connection is gone.
pub struct AdvisoryLock {
    connection: PgConnection,
}

impl AdvisoryLock {
    /// Tries to take the lock of this name; `None` where somebody else holds it.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn try_acquire(pool: &PgPool, name: &str) -> Result<Option<Self>, sqlx::Error> {
        // not of the pool: the lock belongs to the session
        let mut connection = PgConnection::connect_with(&pool.connect_options()).await?;
        let is_ours: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(key_of(name))
            .fetch_one(&mut connection)
            .await?;
        let lock = Self { connection };
        if is_ours {
            return Ok(Some(lock));
        }
        lock.release().await;
        Ok(None)
    }

    /// Whether the lock is still held: its connection answers.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn check(&mut self) -> Result<(), sqlx::Error> {
        self.connection.ping().await
    }

    /// Gives the lock away.
    pub async fn release(self) {
        // a connection that cannot be closed is gone already, and the lock with it
        drop(self.connection.close().await);
    }
}

/// The key of a lock.
#[must_use]
pub fn key_of(name: &str) -> i64 {
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).as_u64_pair().0.cast_signed()
}
