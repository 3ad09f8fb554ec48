//! Keys in Postgres, in a schema of their own.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemas::{KeyId, PersonId};
use sqlx::PgPool;
use uuid::Uuid;

use super::store::{Cause, KeyRow, KeyStore, Tombstone};

pub(super) struct PostgresKeys {
    pool: PgPool,
}

// In the two statements that write, `durable` is a part of the statement's own transaction and so decides
// how that is committed: an answer means that it is on disk, whatever the session's default is. A key that
// sealed events before it was durable could be lost with the machine, and an erasure undone.

const ADD: &str = "
    WITH durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true))
    INSERT INTO vault.keys (key_id, person, wrapped)
    SELECT new.key_id, new.person, new.wrapped
    FROM durable, unnest($1::uuid[], $2::uuid[], $3::bytea[]) AS new (key_id, person, wrapped)
    ORDER BY new.person
    ON CONFLICT (person) DO NOTHING";

const ERASE: &str = "
    WITH durable AS MATERIALIZED (SELECT set_config('synchronous_commit', 'on', true))
    INSERT INTO vault.keys AS kept (key_id, person, wrapped, erased_at)
    SELECT $1, $2, NULL, clock_timestamp() FROM durable
    ON CONFLICT (person) DO UPDATE
    SET wrapped = NULL, erased_at = coalesce(kept.erased_at, excluded.erased_at)
    RETURNING key_id, erased_at";

const FIND: &str = "
    SELECT key_id, person, wrapped FROM vault.keys WHERE person = ANY ($1) OR key_id = ANY ($2)";

const LIVING: &str = "
    SELECT key_id FROM vault.keys WHERE key_id = ANY ($1) AND erased_at IS NULL";

impl PostgresKeys {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl KeyStore for PostgresKeys {
    async fn find(&self, persons: &[PersonId], keys: &[KeyId]) -> Result<Vec<KeyRow>, Cause> {
        let persons: Vec<Uuid> = persons.iter().map(|person| person.0).collect();
        let keys: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let rows: Vec<(Uuid, Uuid, Option<Vec<u8>>)> =
            sqlx::query_as(FIND).bind(persons).bind(keys).fetch_all(&self.pool).await?;
        let row =
            |(key_id, person, wrapped)| KeyRow { key_id: KeyId(key_id), person: PersonId(person), wrapped };
        Ok(rows.into_iter().map(row).collect())
    }

    async fn add(&self, rows: &[KeyRow]) -> Result<(), Cause> {
        let key_ids: Vec<Uuid> = rows.iter().map(|row| row.key_id.0).collect();
        let persons: Vec<Uuid> = rows.iter().map(|row| row.person.0).collect();
        let wrapped: Vec<Option<Vec<u8>>> = rows.iter().map(|row| row.wrapped.clone()).collect();
        sqlx::query(ADD).bind(key_ids).bind(persons).bind(wrapped).execute(&self.pool).await?;
        Ok(())
    }

    async fn living(&self, keys: &[KeyId]) -> Result<Vec<KeyId>, Cause> {
        let keys: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let living: Vec<Uuid> = sqlx::query_scalar(LIVING).bind(keys).fetch_all(&self.pool).await?;
        Ok(living.into_iter().map(KeyId).collect())
    }

    async fn erase(&self, person: PersonId, tombstone: KeyId) -> Result<Tombstone, Cause> {
        let (key_id, erased_at): (Uuid, DateTime<Utc>) =
            sqlx::query_as(ERASE).bind(tombstone.0).bind(person.0).fetch_one(&self.pool).await?;
        Ok(Tombstone { key_id: KeyId(key_id), erased_at: erased_at.into() })
    }
}
