//! The checkpoint of a generation: how far its rows are, and whose turn it is to move it.

use schemas::Position;
use sqlx::{PgConnection, PgPool};

use super::generations::Generation;
use super::{Failure, Work, signed};

/// The lead over a generation: what this instance believes its checkpoint to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lead {
    pub(crate) epoch: i64,
    pub(crate) position: Option<Position>,
}

/// Takes the lead: from here on whoever led before finds another epoch and steps down. Waits for the disk, so
/// that an epoch is never given twice.
pub(crate) async fn take_lead(pool: &PgPool, generation: &Generation, status: &str) -> Result<Lead, Failure> {
    let row: Option<(i64, Option<i64>)> = sqlx::query_as(
        "UPDATE read.views
         SET epoch = epoch + 1, status = $4, detail = NULL, updated_at = now()
         WHERE view = $1 AND version = $2 AND generation = $3 AND status <> 'RETIRED'
         RETURNING epoch, position",
    )
    .bind(generation.view.name())
    .bind(generation.view.version())
    .bind(generation.number)
    .bind(status)
    .fetch_optional(pool)
    .await?;
    let (epoch, position) = row.ok_or(Failure::Fenced)?;
    Ok(Lead { epoch, position: position.map(unsigned) })
}

/// Where a generation is; `None`: it has nothing yet.
pub(crate) async fn position(pool: &PgPool, generation: &Generation) -> Result<Option<Position>, Failure> {
    let position: Option<Option<i64>> = sqlx::query_scalar(
        "SELECT position FROM read.views WHERE view = $1 AND version = $2 AND generation = $3",
    )
    .bind(generation.view.name())
    .bind(generation.view.version())
    .bind(generation.number)
    .fetch_optional(pool)
    .await?;
    Ok(position.flatten().map(unsigned))
}

/// Moves the checkpoint, in the transaction that brings the rows there, before any of them: whoever no longer
/// leads finds no row and must not write.
pub(crate) async fn advance(
    work: &mut Work<'_>,
    generation: &Generation,
    lead: Lead,
    to: Position,
) -> Result<(), Failure> {
    let moved = sqlx::query(
        "UPDATE read.views
         SET position = $6, updated_at = now()
         WHERE view = $1 AND version = $2 AND generation = $3
           AND position IS NOT DISTINCT FROM $4 AND epoch = $5",
    )
    .bind(generation.view.name())
    .bind(generation.view.version())
    .bind(generation.number)
    .bind(lead.position.map(|position| signed(position.0)))
    .bind(lead.epoch)
    .bind(signed(to.0))
    .execute(work.statement()?)
    .await?;
    if moved.rows_affected() == 1 { Ok(()) } else { Err(Failure::Fenced) }
}

/// Makes sure that the checkpoint is still what we believe. A database that crashed may have lost our last commits,
/// and on a quiet log no transaction of ours would notice.
pub(crate) async fn confirm(
    connection: &mut PgConnection,
    generation: &Generation,
    lead: Lead,
) -> Result<(), Failure> {
    let stands: Option<i32> = sqlx::query_scalar(
        "SELECT 1 FROM read.views
         WHERE view = $1 AND version = $2 AND generation = $3
           AND position IS NOT DISTINCT FROM $4 AND epoch = $5",
    )
    .bind(generation.view.name())
    .bind(generation.view.version())
    .bind(generation.number)
    .bind(lead.position.map(|position| signed(position.0)))
    .bind(lead.epoch)
    .fetch_optional(connection)
    .await?;
    stands.map(drop).ok_or(Failure::Fenced)
}

/// Says in the status row why the view stands still, unless somebody else leads by now.
pub(crate) async fn halt(
    pool: &PgPool,
    generation: &Generation,
    epoch: i64,
    detail: &str,
) -> Result<(), Failure> {
    sqlx::query(
        "UPDATE read.views SET status = 'HALTED', detail = $5, updated_at = now()
         WHERE view = $1 AND version = $2 AND generation = $3 AND epoch = $4",
    )
    .bind(generation.view.name())
    .bind(generation.view.version())
    .bind(generation.number)
    .bind(epoch)
    .bind(detail.replace('\0', ""))
    .execute(pool)
    .await?;
    Ok(())
}

/// The way back from Postgres' signed numbers; a negative one was never written.
pub(crate) fn unsigned(number: i64) -> Position {
    Position(u64::try_from(number).unwrap_or(0))
}
