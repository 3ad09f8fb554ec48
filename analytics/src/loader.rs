//! Loads the topic into the warehouse: each event counts once in every figure, whatever dies when.
//!
//! How far a partition is, the warehouse alone tells; Kafka's offsets are for show. A batch is written as facts, then as progress, and the progress
//! only where it is what the loader believed: whoever was taken for dead, or slept through an exchange of the tables, moves nothing.
//!
//! ```text
//! consumer.rs     what the group gives and takes
//! lane.rs         a partition: repeats, holes, what nobody can read
//! pump.rs         the loop: gather, write, begin again
//! delivery.rs     dead letters, facts, progress, until it is done
//! halts.rs        partitions that stand still, and how long they may
//! rollups.rs      roll-ups, beside all this
//! ```

mod batch;
mod board;
mod brake;
mod consumer;
mod dead_letters;
mod delivery;
mod halts;
mod lane;
mod pump;
mod rollups;
mod work;

use std::sync::Arc;
use std::time::Duration;

use platform::backoff::Backoff;
use platform::clock::Clock;
use platform::http::problem::Chain;
use schemas::published::TOPIC;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::migrate::{Layout, MigrateError, migrate};
use crate::warehouse::Warehouse;

use board::Board;
use consumer::Reader;
use dead_letters::DeadLetters;
use delivery::Delivery;
use pump::{End, Pump};
use rollups::Rollups;

pub use board::{LoaderState, PartitionState, Phase};

/// Where a loader reads, and with whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoaderSettings {
    /// Kafka's `bootstrap.servers`.
    pub brokers: String,
    /// The consumer group: loaders of one warehouse share it and the partitions.
    pub group: String,
    /// The topic; what nobody can read goes to the topic of that name with `.dead` behind it.
    pub topic: String,
    /// How long records may be missing before that counts as a halt. Loading goes on by itself whenever they come.
    pub hole_patience: Duration,
}

/// A relay that lost the lead may have records under way for 30 s, and the next one, which fills what they ran ahead of, needs as long at worst.
const HOLE_PATIENCE: Duration = Duration::from_secs(60);

impl LoaderSettings {
    /// The topic of the relay, for the one group of loaders.
    #[must_use]
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            group: "tally-loader".to_owned(),
            topic: TOPIC.to_owned(),
            hole_patience: HOLE_PATIENCE,
        }
    }
}

/// What a loader needs.
#[derive(Clone)]
pub struct LoaderDeps {
    /// A client with its database set; the database exists.
    pub warehouse: clickhouse::Client,
    /// The time, for lags.
    pub clock: Clock,
    /// Where it reads.
    pub settings: LoaderSettings,
    /// How the tables are made.
    pub layout: Layout,
}

/// What the loader counts, here and there.
const COUNTERS: [&str; 9] = [
    "loader_batches_total",
    "loader_dead_letters_total",
    "loader_kafka_errors_total",
    "loader_records_total",
    "loader_repeats_total",
    "loader_retries_total",
    "loader_rewinds_total",
    "loader_rollups_total",
    "loader_rows_total",
];

/// A running loader. Dropping it stops it too, without waiting.
pub struct Loader {
    board: Arc<Board>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Loader {
    /// Brings the tables up to date and begins to load. Stores that are away are waited for, for ever.
    #[must_use]
    pub fn start(deps: LoaderDeps) -> Self {
        let (board, stop, tasks) = (Arc::<Board>::default(), CancellationToken::new(), TaskTracker::new());
        for counter in COUNTERS {
            // there from the beginning, so that the first count is a rise
            metrics::counter!(counter).increment(0);
        }
        let (told, until, tracker) = (Arc::clone(&board), stop.clone(), tasks.clone());
        tasks.spawn(async move {
            load(deps, &told, &until, &tracker).await;
            told.set_phase(Phase::Stopped);
        });
        tasks.close();
        Self { board, stop, tasks }
    }

    /// How it is doing.
    #[must_use]
    pub fn state(&self) -> LoaderState {
        self.board.state()
    }

    /// The same as a check for readiness: not ready before the stores were reached, while one is away, and while a partition stands still. Dead
    /// letters and a lag leave it ready; their metrics alarm.
    pub fn check(&self) -> impl Fn() -> Result<String, String> + Send + Sync + 'static {
        let board = Arc::clone(&self.board);
        move || board.state().check()
    }

    /// Stops after the batch that is being written, for which it waits some seconds, and leaves the group.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn load(deps: LoaderDeps, board: &Arc<Board>, stop: &CancellationToken, tasks: &TaskTracker) {
    let LoaderDeps { warehouse: client, clock, settings, layout } = deps;
    if !prepare(&client, &layout, board, stop).await {
        return;
    }
    let warehouse = Warehouse::new(&layout.writer(&client), &settings.topic);
    let rollups = Rollups::default();
    tasks.spawn(rollups.clone().run(warehouse.clone(), clock.clone(), Arc::clone(board), stop.clone()));
    let delivery = Delivery {
        warehouse,
        dead_letters: Arc::new(DeadLetters::new(&settings.brokers, &settings.topic)),
        clock,
        board: Arc::clone(board),
        topic: settings.topic.as_str().into(),
    };
    let mut backoff = backoff();
    while !stop.is_cancelled() {
        let joined = Reader::join(&settings.brokers, &settings.group, &settings.topic);
        let error = match joined {
            Ok(joined) => {
                let pump = Pump::new(delivery.clone(), rollups.clone(), joined, settings.hole_patience);
                match pump.run(stop).await {
                    End::Stopped => return,
                    End::Broken(error) => error,
                }
            }
            Err(error) => error,
        };
        let detail = Chain(&error).to_string();
        tracing::error!(detail, "the loader begins anew: {detail}");
        board.set_phase(Phase::Waiting { detail });
        backoff.wait(stop).await;
    }
}

/// Brings the tables up to date. False: told to stop before.
async fn prepare(
    client: &clickhouse::Client,
    layout: &Layout,
    board: &Board,
    stop: &CancellationToken,
) -> bool {
    let mut backoff = backoff();
    loop {
        let migrated = tokio::select! {
            () = stop.cancelled() => return false,
            migrated = migrate(client, layout) => migrated,
        };
        let error = match migrated {
            Ok(done) => {
                if !done.is_empty() {
                    tracing::info!("the warehouse was brought up to date: {done:?}");
                }
                return true;
            }
            Err(error) => error,
        };
        let detail = Chain(&error).to_string();
        match error {
            MigrateError::Statement { .. } => {
                if is_worth_telling(&backoff) {
                    tracing::warn!(detail, "the warehouse will be tried again: {detail}");
                    board.set_phase(Phase::Waiting { detail });
                }
                backoff.wait(stop).await;
            }
            MigrateError::Changed(_) | MigrateError::Cluster | MigrateError::Database => {
                tracing::error!(detail, "the loader is halted: {detail}");
                board.set_phase(Phase::Halted { detail });
                stop.cancelled().await;
                return false;
            }
        }
    }
}

/// The longest pause between tries: how late it may be noticed that a store is back, within what freshness allows.
const BACKOFF_MAX: Duration = Duration::from_secs(3);

/// So many tries may fail before a store counts as away: a restart of it is none to speak of.
const PATIENCE: u32 = 4;

/// Pauses between tries.
pub(crate) fn backoff() -> Backoff {
    Backoff::up_to(BACKOFF_MAX)
}

/// Whether it has failed so often that it should be said.
fn is_worth_telling(backoff: &Backoff) -> bool {
    backoff.tries() >= PATIENCE
}
