//! The read side: events in, Postgres read models out. `views.rs` lists the read models, `framework.rs` says
//! how each of them is filled, fenced, rebuilt and swapped.
//!
//! Readers do not depend on this crate: they select from the plain SQL views of schema `read`, whose columns
//! the head of each file in `views/` tells, and wait on `read.positions`.

mod framework;
mod relay;
mod views;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use platform::clock::Clock;
use platform::event_log::EventLog;
use schemas::Position;
use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use framework::generations;
use framework::health::{Board, Heads};
use framework::runner::Tools;
use framework::{Supervisor, View};

pub use framework::digest::ViewHash;
pub use framework::health::{ViewState, ViewStatus};
pub use framework::readings::Readings;
pub use framework::rebuild::{Progress, RebuildError};
pub use framework::standing::{Doing, Standing};
pub use framework::{Failure, Fuse};
pub use relay::{Relay, RelayDeps, RelayFailure, RelaySettings, RelayState};

/// How long a generation that was swapped out stays: time for queries that still read it, and for a look at it.
pub const RETIRED_GRACE_DEFAULT: Duration = Duration::from_secs(600);

/// How often retired generations are looked for.
const DROP_INTERVAL: Duration = Duration::from_secs(5);

/// How often lags are measured: as exact as an operator needs them.
const LAG_INTERVAL: Duration = Duration::from_secs(1);

/// What projections need. Clones share it.
#[derive(Clone)]
pub struct Deps {
    /// The log that they follow.
    pub log: Arc<dyn EventLog>,
    /// What reads it, for all views that are filled with this.
    pub readings: Readings,
    /// The database of the read models, with the migrations applied. Each view has one connection of its own besides
    /// the pool's, and uses one of those for a moment when it begins, or is swapped.
    pub pool: PgPool,
    /// For lags.
    pub clock: Clock,
    /// How long a generation that was swapped out stays.
    pub retired_grace: Duration,
    /// A fault seam for tests; [`Fuse::none`] in production.
    pub fuse: Fuse,
}

impl Deps {
    /// With defaults.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, pool: PgPool, clock: Clock) -> Self {
        let readings = Readings::default();
        Self { log, readings, pool, clock, retired_grace: RETIRED_GRACE_DEFAULT, fuse: Fuse::none() }
    }

    fn tools(&self) -> Tools {
        Tools {
            log: Arc::clone(&self.log),
            readings: self.readings.clone(),
            pool: self.pool.clone(),
            clock: self.clock.clone(),
            fuse: self.fuse.clone(),
        }
    }
}

/// All read models of this node, being kept up to date. Dropping it stops them without waiting.
pub struct Projections {
    board: Arc<Board>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Projections {
    /// Starts every view. Each is filled by one instance among all nodes; the others stand by.
    #[must_use]
    pub fn start(deps: &Deps) -> Self {
        Self::start_views(deps, &view_names())
    }

    /// Starts some views only.
    #[must_use]
    pub fn start_views(deps: &Deps, names: &[&str]) -> Self {
        let (board, stop, tasks) = (Arc::new(Board::default()), CancellationToken::new(), TaskTracker::new());
        for view in views::all() {
            if !names.contains(&view.name()) {
                continue;
            }
            board.update(view.name(), |_| {});
            let (board, stop) = (Arc::clone(&board), stop.clone());
            tasks.spawn(Supervisor { view, tools: deps.tools(), board, stop }.run());
        }
        tasks.spawn(keep_house(deps.clone(), Arc::clone(&board), stop.clone()));
        tasks.close();
        Self { board, stop, tasks }
    }

    /// Up to where this node has committed each view; `None` for those that another instance fills. What readers
    /// wait on is `read.positions`, which is of all nodes.
    #[must_use]
    pub fn positions(&self) -> BTreeMap<&'static str, Option<Position>> {
        self.board.all().into_iter().map(|(view, status)| (view, status.position)).collect()
    }

