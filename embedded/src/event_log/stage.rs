//! What the records of one frame change in the index, before and while the frame is written.
//!
//! The same code serves the writer, which decides later commands of a batch on top of the earlier ones, and
//! the replay of the log after a crash. So an index that was rebuilt cannot differ from one that grew.

use std::sync::Arc;

use ahash::{HashMap, HashMapExt};
use uuid::Uuid;

use super::error::StoreError;
use super::frame::TOMBSTONE_REVISION;
use super::head::{Head, METADATA_TYPE, described_stream};
use super::index::Index;
use super::repeats::{Name, Repeats, Revisions};

/// Heads that the writer keeps at hand; beyond, it starts afresh from the index.
const CACHED_HEADS_MAX: usize = 65_536;

/// The events of one append, side by side in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) key: u64,
    pub(crate) first: u64,
    pub(crate) position: u64,
}

/// The changes of one frame.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    pub(crate) heads: HashMap<Arc<str>, Head>,
    pub(crate) runs: Vec<Run>,
    ids: Revisions,
    /// The newest metadata of streams whose metadata this frame changes.
    pub(crate) metadata: HashMap<String, Vec<u8>>,
    /// The frame's events in order.
    events: Vec<StagedEvent>,
    /// Key and revision of the last record, to continue its run; `None` after a record that is no event.
    last: Option<(u64, u64)>,
}

/// Where an event of the frame is, for repeats that arrive in the same batch.
#[derive(Debug, Clone, Copy)]
struct StagedEvent {
    key: u64,
    revision: u64,
    id: Uuid,
    position: u64,
}

impl Staged {
    /// Id and position of an event of this frame. Asked for repeats only, so a search will do.
    pub(crate) fn event_at(&self, key: u64, revision: u64) -> Option<(Uuid, u64)> {
        let mut newest_first = self.events.iter().rev();
        let event = newest_first.find(|event| event.key == key && event.revision == revision)?;
        Some((event.id, event.position))
    }
}

/// One record as the index sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) stream: &'a str,
    pub(crate) revision: u64,
    pub(crate) position: u64,
    pub(crate) id: Uuid,
    pub(crate) event_type: &'a [u8],
    pub(crate) data: &'a [u8],
}

/// The index with the changes of the current frame on top.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    pub(crate) index: &'a Index,
    pub(crate) staged: Staged,
    repeats: Repeats,
    cache: HashMap<Arc<str>, Head>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(index: &'a Index, repeats: Repeats) -> Self {
        Self { index, staged: Staged::default(), repeats, cache: HashMap::new() }
    }

    /// The newest events, for the next stage.
    pub(crate) fn into_repeats(self) -> Repeats {
        self.repeats
    }

    pub(crate) fn head(&mut self, stream: &str) -> Result<Head, StoreError> {
        if let Some(head) = self.staged.heads.get(stream).or_else(|| self.cache.get(stream)) {
            return Ok(*head);
        }
        let head = self.index.head(stream)?.unwrap_or_default();
        if self.cache.len() >= CACHED_HEADS_MAX {
            self.cache.clear();
        }
        self.cache.insert(stream.into(), head);
        Ok(head)
    }

    pub(crate) fn name(&self, stream: &str) -> Name {
        self.repeats.name(stream)
    }

    /// The revision of the newest event with this id in a stream, if it was written lately.
    pub(crate) fn revision_of(&self, name: Name, id: Uuid) -> Option<u64> {
        self.staged.ids.get(&(name, id)).copied().or_else(|| self.repeats.revision_of(name, id))
    }

    /// Takes in the next record of the frame.
    pub(crate) fn add(&mut self, entry: Entry<'_>) -> Result<(), StoreError> {
        let mut head = self.head(entry.stream)?;
        let key = *head.key.get_or_insert(entry.position);
        if entry.revision == TOMBSTONE_REVISION {
            head.tombstoned = true;
            // the records before and after it do not lie side by side
            self.staged.last = None;
        } else {
            let Entry { revision, position, id, .. } = entry;
            head.last = Some(revision);
            if self.staged.last != Some((key, revision.wrapping_sub(1))) {
                self.staged.runs.push(Run { key, first: revision, position });
            }
            self.staged.last = Some((key, revision));
            self.staged.ids.insert((self.repeats.name(entry.stream), id), revision);
            self.staged.events.push(StagedEvent { key, revision, id, position });
        }
        self.put(entry.stream, head);
        if let (Some(described), true) =
            (described_stream(entry.stream), entry.event_type == METADATA_TYPE.as_bytes())
        {
            self.staged.metadata.insert(entry.stream.to_owned(), entry.data.to_vec());
            let mut head = self.head(described)?;
            head.apply_metadata(entry.data);
            self.put(described, head);
        }
        Ok(())
    }

    /// Gives up the frame's changes, which are durable, and keeps the newest heads and events at hand.
    pub(crate) fn take(&mut self) -> Staged {
        let mut staged = std::mem::take(&mut self.staged);
        self.repeats.take_in(std::mem::take(&mut staged.ids).into_iter());
        for (stream, head) in &staged.heads {
            if let Some(cached) = self.cache.get_mut(stream) {
                *cached = *head;
            }
        }
        staged
    }

    fn put(&mut self, stream: &str, head: Head) {
        match self.staged.heads.get_mut(stream) {
            Some(staged) => *staged = head,
            None => {
                // the name is shared with the cache, where it is unless that was cleared just now
                let known = self.cache.get_key_value(stream).map(|(name, _)| Arc::clone(name));
                self.staged.heads.insert(known.unwrap_or_else(|| stream.into()), head);
            }
        }
    }
}
