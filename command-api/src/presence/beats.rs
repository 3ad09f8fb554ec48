//! Signs of life: gathered in memory, written in batches.

use parking_lot::Mutex;
use schemas::{PersonId, SessionId, ShowId, Timestamp};
use sqlx::PgPool;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Sessions and persons with a sign of life between two writes. Beyond it new ones are dropped and counted: the
/// next heartbeat comes within the grace period.
const GATHERED_MAX: usize = 500_000;

/// Rows of one statement.
const BATCH_ROWS_MAX: usize = 5_000;

/// Whose sign of life.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Beat {
    Session(ShowId, SessionId),
    Person(ShowId, PersonId),
}

#[derive(Default)]
pub(super) struct Beats {
    gathered: Mutex<HashMap<Beat, Timestamp>>,
}

impl Beats {
    pub(super) fn note(&self, beat: Beat, at: Timestamp) {
        let mut gathered = self.gathered.lock();
        if gathered.len() >= GATHERED_MAX && !gathered.contains_key(&beat) {
            metrics::counter!("tally_presence_beats_dropped_total").increment(1);
            return;
        }
        let known = gathered.entry(beat).or_insert(at);
        *known = (*known).max(at);
    }

    pub(super) async fn run(self: Arc<Self>, pool: PgPool, interval: Duration, stop: CancellationToken) {
        loop {
            let is_last = tokio::time::timeout(interval, stop.cancelled()).await.is_ok();
            if let Err(error) = self.flush(&pool).await {
                tracing::warn!(%error, "signs of life wait for the database");
            }
            if is_last {
                return;
            }
        }
    }

    /// Writes what has gathered; what cannot be written gathers again.
    async fn flush(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let taken = std::mem::take(&mut *self.gathered.lock());
        let beats: Vec<(Beat, Timestamp)> = taken.into_iter().collect();
        for (index, batch) in beats.chunks(BATCH_ROWS_MAX).enumerate() {
            if let Err(error) = write(pool, batch).await {
                beats[index * BATCH_ROWS_MAX..].iter().for_each(|(beat, at)| self.note(*beat, *at));
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Touches rows that are there. A session without a row is over, or not in the register yet.
async fn write(pool: &PgPool, batch: &[(Beat, Timestamp)]) -> Result<(), sqlx::Error> {
    let (mut shows, mut sessions, mut persons, mut times) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (beat, at) in batch {
        let (show, session, person): (ShowId, Option<Uuid>, Option<Uuid>) = match beat {
            Beat::Session(show, session) => (*show, Some(session.0), None),
            Beat::Person(show, person) => (*show, None, Some(person.0)),
        };
        shows.push(show.0);
        sessions.push(session);
        persons.push(person);
        times.push(at.to_chrono());
    }
    // a session may be seen twice in a batch, by itself and by its person: the later time wins in either order
    sqlx::query(
        "WITH beats AS (
             SELECT open.session_id, max(beat.at) AS at
             FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[])
                  AS beat (show_id, session_id, person, at)
             JOIN presence.sessions AS open
               ON open.show_id = beat.show_id
              AND (open.session_id = beat.session_id OR open.person = beat.person)
             GROUP BY open.session_id
         )
         UPDATE presence.sessions AS open SET last_seen = GREATEST(open.last_seen, beats.at)
         FROM beats WHERE open.session_id = beats.session_id",
    )
    .bind(shows)
    .bind(sessions)
    .bind(persons)
    .bind(times)
    .execute(pool)
    .await?;
    Ok(())
}
