//! A history is not poured into another one by mistake.

use anyhow::bail;
use futures::StreamExt;
use generator::History;
use platform::event_log::{EventLog, LogItem, Prefixes};
use schemas::{ShowId, streams};
use std::collections::HashSet;

const WANTED: Prefixes = &[streams::SHOW];

/// Reads the log as long as all its shows are this history's, and fails at the first that is not. A log that was written by an
/// interrupted run is read through, some hundred thousand events a second.
pub(super) async fn refuse(log: &dyn EventLog, history: &History) -> anyhow::Result<()> {
    let own: HashSet<ShowId> = history.shows().iter().map(|show| show.id).collect();
    let mut items = log.subscribe(None, WANTED).await?;
    while let Some(item) = items.next().await {
        match item? {
            LogItem::Event(event) => {
                if streams::parse_show(&event.stream).is_none_or(|show| !own.contains(&show)) {
                    bail!(
                        "the log holds other shows ({} is one): use a data directory of its own, or --into-existing",
                        event.stream
                    );
                }
            }
            LogItem::Checkpoint(_) => {}
            LogItem::CaughtUp => return Ok(()),
        }
    }
    bail!("the log's events cannot be read to their end")
}
