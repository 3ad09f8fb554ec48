//! Generations: each is a schema of its own with the tables of one version of a view. One is served, others are
//! filled beside it or wait to be dropped.

use std::sync::Arc;
use std::time::Duration;

use platform::postgres::key_of;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};

use super::{Failure, View, swap};

/// One set of a view's tables.
#[derive(Clone)]
pub(crate) struct Generation {
    pub(crate) view: Arc<dyn View>,
    pub(crate) number: i32,
}

impl Generation {
    /// The name of the lock that elects who fills it.
    pub(crate) fn lock_name(&self) -> String {
        lock_name(self.view.name(), self.view.version(), self.number)
    }

    /// The schema that holds its tables. Made of our own names and numbers, so it needs no quoting.
    pub(crate) fn schema(&self) -> String {
        schema_name(self.view.name(), self.view.version(), self.number)
    }
}

pub(crate) fn lock_name(view: &str, version: i32, generation: i32) -> String {
    format!("projection {}", schema_name(view, version, generation))
}

pub(crate) fn schema_name(view: &str, version: i32, generation: i32) -> String {
    format!("{view}_v{version}_g{generation}")
}

/// What is to be done for a view by this version of the code.
pub(crate) enum Assignment {
    /// Keep the generation that is served up to date.
    Serve(Generation),
    /// An older version is served: fill this generation and swap it in.
    Overtake(Generation),
    /// A newer version is served: nothing is left to do.
    Superseded,
}

/// How each generation's book of streams is called: how far each stream is, to find gaps.
pub(crate) const STREAM_REVISIONS: &str = "
CREATE TABLE stream_revisions (
    stream   text   PRIMARY KEY,
    revision bigint NOT NULL
) WITH (fillfactor = 80);
";

/// Finds what is to be done for a view. On an empty database its first generation is created and served at once.
pub(crate) async fn assign(pool: &PgPool, view: &Arc<dyn View>) -> Result<Assignment, Failure> {
    let mut transaction = lock_book(pool, view).await?;
    let active: Option<(i32, i32)> =
        sqlx::query_as("SELECT version, generation FROM read.active WHERE view = $1")
            .bind(view.name())
            .fetch_optional(&mut *transaction)
            .await?;
    let assignment = match active {
        None => {
            let first = create(&mut transaction, view).await?;
            swap::serve(&mut transaction, &first, None).await?;
            Assignment::Serve(first)
        }
        Some((version, number)) if version == view.version() => {
            Assignment::Serve(Generation { view: Arc::clone(view), number })
        }
        Some((version, _)) if version < view.version() => {
            Assignment::Overtake(unfinished_or_new(&mut transaction, view).await?)
        }
        Some(_) => Assignment::Superseded,
    };
    transaction.commit().await?;
    Ok(assignment)
}

/// A generation to fill beside the one that is served: one that an earlier run left unfinished, or a new one.
pub(crate) async fn beside(pool: &PgPool, view: &Arc<dyn View>) -> Result<Generation, Failure> {
    let mut transaction = lock_book(pool, view).await?;
    let generation = unfinished_or_new(&mut transaction, view).await?;
    transaction.commit().await?;
    Ok(generation)
}

/// Creating generations is serialised over all nodes.
async fn lock_book(pool: &PgPool, view: &Arc<dyn View>) -> Result<Transaction<'static, Postgres>, Failure> {
    let mut transaction = pool.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(key_of(&format!("projection generations of {}", view.name())))
        .execute(&mut *transaction)
        .await?;
    Ok(transaction)
}

async fn unfinished_or_new(
    transaction: &mut Transaction<'static, Postgres>,
    view: &Arc<dyn View>,
) -> Result<Generation, Failure> {
    let unfinished: Option<i32> = sqlx::query_scalar(
        "SELECT max(v.generation) FROM read.views v
         LEFT JOIN read.active a USING (view, version, generation)
         WHERE v.view = $1 AND v.version = $2 AND v.status <> 'RETIRED' AND a.view IS NULL",
    )
    .bind(view.name())
    .bind(view.version())
    .fetch_one(&mut **transaction)
    .await?;
    match unfinished {
        Some(number) => Ok(Generation { view: Arc::clone(view), number }),
        None => create(transaction, view).await,
    }
}

async fn create(
    transaction: &mut Transaction<'static, Postgres>,
    view: &Arc<dyn View>,
) -> Result<Generation, Failure> {
    let number: i32 = sqlx::query_scalar(
        "INSERT INTO read.views (view, version, generation, status)
         SELECT $1, $2, COALESCE(max(generation), 0) + 1, 'NEW'
         FROM read.views WHERE view = $1 AND version = $2
         RETURNING generation",
    )
    .bind(view.name())
    .bind(view.version())
    .fetch_one(&mut **transaction)
    .await?;
    let generation = Generation { view: Arc::clone(view), number };
    let schema = generation.schema();
    // left over where somebody restored the book-keeping from an older back-up
    let anew = format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema};");
    sqlx::raw_sql(AssertSqlSafe(anew)).execute(&mut **transaction).await?;
    let tables = format!("SET LOCAL search_path = {schema}; {STREAM_REVISIONS} {}", view.ddl());
    sqlx::raw_sql(AssertSqlSafe(tables)).execute(&mut **transaction).await?;
    sqlx::query("RESET search_path").execute(&mut **transaction).await?;
    Ok(generation)
}

/// How long dropping a generation waits for queries that still read it before it is tried again later.
const DROP_LOCK_TIMEOUT_MS: u32 = 2_000;

/// Drops generations that were swapped out longer ago than `grace`.
pub(crate) async fn drop_retired(pool: &PgPool, grace: Duration) -> Result<u64, Failure> {
    let mut dropped = 0;
    while drop_one(pool, grace).await? {
        dropped += 1;
    }
    Ok(dropped)
}

async fn drop_one(pool: &PgPool, grace: Duration) -> Result<bool, Failure> {
    let mut transaction = pool.begin().await?;
    let retired: Option<(String, i32, i32)> = sqlx::query_as(
        "DELETE FROM read.views WHERE (view, version, generation) = (
             SELECT view, version, generation FROM read.views
             WHERE status = 'RETIRED' AND updated_at <= now() - make_interval(secs => $1)
             ORDER BY updated_at LIMIT 1 FOR UPDATE SKIP LOCKED
         ) RETURNING view, version, generation",
    )
    .bind(grace.as_secs_f64())
    .fetch_optional(&mut *transaction)
    .await?;
    let Some((view, version, number)) = retired else { return Ok(false) };
    let schema = schema_name(&view, version, number);
    let drop =
        format!("SET LOCAL lock_timeout = {DROP_LOCK_TIMEOUT_MS}; DROP SCHEMA IF EXISTS {schema} CASCADE;");
    sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut *transaction).await?;
    transaction.commit().await?;
    tracing::info!(view, generation = number, "dropped generation {number} of {view}");
    Ok(true)
}
