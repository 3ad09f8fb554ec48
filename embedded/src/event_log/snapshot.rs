//! The log in a directory as it is now, whether a node runs on it or not: what tools read.
//!
//! The log is one sequence of bytes, cut into segment files, and what was committed never changes. So a prefix
//! of it that ends at a committed position is consistent, and reading it needs nothing from the node that
//! appends meanwhile. A running node notes that position after each flush; without one the last segment says
//! where the log ends.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::directory::{DurableMark, Lock, read_format};
use super::disk::{Disk, SystemDisk};
use super::error::StoreError;
use super::frame::Seed;
use super::recovery::list_segments;
use super::scan::{Scan, Tail, scan_segment};
use super::segment::{SEGMENT_HEADER_BYTES, check_segment_header, segment_path};

/// One segment's part of the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) path: PathBuf,
    /// From the segment's header to where the next segment starts, or the snapshot ends.
    pub(crate) range: Range<u64>,
    /// Another segment follows, so this one has its footer.
    pub(crate) is_sealed: bool,
}

/// A prefix of the log.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) log_id: Uuid,
    /// Position after the last committed frame.
    pub(crate) end: u64,
    pub(crate) parts: Vec<Part>,
    /// Held while no node runs on the directory; then the index can be looked at as well.
    pub(crate) lock: Option<Lock>,
    /// Bytes after the end that no committed frame accounts for: a write that a crash cut off.
    pub(crate) torn_bytes: u64,
}

impl Snapshot {
    /// Takes the snapshot; fails if the directory holds no log, or one that cannot say where it ends.
    pub(crate) fn of(directory: &Path) -> Result<Self, StoreError> {
        let log_id = read_format(directory)?;
        let lock = match Lock::take(directory) {
            Ok(lock) => Some(lock),
            Err(StoreError::Locked { .. }) => None,
            Err(error) => return Err(error),
        };
        let noted = DurableMark::open(directory, log_id)?.read();
        let bases = list_segments(directory)?;
        let (end, torn_bytes) = match (&lock, noted, bases.last()) {
            (None, Some(end), _) => (end, 0),
            (None, None, _) => return Err(StoreError::NoDurableMark { path: directory.to_path_buf() }),
            (Some(_), _, None) => (0, 0),
            (Some(_), noted, Some(base)) => end_in(directory, *base, log_id, noted)?,
        };
        let parts = parts(directory, &bases, end);
        Ok(Self { log_id, end, parts, lock, torn_bytes })
    }

    pub(crate) fn seed(&self) -> Seed {
        Seed::of(self.log_id)
    }

    /// Bytes of the log, headers and footers included.
    pub(crate) fn bytes(&self) -> u64 {
        self.end
    }
}

/// Where a log ends that nobody writes, and how many bytes of an unfinished write follow.
fn end_in(directory: &Path, base: u64, log_id: Uuid, noted: Option<u64>) -> Result<(u64, u64), StoreError> {
    let path = segment_path(directory, base);
    let file = SystemDisk.open(&path).map_err(StoreError::io("open", &path))?;
    let size = file.size().map_err(StoreError::io("read the size of", &path))?;
    if size <= SEGMENT_HEADER_BYTES && check_segment_header(&*file, &path, base, log_id).is_err() {
        return Ok((base, size));
    }
    let Scan { end, tail, .. } = scan_segment(&*file, &path, base, Seed::of(log_id))?;
    // what was noted was durable: a walk that ends before it meets damage, and says so
    Ok(match tail {
        Tail::Sealed => (end, 0),
        Tail::Clean | Tail::Damaged { .. } => (end.max(noted.unwrap_or(0)), 0),
        Tail::Torn { bytes } => (end.max(noted.unwrap_or(0)), bytes),
    })
}

fn parts(directory: &Path, bases: &[u64], end: u64) -> Vec<Part> {
    let ends = bases.iter().skip(1).copied().map(Some).chain([None]);
    let inside = bases.iter().zip(ends).take_while(|(base, _)| **base < end);
    inside
        .map(|(base, next)| Part {
            path: segment_path(directory, *base),
            range: *base..next.map_or(end, |next| next.min(end)),
            is_sealed: next.is_some_and(|next| next <= end),
        })
        .collect()
}

/// Whether a directory holds anything at all; one that does not exist holds nothing.
pub(crate) fn is_empty(directory: &Path) -> Result<bool, StoreError> {
    match fs::read_dir(directory) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(StoreError::io("list", directory)(error)),
    }
}
