//! The node's one subscription to the log: every show's events, brought to the rooms that are open here.

use platform::event_log::subscription::{Subscription, SubscriptionError, SubscriptionOptions};
use platform::event_log::{EventLog, Prefixes};
use platform::health::Reporter;
use platform::http::problem::Chain;
use schemas::{Position, streams};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::rooms::Rooms;

/// Which streams concern the rooms.
const WANTED: Prefixes = &[streams::SHOW];

/// Events that are taken at once: the rooms' queues hold more.
const BATCH_EVENTS_MAX: usize = 256;

/// How long to wait for events before looking whether the log is still followed.
const BATCH_WAIT_MAX: Duration = Duration::from_millis(500);

/// Without any news for this long (the log gives a checkpoint each second while it grows) the head is asked for,
/// to tell a quiet log from one that is not followed.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// The pause after a log that could not be asked, and after a gap.
const PAUSE: Duration = Duration::from_millis(500);

/// Follows the log for as long as it is polled. Rooms read for themselves what was said before they opened, so
/// that the subscription begins at the head.
pub(crate) async fn follow(log: Arc<dyn EventLog>, rooms: Arc<Rooms>, health: Reporter) {
    let mut after = loop {
        match log.head().await {
            Ok(head) => break head,
            Err(error) => {
                health.down("the event log does not answer");
                tracing::warn!(error.chain = %Chain(&error), "rooms wait for the log");
                sleep(PAUSE).await;
            }
        }
    };
    health.up();
    loop {
        let mut feed = Feed { log: &log, rooms: &rooms, health: &health, after, heard: Instant::now() };
        let error = feed.run().await;
        after = feed.after;
        health.down("the subscription of the rooms broke");
        metrics::counter!("tally_realtime_feed_failures_total").increment(1);
        tracing::error!(error.chain = %Chain(&error), "subscription of the rooms is opened again");
        if let SubscriptionError::Gap { stream, found, position, .. } = error {
            // figures would be wrong from here on; a room reads what is missing from its show's own stream
            rooms.announce(&stream, found);
            after = Some(position);
        }
        sleep(PAUSE).await;
    }
}

struct Feed<'a> {
    log: &'a Arc<dyn EventLog>,
    rooms: &'a Rooms,
    health: &'a Reporter,
    after: Option<Position>,
    heard: Instant,
}

impl Feed<'_> {
    /// The platform's subscription opens itself again when the log goes away; it ends only with a gap.
    async fn run(&mut self) -> SubscriptionError {
        let options = SubscriptionOptions::new("realtime", CancellationToken::new());
        let mut subscription = Subscription::open(Arc::clone(self.log), self.after, WANTED, options);
        loop {
            let batch = match subscription.next_batch(BATCH_EVENTS_MAX, BATCH_WAIT_MAX).await {
                Ok(batch) => batch,
                Err(error) => return error,
            };
            if batch.position > self.after {
                self.after = batch.position;
                self.heard = Instant::now();
                self.health.up();
            } else if self.heard.elapsed() >= SILENCE_MAX {
                self.look_at_silence().await;
            }
            for event in batch.events {
                self.rooms.dispatch(event);
            }
        }
    }

    /// A log that has nothing new is quiet; one that has, or cannot be asked, is not followed.
    async fn look_at_silence(&mut self) {
        match self.log.head().await {
            Ok(head) if head <= self.after => {
                self.heard = Instant::now();
                self.health.up();
            }
            Ok(_) => self.health.down("the rooms are behind the log"),
            Err(_) => self.health.down("the event log does not answer"),
        }
    }
}
