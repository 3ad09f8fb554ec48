//! Keeps one view filled by one instance among all nodes, through elections, swaps, failures and upgrades.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use platform::postgres::AdvisoryLock;
use tokio_util::sync::CancellationToken;

use super::generations::{self, Assignment, Generation};
use super::health::{Board, ViewState};
use super::runner::{self, Committed, End, Failed, Goal, Tools};
use super::{Failure, View, checkpoint};

/// How often an instance on standby tries to be elected: how long a view stands still when its leader dies.
const ELECTION_INTERVAL: Duration = Duration::from_millis(500);

/// One view on this node.
pub(crate) struct Supervisor {
    pub(crate) view: Arc<dyn View>,
    pub(crate) tools: Tools,
    pub(crate) board: Arc<Board>,
    pub(crate) stop: CancellationToken,
}

/// Why a term is over without a failure.
enum Term {
    /// Look again what is to be done.
    Over,
    /// Told to stop.
    Stopped,
}

impl Supervisor {
    /// Runs until told to stop.
    pub(crate) async fn run(self) {
        let view = self.view.name();
        let mut backoff = runner::backoff();
        while !self.stop.is_cancelled() {
            let has_worked = AtomicBool::new(false);
            let term = self.term(&has_worked).await;
            if has_worked.load(Ordering::Relaxed) {
                backoff.reset();
            }
            match term {
                Ok(Term::Over) => {}
                Ok(Term::Stopped) => break,
                Err(failure) if failure.halts() => {
                    let detail = failure.explain();
                    tracing::error!(view, detail, "view {view} halted: {detail}");
                    self.board.set(view, ViewState::Halted { detail });
                    self.stop.cancelled().await;
                }
                Err(Failure::Fenced) => {
                    tracing::info!(view, "another instance or generation leads view {view}");
                }
                // the process that this stands for would be gone
                Err(Failure::Blown) => break,
                Err(failure) => {
                    let detail = failure.explain();
                    tracing::warn!(view, detail, "view {view} will be tried again: {detail}");
                    self.board.set(view, ViewState::Retrying { detail });
                    backoff.wait(&self.stop).await;
                }
            }
        }
    }

    /// Waits for the lead of whatever generation is to be filled, and leads.
    async fn term(&self, has_worked: &AtomicBool) -> Result<Term, Failure> {
        let (generation, goal) = match generations::assign(&self.tools.pool, &self.view).await? {
            Assignment::Serve(generation) => (generation, Goal::Serve),
            Assignment::Overtake(generation) => (generation, Goal::Swap),
            Assignment::Superseded => return Ok(self.idle(ViewState::Superseded).await),
        };
        let Some(mut elected) = AdvisoryLock::try_acquire(&self.tools.pool, &generation.lock_name()).await?
        else {
            return Ok(self.idle(ViewState::Standby).await);
        };
        self.board.set(self.view.name(), ViewState::CatchingUp);
        let observe = |committed: Committed| {
            has_worked.store(true, Ordering::Relaxed);
            self.observe(committed);
        };
        let end = runner::run(&self.tools, &generation, &mut elected, goal, &self.stop, &observe).await;
        if let Err(failed) = &end {
            self.write_down(&generation, failed).await;
        }
        elected.release().await;
        match end {
            Ok(End::Stopped) => Ok(Term::Stopped),
            Ok(End::Swapped) => Ok(Term::Over),
            Err(failed) => Err(failed.failure),
        }
    }

    async fn idle(&self, state: ViewState) -> Term {
        self.board.update(self.view.name(), |status| {
            status.state = state;
            status.position = None;
            status.lag_ms = 0;
        });
        match tokio::time::timeout(ELECTION_INTERVAL, self.stop.cancelled()).await {
            Ok(()) => Term::Stopped,
            Err(_) => Term::Over,
        }
    }

    fn observe(&self, committed: Committed) {
        let view = self.view.name();
        #[expect(clippy::cast_precision_loss, reason = "a lag of 2^52 ms is a defect of its own")]
        let lag_seconds = committed.lag_ms as f64 / 1_000.0;
        metrics::gauge!("projection_lag_seconds", "view" => view).set(lag_seconds);
        metrics::counter!("projection_events_total", "view" => view).increment(committed.events as u64);
        self.board.update(view, |status| {
            status.state = if committed.is_caught_up { ViewState::Live } else { ViewState::CatchingUp };
            status.position = committed.position;
            status.lag_ms = committed.lag_ms;
        });
    }

    /// Leaves word in the status row where the view halts. Where that fails too, log and health still tell.
    async fn write_down(&self, generation: &Generation, failed: &Failed) {
        let Some(epoch) = failed.epoch.filter(|_| failed.failure.halts()) else { return };
        let detail = failed.failure.explain();
        if let Err(error) = checkpoint::halt(&self.tools.pool, generation, epoch, &detail).await {
            let view = self.view.name();
            tracing::warn!(view, "the status row of view {view} was not written: {}", error.explain());
        }
    }
}
