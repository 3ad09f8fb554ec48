//! The segments as one log: reading forwards, backwards and at a position.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use super::disk::{Disk, DiskFile};
use super::error::StoreError;
use super::frame::{Record, Seed};
use super::items::{Item, Items};
use super::segment::{MARK_DISTANCE_BYTES, Segment};

/// Open segment files kept for readers; the next reader reopens one that was dropped.
const OPEN_FILES_MAX: usize = 128;
/// First read of a single record: most fit, longer ones take a second read.
const RECORD_READ_BYTES: usize = 4 * 1024;

/// Some records, in the order that was asked for.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The records.
    pub records: Vec<Record>,
    /// Where to go on: the position of the next item when reading forwards; when reading backwards, all
    /// records at or after it were delivered.
    pub next: u64,
}

/// All segments, as readers see them. Nothing at or after `committed` is ever read.
#[derive(Debug)]
pub(crate) struct Log {
    directory: PathBuf,
    disk: Arc<dyn Disk>,
    log_id: Uuid,
    seed: Seed,
    segments: RwLock<Vec<Arc<Segment>>>,
    files: Mutex<HashMap<u64, Arc<dyn DiskFile>>>,
    committed: AtomicU64,
}

impl Log {
    pub(crate) fn new(
        directory: &Path,
        disk: Arc<dyn Disk>,
        log_id: Uuid,
        segments: Vec<Arc<Segment>>,
    ) -> Self {
        Self {
            directory: directory.to_path_buf(),
            disk,
            log_id,
            seed: Seed::of(log_id),
            segments: RwLock::new(segments),
            files: Mutex::new(HashMap::new()),
            committed: AtomicU64::new(0),
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    pub(crate) fn log_id(&self) -> Uuid {
        self.log_id
    }

    pub(crate) fn seed(&self) -> Seed {
        self.seed
    }

    /// Position after the last durable frame.
    pub(crate) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    pub(crate) fn commit(&self, position: u64) {
        self.committed.store(position, Ordering::Release);
    }

    pub(crate) fn add_segment(&self, segment: Arc<Segment>) {
        self.segments.write().push(segment);
    }

    pub(crate) fn segments(&self) -> Vec<Arc<Segment>> {
        self.segments.read().clone()
    }

    /// The file of a segment, opened if need be.
    pub(crate) fn file(&self, segment: &Segment) -> Result<Arc<dyn DiskFile>, StoreError> {
        if let Some(file) = self.files.lock().get(&segment.base) {
            return Ok(Arc::clone(file));
        }
        let file = self.disk.open(&segment.path).map_err(StoreError::io("open", &segment.path))?;
        let mut files = self.files.lock();
        if files.len() >= OPEN_FILES_MAX {
            files.clear();
        }
        files.insert(segment.base, Arc::clone(&file));
        Ok(file)
    }

    /// The segment that holds `position`, and its successor.
    fn locate(&self, position: u64) -> Option<(Arc<Segment>, Option<Arc<Segment>>)> {
        let segments = self.segments.read();
        let at = segments.partition_point(|segment| segment.base <= position).checked_sub(1)?;
        Some((Arc::clone(&segments[at]), segments.get(at + 1).cloned()))
    }

    /// Where the records are that start at or after `position`: the segment, the first position to look at,
    /// and where its readable part ends. `None` if there is nothing between `position` and `committed`.
    fn readable(&self, mut position: u64, committed: u64) -> Option<(Arc<Segment>, u64, u64)> {
        while position < committed {
            let (segment, successor) = self.locate(position)?;
            let end = segment.data_end().min(committed);
            position = position.max(segment.data_start());
            if position < end {
                return Some((segment, position, end));
            }
            position = successor?.data_start();
        }
        None
    }

    /// The position of the first item at or after `position`, for positions that come from outside.
    pub(crate) fn align(&self, position: u64) -> Result<u64, StoreError> {
        let committed = self.committed();
        let Some((segment, position, end)) = self.readable(position, committed) else {
            return Ok(position.max(committed));
        };
        let file = self.file(&segment)?;
        let walk = |from: u64, read_bytes: usize| {
            Items::new(&*file, &segment.path, segment.base, self.seed, from..end, read_bytes)
        };
        if matches!(walk(position, RECORD_READ_BYTES).next()?, Item::Frame(_) | Item::Record(_)) {
            return Ok(position);
        }
        let mark = segment.mark_where(&*file, self.seed, |mark| mark <= position)?;
        let mut items = walk(mark, mark_read_bytes());
        while items.position() < position {
            let at = items.position();
            self.expect_readable(&segment, at, items.next()?)?;
        }
        Ok(items.position())
    }

    /// Records from an item's position on: at least one unless the end is reached, about `read_bytes` of them.
    pub(crate) fn read_forwards(&self, position: u64, read_bytes: usize) -> Result<Chunk, StoreError> {
        let committed = self.committed();
        let Some((segment, position, end)) = self.readable(position, committed) else {
            return Ok(Chunk { records: Vec::new(), next: position.max(committed) });
        };
        let file = self.file(&segment)?;
        let mut items = Items::new(&*file, &segment.path, segment.base, self.seed, position..end, read_bytes);
        let mut records = Vec::new();
        while items.position() < end && (records.is_empty() || items.next_is_buffered()) {
            let at = items.position();
            if let Some(record) = self.expect_readable(&segment, at, items.next()?)? {
                records.push(record);
            }
        }
        Ok(Chunk { records, next: items.position() })
    }

    /// Records that start before `position`, last first: at least one unless the start is reached.
    pub(crate) fn read_backwards(&self, position: u64) -> Result<Chunk, StoreError> {
        let mut before = position.min(self.committed());
        loop {
            let Some((segment, _)) = before.checked_sub(1).and_then(|last| self.locate(last)) else {
                return Ok(Chunk { records: Vec::new(), next: 0 });
            };
            let end = segment.data_end().min(self.committed());
            if before <= segment.data_start() {
                before = segment.base;
                continue;
            }
            let upper = before.min(end);
            let file = self.file(&segment)?;
            let mark = segment.mark_where(&*file, self.seed, |mark| mark < upper)?;
            let mut items =
                Items::new(&*file, &segment.path, segment.base, self.seed, mark..end, mark_read_bytes());
            let mut records = Vec::new();
            while items.position() < upper {
                let at = items.position();
                records.extend(self.expect_readable(&segment, at, items.next()?)?);
            }
            if !records.is_empty() {
                records.reverse();
                return Ok(Chunk { records, next: mark });
            }
            before = mark;
        }
    }

    /// The record that starts exactly at `position`.
    pub(crate) fn read_record(&self, position: u64) -> Result<Record, StoreError> {
        let (segment, found, end) =
            self.readable(position, self.committed()).ok_or(StoreError::BeyondEnd { position })?;
        let file = self.file(&segment)?;
        let mut items =
            Items::new(&*file, &segment.path, segment.base, self.seed, found..end, RECORD_READ_BYTES);
        let record = self.expect_readable(&segment, found, items.next()?)?;
        record.filter(|record| record.position() == position).ok_or_else(|| StoreError::IndexMismatch {
            what: format!("no record starts at position {position}"),
        })
    }

    /// Below `committed` everything was written and checked: anything but a frame or a record is damage.
    fn expect_readable(
        &self,
        segment: &Segment,
        position: u64,
        item: Item,
    ) -> Result<Option<Record>, StoreError> {
        let what = match item {
            Item::Record(record) => return Ok(Some(record)),
            Item::Frame(_) => return Ok(None),
            Item::Footer => "a footer where a frame was written",
            Item::End | Item::Short => "the file is shorter than what was written",
            Item::Blank => "zeros where a frame was written",
            Item::Broken(what) => what,
        };
        metrics::counter!("event_log_corruption_total").increment(1);
        Err(StoreError::corrupt(&segment.path, position - segment.base, what))
    }
}

fn mark_read_bytes() -> usize {
    usize::try_from(MARK_DISTANCE_BYTES).unwrap_or(usize::MAX)
}
