//! The node's one subscription to the log: every show's events, brought to the rooms that are open here.

use futures::StreamExt;
use platform::event_log::{EventLog, LogItem, Prefixes, ReadError};
use platform::health::Reporter;
use platform::http::problem::Chain;
use schemas::{Position, streams};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

use super::rooms::Rooms;

/// Which streams concern the rooms.
const WANTED: Prefixes = &[streams::SHOW];

/// The pause before a broken subscription is opened again; doubled up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Follows the log for as long as it is polled. Rooms read for themselves what was said before they opened, so
/// that the subscription begins at the head.
pub(crate) async fn follow(log: Arc<dyn EventLog>, rooms: Arc<Rooms>, health: Reporter) {
    let mut pause = PAUSE_FIRST;
    let mut after: Option<Option<Position>> = None;
    loop {
        let failure = follow_once(&*log, &rooms, &health, &mut after, &mut pause).await;
        health.down("the log is not followed");
        metrics::counter!("tally_realtime_feed_failures_total").increment(1);
        tracing::warn!(error.chain = %Chain(&failure), "subscription of the rooms broke");
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn follow_once(
    log: &dyn EventLog,
    rooms: &Rooms,
    health: &Reporter,
    after: &mut Option<Option<Position>>,
    pause: &mut Duration,
) -> ReadError {
    let start = match *after {
        Some(known) => known,
        None => match log.head().await {
            Ok(head) => head,
            Err(error) => return error,
        },
    };
    *after = Some(start);
    let mut items = match log.subscribe(start, WANTED).await {
        Ok(items) => items,
        Err(error) => return error,
    };
    health.up();
    while let Some(item) = items.next().await {
        match item {
            Ok(LogItem::Event(event)) => {
                *after = Some(Some(event.position));
                *pause = PAUSE_FIRST;
                rooms.dispatch(event);
            }
            Ok(LogItem::Checkpoint(position)) => *after = Some(Some(position)),
            Ok(LogItem::CaughtUp) => {}
            Err(error) => return error,
        }
    }
    ReadError("the subscription ended".into())
}
