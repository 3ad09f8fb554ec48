//! A subscription that does not end: what projections and the gateway read the log with.
//!
//! It subscribes again after the last position whenever the log goes away or falls silent, drops what it
//! had already, and checks that no event is missing. It ends when it is cancelled or dropped, or with a gap,
//! which its reader must stop on.

mod continuity;
mod driver;

use std::sync::Arc;
use std::time::Duration;

use schemas::{Position, Revision};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::driver::{Driver, Output};
use super::{EventLog, Prefixes, StoredEvent};

/// So many events are read ahead of their consumer: a batch or two, so that it need not wait for the network.
const READ_AHEAD: usize = 1_024;

/// Of so many streams the last revision is remembered, some 200 bytes each. Others are looked up in the log
/// when they are met again.
const STREAMS_DEFAULT: usize = 100_000;

/// A log that grows while nothing arrives for this long is stalled: ten times the time in which it promises
/// a checkpoint.
const STALL_DEFAULT: Duration = Duration::from_secs(10);

/// The bounds and the name of a subscription.
#[derive(Clone, Debug)]
pub struct SubscriptionOptions {
    /// What it is called in logs and metrics.
    pub name: &'static str,
    /// Ends it.
    pub cancel: CancellationToken,
    /// Of how many streams the last revision is remembered.
    pub streams: usize,
    /// How long the log may grow while nothing arrives.
    pub stall: Duration,
}

impl SubscriptionOptions {
    /// The defaults, under this name.
    #[must_use]
    pub fn new(name: &'static str, cancel: CancellationToken) -> Self {
        Self { name, cancel, streams: STREAMS_DEFAULT, stall: STALL_DEFAULT }
    }
}

/// Why a subscription ended.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SubscriptionError {
    /// An event is missing. The reader must stop and alarm: every figure after it would be wrong.
    #[error("stream {stream} continues at revision {found} where {expected} was due: events are missing")]
    Gap {
        /// The stream.
        stream: String,
        /// The revision that was due.
        expected: Revision,
        /// The revision that came.
        found: Revision,
        /// Where it came.
        position: Position,
    },
    /// It was cancelled.
    #[error("the subscription was cancelled")]
    Cancelled,
}

/// What came, in log order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Batch {
    /// The wanted events, none of them seen before.
    pub events: Vec<StoredEvent>,
    /// Everything wanted up to here was delivered, with this batch or before; `None`: nothing of the log was.
    pub position: Option<Position>,
    /// Whether that was, when it came, all that there is.
    pub caught_up: bool,
}

/// A subscription to the wanted streams of the whole log.
pub struct Subscription {
    outputs: mpsc::Receiver<Output>,
    /// What was received and not handed out yet: a call that is dropped half-way loses nothing.
    ready: Batch,
    /// Whether `ready` holds anything that was not handed out.
    news: bool,
    ended: Option<SubscriptionError>,
    _driver: AbortOnDropHandle<()>,
}

impl Subscription {
    /// Subscribes to what comes after a position (`None`: to all). Must be called within a runtime.
    ///
    /// Each stream's revisions must follow on each other. A stream that is met for the first time must begin
    /// with revision 0, unless it may have begun at or before `after` (or was forgotten, having been quiet
    /// for longest): then the event before the one that came is looked up in the log, and must stand at or
    /// before `after` (or where the forgetting begins). If it stands later, it should have come, and did not.
    #[must_use]
    pub fn open(
        log: Arc<dyn EventLog>,
        after: Option<Position>,
        wanted: Prefixes,
        options: SubscriptionOptions,
    ) -> Self {
        let (sender, outputs) = mpsc::channel(READ_AHEAD);
        let cancel = options.cancel.clone();
        let driver = Driver::new(log, after, wanted, options, sender);
        let running = async move {
            cancel.run_until_cancelled(driver.run()).await;
        };
        Self {
            outputs,
            ready: Batch { position: after, ..Batch::default() },
            news: false,
            ended: None,
            _driver: AbortOnDropHandle::new(tokio::spawn(running)),
        }
    }

    /// What came since the last call, at most `max` events; waits for it at most `max_wait`, and does not
    /// wait for more than there is. May be dropped half-way.
    ///
    /// # Errors
    /// [`SubscriptionError`], after everything before it was handed out, and from then on always.
    pub async fn next_batch(&mut self, max: usize, max_wait: Duration) -> Result<Batch, SubscriptionError> {
        let until = Instant::now() + max_wait;
        while self.ended.is_none() && self.ready.events.len() < max.max(1) {
            let output = if self.news {
                self.outputs.try_recv().ok()
            } else {
                timeout_at(until, self.outputs.recv()).await.ok().map(|output| {
                    // the driver only goes away by itself when it is cancelled
                    output.unwrap_or(Output::Ended(SubscriptionError::Cancelled))
                })
            };
            let Some(output) = output else { break };
            self.take(output);
        }
        if let Some(ended) = &self.ended
            && !self.news
        {
            return Err(ended.clone());
        }
        self.news = false;
        let events = std::mem::take(&mut self.ready.events);
        Ok(Batch { events, ..self.ready })
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Event(event) => {
                self.ready.position = Some(event.position);
                self.ready.events.push(event);
            }
            Output::Position(position) => self.ready.position = Some(position),
            Output::CaughtUp(caught_up) => self.ready.caught_up = caught_up,
            Output::Ended(error) => {
                self.ended = Some(error);
                return;
            }
        }
        self.news = true;
    }
}

#[cfg(test)]
mod tests;
