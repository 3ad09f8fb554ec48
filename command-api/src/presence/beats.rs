//! Signs of life: gathered in memory, written in batches.

use parking_lot::Mutex;
use platform::clock::Clock;
use schemas::{PersonId, SessionId, ShowId, Timestamp};
use sqlx::PgPool;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Persons with a sign of life between two writes. Beyond it the new ones are dropped and counted: the next
/// heartbeat comes within the grace period.
const GATHERED_MAX: usize = 500_000;

/// Rows of one statement.
const BATCH_ROWS_MAX: usize = 5_000;

type Key = (ShowId, PersonId, Option<SessionId>);

pub(super) struct Beats {
    clock: Clock,
    gathered: Mutex<HashMap<Key, Timestamp>>,
}

impl Beats {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, gathered: Mutex::default() }
    }

    pub(super) fn note(&self, show: ShowId, person: PersonId, session: Option<SessionId>) {
        let now = self.clock.now();
        let mut gathered = self.gathered.lock();
        let key = (show, person, session);
        if gathered.len() < GATHERED_MAX || gathered.contains_key(&key) {
            gathered.insert(key, now);
        } else {
            metrics::counter!("tally_presence_beats_dropped_total").increment(1);
        }
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
        let beats: Vec<(Key, Timestamp)> = taken.into_iter().collect();
        for (index, batch) in beats.chunks(BATCH_ROWS_MAX).enumerate() {
            if let Err(error) = write(pool, batch).await {
                let mut gathered = self.gathered.lock();
                for (key, at) in &beats[index * BATCH_ROWS_MAX..] {
                    let known = gathered.entry(*key).or_insert(*at);
                    *known = (*known).max(*at);
                }
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Touches rows that are there. A session without a row is over, or not in the log yet.
async fn write(pool: &PgPool, batch: &[(Key, Timestamp)]) -> Result<(), sqlx::Error> {
    let shows: Vec<_> = batch.iter().map(|((show, _, _), _)| show.0).collect();
    let persons: Vec<_> = batch.iter().map(|((_, person, _), _)| person.0).collect();
    let sessions: Vec<_> = batch.iter().map(|((_, _, session), _)| session.map(|id| id.0)).collect();
    let times: Vec<_> = batch.iter().map(|(_, at)| at.to_chrono()).collect();
    sqlx::query(
        "UPDATE presence.sessions AS open SET last_seen = GREATEST(open.last_seen, beat.at)
         FROM (SELECT show_id, person, session_id, max(at) AS at
               FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[])
                    AS beats (show_id, person, session_id, at)
               GROUP BY show_id, person, session_id) AS beat
         WHERE open.show_id = beat.show_id AND open.person = beat.person
           AND (beat.session_id IS NULL OR open.session_id = beat.session_id)",
    )
    .bind(shows)
    .bind(persons)
    .bind(sessions)
    .bind(times)
    .execute(pool)
    .await?;
    Ok(())
}
