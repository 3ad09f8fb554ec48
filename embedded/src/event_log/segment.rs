//! One file of the log. A segment holds a header, frames, and, once it is full, a footer that seals it.
//!
//! A position in the log is a byte's offset counted over all segments, headers and footers included: a
//! segment's file is named after the position of its first byte, and offset = position − base.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{BufMut, BytesMut};
use parking_lot::RwLock;
use uuid::Uuid;

use super::disk::DiskFile;
use super::error::StoreError;
use super::frame::{FOOTER_MAGIC, Seed, u32_at, u64_at};

/// Bytes of a segment's header.
pub(crate) const SEGMENT_HEADER_BYTES: u64 = HEADER_LENGTH as u64;
const HEADER_LENGTH: usize = 64;
/// Distance between two remembered item positions. Reading backwards, and finding the first item at or after
/// an arbitrary position, walks at most this far (or one record).
pub(crate) const MARK_DISTANCE_BYTES: u64 = 64 * 1024;
/// Name suffix of segment files.
pub(crate) const SEGMENT_SUFFIX: &str = ".log";

const SEGMENT_MAGIC: [u8; 8] = *b"TLYSEG01";
const FOOTER_FIXED_BYTES: usize = 48;
const FOOTER_TRAILER_BYTES: usize = 8;
/// A footer longer than this is not one of ours: a segment has at most some thousand marks.
const FOOTER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The name of the segment that starts at `base`.
pub(crate) fn segment_path(directory: &Path, base: u64) -> PathBuf {
    directory.join(format!("{base:020}{SEGMENT_SUFFIX}"))
}

/// The first bytes of a segment.
pub(crate) fn encode_segment_header(base: u64, log_id: Uuid) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_LENGTH);
    header.extend_from_slice(&SEGMENT_MAGIC);
    header.extend_from_slice(&[0; 8]);
    header.extend_from_slice(log_id.as_bytes());
    header.extend_from_slice(&base.to_le_bytes());
    header.resize(HEADER_LENGTH, 0);
    let crc = Seed::of(log_id).checksum(&header[16..]);
    header[8..12].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Checks a segment's first bytes.
pub(crate) fn check_segment_header(
    file: &dyn DiskFile,
    path: &Path,
    base: u64,
    log_id: Uuid,
) -> Result<(), StoreError> {
    let mut header = vec![0; HEADER_LENGTH];
    let read = file.read_at(&mut header, 0).map_err(StoreError::io("read", path))?;
    if read < header.len() || header != encode_segment_header(base, log_id) {
        return Err(StoreError::corrupt(path, 0, "the segment's header is not as written"));
    }
    Ok(())
}

/// What a sealed segment says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Position of the footer itself: where the frames end.
    pub(crate) position: u64,
    pub(crate) frames: u64,
    pub(crate) records: u64,
    /// Checksum over the checksums of all frame headers, in order.
    pub(crate) frames_crc: u32,
    /// Offsets of some items, ascending, about [`MARK_DISTANCE_BYTES`] apart.
    pub(crate) marks: Vec<u32>,
}

