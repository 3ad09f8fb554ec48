//! The actor of one show: a task that waits for jobs, and does them batch by batch.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::command::{Action, CountReactions};
use domain::{Caller, Command};
use platform::http::problem::Chain;
use schemas::{AttemptId, BodyHash, CommandId, ShowId, streams};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::batch::{Batch, decide};
use super::bounds::{DECISIONS_MAX, REACTIONS_MAX};
use super::job::{CommandError, Gathered, Job, Task};
use super::load::{LoadError, Loaded, catch_up, load};
use super::pace::Pace;
use super::settle::{Settled, append};
use super::{Shared, answer, snapshot};

/// The actor of one show.
pub(super) struct Actor {
    pub(super) show: ShowId,
    pub(super) stream: String,
    pub(super) shared: Arc<Shared>,
    /// To find itself in the directory; weak, so that a forgotten actor's queue ends.
    own_queue: mpsc::WeakSender<Job>,
    queue: mpsc::Receiver<Job>,
    pace: Pace,
    /// Jobs that the last batch had no room for.
    carried: VecDeque<Job>,
    /// Reactions that wait to be counted.
    pub(super) gathered: Vec<Gathered>,
    count_at: Option<Instant>,
    /// `None` before the first batch, and after an append of which nobody knows what became of it.
    pub(super) state: Option<Loaded>,
}

/// Why the actor woke.
enum Woken {
    Job(Job),
    CountReactions,
    Idle,
    QueueEnded,
}

impl Actor {
    pub(super) fn new(
        show: ShowId,
        shared: Arc<Shared>,
        own_queue: mpsc::WeakSender<Job>,
        queue: mpsc::Receiver<Job>,
        pace: Pace,
    ) -> Self {
        Self {
            show,
            stream: streams::show(show),
            shared,
            own_queue,
            queue,
            pace,
            carried: VecDeque::new(),
            gathered: Vec::new(),
            count_at: None,
            state: None,
        }
    }

    /// Works until nobody needs this show for a while, or the node ends. What was queued is always done.
    pub(super) async fn run(mut self) {
        let mut leaving = false;
        loop {
            let mut jobs: Vec<Job> = self.carried.drain(..).collect();
            if jobs.is_empty() {
                match self.wake(leaving).await {
                    Woken::Job(job) => jobs.push(job),
                    Woken::CountReactions => {}
                    Woken::Idle => {
                        self.leave();
                        leaving = true;
                        continue;
                    }
                    Woken::QueueEnded if self.gathered.is_empty() => return,
                    Woken::QueueEnded => {}
                }
            }
            self.fill(&mut jobs);
            self.add_count(&mut jobs, leaving || self.shared.stopping.is_cancelled());
            if !jobs.is_empty() {
                self.pace.begin();
                self.work(jobs).await;
                self.pace.end();
                self.snapshot_if_due();
            }
            if !leaving && self.shared.stopping.is_cancelled() {
                self.leave();
                leaving = true;
            }
        }
    }

    /// Waits for something to do. While leaving, the queue is closed and ends when it is empty.
    async fn wake(&mut self, leaving: bool) -> Woken {
        let idle_at = Instant::now() + self.idle();
        let count_at = self.count_at.unwrap_or(idle_at);
        let stopping = self.shared.stopping.clone();
        tokio::select! {
            biased;
            job = self.queue.recv() => job.map_or(Woken::QueueEnded, Woken::Job),
            () = stopping.cancelled(), if !leaving => Woken::Idle,
            () = sleep_until(count_at.min(idle_at)) => {
                if self.count_at.is_some() { Woken::CountReactions } else { Woken::Idle }
            }
        }
    }

    /// A show that does not exist is not worth a place in memory: anyone may ask for any id.
    fn idle(&self) -> std::time::Duration {
        match &self.state {
            Some(state) if state.revision().is_none() => std::time::Duration::ZERO,
            Some(_) | None => self.shared.settings.idle,
        }
    }

    /// Leaves the directory, and takes no more jobs than are queued already. The next command for the show
    /// starts another actor; that both may work for a moment is what the expected revision is for.
    fn leave(&mut self) {
        if let Some(own) = self.own_queue.upgrade() {
            self.shared.forget(self.show, &own);
        }
        self.queue.close();
    }

    /// Adds what is queued, as far as a batch goes.
    fn fill(&mut self, jobs: &mut Vec<Job>) {
        while jobs.len() < self.shared.settings.batch_max.max(1) {
            match self.queue.try_recv() {
                Ok(job) => jobs.push(job),
                Err(_) => return,
            }
        }
    }

    /// Adds the count of the gathered reactions, if it is time.
    fn add_count(&mut self, jobs: &mut Vec<Job>, at_once: bool) {
        let is_due = self.count_at.is_some_and(|at| at <= Instant::now());
        if self.gathered.is_empty() || !(is_due || at_once || self.gathered.len() >= REACTIONS_MAX) {
            return;
        }
        let counted = self.gathered.len().min(REACTIONS_MAX);
        let rest = self.gathered.split_off(counted);
        let gathered = std::mem::replace(&mut self.gathered, rest);
        self.count_at = (!self.gathered.is_empty()).then(Instant::now);
        let Some(at) = gathered.iter().map(|one| one.at).max() else { return };
        let (reactions, askers) = gathered.into_iter().map(|one| (one.reaction, one.asker)).unzip();
        let command = Command {
            id: CommandId(Uuid::now_v7()),
            attempt: AttemptId::fresh(),
            body_hash: BodyHash::default(),
            at,
            caller: Caller::System,
            correlation: None,
            traceparent: None,
            action: Action::React(CountReactions { reactions }),
        };
        jobs.push(Job { task: Task::Count(Box::new(command), askers), span: Span::none() });
    }

