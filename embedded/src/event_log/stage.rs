//! What the records of one frame change in the index, before and while the frame is written.
//!
//! The same code serves the writer, which decides later commands of a batch on top of the earlier ones, and
//! the replay of the log after a crash. So an index that was rebuilt cannot differ from one that grew.

use std::collections::HashMap;

use uuid::Uuid;

use super::error::StoreError;
use super::frame::TOMBSTONE_REVISION;
use super::head::{Head, METADATA_TYPE, described_stream};
use super::index::Index;

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
    pub(crate) heads: HashMap<String, Head>,
    pub(crate) runs: Vec<Run>,
    pub(crate) ids: HashMap<(u64, Uuid), u64>,
    /// Where the frame's events are, for repeats that arrive in the same batch.
    pub(crate) events: HashMap<(u64, u64), (Uuid, u64)>,
    /// The newest metadata of streams whose metadata this frame changes.
    pub(crate) metadata: HashMap<String, Vec<u8>>,
    /// Key and revision of the last record, to continue its run.
    last: Option<(u64, u64)>,
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
    cache: HashMap<String, Head>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(index: &'a Index) -> Self {
        Self { index, staged: Staged::default(), cache: HashMap::new() }
    }

    pub(crate) fn head(&mut self, stream: &str) -> Result<Head, StoreError> {
        if let Some(head) = self.staged.heads.get(stream).or_else(|| self.cache.get(stream)) {
            return Ok(*head);
        }
        let head = self.index.head(stream.as_bytes())?.unwrap_or_default();
        if self.cache.len() >= CACHED_HEADS_MAX {
            self.cache.clear();
        }
        self.cache.insert(stream.to_owned(), head);
        Ok(head)
    }

    pub(crate) fn revision_of(&self, key: u64, id: Uuid) -> Result<Option<u64>, StoreError> {
        match self.staged.ids.get(&(key, id)) {
            Some(revision) => Ok(Some(*revision)),
            None => self.index.revision_of(key, id),
        }
    }

    /// Takes in the next record of the frame.
    pub(crate) fn add(&mut self, entry: Entry<'_>) -> Result<(), StoreError> {
        let mut head = self.head(entry.stream)?;
        let key = *head.key.get_or_insert(entry.position);
        if entry.revision == TOMBSTONE_REVISION {
            head.tombstoned = true;
        } else {
            head.last = Some(entry.revision);
            let continues = self.staged.last == Some((key, entry.revision.wrapping_sub(1)));
            if !continues {
                self.staged.runs.push(Run { key, first: entry.revision, position: entry.position });
            }
            self.staged.last = Some((key, entry.revision));
            self.staged.ids.insert((key, entry.id), entry.revision);
            self.staged.events.insert((key, entry.revision), (entry.id, entry.position));
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

    /// Gives up the frame's changes and keeps the newest heads at hand.
    pub(crate) fn take(&mut self) -> Staged {
        let staged = std::mem::take(&mut self.staged);
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
                self.staged.heads.insert(stream.to_owned(), head);
            }
        }
    }
}