    /// How each view is doing on this node.
    #[must_use]
    pub fn health(&self) -> BTreeMap<&'static str, ViewStatus> {
        self.board.all()
    }

    /// The same as a check for readiness: a few words about what is behind, or not well, without causes.
    pub fn check(&self) -> impl Fn() -> Result<String, String> + Send + Sync + 'static {
        let board = Arc::clone(&self.board);
        move || {
            let unwell: Vec<_> =
                board.all().into_iter().filter(|(_, status)| !status.state.is_well()).collect();
            if unwell.is_empty() {
                return Ok(board.tell_lags());
            }
            Err(unwell.iter().map(|(view, status)| tell(view, &status.state)).collect::<Vec<_>>().join(", "))
        }
    }

    /// Stops after the batches that are being committed, and gives the lead away.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Projections {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn tell(view: &str, state: &ViewState) -> String {
    let how = match state {
        ViewState::Starting => "is starting",
        ViewState::Retrying { .. } => "waits for a store",
        ViewState::Halted { .. } => "is halted",
        ViewState::Standby | ViewState::CatchingUp | ViewState::Live | ViewState::Superseded => "is well",
    };
    format!("{view} {how}")
}

/// Drops what was swapped out, and tells how far the views are behind.
async fn keep_house(deps: Deps, board: Arc<Board>, stop: CancellationToken) {
    let (mut heads, mut drop_due) = (Heads::default(), Instant::now() + DROP_INTERVAL);
    while tokio::time::timeout(LAG_INTERVAL, stop.cancelled()).await.is_err() {
        // where the log is away the views say so themselves
        if let Ok(Some(head)) = deps.log.head().await {
            heads.note(Instant::now(), head);
        }
        board.measure(&heads, Instant::now());
        if Instant::now() < drop_due {
            continue;
        }
        drop_due = Instant::now() + DROP_INTERVAL;
        if let Err(failure) = generations::drop_retired(&deps.pool, deps.retired_grace).await {
            tracing::warn!("retired read models will be dropped later: {}", failure.explain());
        }
    }
}

/// The names of all views.
#[must_use]
pub fn view_names() -> Vec<&'static str> {
    views::all().iter().map(|view| view.name()).collect()
}

fn view_named(name: &str) -> Option<Arc<dyn View>> {
    views::all().into_iter().find(|view| view.name() == name)
}

/// Rebuilds a view from the first event on beside the one that is served, and swaps it in once it has reached it.
/// `progress` is called after each batch.
///
/// # Errors
/// [`RebuildError`]; what is served stays what it was.
pub async fn rebuild(
    deps: &Deps,
    view: &str,
    stop: &CancellationToken,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), RebuildError> {
    let view = view_named(view).ok_or(RebuildError::UnknownView)?;
    framework::rebuild::rebuild(&deps.tools(), &view, stop, progress).await
}

/// How every generation stands, whoever fills it.
///
/// # Errors
/// [`Failure`], where the database or the log cannot tell.
pub async fn standings(deps: &Deps) -> Result<Vec<Standing>, Failure> {
    framework::standing::all(&deps.log, &deps.pool, &deps.clock, &views::all()).await
}

/// The digest of the rows that a view serves; `None` where there is no such view or it serves nothing yet.
///
/// # Errors
/// [`Failure`], where the database cannot tell.
pub async fn hash_of(pool: &PgPool, view: &str) -> Result<Option<ViewHash>, Failure> {
    match view_named(view) {
        None => Ok(None),
        Some(view) => framework::digest::hash_of(pool, &*view).await,
    }
}

/// Drops generations that were swapped out longer than `grace` ago, and says how many.
///
/// # Errors
/// [`Failure`], where queries still read one of them or the database is away.
pub async fn drop_retired(pool: &PgPool, grace: Duration) -> Result<u64, Failure> {
    generations::drop_retired(pool, grace).await
}
