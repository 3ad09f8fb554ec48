//! Whether two generations hold the same rows: a digest over all of them in the order of their keys.

use futures::TryStreamExt;
use schemas::Position;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};

use super::checkpoint::unsigned;
use super::generations::schema_name;
use super::{Failure, View};

/// What a view holds at one position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ViewHash {
    /// The version of the view.
    pub version: i32,
    /// Its generation.
    pub generation: i32,
    /// The checkpoint that these rows were committed with.
    pub position: Option<Position>,
    /// SHA-256, in hexadecimal, of all rows in the order of their keys. Book-keeping, times of writing and
    /// the order on disk are not in it.
    pub hash: String,
}

/// The digest of the generation that is served; `None` where none is.
pub(crate) async fn hash_of(pool: &PgPool, view: &dyn View) -> Result<Option<ViewHash>, Failure> {
    let mut snapshot = pool.begin().await?;
    // one moment for all tables and the checkpoint, one way to write times, and as long as it takes
    sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; SET LOCAL statement_timeout = 0")
        .execute(&mut *snapshot)
        .await?;
    let active: Option<(i32, i32, Option<i64>)> =
        sqlx::query_as("SELECT version, generation, position FROM read.positions WHERE view = $1")
            .bind(view.name())
            .fetch_optional(&mut *snapshot)
            .await?;
    let Some((version, generation, position)) = active else { return Ok(None) };
    let schema = schema_name(view.name(), version, generation);
    let mut hasher = Sha256::new();
    for table in view.tables() {
        add_table(&mut snapshot, &mut hasher, &schema, table.name, table.key).await?;
    }
    add_table(&mut snapshot, &mut hasher, &schema, "stream_revisions", "stream").await?;
    snapshot.rollback().await?;
    let hash = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some(ViewHash { version, generation, position: position.map(unsigned), hash }))
}

async fn add_table(
    snapshot: &mut Transaction<'static, Postgres>,
    hasher: &mut Sha256,
    schema: &str,
    table: &str,
    key: &str,
) -> Result<(), Failure> {
    add(hasher, table);
    let sql = format!("SELECT whole::text FROM {schema}.{table} AS whole ORDER BY {key}");
    let mut rows = sqlx::query_scalar::<_, String>(AssertSqlSafe(sql)).fetch(&mut **snapshot);
    while let Some(row) = rows.try_next().await? {
        add(hasher, &row);
    }
    Ok(())
}

/// Adds a text with its length, so that no two sequences of texts look alike.
fn add(hasher: &mut Sha256, text: &str) {
    hasher.update((text.len() as u64).to_be_bytes());
    hasher.update(text.as_bytes());
}
