//! Writing a snapshot: beside the show's actor, a piece at a time.

use std::sync::Arc;

use bytes::Bytes;
use domain::Show;
use platform::event_log::{AppendError, Appended, EventLog, Expected, NewEvent};
use platform::http::problem::Chain;
use schemas::{EventId, Position, ShowId, streams};
use thiserror::Error;
use tokio::sync::{OwnedMutexGuard, mpsc};
use tokio::time::timeout;
use uuid::Uuid;

use super::{Head, KIND, PIECE_KIND, Pieces, StoredPiece, Written};
use crate::actors::bounds::{ADDED_SHARE, LOG_CALL_MAX, PIECE_WEIGHT, PIECES_AHEAD, SNAPSHOTS_KEPT};

/// Why a snapshot was not written. It is tried again when the next one is due.
#[derive(Debug, Error)]
enum WriteError {
    #[error("state cannot be encoded")]
    Encoding(#[source] serde_json::Error),
    #[error("log did not take it")]
    Append(#[source] AppendError),
    #[error("task that encodes it ended by a defect")]
    Defect,
}

/// Writes a snapshot. That it fails harms nobody, so it is only told.
pub(in crate::actors) async fn write(
    log: Arc<dyn EventLog>,
    id: ShowId,
    mut written: OwnedMutexGuard<Written>,
    show: Show,
    position: Position,
) {
    match try_write(log.as_ref(), id, &mut written, show, position).await {
        Ok(()) => metrics::counter!("tally_snapshots_total").increment(1),
        Err(error) => {
            metrics::counter!("tally_snapshots_failed_total").increment(1);
            tracing::warn!(show.id = %id, error.chain = %Chain(&error), "snapshot was not written");
        }
    }
}

async fn try_write(
    log: &dyn EventLog,
    id: ShowId,
    written: &mut Written,
    show: Show,
    position: Position,
) -> Result<(), WriteError> {
    let Some((revision, _)) = show.last() else { return Ok(()) };
    let is_whole = must_be_whole(&written.pieces);
    let (before, mut pieces) = if is_whole {
        (Show::default(), Pieces { whole: Uuid::now_v7(), ..Pieces::default() })
    } else {
        (written.state.clone(), written.pieces.clone())
    };
    let added = write_pieces(log, id, &show, before, &mut pieces).await?;
    let weight = if is_whole { &mut pieces.whole_weight } else { &mut pieces.added_weight };
    *weight += added;
    let head =
        Head { version: Show::SNAPSHOT_VERSION, revision, position, pieces: pieces.clone(), show: &show };
    let data = serde_json::to_vec(&head).map_err(WriteError::Encoding)?;
    append(log, &streams::show_snapshot(id), KIND, data).await?;
    let before = std::mem::replace(written, Written { state: show, pieces });
    if is_whole {
        let_go(log, id, &before.pieces).await;
    }
    Ok(())
}

/// Whether all is written, and not only what changed: at first, and when what was added has become much.
fn must_be_whole(pieces: &Pieces) -> bool {
    let much = (pieces.whole_weight / ADDED_SHARE).max(PIECE_WEIGHT as u64);
    pieces.ranges.is_empty() || pieces.added_weight >= much
}

/// Writes what changed since `before`; answers how much it was. The pieces are encoded beside the thread that
/// serves, a few ahead of the log.
async fn write_pieces(
    log: &dyn EventLog,
    id: ShowId,
    show: &Show,
    before: Show,
    pieces: &mut Pieces,
) -> Result<u64, WriteError> {
    let (sender, mut encoded) = mpsc::channel(PIECES_AHEAD);
    let (show, whole) = (show.clone(), pieces.whole);
    let encoding = tokio::task::spawn_blocking(move || {
        for piece in show.pieces_since(&before, PIECE_WEIGHT) {
            let weight = piece.weight() as u64;
            let stored = StoredPiece { version: Show::SNAPSHOT_VERSION, whole, piece };
            let data = serde_json::to_vec(&stored).map(|data| (weight, data));
            if sender.blocking_send(data).is_err() {
                // the log took no more
                return;
            }
        }
    });
    let stream = streams::show_snapshot_pieces(id);
    let mut added = 0;
    while let Some(piece) = encoded.recv().await {
        let (weight, data) = piece.map_err(WriteError::Encoding)?;
        pieces.add(append(log, &stream, PIECE_KIND, data).await?.revision);
        added += weight;
    }
    // one that ended by a panic may have left out the last pieces
    encoding.await.map_err(|_| WriteError::Defect)?;
    Ok(added)
}

/// Has the log keep only the last few snapshots, and of the pieces those of the last whole state and of the one
/// before it, which the snapshots that are kept may still name.
async fn let_go(log: &dyn EventLog, id: ShowId, before: &Pieces) {
    let kept = format!("{{\"$maxCount\":{SNAPSHOTS_KEPT}}}");
    let mut metadata = vec![(streams::show_snapshot(id), kept)];
    if let Some(first) = before.first() {
        metadata.push((streams::show_snapshot_pieces(id), format!("{{\"$tb\":{first}}}")));
    }
    for (stream, data) in metadata {
        if let Err(error) = append(log, &format!("$${stream}"), "$metadata", data.into_bytes()).await {
            tracing::warn!(show.id = %id, error.chain = %Chain(&error), "old snapshots will not be dropped");
        }
    }
}

/// Appends one event under an id of its own: an append that was not acknowledged is given up.
async fn append(log: &dyn EventLog, stream: &str, kind: &str, data: Vec<u8>) -> Result<Appended, WriteError> {
    let event = NewEvent {
        id: EventId(Uuid::now_v7()),
        kind: kind.to_owned(),
        data: Bytes::from(data),
        metadata: Bytes::from_static(b"{}"),
    };
    let append = timeout(LOG_CALL_MAX, log.append(stream, Expected::Any, vec![event]));
    let answer =
        append.await.map_err(|elapsed| WriteError::Append(AppendError::OutcomeUnknown(elapsed.into())))?;
    answer.map_err(WriteError::Append)
}

#[cfg(test)]
mod whole {
    use super::*;

    #[test]
    fn all_is_written_anew_when_what_was_added_is_half_as_much_and_a_piece() {
        let pieces = |whole_weight, added_weight| {
            must_be_whole(&Pieces { ranges: vec![(0, 0)], whole_weight, added_weight, ..Pieces::default() })
        };
        assert!(must_be_whole(&Pieces::default()));
        assert!(!pieces(100_000, 49_999) && pieces(100_000, 50_000));
        assert!(!pieces(10, PIECE_WEIGHT as u64 - 1) && pieces(10, PIECE_WEIGHT as u64));
    }
}
