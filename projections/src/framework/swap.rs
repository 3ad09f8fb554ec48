//! The swap: from one generation to the next, in one transaction, and never backwards.

use std::time::Duration;

use schemas::Position;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};
use tokio::time::Instant;

use super::checkpoint::{Lead, unsigned};
use super::generations::Generation;
use super::{Failure, signed};

/// How long the old generation may be held still while the new one makes up the last events.
const FREEZE_TIME_MAX: Duration = Duration::from_secs(2);

/// The old generation held still, so that the new one can reach it however busy the log is.
pub(crate) struct Frozen {
    transaction: Transaction<'static, Postgres>,
    served: Option<Served>,
    /// When the old generation must go on.
    pub(crate) until: Instant,
}

/// The generation that is served.
#[derive(Clone, Copy)]
pub(crate) struct Served {
    version: i32,
    generation: i32,
    position: Option<Position>,
}

/// Holds the served generation of the same view still.
pub(crate) async fn freeze(pool: &PgPool, generation: &Generation) -> Result<Frozen, Failure> {
    let mut transaction = pool.begin().await?;
    let served: Option<(i32, i32, Option<i64>)> = sqlx::query_as(
        "SELECT a.version, a.generation, v.position
         FROM read.active a JOIN read.views v USING (view, version, generation)
         WHERE a.view = $1 FOR UPDATE OF a, v",
    )
    .bind(generation.view.name())
    .fetch_optional(&mut *transaction)
    .await?;
    let served = served.map(|(version, generation, position)| Served {
        version,
        generation,
        position: position.map(unsigned),
    });
    if served.is_some_and(|served| served.version > generation.view.version()) {
        return Err(Failure::Fenced);
    }
    Ok(Frozen { transaction, served, until: Instant::now() + FREEZE_TIME_MAX })
}

impl Frozen {
    /// Whether the new generation may be served: never before it has reached the old one.
    pub(crate) fn is_reached_by(&self, lead: &Lead) -> bool {
        self.served.is_none_or(|served| lead.position >= served.position)
    }

    /// Serves the new generation and retires the old one.
    pub(crate) async fn swap(mut self, generation: &Generation, lead: &Lead) -> Result<(), Failure> {
        let still_ours: Option<i32> = sqlx::query_scalar(
            "SELECT 1 FROM read.views
             WHERE view = $1 AND version = $2 AND generation = $3
               AND epoch = $4 AND position IS NOT DISTINCT FROM $5
             FOR UPDATE",
        )
        .bind(generation.view.name())
        .bind(generation.view.version())
        .bind(generation.number)
        .bind(lead.epoch)
        .bind(lead.position.map(|position| signed(position.0)))
        .fetch_optional(&mut *self.transaction)
        .await?;
        still_ours.ok_or(Failure::Fenced)?;
        serve(&mut self.transaction, generation, self.served).await?;
        self.transaction.commit().await?;
        Ok(())
    }
}

/// Lets a generation be served in place of `before`.
pub(crate) async fn serve(
    transaction: &mut Transaction<'static, Postgres>,
    generation: &Generation,
    before: Option<Served>,
) -> Result<(), Failure> {
    let (view, version) = (generation.view.name(), generation.view.version());
    sqlx::query(
        "INSERT INTO read.active (view, version, generation) VALUES ($1, $2, $3)
         ON CONFLICT (view) DO UPDATE
         SET version = EXCLUDED.version, generation = EXCLUDED.generation, swapped_at = now()",
    )
    .bind(view)
    .bind(version)
    .bind(generation.number)
    .execute(&mut **transaction)
    .await?;
    sqlx::query(
        "UPDATE read.views SET status = 'RUNNING', updated_at = now()
         WHERE view = $1 AND version = $2 AND generation = $3",
    )
    .bind(view)
    .bind(version)
    .bind(generation.number)
    .execute(&mut **transaction)
    .await?;
    // the new epoch lets whoever fills the old generation step down
    if let Some(before) = before {
        sqlx::query(
            "UPDATE read.views SET status = 'RETIRED', epoch = epoch + 1, updated_at = now()
             WHERE view = $1 AND version = $2 AND generation = $3",
        )
        .bind(view)
        .bind(before.version)
        .bind(before.generation)
        .execute(&mut **transaction)
        .await?;
    }
    // the same columns can be replaced in place; another version's cannot
    let in_place = before.is_none_or(|before| before.version == version);
    for table in generation.view.tables() {
        let (name, schema) = (table.name, generation.schema());
        let drop = if in_place { String::new() } else { format!("DROP VIEW IF EXISTS read.{name};") };
        let point = format!("{drop} CREATE OR REPLACE VIEW read.{name} AS SELECT * FROM {schema}.{name};");
        sqlx::raw_sql(AssertSqlSafe(point)).execute(&mut **transaction).await?;
    }
    Ok(())
}
