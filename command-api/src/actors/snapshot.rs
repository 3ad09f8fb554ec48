//! Snapshots: a show's state, so that a load need not fold a long stream from its start. A cache: one that is
//! incomplete, of another version, or damaged is ignored, never guessed at.
//!
//! What a state holds few of stands in the snapshot itself, what it holds many of in pieces, in a stream beside it,
//! which the snapshot names. The next snapshot names the same pieces, and further ones with what changed since; when
//! those have become many, all is written anew. So each event pays for a bounded amount however much a show holds.

mod write;

pub(super) use write::write;

use std::sync::Arc;

use domain::Show;
use domain::show::Piece;
use platform::event_log::{EventLog, StoredEvent};
use schemas::{Position, Revision, ShowId, streams};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::bounds::{PIECES_PAGE, SNAPSHOTS_KEPT};
use super::load::{LoadError, in_time};

/// The stored name of a snapshot.
const KIND: &str = "ShowSnapshot";

/// The stored name of a piece of one.
const PIECE_KIND: &str = "ShowSnapshotPiece";

/// A state that was read; the default where there was none.
#[derive(Default)]
pub(super) struct Snapshot {
    pub(super) show: Show,
    pub(super) position: Position,
    pub(super) written: Written,
}

/// What is written of a show: the last snapshot's state, and where its pieces are. Locked while the next one is
/// being written.
#[derive(Clone, Default)]
pub(super) struct Written {
    state: Show,
    pieces: Pieces,
}

/// See [`Written`].
pub(super) type SharedWritten = Arc<Mutex<Written>>;

/// The pieces that make a state whole, in the order in which they are taken in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Pieces {
    /// Tells the pieces of one whole state, and of what was added to it, from all others.
    whole: Uuid,
    /// Their revisions: each range with both its ends.
    ranges: Vec<(Revision, Revision)>,
    /// What those hold that were written as the whole.
    whole_weight: u64,
    /// What those hold that were added.
    added_weight: u64,
}

/// How a snapshot is stored. The rest of the state is read only if the version is ours.
#[derive(Serialize, Deserialize)]
struct Head<S> {
    version: u32,
    revision: Revision,
    position: Position,
    pieces: Pieces,
    show: S,
}

/// How a piece is stored.
#[derive(Serialize, Deserialize)]
struct StoredPiece {
    version: u32,
    whole: Uuid,
    piece: Piece,
}

impl Pieces {
    /// Takes up the next piece.
    fn add(&mut self, revision: Revision) {
        match self.ranges.last_mut() {
            Some((_, last)) if *last + 1 == revision => *last = revision,
            Some(_) | None => self.ranges.push((revision, revision)),
        }
    }

    /// The first piece's revision.
    fn first(&self) -> Option<Revision> {
        self.ranges.first().map(|(first, _)| *first)
    }
}

/// The newest usable snapshot of a show that is not beyond `until`.
pub(super) async fn read(
    log: &dyn EventLog,
    show: ShowId,
    until: Option<Revision>,
) -> Result<Option<Snapshot>, LoadError> {
    let stream = streams::show_snapshot(show);
    let mut from = None;
    for _ in 0..SNAPSHOTS_KEPT {
        let Some(stored) = in_time(log.read_stream_back(&stream, from, 1)).await?.pop() else { break };
        if let Some(head) = parse(&stored)
            && until.is_none_or(|until| head.revision <= until)
            && let Some(show) = gather(log, show, head.show, &head.pieces).await?
        {
            let written = Written { state: show.clone(), pieces: head.pieces };
            return Ok(Some(Snapshot { show, position: head.position, written }));
        }
        let Some(before) = stored.revision.checked_sub(1) else { break };
        from = Some(before);
    }
    Ok(None)
}

fn parse(stored: &StoredEvent) -> Option<Head<Show>> {
    let head: Head<&RawValue> = serde_json::from_slice(&stored.data).ok()?;
    if stored.kind != KIND || head.version != Show::SNAPSHOT_VERSION {
        return None;
    }
    let Head { version, revision, position, pieces, show } = head;
    let show: Show = serde_json::from_str(show.get()).ok()?;
    let is_whole = show.last().is_some_and(|(last, _)| last == revision);
    is_whole.then_some(Head { version, revision, position, pieces, show })
}

/// The state with all of its pieces; `None` where one is missing or is not what it should be.
async fn gather(
    log: &dyn EventLog,
    id: ShowId,
    mut show: Show,
    pieces: &Pieces,
) -> Result<Option<Show>, LoadError> {
    let stream = streams::show_snapshot_pieces(id);
    for (first, last) in pieces.ranges.iter().copied() {
        let mut next = first;
        while next <= last {
            let limit = usize::try_from(last - next + 1).unwrap_or(PIECES_PAGE).min(PIECES_PAGE);
            let page = in_time(log.read_stream(&stream, next, limit)).await?;
            let is_in_order = page.iter().zip(next..).all(|(stored, revision)| stored.revision == revision);
            if page.is_empty() || !is_in_order {
                return Ok(None);
            }
            next += page.len() as Revision;
            match take_in(show, pieces.whole, page).await {
                Some(fuller) => show = fuller,
                None => return Ok(None),
            }
        }
    }
    Ok(Some(show))
}

/// Takes some pieces in, off the threads that serve others.
async fn take_in(mut show: Show, whole: Uuid, page: Vec<StoredEvent>) -> Option<Show> {
    let taking = tokio::task::spawn_blocking(move || {
        for stored in &page {
            let StoredPiece { version, whole: of, piece } = serde_json::from_slice(&stored.data).ok()?;
            if stored.kind != PIECE_KIND || version != Show::SNAPSHOT_VERSION || of != whole {
                return None;
            }
            show.take_in(piece);
        }
        Some(show)
    });
    taking.await.ok().flatten()
}
