//! Gives stores time to reach the head that the log had at the beginning.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use platform::event_log::{EventLog, LogItem, Prefixes, ReadError};
use schemas::{Position, streams};
use tokio::time::{Instant, sleep};

use super::postgres::{self, PAYMENTS, VIEWS};
use super::report::{Progress, Watcher};
use super::warehouse::Warehouse;
use super::{StoreError, Stores, VerifyError, WAREHOUSE, progress};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// How often is told who is waited for.
const LOOKS_A_WORD: u32 = 10;

/// Waits until all stores have reached the head, or for as long as they may take.
pub(super) async fn wait(
    stores: &Stores,
    warehouse: Option<&Warehouse>,
    head: Position,
    longest: Duration,
    watcher: &mut dyn Watcher,
) -> Result<(), VerifyError> {
    let deadline = Instant::now() + longest;
    for look in 0.. {
        let behind = behind(stores, warehouse, head).await?;
        if behind.is_empty() || Instant::now() >= deadline {
            return Ok(());
        }
        if look % LOOKS_A_WORD == 0 {
            watcher.progress(Progress::Waiting { stores: &behind });
        }
        sleep(PAUSE.min(deadline - Instant::now())).await;
    }
    Ok(())
}

async fn behind(
    stores: &Stores,
    warehouse: Option<&Warehouse>,
    head: Position,
) -> Result<Vec<&'static str>, VerifyError> {
    let mut behind = Vec::new();
    if let Some(pool) = &stores.views {
        let positions = postgres::positions(pool).await.map_err(StoreError::Views)?;
        for view in VIEWS {
            let wanted: Prefixes = if view == PAYMENTS { &[streams::PAYMENT] } else { &[streams::SHOW] };
            let reached = positions.get(view).copied().flatten();
            if lacks(&stores.log, reached, wanted, head).await? {
                behind.push(view);
            }
        }
    }
    if let Some(warehouse) = warehouse {
        let (facts, rolled_up) = progress(warehouse).await?;
        // the roll-ups follow the facts
        let reached = facts.zip(rolled_up).map(|(facts, rolled_up)| facts.position.min(rolled_up.position));
        if lacks(&stores.log, reached, &streams::EVENT_STREAMS, head).await? {
            behind.push(WAREHOUSE);
        }
    }
    Ok(behind)
}

/// Whether there are events for a store that it has not seen. Others may stand behind what it has reached.
async fn lacks(
    log: &Arc<dyn EventLog>,
    reached: Option<Position>,
    wanted: Prefixes,
    head: Position,
) -> Result<bool, ReadError> {
    if reached >= Some(head) {
        return Ok(false);
    }
    let mut items = log.subscribe(reached, wanted).await?;
    while let Some(item) = items.next().await {
        match item? {
            LogItem::Event(stored) => return Ok(stored.position <= head),
            LogItem::Checkpoint(position) if position < head => {}
            LogItem::Checkpoint(_) | LogItem::CaughtUp => return Ok(false),
        }
    }
    Ok(false)
}