impl Footer {
    pub(crate) fn encode(&self, seed: Seed) -> Vec<u8> {
        let length = FOOTER_FIXED_BYTES + self.marks.len() * 4 + FOOTER_TRAILER_BYTES;
        let length_field = u32::try_from(length).unwrap_or(u32::MAX);
        let mut bytes = BytesMut::with_capacity(length);
        bytes.put_u32_le(FOOTER_MAGIC);
        bytes.put_u32_le(0);
        bytes.put_u64_le(self.position);
        bytes.put_u32_le(length_field);
        bytes.put_u32_le(u32::try_from(self.marks.len()).unwrap_or(u32::MAX));
        bytes.put_u64_le(self.frames);
        bytes.put_u64_le(self.records);
        bytes.put_u32_le(self.frames_crc);
        bytes.put_u32_le(0);
        for mark in &self.marks {
            bytes.put_u32_le(*mark);
        }
        bytes.put_u32_le(length_field);
        bytes.put_u32_le(FOOTER_MAGIC);
        let crc = seed.checksum(&bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes.to_vec()
    }

    /// Reads the footer at `position`; `None` unless every byte of it is as written.
    pub(crate) fn parse(bytes: &[u8], position: u64, seed: Seed) -> Option<Self> {
        if bytes.len() < FOOTER_FIXED_BYTES + FOOTER_TRAILER_BYTES || u32_at(bytes, 0) != FOOTER_MAGIC {
            return None;
        }
        let length = u32_at(bytes, 16) as usize;
        let mark_count = u32_at(bytes, 20) as usize;
        if length != bytes.len() || length != FOOTER_FIXED_BYTES + mark_count * 4 + FOOTER_TRAILER_BYTES {
            return None;
        }
        if u32_at(bytes, 4) != seed.checksum(&bytes[8..]) || u64_at(bytes, 8) != position {
            return None;
        }
        let marks = (0..mark_count).map(|mark| u32_at(bytes, FOOTER_FIXED_BYTES + mark * 4)).collect();
        Some(Self {
            position,
            frames: u64_at(bytes, 24),
            records: u64_at(bytes, 32),
            frames_crc: u32_at(bytes, 40),
            marks,
        })
    }

    /// Finds the footer at the end of a file; `None` if the file does not end with an intact one.
    pub(crate) fn at_end_of(
        file: &dyn DiskFile,
        path: &Path,
        base: u64,
        seed: Seed,
    ) -> Result<Option<Self>, StoreError> {
        let size = file.size().map_err(StoreError::io("read the size of", path))?;
        if size < SEGMENT_HEADER_BYTES + (FOOTER_FIXED_BYTES + FOOTER_TRAILER_BYTES) as u64 {
            return Ok(None);
        }
        let mut trailer = [0; FOOTER_TRAILER_BYTES];
        file.read_at(&mut trailer, size - FOOTER_TRAILER_BYTES as u64)
            .map_err(StoreError::io("read", path))?;
        let length = u32_at(&trailer, 0) as usize;
        if u32_at(&trailer, 4) != FOOTER_MAGIC || length > FOOTER_BYTES_MAX || length as u64 > size {
            return Ok(None);
        }
        let offset = size - length as u64;
        let mut bytes = vec![0; length];
        file.read_at(&mut bytes, offset).map_err(StoreError::io("read", path))?;
        Ok(Self::parse(&bytes, base + offset, seed))
    }
}

/// A segment as readers see it.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) base: u64,
    pub(crate) path: PathBuf,
    /// Position after the last frame of a sealed segment; `u64::MAX` while frames are still added.
    data_end: AtomicU64,
    marks: RwLock<Option<Vec<u32>>>,
}

impl Segment {
    /// A segment that frames are added to.
    pub(crate) fn active(directory: &Path, base: u64, marks: Vec<u32>) -> Self {
        Self {
            base,
            path: segment_path(directory, base),
            data_end: AtomicU64::new(u64::MAX),
            marks: RwLock::new(Some(marks)),
        }
    }

    /// A sealed segment; its marks are read when they are first needed.
    pub(crate) fn sealed(directory: &Path, base: u64, data_end: u64) -> Self {
        Self {
            base,
            path: segment_path(directory, base),
            data_end: AtomicU64::new(data_end),
            marks: RwLock::new(None),
        }
    }

    pub(crate) fn data_start(&self) -> u64 {
        self.base + SEGMENT_HEADER_BYTES
    }

    pub(crate) fn data_end(&self) -> u64 {
        self.data_end.load(Ordering::Acquire)
    }

    pub(crate) fn seal(&self, data_end: u64) {
        self.data_end.store(data_end, Ordering::Release);
    }

    /// Remembers the item at `position`, if the last remembered one is far enough behind.
    pub(crate) fn mark(&self, position: u64) {
        let mut marks = self.marks.write();
        let marks = marks.get_or_insert_default();
        let offset = position - self.base;
        let due = marks.last().is_none_or(|last| offset >= u64::from(*last) + MARK_DISTANCE_BYTES);
        if let (true, Ok(offset)) = (due, u32::try_from(offset)) {
            marks.push(offset);
        }
    }

    pub(crate) fn marks(&self) -> Vec<u32> {
        self.marks.read().clone().unwrap_or_default()
    }

    /// The last remembered item that `accept` takes, by position; the first item if there is none.
    pub(crate) fn mark_where(
        &self,
        file: &dyn DiskFile,
        seed: Seed,
        accept: impl Fn(u64) -> bool,
    ) -> Result<u64, StoreError> {
        if self.marks.read().is_none() {
            let footer = Footer::at_end_of(file, &self.path, self.base, seed)?.ok_or_else(|| {
                StoreError::corrupt(&self.path, self.data_end() - self.base, "the footer is not as written")
            })?;
            *self.marks.write() = Some(footer.marks);
        }
        let marks = self.marks.read();
        let marks = marks.as_deref().unwrap_or_default();
        let after = marks.partition_point(|offset| accept(self.base + u64::from(*offset)));
        Ok(after.checked_sub(1).map_or(self.data_start(), |at| self.base + u64::from(marks[at])))
    }
}
