//! Group commit: one actor for each active show.
//!
//! An actor drains what is queued, decides each command against the state that the ones before it leave, appends
//! all resulting events in one append at the expected revision, and answers when that is acknowledged. While an
//! append is in flight the next batch gathers, so throughput grows with load and latency stays near one append.
//! Several nodes may run an actor for the same show: the expected revision keeps the rules exact, and routing a
//! show to one node only makes conflicts rare.

mod actor;
mod answer;
mod batch;
mod bounds;
mod job;
mod load;
mod pace;
mod recall;
mod settle;
mod snapshot;
#[cfg(test)]
mod tests;

pub use bounds::RETRY_AFTER_SECONDS;
pub use job::{CommandError, Done, Recall};

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use domain::command::Reaction;
use domain::{Command, Rules, Show};
use platform::event_log::EventLog;
use schemas::{ShowId, Timestamp};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use actor::Actor;
use job::{Ask, Job, Task, Waiter};
use pace::{Entrance, Pace};

/// How actors run. The defaults are those of the configuration's section `shows`.
#[derive(Clone, Copy, Debug)]
pub struct ActorSettings {
    /// Commands that wait for one show; further ones are refused.
    pub queue_length: usize,
    /// Commands that are decided and appended together, at most.
    pub batch_max: usize,
    /// A show that nobody talks to leaves memory after this time.
    pub idle: Duration,
    /// Events between two snapshots of a show.
    pub snapshot_every: u64,
    /// How long reactions are gathered before they are counted together.
    pub reaction_window: Duration,
}

impl Default for ActorSettings {
    fn default() -> Self {
        Self {
            queue_length: 1_024,
            batch_max: 256,
            idle: Duration::from_secs(300),
            snapshot_every: 5_000,
            reaction_window: Duration::from_secs(1),
        }
    }
}

/// What all actors of a node share.
struct Shared {
    log: Arc<dyn EventLog>,
    rules: Rules,
    settings: ActorSettings,
    actors: DashMap<ShowId, Entrance>,
    /// Reads for repeats run beside the actors, this many at a time.
    recalls: Semaphore,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

/// Every show that commands may be sent to.
#[derive(Clone)]
pub struct Shows {
    shared: Arc<Shared>,
}

impl Shows {
    /// Shows over a log. Nothing is read until a command comes.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, rules: Rules, settings: ActorSettings) -> Self {
        let shared = Shared {
            log,
            rules,
            settings,
            actors: DashMap::new(),
            recalls: Semaphore::new(bounds::RECALLS_AT_ONCE),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Has a command decided and its events made durable. `read` looks at the state that the command leaves;
    /// for a repeat, at the state of now.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn dispatch<T: Send + 'static>(
        &self,
        show: ShowId,
        command: Command,
        read: impl FnMut(&Show) -> T + Send + 'static,
    ) -> Result<Done<T>, CommandError> {
        self.dispatch_recalling(show, command, Recall::Now, read).await
    }

    /// As [`Self::dispatch`], and says which state a repeat looks at.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn dispatch_recalling<T: Send + 'static>(
        &self,
        show: ShowId,
        command: Command,
        recall: Recall,
        read: impl FnMut(&Show) -> T + Send + 'static,
    ) -> Result<Done<T>, CommandError> {
        self.ask(show, recall, read, |asker| Task::Command(Box::new(command), asker)).await
    }

    /// Has a reaction counted with those of about the same second, and answers when that is durable.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn react(
        &self,
        show: ShowId,
        reaction: Reaction,
        at: Timestamp,
    ) -> Result<Done<()>, CommandError> {
        self.ask(show, Recall::Now, |_| (), |asker| Task::React(Box::new(reaction), at, asker)).await
    }

    /// Looks at the state at the log's head.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn look<T: Send + 'static>(
        &self,
        show: ShowId,
        read: impl FnMut(&Show) -> T + Send + 'static,
    ) -> Result<Done<T>, CommandError> {
        self.ask(show, Recall::Now, read, Task::Look).await
    }

    /// Looks at the state in memory, which may lag behind another node's commands. For what is asked often
    /// and harms nobody if it is late.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn peek<T: Send + 'static>(
        &self,
        show: ShowId,
        read: impl FnMut(&Show) -> T + Send + 'static,
    ) -> Result<Done<T>, CommandError> {
        self.ask(show, Recall::Now, read, Task::Peek).await
    }

    /// Takes no more commands, and returns when those that were taken are answered.
    pub async fn shutdown(&self) {
        self.shared.stopping.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// Shows in memory now.
    #[must_use]
    pub fn active(&self) -> usize {
        self.shared.actors.len()
    }

    async fn ask<T: Send + 'static>(
        &self,
        show: ShowId,
        recall: Recall,
        read: impl FnMut(&Show) -> T + Send + 'static,
        task: impl FnOnce(Box<dyn Ask>) -> Task,
    ) -> Result<Done<T>, CommandError> {
        let (reply, answer) = oneshot::channel();
        let waiter = Waiter { read, recall, seen: None, reply };
        self.send(show, Job::new(task(Box::new(waiter))))?;
        // an actor that is gone without an answer ended by a defect; what it did is in the log
        answer.await.unwrap_or(Err(CommandError::OutcomeUnknown))
    }

    fn send(&self, show: ShowId, mut job: Job) -> Result<(), CommandError> {
        for _ in 0..bounds::SEND_TRIES {
            if self.shared.stopping.is_cancelled() {
                return Err(CommandError::ShuttingDown);
            }
            let entrance = self.entrance(show)?;
            if entrance.is_closed_for_now() {
                return Err(overloaded());
            }
            match entrance.queue.try_send(job) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(_)) => return Err(overloaded()),
                Err(mpsc::error::TrySendError::Closed(returned)) => {
                    // that actor just left: the next one is another
                    self.shared.forget(show, &entrance.queue);
                    job = returned;
                }
            }
        }
        Err(CommandError::Overloaded)
    }

    /// The way to the show's actor, which is started if there is none.
    fn entrance(&self, show: ShowId) -> Result<Entrance, CommandError> {
        if let Some(entrance) = self.shared.actors.get(&show) {
            return Ok(entrance.clone());
        }
        if self.shared.actors.len() >= bounds::ACTORS_MAX {
            return Err(overloaded());
        }
        let entrance = self.shared.actors.entry(show).or_insert_with(|| {
            let (queue, receiver) = mpsc::channel(self.shared.settings.queue_length.max(1));
            let pace = Pace::default();
            let actor = Actor::new(show, Arc::clone(&self.shared), queue.downgrade(), receiver, pace.clone());
            self.shared.tasks.spawn(actor.run());
            metrics::gauge!("tally_active_shows").increment(1.0);
            Entrance { queue, pace }
        });
        Ok(entrance.clone())
    }
}

/// Refuses a command, and counts that.
fn overloaded() -> CommandError {
    metrics::counter!("tally_commands_overloaded_total").increment(1);
    CommandError::Overloaded
}

impl Shared {
    /// Takes an actor out of the directory, unless another one took its place already.
    fn forget(&self, show: ShowId, queue: &mpsc::Sender<Job>) {
        if self.actors.remove_if(&show, |_, known| known.queue.same_channel(queue)).is_some() {
            metrics::gauge!("tally_active_shows").decrement(1.0);
        }
    }
}
