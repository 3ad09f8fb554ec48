//! Keeps the roll-ups fresh, beside the loading.
//!
//! What is to be made anew is remembered in memory only. Whoever takes over partitions asks the warehouse which roll-ups know less than the facts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clickhouse::Row;
use clickhouse::error::Error::TimedOut;
use parking_lot::Mutex;
use platform::clock::Clock;
use platform::http::problem::Chain;
use schemas::ShowId;
use serde::Deserialize;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::backoff;
use super::board::Board;
use crate::figures::FigureError;
use crate::figures::rollup::{self, SHOWS_A_STEP};
use crate::rows::in_stored_order;
use crate::warehouse::{Progress, Warehouse, WarehouseError};

/// The shortest time between two passes: a show that runs is made anew so often at most. Freshness allows five.
const PASS_INTERVAL: Duration = Duration::from_secs(1);

/// The same while the loader catches up: shows that are loaded in pieces would be made anew for each piece, and loading comes first.
const PASS_INTERVAL_BEHIND: Duration = Duration::from_secs(30);

/// How long one step may take; two hundred large shows take some ten seconds of a busy server.
const STEP_TIMEOUT: Duration = Duration::from_secs(120);

/// So many shows are remembered. Beyond, the warehouse is asked, which takes a look at every event.
const DIRTY_MAX: usize = 100_000;

/// Shows whose roll-ups know fewer events than there are. Revisions are without gaps, so their number follows from the last; a show whose facts were
/// removed by the retention counts as fresh.
const STALE: &str = "
SELECT toUUID(substring(e.stream, 6)) AS show_id
FROM (
    SELECT stream, max(revision) + 1 AS known
    FROM fact_events
    WHERE startsWith(stream, 'show-')
    GROUP BY stream
    SETTINGS optimize_aggregation_in_order = 1
) AS e
LEFT JOIN (SELECT concat('show-', toString(show_id)) AS stream, max(facts) AS facts FROM rollup_shows GROUP BY show_id) AS r
    ON r.stream = e.stream
WHERE e.known > r.facts";

#[derive(Row, Deserialize)]
struct Stale {
    #[serde(with = "clickhouse::serde::uuid")]
    show_id: Uuid,
}

/// What is to be done.
#[derive(Default)]
struct Dirty {
    shows: BTreeSet<ShowId>,
    /// The warehouse is to be asked what else is stale.
    is_unsure: bool,
    /// How far the partitions are whose shows are all among these, or fresh.
    reached: BTreeMap<i32, Progress>,
}

/// The roll-ups that are to be made anew. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Rollups {
    dirty: Arc<Mutex<Dirty>>,
    /// The loader catches up.
    is_behind: Arc<AtomicBool>,
}

impl Rollups {
    /// Partitions came to this loader, as far as they are. What their loader before had not finished is ours.
    pub(crate) fn take_over(&self, partitions: impl Iterator<Item = (i32, Option<Progress>)>) {
        let mut dirty = self.dirty.lock();
        dirty.is_unsure = true;
        dirty.reached = partitions.filter_map(|(partition, reached)| Some((partition, reached?))).collect();
    }

    /// Somebody else wrote, too: what they touched is not among ours.
    pub(crate) fn doubt(&self) {
        self.dirty.lock().is_unsure = true;
    }

    /// Whether the loader catches up.
    pub(crate) fn set_behind(&self, is_behind: bool) {
        self.is_behind.store(is_behind, Ordering::Relaxed);
    }

    /// A batch is in the warehouse. Shows and progress are noted as one: a pass that sees the one sees the other.
    pub(crate) fn note(&self, partition: i32, shows: BTreeSet<ShowId>, reached: Option<Progress>) {
        let mut dirty = self.dirty.lock();
        dirty.shows.extend(shows);
        if let Some(reached) = reached {
            dirty.reached.insert(partition, reached);
        }
        if dirty.shows.len() > DIRTY_MAX {
            dirty.shows.clear();
            dirty.is_unsure = true;
        }
    }

    /// Makes roll-ups anew until told to stop.
    pub(crate) async fn run(
        self,
        warehouse: Warehouse,
        clock: Clock,
        board: Arc<Board>,
        stop: CancellationToken,
    ) {
        let (mut backoff, mut pause, mut passed) = (backoff(), PASS_INTERVAL, Instant::now());
        while timeout(pause, stop.cancelled()).await.is_err() {
            let start = Instant::now();
            if self.is_behind.load(Ordering::Relaxed) && passed + PASS_INTERVAL_BEHIND > start {
                pause = PASS_INTERVAL;
                continue;
            }
            passed = start;
            match self.pass(&warehouse, &clock, &board, &stop).await {
                Ok(()) => {
                    backoff.reset();
                    // half of the time at most: loading comes first
                    pause = start.elapsed().max(PASS_INTERVAL);
                }
                Err(error) => {
                    let detail = Chain(&error).to_string();
                    tracing::warn!(detail, "roll-ups will be tried again: {detail}");
                    pause = backoff.pause().max(PASS_INTERVAL);
                }
            }
        }
    }

    async fn pass(
        &self,
        warehouse: &Warehouse,
        clock: &Clock,
        board: &Board,
        stop: &CancellationToken,
    ) -> Result<(), FigureError> {
        let mut work = std::mem::take(&mut *self.dirty.lock());
        // what is not finished goes back, whatever comes
        let done = self.refresh(&mut work, warehouse, board, stop).await;
        let told = match done {
            Ok(true) => warehouse.tell_rolled_up(&work.reached, clock.now()).await.map_err(FigureError::from),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        self.give_back(work, told.is_err());
        told
    }

    /// Whether all is fresh now; false where it was told to stop before.
    async fn refresh(
        &self,
        work: &mut Dirty,
        warehouse: &Warehouse,
        board: &Board,
        stop: &CancellationToken,
    ) -> Result<bool, FigureError> {
        if work.is_unsure {
            let stale: Vec<Stale> = timeout(STEP_TIMEOUT, warehouse.client.query_raw(STALE).fetch_all())
                .await
                .unwrap_or(Err(TimedOut))?;
            work.shows.extend(stale.iter().map(|stale| ShowId(stale.show_id)));
            work.is_unsure = false;
        }
        for step in in_stored_order(work.shows.iter().copied()).chunks(SHOWS_A_STEP) {
            board.set_stale_shows(work.shows.len());
            tokio::select! {
                // what is cut off is stale, and found by whoever comes next
                () = stop.cancelled() => return Ok(false),
                done = timeout(STEP_TIMEOUT, rollup::refresh(&warehouse.client, step)) => {
                    done.unwrap_or(Err(FigureError::Warehouse(TimedOut)))?;
                }
            }
            metrics::counter!("loader_rollups_total").increment(step.len() as u64);
            for show in step {
                work.shows.remove(show);
            }
        }
        board.set_stale_shows(0);
        Ok(true)
    }

    /// What was not finished is to be done again; what came meanwhile is newer.
    fn give_back(&self, work: Dirty, has_failed: bool) {
        let mut dirty = self.dirty.lock();
        dirty.shows.extend(work.shows);
        dirty.is_unsure |= work.is_unsure;
        if has_failed {
            for (partition, reached) in work.reached {
                dirty.reached.entry(partition).or_insert(reached);
            }
        }
    }
}

impl From<WarehouseError> for FigureError {
    fn from(error: WarehouseError) -> Self {
        match error {
            WarehouseError::Refused(error) => Self::Warehouse(error),
            WarehouseError::Timeout => Self::Warehouse(TimedOut),
        }
    }
}