    /// Starts the second that reactions are gathered for, with the first of them.
    pub(super) fn gather(&mut self, one: Gathered) {
        self.gathered.push(one);
        self.count_at.get_or_insert_with(|| Instant::now() + self.shared.settings.reaction_window);
    }

    /// Decides, appends and answers one batch.
    async fn work(&mut self, mut jobs: Vec<Job>) {
        metrics::histogram!("tally_batch_commands").record(jobs.len() as f64);
        let mut at_head = false;
        for _ in 0..DECISIONS_MAX {
            let mut state = match self.state.take() {
                Some(state) => state,
                None => match load(self.shared.log.as_ref(), self.show).await {
                    Ok(state) => {
                        at_head = true;
                        state
                    }
                    Err(error) => return self.refuse(jobs, &load_failed(self.show, &error)),
                },
            };
            let mut batch = match decide(&mut jobs, &mut state.working, &self.shared.rules) {
                Ok(batch) => batch,
                Err(error) => {
                    tracing::error!(show.id = %self.show, error.chain = %Chain(&error), "event cannot be encoded");
                    return self.refuse(jobs, &CommandError::Broken);
                }
            };
            if batch.events.is_empty() {
                // A node that is behind must not refuse what is allowed: nothing that rests on the state is
                // answered before a read to the head, once a batch.
                if at_head || !batch.depends_on_head() {
                    return self.answer(jobs, batch, state);
                }
            } else {
                // Where the append succeeds at the exact revision, that itself proves that the batch's
                // rejections were decided at the head: no read is needed for them.
                let span = self.append_span(&jobs, &batch);
                match append_timed(&self.shared, &self.stream, &state, &mut batch).instrument(span).await {
                    Settled::Durable(position) => {
                        state.base = state.working.clone();
                        state.position = position;
                        state.since_snapshot += batch.events.len() as u64;
                        return self.answer(jobs, batch, state);
                    }
                    Settled::Overtaken => metrics::counter!("tally_append_conflicts_total").increment(1),
                    Settled::Refused(cause) => {
                        tracing::error!(show.id = %self.show, error.chain = %Chain(cause.as_ref()), "log refused an append");
                        return self.refuse(jobs, &CommandError::Broken);
                    }
                    Settled::Unknown => {
                        tracing::error!(show.id = %self.show, "outcome of an append stays unknown");
                        return self.refuse(jobs, &CommandError::OutcomeUnknown);
                    }
                }
            }
            match read_missed(&self.shared, &self.stream, &mut state, !batch.events.is_empty()).await {
                Ok(()) => self.state = Some(state),
                Err(error) => return self.refuse(jobs, &load_failed(self.show, &error)),
            }
            at_head = true;
        }
        tracing::warn!(show.id = %self.show, "too many conflicts in a row");
        self.refuse(jobs, &CommandError::Unavailable);
    }

    /// The append's span, which follows from every command's.
    fn append_span(&self, jobs: &[Job], batch: &Batch) -> Span {
        let span = tracing::info_span!("append", show.id = %self.show, events = batch.events.len());
        if !span.is_disabled() {
            for job in jobs {
                span.follows_from(&job.span);
            }
        }
        span
    }

    /// Answers a batch that is settled; what it had no room for comes next.
    fn answer(&mut self, mut jobs: Vec<Job>, batch: Batch, state: Loaded) {
        self.carried = jobs.split_off(batch.decisions.len()).into();
        let gathering = answer::answer(&self.shared, self.show, jobs, batch, &state);
        self.state = Some(state);
        for one in gathering {
            self.gather(one);
        }
    }

    /// Answers everybody with the same error. The state is loaded anew before the next decision.
    fn refuse(&mut self, jobs: Vec<Job>, error: &CommandError) {
        self.state = None;
        for job in jobs {
            job.refuse(error);
        }
    }

    /// Starts to write a snapshot, if it is time for one and none is being written.
    fn snapshot_if_due(&mut self) {
        let Some(state) = &mut self.state else { return };
        if state.since_snapshot < self.shared.settings.snapshot_every {
            return;
        }
        let Ok(written) = Arc::clone(&state.written).try_lock_owned() else { return };
        state.since_snapshot = 0;
        let (log, show) = (Arc::clone(&self.shared.log), state.base.clone());
        self.shared.tasks.spawn(snapshot::write(log, self.show, written, show, state.position));
    }
}

/// One append for the whole batch.
async fn append_timed(shared: &Shared, stream: &str, state: &Loaded, batch: &mut Batch) -> Settled {
    let started = Instant::now();
    let settled = append(shared.log.as_ref(), stream, state.revision(), batch).await;
    metrics::histogram!("tally_append_seconds").record(started.elapsed());
    metrics::histogram!("tally_append_events").record(batch.events.len() as f64);
    settled
}

/// Reads what others appended into the base. The working state is theirs too, then: with what was decided
/// on it and not written it is worth nothing any more.
async fn read_missed(
    shared: &Shared,
    stream: &str,
    state: &mut Loaded,
    was_changed: bool,
) -> Result<(), LoadError> {
    let missed = catch_up(shared.log.as_ref(), stream, &mut state.base, &mut state.position, None).await?;
    state.since_snapshot += missed;
    if missed > 0 || was_changed {
        state.working = state.base.clone();
    }
    Ok(())
}

/// Tells why there is no state, once; what the client hears has no causes.
fn load_failed(show: ShowId, error: &LoadError) -> CommandError {
    metrics::counter!("tally_show_loads_failed_total").increment(1);
    tracing::error!(show.id = %show, error.chain = %Chain(error), "show cannot be loaded");
    if error.is_transient() { CommandError::Unavailable } else { CommandError::Broken }
}
