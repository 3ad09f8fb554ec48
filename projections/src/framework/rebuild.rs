//! Rebuilds a view beside the one that is served, from the first event on, and swaps it in.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use platform::postgres::AdvisoryLock;
use schemas::Position;
use thiserror::Error;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::generations::{self, Generation};
use super::runner::{self, Committed, End, Failed, Goal, Tools};
use super::{Failure, View, checkpoint};

/// How far a rebuild is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Up to where rows are committed; `None`: nothing yet.
    pub position: Option<Position>,
    /// The log's head when the rebuild began; `None`: the log is empty.
    pub head: Option<Position>,
    /// Events applied by this run.
    pub events: u64,
    /// Whether it goes on where an earlier one stopped.
    pub is_resumed: bool,
}

/// Why a rebuild came to nothing.
#[derive(Debug, Error)]
pub enum RebuildError {
    /// There is no such view.
    #[error("there is no view of this name")]
    UnknownView,
    /// Another process rebuilds the same view.
    #[error("this view is being rebuilt by another process")]
    Running,
    /// It was told to stop. Another rebuild goes on where this one stopped.
    #[error("the rebuild was stopped; the next one goes on where it stopped")]
    Stopped,
    /// It met what it must not skip, or was fenced.
    #[error("the rebuild failed")]
    Failed(#[source] Failure),
}

/// Rebuilds a view. Stores that go away are waited for.
pub(crate) async fn rebuild(
    tools: &Tools,
    view: &Arc<dyn View>,
    stop: &CancellationToken,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), RebuildError> {
    // the served generation must exist for there to be something beside it
    generations::assign(&tools.pool, view).await.map_err(RebuildError::Failed)?;
    let generation = generations::beside(&tools.pool, view).await.map_err(RebuildError::Failed)?;
    let head = tools.log.head().await.map_err(|error| RebuildError::Failed(error.into()))?;
    let is_resumed =
        checkpoint::position(&tools.pool, &generation).await.map_err(RebuildError::Failed)?.is_some();
    let so_far = Mutex::new(Progress { position: None, head, events: 0, is_resumed });
    let observe = |committed: Committed| {
        let mut so_far = so_far.lock();
        so_far.position = committed.position;
        so_far.events += committed.events as u64;
        progress(*so_far);
    };
    fill(tools, &generation, stop, &observe).await
}

/// How long a rebuild waits for the lock: the server frees that of one who has just ended a moment later.
const ELECTION_TIME_MAX: Duration = Duration::from_secs(3);

/// The pause between two tries.
const ELECTION_PAUSE: Duration = Duration::from_millis(50);

async fn elect(tools: &Tools, generation: &Generation) -> Result<AdvisoryLock, RebuildError> {
    let deadline = Instant::now() + ELECTION_TIME_MAX;
    loop {
        match AdvisoryLock::try_acquire(&tools.pool, &generation.lock_name()).await {
            Ok(Some(elected)) => return Ok(elected),
            Ok(None) if Instant::now() >= deadline => return Err(RebuildError::Running),
            Ok(None) => sleep(ELECTION_PAUSE).await,
            Err(error) => return Err(RebuildError::Failed(error.into())),
        }
    }
}

async fn fill(
    tools: &Tools,
    generation: &Generation,
    stop: &CancellationToken,
    observe: &(dyn Fn(Committed) + Send + Sync),
) -> Result<(), RebuildError> {
    let mut backoff = runner::backoff();
    while !stop.is_cancelled() {
        match fill_once(tools, generation, stop, observe).await {
            Ok(End::Swapped) => return Ok(()),
            Ok(End::Stopped) => break,
            Err(RebuildError::Failed(failure)) if failure.may_pass() => backoff.wait(stop).await,
            Err(error) => return Err(error),
        }
    }
    Err(RebuildError::Stopped)
}

/// Fills for as long as the stores answer: with the connection the lock is lost too.
async fn fill_once(
    tools: &Tools,
    generation: &Generation,
    stop: &CancellationToken,
    observe: &(dyn Fn(Committed) + Send + Sync),
) -> Result<End, RebuildError> {
    let mut elected = elect(tools, generation).await?;
    let end = runner::run(tools, generation, &mut elected, Goal::Swap, stop, observe).await;
    elected.release().await;
    match end {
        Ok(end) => Ok(end),
        Err(failed) => Err(give_up(tools, generation, failed).await),
    }
}

/// Leaves word in the status row where the rebuild halts.
async fn give_up(tools: &Tools, generation: &Generation, failed: Failed) -> RebuildError {
    if let Some(epoch) = failed.epoch.filter(|_| failed.failure.halts()) {
        let detail = failed.failure.explain();
        if let Err(error) = checkpoint::halt(&tools.pool, generation, epoch, &detail).await {
            return RebuildError::Failed(error);
        }
    }
    RebuildError::Failed(failed.failure)
}
