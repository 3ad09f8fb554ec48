//! The newest entries of the index, in memory and exact.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ahash::{HashMap, HashMapExt};

use super::super::head::Head;
use super::super::stage::Staged;

/// A layer of about this much memory is full. Big layers make few and long tables, small ones a quick start.
const LAYER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Memory of an entry in the maps below, with their spare room, besides a stream's name.
const HEAD_ENTRY_BYTES: usize = 160;
const RUN_ENTRY_BYTES: usize = 40;

/// What some consecutive frames changed.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) heads: HashMap<Arc<str>, Head>,
    pub(super) runs: BTreeMap<(u64, u64), u64>,
    /// Where the first of the frames starts in the log.
    start: u64,
    /// Position after the last of the frames.
    pub(super) end: u64,
    bytes: usize,
}

impl Layer {
    pub(super) fn starting_at(start: u64) -> Self {
        Self { heads: HashMap::new(), runs: BTreeMap::new(), start, end: start, bytes: 0 }
    }

    pub(super) fn head(&self, stream: &str) -> Option<Head> {
        self.heads.get(stream).copied()
    }

    pub(super) fn run_at(&self, key: u64, revision: u64) -> Option<(u64, u64)> {
        let ((_, first), position) = self.runs.range((key, 0)..=(key, revision)).next_back()?;
        Some((*first, *position))
    }

    fn take_in(&mut self, staged: Staged, end: u64) {
        self.bytes += staged.runs.len() * RUN_ENTRY_BYTES;
        for (stream, head) in staged.heads {
            let bytes = stream.len() + HEAD_ENTRY_BYTES;
            if self.heads.insert(stream, head).is_none() {
                self.bytes += bytes;
            }
        }
        self.runs.extend(staged.runs.into_iter().map(|run| ((run.key, run.first), run.position)));
        self.end = end;
    }
}

/// The layer that grows, and the full ones that are not on the disk yet, oldest first.
#[derive(Debug)]
pub(super) struct Recent {
    growing: Layer,
    full: VecDeque<Arc<Layer>>,
}

impl Recent {
    /// Nothing yet, after what is on the disk.
    pub(super) fn starting_at(start: u64) -> Self {
        Self { growing: Layer::starting_at(start), full: VecDeque::new() }
    }

    /// What the newest layer says that says anything.
    pub(super) fn find<T>(&self, look: impl Fn(&Layer) -> Option<T>) -> Option<T> {
        look(&self.growing).or_else(|| self.full.iter().rev().find_map(|layer| look(layer)))
    }

    pub(super) fn take_in(&mut self, staged: Staged, end: u64) {
        self.growing.take_in(staged, end);
    }

    /// The growing layer if it is full, by its memory or by the bytes of the log that it stands for.
    pub(super) fn freeze_if_full(&mut self, log_bytes_max: u64) -> Option<Arc<Layer>> {
        let log_bytes = self.growing.end - self.growing.start;
        if self.growing.bytes >= LAYER_BYTES_MAX || log_bytes >= log_bytes_max { self.freeze() } else { None }
    }

    /// Ends the growing layer, if it holds anything, and begins the next.
    pub(super) fn freeze(&mut self) -> Option<Arc<Layer>> {
        let end = self.growing.end;
        if end == self.growing.start {
            return None;
        }
        let layer = Arc::new(std::mem::replace(&mut self.growing, Layer::starting_at(end)));
        self.full.push_back(Arc::clone(&layer));
        Some(layer)
    }

    /// Drops a layer that is on the disk.
    pub(super) fn forget(&mut self, layer: &Arc<Layer>) {
        self.full.retain(|full| !Arc::ptr_eq(full, layer));
    }

    pub(super) fn bytes(&self) -> usize {
        self.growing.bytes + self.full.iter().map(|layer| layer.bytes).sum::<usize>()
    }
}
