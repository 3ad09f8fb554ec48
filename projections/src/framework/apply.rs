//! One batch, one transaction: the checkpoint first, then the check for gaps, then the rows.

use std::collections::HashMap;

use schemas::{Position, Revision, Timestamp};
use sqlx::PgConnection;

use super::checkpoint::{self, Lead};
use super::generations::Generation;
use super::{Change, Failure, Fuse, Work, signed};

/// What events that follow each other in the log change.
#[derive(Default)]
pub(crate) struct Batch {
    /// `None`: nothing, as there are no events in it.
    pub(crate) change: Option<Box<dyn Change>>,
    /// How many events there are in it.
    pub(crate) events: usize,
    /// The first and the last revision of each stream in it, without gaps between.
    pub(crate) streams: HashMap<String, (Revision, Revision)>,
    /// Everything wanted up to here is in this batch or those before.
    pub(crate) position: Option<Position>,
    /// When its last event happened.
    pub(crate) occurred_at: Option<Timestamp>,
    /// All events that stood in the log when it was opened are in this batch or those before.
    pub(crate) is_caught_up: bool,
}

/// Applies a batch. On `Ok` rows and checkpoint are committed, and `lead` knows.
pub(crate) async fn apply(
    connection: &mut PgConnection,
    fuse: &Fuse,
    generation: &Generation,
    lead: &mut Lead,
    batch: Batch,
) -> Result<(), Failure> {
    let Some(position) = batch.position.filter(|position| Some(*position) > lead.position) else {
        return Ok(());
    };
    let mut work = Work::begin(connection, fuse).await?;
    match bring(&mut work, generation, *lead, position, batch).await {
        Ok(()) => work.commit().await?,
        Err(failure) => {
            // at once: its locks stand in the way of whoever writes down why
            work.roll_back().await;
            return Err(failure);
        }
    }
    lead.position = Some(position);
    Ok(())
}

async fn bring(
    work: &mut Work<'_>,
    generation: &Generation,
    lead: Lead,
    position: Position,
    batch: Batch,
) -> Result<(), Failure> {
    checkpoint::advance(work, generation, lead, position).await?;
    match batch.change {
        None => Ok(()),
        Some(change) => {
            follow(work, &batch.streams).await?;
            change.apply(work).await
        }
    }
}

/// Notes how far each stream is, and finds those that do not go on where they ended.
async fn follow(work: &mut Work<'_>, streams: &HashMap<String, (Revision, Revision)>) -> Result<(), Failure> {
    let (mut names, mut firsts, mut lasts) = (Vec::new(), Vec::new(), Vec::new());
    for (stream, (first, last)) in streams {
        names.push(stream.as_str());
        firsts.push(signed(*first));
        lasts.push(signed(*last));
    }
    // the select sees the revisions as they were before this statement
    let gap: Option<(String, i64, i64)> = sqlx::query_as(
        "WITH batch AS (
             SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::bigint[]) AS b (stream, first, last)
         ), moved AS (
             INSERT INTO stream_revisions (stream, revision) SELECT stream, last FROM batch
             ON CONFLICT (stream) DO UPDATE SET revision = EXCLUDED.revision
         )
         SELECT b.stream, COALESCE(r.revision, -1) + 1, b.first
         FROM batch b LEFT JOIN stream_revisions r USING (stream)
         WHERE b.first <> COALESCE(r.revision, -1) + 1
         ORDER BY b.stream LIMIT 1",
    )
    .bind(names)
    .bind(firsts)
    .bind(lasts)
    .fetch_optional(work.statement()?)
    .await?;
    match gap {
        None => Ok(()),
        Some((stream, expected, found)) => {
            Err(Failure::Gap { stream, expected: revision(expected), found: revision(found) })
        }
    }
}

fn revision(number: i64) -> Revision {
    Revision::try_from(number).unwrap_or(0)
}
