//! Walks the items of one segment file in big reads. Every item that it yields was checked.

use std::path::Path;

use bytes::{Buf, Bytes};

use super::disk::DiskFile;
use super::error::StoreError;
use super::frame::{FRAME_HEADER_BYTES, FrameHeader, ItemKind, Record, Seed, item_kind, u32_at};

/// One step of the walk.
#[derive(Debug)]
pub(crate) enum Item {
    Frame(FrameHeader),
    Record(Record),
    /// A footer starts here.
    Footer,
    /// The limit, or the end of the file, exactly between two items.
    End,
    /// The rest of the file is shorter than the item that starts here.
    Short,
    /// Zeros: nothing was written here.
    Blank,
    /// Something else than an intact item.
    Broken(&'static str),
}

/// Walks a segment from one position to another.
#[derive(Debug)]
pub(crate) struct Items<'a> {
    file: &'a dyn DiskFile,
    path: &'a Path,
    base: u64,
    seed: Seed,
    position: u64,
    limit: u64,
    read_bytes: usize,
    buffer: Bytes,
}

impl<'a> Items<'a> {
    /// Reads from `position` up to `limit` (both in the log), `read_bytes` at a time.
    pub(crate) fn new(
        file: &'a dyn DiskFile,
        path: &'a Path,
        base: u64,
        seed: Seed,
        range: std::ops::Range<u64>,
        read_bytes: usize,
    ) -> Self {
        let buffer = Bytes::new();
        Self { file, path, base, seed, position: range.start, limit: range.end, read_bytes, buffer }
    }

    /// Where the next item starts.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Whether the next item is in memory already, as far as its first bytes tell.
    pub(crate) fn next_is_buffered(&self) -> bool {
        if self.buffer.len() < 4 {
            return false;
        }
        match item_kind(u32_at(&self.buffer, 0)) {
            ItemKind::Record(length) => self.buffer.len() >= length,
            ItemKind::Frame => self.buffer.len() >= FRAME_HEADER_BYTES,
            ItemKind::Footer | ItemKind::Blank | ItemKind::Invalid => true,
        }
    }

    /// The next item. After anything but a frame or a record the walk is over.
    pub(crate) fn next(&mut self) -> Result<Item, StoreError> {
        if !self.fill(4)? {
            return Ok(if self.buffer.is_empty() { Item::End } else { Item::Short });
        }
        match item_kind(u32_at(&self.buffer, 0)) {
            ItemKind::Frame => {
                if !self.fill(FRAME_HEADER_BYTES)? {
                    return Ok(Item::Short);
                }
                match FrameHeader::parse(&self.buffer, self.position, self.seed) {
                    Some(header) => {
                        self.advance(FRAME_HEADER_BYTES);
                        Ok(Item::Frame(header))
                    }
                    None => Ok(Item::Broken("a frame's header is not as written")),
                }
            }
            ItemKind::Record(length) => {
                if !self.fill(length)? {
                    return Ok(Item::Short);
                }
                match Record::parse(self.buffer.slice(..length), self.position, self.seed) {
                    Some(record) => {
                        self.advance(length);
                        Ok(Item::Record(record))
                    }
                    None => Ok(Item::Broken("a record is not as written")),
                }
            }
            ItemKind::Footer => Ok(Item::Footer),
            ItemKind::Blank => Ok(Item::Blank),
            ItemKind::Invalid => Ok(Item::Broken("neither a frame nor a record")),
        }
    }

    fn advance(&mut self, length: usize) {
        self.buffer.advance(length);
        self.position += length as u64;
    }

    /// Makes sure that `need` bytes are in memory; false if there are not that many before the limit.
    fn fill(&mut self, need: usize) -> Result<bool, StoreError> {
        if self.buffer.len() >= need {
            return Ok(true);
        }
        let available = self.limit.saturating_sub(self.position);
        let want = self.read_bytes.max(need) as u64;
        let mut buffer = vec![0; usize::try_from(want.min(available)).unwrap_or(usize::MAX)];
        let read = self
            .file
            .read_at(&mut buffer, self.position - self.base)
            .map_err(StoreError::io("read", self.path))?;
        buffer.truncate(read);
        self.buffer = Bytes::from(buffer);
        Ok(self.buffer.len() >= need)
    }
}
