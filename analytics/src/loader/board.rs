//! How the loader is doing, for health and metrics.

use std::collections::BTreeMap;

use parking_lot::RwLock;
use platform::clock::Clock;
use schemas::{Position, Timestamp};

use super::lane::Lane;

/// What the loader as a whole is doing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Phase {
    /// It has not yet reached its stores.
    #[default]
    Starting,
    /// It loads what comes.
    Running,
    /// A store is away, and is tried again.
    Waiting {
        /// What is wrong.
        detail: String,
    },
    /// It stands still until somebody looks: the warehouse is not what this version of the code knows.
    Halted {
        /// What it met.
        detail: String,
    },
    /// It was told to stop, and did.
    Stopped,
}

/// A partition that this loader reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionState {
    /// Up to where everything is in the warehouse; `None`: nothing is.
    pub position: Option<Position>,
    /// Up to when that is.
    pub time: Option<Timestamp>,
    /// Why it does not go on; `None`: it does.
    pub halted: Option<String>,
}

/// How the loader is doing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LoaderState {
    /// As a whole.
    pub phase: Phase,
    /// The partitions that it reads; those of other loaders are not among them.
    pub partitions: BTreeMap<i32, PartitionState>,
    /// Records that nobody can read, since this loader started.
    pub dead_letters: u64,
    /// Shows whose roll-ups are to be made anew.
    pub stale_shows: usize,
    /// How old the warehouse is, in milliseconds: of the partition that is furthest behind. 0 where there is none.
    pub lag_ms: i64,
}

impl LoaderState {
    /// Partitions that stand still.
    #[must_use]
    pub fn halted(&self) -> usize {
        self.partitions.values().filter(|partition| partition.halted.is_some()).count()
    }

    /// A few words for readiness, without causes: whoever asks may be anyone. Dead letters and a lag alarm by their metrics, and leave it ready.
    pub(crate) fn check(&self) -> Result<String, String> {
        match &self.phase {
            Phase::Starting => return Err("is starting".to_owned()),
            Phase::Waiting { .. } => return Err("waits for a store".to_owned()),
            Phase::Halted { .. } => return Err("is halted".to_owned()),
            Phase::Stopped => return Err("is stopped".to_owned()),
            Phase::Running => {}
        }
        match self.halted() {
            0 => Ok(format!("{} partitions, {} s behind", self.partitions.len(), self.lag_ms / 1_000)),
            halted => Err(format!("{halted} partitions are halted")),
        }
    }
}

/// Where the state is written down.
#[derive(Default)]
pub(crate) struct Board(RwLock<LoaderState>);

impl Board {
    pub(crate) fn state(&self) -> LoaderState {
        self.0.read().clone()
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        let mut state = self.0.write();
        if state.phase != phase {
            state.phase = phase;
        }
    }

    pub(crate) fn add_dead_letters(&self, count: usize) {
        self.0.write().dead_letters += count as u64;
    }

    pub(crate) fn set_stale_shows(&self, count: usize) {
        self.0.write().stale_shows = count;
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!("loader_stale_shows").set(count as f64);
    }

    /// Notes how each partition is. `is_sure`: a halt that was looked at twice.
    pub(crate) fn set_partitions<'l>(
        &self,
        lanes: impl Iterator<Item = (i32, &'l Lane, bool)>,
        clock: &Clock,
    ) {
        let partitions: BTreeMap<i32, PartitionState> = lanes
            .map(|(partition, lane, is_sure)| {
                let confirmed = lane.confirmed();
                let halted = lane.halt().filter(|_| is_sure).map(ToString::to_string);
                let position = confirmed.map(|confirmed| confirmed.position);
                (
                    partition,
                    PartitionState { position, time: confirmed.map(|confirmed| confirmed.time), halted },
                )
            })
            .collect();
        let now = clock.now();
        let age = |partition: &PartitionState| partition.time.map_or(0, |time| now.millis_since(time).max(0));
        let mut state = self.0.write();
        state.lag_ms = partitions.values().map(age).max().unwrap_or(0);
        state.partitions = partitions;
        #[expect(clippy::cast_precision_loss, reason = "gauges")]
        let (lag, halted) = (state.lag_ms as f64 / 1_000.0, state.halted() as f64);
        metrics::gauge!("loader_lag_seconds").set(lag);
        metrics::gauge!("loader_halted_partitions").set(halted);
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!("loader_partitions").set(state.partitions.len() as f64);
    }
}
