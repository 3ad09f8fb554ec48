//! Fills a generation: takes the lead, follows the log, and goes on until told, fenced or broken.

use std::sync::Arc;
use std::time::Duration;

use platform::backoff::Backoff;
use platform::clock::Clock;
use platform::event_log::EventLog;
use platform::postgres::AdvisoryLock;
use schemas::Position;
use sqlx::{PgConnection, PgPool};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::apply::{Batch, apply};
use super::checkpoint::{self, Lead};
use super::feed::Feed;
use super::generations::Generation;
use super::readings::Readings;
use super::swap::{self, Frozen};
use super::{Failure, Fuse, work};

/// How long a quiet view may believe in commits that a crashed database has lost, and in a lead that another has.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(1);

/// What a runner needs.
#[derive(Clone)]
pub(crate) struct Tools {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) readings: Readings,
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    pub(crate) fuse: Fuse,
}

/// What a generation is filled for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// It is served: keep it up to date.
    Serve,
    /// It is beside the one that is served: reach that one and take its place.
    Swap,
}

/// How a run without a failure ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// It was told to stop.
    Stopped,
    /// The generation is served now.
    Swapped,
}

/// What a committed batch means.
#[derive(Clone, Copy)]
pub(crate) struct Committed {
    pub(crate) position: Option<Position>,
    /// How old its last event was; 0 where it has none.
    pub(crate) lag_ms: i64,
    pub(crate) events: usize,
    pub(crate) is_caught_up: bool,
}

/// A failure, and the epoch in which it happened.
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    /// `None`: before the lead was taken.
    pub(crate) epoch: Option<i64>,
}

/// Fills a generation, on the connection that holds its lock: whoever loses the one cannot write any more.
pub(crate) async fn run(
    tools: &Tools,
    generation: &Generation,
    lock: &mut AdvisoryLock,
    goal: Goal,
    stop: &CancellationToken,
    observe: &(dyn Fn(Committed) + Send + Sync),
) -> Result<End, Failed> {
    let status = match goal {
        Goal::Serve => "RUNNING",
        Goal::Swap => "REBUILDING",
    };
    let lead = checkpoint::take_lead(&tools.pool, generation, status)
        .await
        .map_err(|failure| Failed { failure, epoch: None })?;
    let failed = |failure| Failed { failure, epoch: Some(lead.epoch) };
    let connection = lock.connection();
    work::prepare(connection, &generation.schema()).await.map_err(failed)?;
    let mut run = Run { tools, generation, connection, goal, lead, is_caught_up: false, frozen: None };
    let mut feed =
        Feed::open(&tools.log, &tools.readings, lead.position, &generation.view).await.map_err(failed)?;
    loop {
        let thaw_at = run.frozen.as_ref().map(|frozen| frozen.until);
        let batch = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(End::Stopped),
            batch = feed.next() => batch.map_err(failed)?,
            () = at(thaw_at), if thaw_at.is_some() => {
                run.frozen = None;
                continue;
            }
            () = sleep(CONFIRM_INTERVAL) => {
                checkpoint::confirm(run.connection, generation, run.lead).await.map_err(failed)?;
                continue;
            }
        };
        run.apply(batch, observe).await.map_err(failed)?;
        if run.try_swap().await.map_err(failed)? {
            return Ok(End::Swapped);
        }
    }
}

async fn at(time: Option<Instant>) {
    sleep_until(time.unwrap_or_else(Instant::now)).await;
}

struct Run<'a> {
    tools: &'a Tools,
    generation: &'a Generation,
    connection: &'a mut PgConnection,
    goal: Goal,
    lead: Lead,
    is_caught_up: bool,
    frozen: Option<Frozen>,
}

impl Run<'_> {
    async fn apply(
        &mut self,
        batch: Batch,
        observe: &(dyn Fn(Committed) + Send + Sync),
    ) -> Result<(), Failure> {
        let Tools { fuse, clock, .. } = self.tools;
        let Batch { events, occurred_at, is_caught_up, .. } = batch;
        apply(self.connection, fuse, self.generation, &mut self.lead, batch).await?;
        self.is_caught_up |= is_caught_up;
        let lag_ms = occurred_at.map_or(0, |time| clock.now().millis_since(time).max(0));
        let (position, is_caught_up) = (self.lead.position, self.is_caught_up);
        observe(Committed { position, lag_ms, events, is_caught_up });
        Ok(())
    }

    /// Swaps if the goal is reached. Once the log's head is near, the old generation is held still for a moment:
    /// under a steady load the two would overtake each other for ever.
    async fn try_swap(&mut self) -> Result<bool, Failure> {
        if self.goal == Goal::Serve || !self.is_caught_up {
            return Ok(false);
        }
        let frozen = match self.frozen.take() {
            Some(frozen) => frozen,
            None => swap::freeze(&self.tools.pool, self.generation).await?,
        };
        if frozen.is_reached_by(&self.lead) {
            frozen.swap(self.generation, &self.lead).await?;
            return Ok(true);
        }
        self.frozen = Some(frozen);
        Ok(false)
    }
}

/// The longest pause between tries: how late a view may notice that its store is back.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Pauses between tries.
pub(crate) fn backoff() -> Backoff {
    Backoff::up_to(BACKOFF_MAX)
}
