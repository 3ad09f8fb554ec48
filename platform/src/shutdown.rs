//! Ending well: the first signal asks everyone to finish, a deadline or a second signal ends it.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tokio_util::task::TaskTracker;

/// A process's wish to end, and the tasks that it waits for. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    forced: CancellationToken,
    tasks: TaskTracker,
}

/// How the end came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All tasks ended by themselves.
    Drained,
    /// Time was up.
    TimedOut,
    /// A second signal came.
    Forced,
}

impl Shutdown {
    /// Nobody has asked to end yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the end. Asking again changes nothing.
    pub fn begin(&self) {
        self.token.cancel();
    }

    /// Gives up on draining.
    pub fn force(&self) {
        self.token.cancel();
        self.forced.cancel();
    }

    /// Whether the end has been asked for.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Ready when the end is asked for.
    pub fn begun(&self) -> WaitForCancellationFutureOwned {
        self.token.clone().cancelled_owned()
    }

    /// A token for a part: it ends with the process, or before it.
    #[must_use]
    pub fn part(&self) -> CancellationToken {
        self.token.child_token()
    }

    /// A part with tasks of its own, for ending parts in an order. It begins to end with the whole.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { token: self.token.child_token(), forced: self.forced.clone(), tasks: TaskTracker::new() }
    }

    /// Runs a task that the end waits for. It has to watch [`Shutdown::begun`] itself.
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tasks.spawn(task)
    }

    /// Turns SIGTERM and SIGINT into the wish to end, and a second one into force.
    ///
    /// # Errors
    /// Where the system does not let signals be watched.
    pub fn watch_signals(&self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if shutdown.has_begun() {
                    tracing::warn!("second signal, ending at once");
                    shutdown.force();
                    return;
                }
                tracing::info!("signal received, draining");
                shutdown.begin();
            }
        });
        Ok(())
    }

    /// Waits for all tasks, at most for `deadline`.
    pub async fn drain(&self, deadline: Duration) -> Ended {
        self.begin();
        self.tasks.close();
        tokio::select! {
            () = self.tasks.wait() => Ended::Drained,
            () = self.forced.cancelled() => Ended::Forced,
            () = tokio::time::sleep(deadline) => Ended::TimedOut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tasks_that_end_are_waited_for() {
        let shutdown = Shutdown::new();
        let begun = shutdown.begun();
        shutdown.spawn(async move {
            begun.await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        });
        assert_eq!(shutdown.drain(Duration::from_secs(5)).await, Ended::Drained);
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_hang_are_left_at_the_deadline_or_by_force() {
        let shutdown = Shutdown::new();
        shutdown.spawn(std::future::pending::<()>());
        assert_eq!(shutdown.drain(Duration::from_secs(5)).await, Ended::TimedOut);
        shutdown.force();
        assert_eq!(shutdown.drain(Duration::from_secs(5)).await, Ended::Forced);
    }

    #[tokio::test]
    async fn a_part_ends_with_the_whole_and_not_the_other_way() {
        let shutdown = Shutdown::new();
        let child = shutdown.child();
        child.begin();
        assert!(child.has_begun() && !shutdown.has_begun());
        let other = shutdown.child();
        shutdown.begin();
        assert!(other.has_begun());
    }
}
