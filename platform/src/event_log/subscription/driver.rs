//! The task behind a subscription.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use rand::Rng;
use schemas::{Position, Revision};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::continuity::{Continuity, Verdict};
use super::{SubscriptionError, SubscriptionOptions};
use crate::event_log::{EventLog, LogItem, LogItems, Prefixes, ReadError, StoredEvent};

/// Pauses between subscriptions grow from this …
const RETRY_MIN: Duration = Duration::from_millis(100);
/// … to this: what is shown live is behind for as long.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// What the task hands to the subscription.
pub(super) enum Output {
    Event(StoredEvent),
    Position(Position),
    CaughtUp(bool),
    Ended(SubscriptionError),
}

pub(super) struct Driver {
    log: Arc<dyn EventLog>,
    wanted: Prefixes,
    options: SubscriptionOptions,
    outputs: mpsc::Sender<Output>,
    /// Everything wanted up to here was handed over.
    position: Option<Position>,
    continuity: Continuity,
    pause: Duration,
}

/// Why one subscription ended.
#[derive(Debug, Error)]
enum Lost {
    /// Nobody listens any more.
    #[error("the subscription was dropped")]
    Dropped,
    #[error("events are missing")]
    Gap(#[source] SubscriptionError),
    #[error("the log went away")]
    Failed(#[source] ReadError),
    #[error("the log ended a subscription without an error")]
    NoError,
    #[error("the log is at {head}, and nothing came after {position:?}")]
    Stalled { head: Position, position: Option<Position> },
}

impl From<ReadError> for Lost {
    fn from(error: ReadError) -> Self {
        Self::Failed(error)
    }
}

impl Driver {
    pub(super) fn new(
        log: Arc<dyn EventLog>,
        after: Option<Position>,
        wanted: Prefixes,
        options: SubscriptionOptions,
        outputs: mpsc::Sender<Output>,
    ) -> Self {
        let continuity = Continuity::new(after, options.streams);
        Self { log, wanted, options, outputs, position: after, continuity, pause: RETRY_MIN }
    }

    /// Subscribes again and again, until nobody listens or events are missing.
    pub(super) async fn run(mut self) {
        loop {
            let lost = match self.subscribed().await {
                Ok(never) => match never {},
                Err(lost) => lost,
            };
            match lost {
                Lost::Dropped => return,
                Lost::Gap(gap) => {
                    self.count("log_subscription_gaps_total");
                    tracing::error!(
                        subscription.name = self.options.name,
                        error = &gap as &dyn std::error::Error,
                        "subscription {} stops",
                        self.options.name
                    );
                    drop(self.outputs.send(Output::Ended(gap)).await);
                    return;
                }
                Lost::Failed(_) | Lost::NoError | Lost::Stalled { .. } => self.report(&lost),
            }
            if self.outputs.send(Output::CaughtUp(false)).await.is_err() {
                return;
            }
            let jittered = self.pause.mul_f64(rand::rng().random_range(0.5..1.0));
            sleep(jittered).await;
            self.pause = (self.pause * 2).min(RETRY_MAX);
        }
    }

    fn report(&self, lost: &Lost) {
        let (name, error) = (self.options.name, lost as &dyn std::error::Error);
        self.count("log_subscription_retries_total");
        if matches!(lost, Lost::Stalled { .. }) {
            self.count("log_subscription_stalls_total");
            tracing::error!(
                subscription.name = name,
                error,
                "subscription {name} is stalled and begins anew"
            );
        } else {
            tracing::warn!(subscription.name = name, error, "subscription {name} begins anew");
        }
    }

    fn count(&self, metric: &'static str) {
        metrics::counter!(metric, "subscription" => self.options.name).increment(1);
    }

    /// One subscription, until it ends.
    async fn subscribed(&mut self) -> Result<std::convert::Infallible, Lost> {
        let mut items: LogItems = self.log.subscribe(self.position, self.wanted).await?;
        let mut looks = interval(self.options.stall);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // where the log was at the last look, if nothing came since
        let mut silent_at: Option<Position> = None;
        loop {
            tokio::select! {
                biased;
                item = items.next() => {
                    silent_at = None;
                    self.pause = RETRY_MIN;
                    self.hand_over(item.ok_or(Lost::NoError)??).await?;
                }
                _ = looks.tick() => {
                    if let Some(head) = silent_at && self.position < Some(head) {
                        return Err(Lost::Stalled { head, position: self.position });
                    }
                    silent_at = self.log.head().await?;
                    self.tell_lag(silent_at);
                }
            }
        }
    }

    fn tell_lag(&self, head: Option<Position>) {
        let behind =
            head.map_or(0, |head| head.0.saturating_sub(self.position.map_or(0, |position| position.0)));
        #[expect(clippy::cast_precision_loss, reason = "a gauge shows the first digits")]
        metrics::gauge!("log_subscription_lag_positions", "subscription" => self.options.name)
            .set(behind as f64);
    }

    async fn hand_over(&mut self, item: LogItem) -> Result<(), Lost> {
        let output = match item {
            LogItem::Event(event) if self.position >= Some(event.position) => {
                self.count("log_subscription_duplicates_total");
                return Ok(());
            }
            LogItem::Checkpoint(position) if self.position >= Some(position) => return Ok(()),
            LogItem::Event(event) => {
                self.check(&event).await?;
                self.continuity.remember(&event);
                self.position = Some(event.position);
                self.count("log_subscription_events_total");
                Output::Event(event)
            }
            LogItem::Checkpoint(position) => {
                self.position = Some(position);
                Output::Position(position)
            }
            LogItem::CaughtUp => Output::CaughtUp(true),
        };
        self.outputs.send(output).await.map_err(|_| Lost::Dropped)
    }

    /// Checks that the event follows on those of its stream that came before.
    async fn check(&self, event: &StoredEvent) -> Result<(), Lost> {
        match self.continuity.judge(event) {
            Verdict::Follows => Ok(()),
            Verdict::Gap(due) => Err(gap(event, due)),
            Verdict::IfBefore(revision, horizon) => {
                let before = self.log.read_stream_back(&event.stream, Some(revision), 1).await?;
                match before.first() {
                    Some(before) if before.revision == revision && before.position <= horizon => Ok(()),
                    Some(_) | None => Err(gap(event, revision)),
                }
            }
        }
    }
}

fn gap(event: &StoredEvent, expected: Revision) -> Lost {
    Lost::Gap(SubscriptionError::Gap {
        stream: event.stream.clone(),
        expected,
        found: event.revision,
        position: event.position,
    })
}
