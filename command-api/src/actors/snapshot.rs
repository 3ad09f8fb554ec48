//! Snapshots: a show's state, so that a load need not fold a long stream from its start. A cache: one that is
//! missing, of another version, or damaged is ignored, never guessed at.

use std::sync::Arc;

use bytes::Bytes;
use domain::Show;
use platform::event_log::{EventLog, Expected, NewEvent, StoredEvent};
use platform::http::problem::Chain;
use schemas::{EventId, Position, Revision, ShowId, streams};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::bounds::{
    LIGHT_WEIGHT, SNAPSHOT_BYTES_MAX, SNAPSHOT_WEIGHT_MAX, SNAPSHOTS_KEPT, WEIGHT_BYTES, WEIGHT_PER_EVENT,
};
use super::load::{LoadError, in_time};

/// The stored name of a snapshot.
const KIND: &str = "ShowSnapshot";

/// A state that was read.
pub(super) struct Snapshot {
    pub(super) show: Show,
    pub(super) position: Position,
}

/// How a snapshot is stored.
#[derive(Serialize)]
struct Writing<'a> {
    version: u32,
    revision: Revision,
    position: Position,
    show: &'a Show,
}

/// The same, with the state unread: another version's is not even looked at.
#[derive(Deserialize)]
struct Reading<'a> {
    version: u32,
    revision: Revision,
    position: Position,
    #[serde(borrow)]
    show: &'a RawValue,
}

/// Whether it is time for another one. A snapshot costs as much as the state is large, so a large state is written
/// less often: for each event the cost is the same. What would be too large to be written is not even tried.
pub(super) fn is_due(since_last: u64, weight: usize, every: u64) -> bool {
    let paid_by = weight.saturating_sub(LIGHT_WEIGHT) as u64 / WEIGHT_PER_EVENT;
    weight <= SNAPSHOT_WEIGHT_MAX && since_last >= every.max(paid_by)
}

/// The newest usable snapshot of a show.
pub(super) async fn read(log: &dyn EventLog, show: ShowId) -> Result<Option<Snapshot>, LoadError> {
    let stream = streams::show_snapshot(show);
    let mut from = None;
    for _ in 0..SNAPSHOTS_KEPT {
        let Some(stored) = in_time(log.read_stream_back(&stream, from, 1)).await?.pop() else { break };
        if let Some(snapshot) = parse(&stored) {
            return Ok(Some(snapshot));
        }
        let Some(before) = stored.revision.checked_sub(1) else { break };
        from = Some(before);
    }
    Ok(None)
}

fn parse(stored: &StoredEvent) -> Option<Snapshot> {
    let reading: Reading<'_> = serde_json::from_slice(&stored.data).ok()?;
    if stored.kind != KIND || reading.version != Show::SNAPSHOT_VERSION {
        return None;
    }
    let show: Show = serde_json::from_str(reading.show.get()).ok()?;
    let is_whole = show.last().is_some_and(|(revision, _)| revision == reading.revision);
    is_whole.then_some(Snapshot { show, position: reading.position })
}

/// Writes a snapshot. That it fails harms nobody, so it is only told.
pub(super) async fn write(
    log: Arc<dyn EventLog>,
    id: ShowId,
    show: Show,
    position: Position,
    is_first: bool,
) {
    let Some((revision, _)) = show.last() else { return };
    let encoding = tokio::task::spawn_blocking(move || {
        // made large at once: growing step by step would touch several times as much memory
        let mut data = Vec::with_capacity((show.weight() + 1) * WEIGHT_BYTES);
        serde_json::to_writer(
            &mut data,
            &Writing { version: Show::SNAPSHOT_VERSION, revision, position, show: &show },
        )
        .map(|()| data)
    });
    let data = match encoding.await {
        Ok(Ok(data)) if data.len() <= SNAPSHOT_BYTES_MAX => data,
        Ok(Ok(data)) => {
            metrics::counter!("tally_snapshots_failed_total", "reason" => "too_large").increment(1);
            tracing::warn!(show.id = %id, bytes = data.len(), "snapshot is too large and was not written");
            return;
        }
        Ok(Err(_)) | Err(_) => {
            metrics::counter!("tally_snapshots_failed_total", "reason" => "encoding").increment(1);
            tracing::error!(show.id = %id, "snapshot cannot be encoded");
            return;
        }
    };
    let stream = streams::show_snapshot(id);
    if is_first {
        bound(log.as_ref(), id, &stream).await;
    }
    // the same on every node that writes a snapshot of this revision, so the log keeps one
    let event_id = Uuid::new_v5(&id.0, format!("snapshot/{}/{revision}", Show::SNAPSHOT_VERSION).as_bytes());
    let event = new_event(event_id, KIND, data);
    match log.append(&stream, Expected::Any, vec![event]).await {
        Ok(_) => metrics::counter!("tally_snapshots_total").increment(1),
        Err(error) => {
            metrics::counter!("tally_snapshots_failed_total", "reason" => "append").increment(1);
            tracing::warn!(show.id = %id, error.chain = %Chain(&error), "snapshot was not written");
        }
    }
}

/// Has the log keep only the last few snapshots, by the stream's own metadata.
async fn bound(log: &dyn EventLog, id: ShowId, stream: &str) {
    let metadata = format!("{{\"$maxCount\":{SNAPSHOTS_KEPT}}}").into_bytes();
    let event_id = Uuid::new_v5(&id.0, b"snapshot/metadata");
    let event = new_event(event_id, "$metadata", metadata);
    if let Err(error) = log.append(&format!("$${stream}"), Expected::Any, vec![event]).await {
        tracing::warn!(show.id = %id, error.chain = %Chain(&error), "old snapshots will not be dropped");
    }
}

fn new_event(id: Uuid, kind: &str, data: Vec<u8>) -> NewEvent {
    NewEvent {
        id: EventId(id),
        kind: kind.to_owned(),
        data: Bytes::from(data),
        metadata: Bytes::from_static(b"{}"),
    }
}

#[cfg(test)]
mod due {
    use super::*;

    #[test]
    fn the_larger_a_state_the_more_events_pay_for_its_snapshot_and_the_largest_is_not_written() {
        assert!(!is_due(9, 0, 10) && is_due(10, 0, 10));
        assert!(is_due(10, LIGHT_WEIGHT, 10));
        assert!(!is_due(4_999, LIGHT_WEIGHT + 10_000, 10) && is_due(5_000, LIGHT_WEIGHT + 10_000, 10));
        assert!(!is_due(u64::MAX, SNAPSHOT_WEIGHT_MAX + 1, 10));
    }
}
