//! How every generation stands, as database and log tell: the same from any process.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use platform::clock::Clock;
use platform::event_log::{EventLog, LogItem};
use platform::postgres::key_of;
use schemas::Position;
use sqlx::PgPool;
use tokio::time::timeout;

use super::checkpoint::unsigned;
use super::generations::lock_name;
use super::{Failure, Recorded, View};

/// The log answers for the next event within this time, or there is none that is wanted.
const NEXT_EVENT_WAIT: Duration = Duration::from_secs(2);

/// What a generation is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Doing {
    /// It has everything that the log has for it.
    Live,
    /// It is being filled, and is behind.
    CatchingUp,
    /// It stands still until somebody looks.
    Halted {
        /// What it met.
        detail: String,
    },
    /// No instance fills it: none runs, or a rebuild was stopped.
    Unattended,
    /// Another one is served in its place; it will be dropped.
    Retired,
}

/// One generation of a view.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The view.
    pub view: String,
    /// Its version.
    pub version: i32,
    /// Which generation of that version.
    pub generation: i32,
    /// Whether readers see it.
    pub is_served: bool,
    /// What it is doing.
    pub doing: Doing,
    /// Up to where its rows are complete; `None`: it has none yet.
    pub position: Option<Position>,
    /// How many positions the log's head is ahead; a position of the embedded log is a byte.
    pub behind: u64,
    /// How long the next event has been waiting for it, in milliseconds; 0 where none waits.
    pub behind_ms: i64,
}

type Row = (String, i32, i32, String, Option<String>, Option<i64>, bool);

/// All generations, by view and age.
pub(crate) async fn all(
    log: &Arc<dyn EventLog>,
    pool: &PgPool,
    clock: &Clock,
    views: &[Arc<dyn View>],
) -> Result<Vec<Standing>, Failure> {
    // in this order: what is appended in between makes nobody look ahead of the log
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT v.view, v.version, v.generation, v.status, v.detail, v.position, a.view IS NOT NULL
         FROM read.views v LEFT JOIN read.active a USING (view, version, generation)
         ORDER BY v.view, v.version, v.generation",
    )
    .fetch_all(pool)
    .await?;
    let held = held_locks(pool).await?;
    let head = log.head().await?.map_or(0, |head| head.0);
    let mut all = Vec::with_capacity(rows.len());
    for (view, version, generation, status, detail, position, is_served) in rows {
        let position = position.map(unsigned);
        let behind_ms = match views.iter().find(|known| known.name() == view) {
            Some(known) if status != "RETIRED" => waiting_ms(log, clock, position, &**known).await?,
            Some(_) | None => 0,
        };
        let is_led = held.contains(&key_of(&lock_name(&view, version, generation)));
        let doing = match status.as_str() {
            "RETIRED" => Doing::Retired,
            "HALTED" => Doing::Halted { detail: detail.unwrap_or_default() },
            _ if !is_led => Doing::Unattended,
            _ if behind_ms > 0 => Doing::CatchingUp,
            _ => Doing::Live,
        };
        let behind = head.saturating_sub(position.map_or(0, |position| position.0));
        all.push(Standing { view, version, generation, is_served, doing, position, behind, behind_ms });
    }
    Ok(all)
}

/// The keys of the advisory locks that somebody holds.
async fn held_locks(pool: &PgPool) -> Result<HashSet<i64>, Failure> {
    let keys: Vec<i64> = sqlx::query_scalar(
        "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks
         WHERE locktype = 'advisory' AND objsubid = 1 AND granted
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .fetch_all(pool)
    .await?;
    Ok(keys.into_iter().collect())
}

/// How long ago the next event that a view wants happened.
async fn waiting_ms(
    log: &Arc<dyn EventLog>,
    clock: &Clock,
    after: Option<Position>,
    view: &dyn View,
) -> Result<i64, Failure> {
    let mut items = log.subscribe(after, view.wanted()).await?;
    let next = async {
        while let Some(item) = items.next().await {
            match item? {
                LogItem::Event(stored) => return Ok(Some(stored)),
                LogItem::Checkpoint(_) => {}
                LogItem::CaughtUp => break,
            }
        }
        Ok::<_, Failure>(None)
    };
    let Ok(next) = timeout(NEXT_EVENT_WAIT, next).await else { return Ok(0) };
    // one that cannot be read waits too: the view's own state tells why
    let waits = |recorded: Recorded| clock.now().millis_since(recorded.occurred_at()).max(1);
    Ok(next?.map_or(0, |stored| Recorded::read(&stored).map_or(1, waits)))
}
