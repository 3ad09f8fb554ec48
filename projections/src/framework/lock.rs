//! The lock that elects: one instance fills a generation. It only saves work; the checkpoint is the fence.

use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

use super::Failure;
use super::generations::Generation;

/// Names of our locks are hashed under this namespace, so that they meet no other user's of the database.
const NAMESPACE: Uuid = Uuid::from_u128(0x7a11_7000_0000_4000_8000_7072_6f6a_6563);

/// The lead of a generation, as long as this connection lives. Not of the pool: locks belong to sessions.
pub(crate) struct Elected {
    connection: PgConnection,
}

/// Tries to be the one who fills a generation.
pub(crate) async fn try_elect(pool: &PgPool, generation: &Generation) -> Result<Option<Elected>, Failure> {
    let mut connection = PgConnection::connect_with(&pool.connect_options()).await?;
    let is_ours: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(key_of(&generation.schema()))
        .fetch_one(&mut connection)
        .await?;
    let elected = Elected { connection };
    if is_ours {
        return Ok(Some(elected));
    }
    elected.resign().await;
    Ok(None)
}

impl Elected {
    /// Gives the lead up. Dropping does so too, as soon as the server sees it.
    pub(crate) async fn resign(self) {
        // a connection that cannot be closed is gone already, and the lock with it
        drop(self.connection.close().await);
    }
}

/// The key of a lock.
pub(crate) fn key_of(name: &str) -> i64 {
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).as_u64_pair().0.cast_signed()
}
