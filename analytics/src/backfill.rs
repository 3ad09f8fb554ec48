//! Fills a warehouse straight from the log: for a new topic, for a hole in the topic, and for a warehouse that is made anew beside the one that serves.
//!
//! Whoever composes the process reads the log and hands each event to [`Backfill::add`]; [`Backfill::finish`] ends a round. A warehouse beside the
//! serving one ([`Beside`]) is filled in rounds, each up to the head that the log had at its beginning, until the rest is short; then it is put in place.
//! A loader that runs notices by its progress, and loads again what came since.

mod beside;

pub use beside::Beside;

use std::collections::{BTreeMap, BTreeSet};

use clickhouse::Client;
use platform::http::problem::Chain;
use schemas::published::Published;
use schemas::{Position, ShowId};
use thiserror::Error;
use tokio::time::sleep;

use crate::figures::rollup::{self, SHOWS_A_STEP};
use crate::figures::{AsOf, FigureError};
use crate::loader::backoff;
use crate::rows::{Rows, in_stored_order};
use crate::warehouse::{Progress, Warehouse, WarehouseError};

/// Events in one insert: a second's work for the server, and some 50 MiB here.
const EVENTS_A_BATCH: usize = 50_000;

/// How often a statement is tried. With the pauses in between, a server may be away for ten seconds; who fills by hand begins again after that.
const TRIES: u32 = 8;

/// How far a back-fill is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Filled {
    /// Events that were written.
    pub events: u64,
    /// Events that make no rows: the loader sets them aside likewise.
    pub refused: u64,
    /// The last event that was written; `None`: none was.
    pub position: Option<Position>,
    /// Shows whose roll-ups were made in this round.
    pub rolled_up: usize,
    /// Shows whose roll-ups are still to be made in this round.
    pub to_roll_up: usize,
}

/// Why a back-fill ended. What was written may be written again.
#[derive(Debug, Error)]
pub enum BackfillError {
    /// The facts or the progress could not be written.
    #[error("the warehouse cannot be filled")]
    Warehouse(#[from] WarehouseError),
    /// The roll-ups could not be made.
    #[error("the roll-ups cannot be made")]
    Rollups(#[from] FigureError),
}

/// Fills one warehouse.
pub struct Backfill<F> {
    warehouse: Warehouse,
    partitions: u32,
    rows: Rows,
    stale: BTreeSet<ShowId>,
    filled: Filled,
    observe: F,
}

impl<F: FnMut(Filled) + Send> Backfill<F> {
    /// Fills the database of a client, whose tables are up to date, as the loader of a topic with so many partitions would. `observe` is called after
    /// each batch and each step of roll-ups.
    pub fn new(client: &Client, topic: &str, partitions: u32, observe: F) -> Self {
        Self {
            warehouse: Warehouse::new(client, topic),
            partitions,
            rows: Rows::default(),
            stale: BTreeSet::new(),
            filled: Filled::default(),
            observe,
        }
    }

    /// Takes the next event of the log. An event that was taken before changes nothing.
    ///
    /// # Errors
    /// [`BackfillError`].
    pub async fn add(&mut self, event: &Published) -> Result<(), BackfillError> {
        if let Err(error) = self.rows.add(event) {
            let (position, detail) = (event.position, Chain(&error).to_string());
            tracing::error!(%position, detail, "the event at position {position} makes no rows: {detail}");
            self.filled.refused += 1;
        }
        self.filled.position = self.filled.position.max(Some(event.position));
        if self.rows.events.len() >= EVENTS_A_BATCH { self.write().await } else { Ok(()) }
    }

    async fn write(&mut self) -> Result<(), BackfillError> {
        if self.rows.events.is_empty() {
            return Ok(());
        }
        let mut backoff = backoff();
        for tries in 1.. {
            match self.warehouse.insert(&[&self.rows], None).await {
                Ok(()) => break,
                Err(error) if tries >= TRIES => return Err(error.into()),
                Err(error) => {
                    let detail = Chain(&error).to_string();
                    tracing::warn!(detail, "a batch will be tried again: {detail}");
                    sleep(backoff.pause()).await;
                }
            }
        }
        self.filled.events += self.rows.events.len() as u64;
        let rows = std::mem::take(&mut self.rows);
        self.stale.extend(rows.shows);
        (self.observe)(self.filled);
        Ok(())
    }

    /// Ends a round: every event of the log up to `up_to` was added. Makes the roll-ups of the shows that were touched, and then tells that
    /// all partitions are as far; one that is further already stays so.
    ///
    /// # Errors
    /// [`BackfillError`].
    pub async fn finish(&mut self, up_to: AsOf) -> Result<Filled, BackfillError> {
        self.write().await?;
        self.filled.rolled_up = 0;
        for step in in_stored_order(self.stale.iter().copied()).chunks(SHOWS_A_STEP) {
            rollup::refresh(&self.warehouse.client, step).await?;
            for show in step {
                self.stale.remove(show);
            }
            self.filled.rolled_up += step.len();
            self.filled.to_roll_up = self.stale.len();
            (self.observe)(self.filled);
        }
        let progress = Progress { position: up_to.position, time: up_to.time, offset: None, told_at: None };
        let partitions = i32::try_from(self.partitions).unwrap_or(i32::MAX);
        let reached: BTreeMap<i32, Progress> =
            (0..partitions).map(|partition| (partition, progress)).collect();
        self.warehouse.tell_loaded(&reached, up_to.time).await?;
        self.warehouse.tell_rolled_up(&reached, up_to.time).await?;
        Ok(self.filled)
    }
}
