//! Checks a whole segment, frame by frame, and tells a torn tail from damage.

use std::path::Path;

use super::disk::DiskFile;
use super::error::StoreError;
use super::frame::{FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader, RecordsCrc, Seed, u32_at};
use super::items::{Item, Items};
use super::segment::{Footer, MARK_DISTANCE_BYTES, SEGMENT_HEADER_BYTES};

/// Bytes per read of a scan.
const SCAN_READ_BYTES: usize = 1024 * 1024;

/// What a segment holds, as far as it is intact.
#[derive(Debug)]
pub(crate) struct Scan {
    /// Position after the last intact frame.
    pub(crate) end: u64,
    pub(crate) frames: u64,
    pub(crate) records: u64,
    pub(crate) frames_crc: u32,
    pub(crate) marks: Vec<u32>,
    pub(crate) tail: Tail,
}

/// What follows the last intact frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nothing, or zeros.
    Clean,
    /// The footer that fits the frames; the file ends after it.
    Sealed,
    /// Bytes that are no frame, and no frame after them: a write that a crash cut off.
    Torn { bytes: u64 },
    /// Bytes that are no frame, although later ones are intact: damage.
    Damaged { what: &'static str },
}

/// Scans the segment at `base`, whose header was checked.
pub(crate) fn scan_segment(
    file: &dyn DiskFile,
    path: &Path,
    base: u64,
    seed: Seed,
) -> Result<Scan, StoreError> {
    let size = file.size().map_err(StoreError::io("read the size of", path))?;
    let (start, limit) = (base + SEGMENT_HEADER_BYTES, base + size);
    let mut items = Items::new(file, path, base, seed, start..limit, SCAN_READ_BYTES);
    let frames_crc = seed.checksum(&[]);
    let mut scan =
        Scan { end: start, frames: 0, records: 0, frames_crc, marks: Vec::new(), tail: Tail::Clean };
    let stop = loop {
        let found = match items.next()? {
            Item::Frame(header) => scan_frame(&mut items, &mut scan, base, seed, header)?,
            Item::End => return Ok(scan),
            Item::Footer => Some("a footer that does not fit the frames"),
            Item::Blank => Some("zeros"),
            Item::Record(_) => Some("a record outside of a frame"),
            Item::Short => Some("an incomplete frame"),
            Item::Broken(what) => Some(what),
        };
        if let Some(what) = found {
            break what;
        }
        scan.end = items.position();
    };
    scan.tail = judge_tail(file, path, base, seed, &scan, size, stop)?;
    Ok(scan)
}

/// Checks the records of a frame; what is wrong with it, or `None`.
fn scan_frame(
    items: &mut Items<'_>,
    scan: &mut Scan,
    base: u64,
    seed: Seed,
    header: FrameHeader,
) -> Result<Option<&'static str>, StoreError> {
    let start = scan.end;
    let mut positions = vec![start];
    let mut crc = RecordsCrc::new(seed);
    for _ in 0..header.count {
        positions.push(items.position());
        match items.next()? {
            Item::Record(record) => crc.add(&record),
            Item::Broken(what) => return Ok(Some(what)),
            Item::End | Item::Short => return Ok(Some("an incomplete frame")),
            Item::Frame(_) | Item::Footer | Item::Blank => return Ok(Some("a frame with too few records")),
        }
    }
    if crc.value() != header.records_crc || items.position() != start + u64::from(header.length) {
        return Ok(Some("a frame whose records are not those that were written"));
    }
    for position in positions {
        let offset = position - base;
        let due = scan.marks.last().is_none_or(|last| offset >= u64::from(*last) + MARK_DISTANCE_BYTES);
        if let (true, Ok(offset)) = (due, u32::try_from(offset)) {
            scan.marks.push(offset);
        }
    }
    scan.frames += 1;
    scan.records += u64::from(header.count);
    scan.frames_crc = crc32c::crc32c_append(scan.frames_crc, &header.crc.to_le_bytes());
    Ok(None)
}

fn judge_tail(
    file: &dyn DiskFile,
    path: &Path,
    base: u64,
    seed: Seed,
    scan: &Scan,
    size: u64,
    what: &'static str,
) -> Result<Tail, StoreError> {
    if let Some(footer) = Footer::at_end_of(file, path, base, seed)? {
        let fits = footer.position == scan.end
            && footer.frames == scan.frames
            && footer.records == scan.records
            && footer.frames_crc == scan.frames_crc;
        return Ok(if fits { Tail::Sealed } else { Tail::Damaged { what } });
    }
    let offset = scan.end - base;
    let (mut window, zeros) = (vec![0; SCAN_READ_BYTES], vec![0; SCAN_READ_BYTES]);
    let mut only_zeros = true;
    let mut at = offset;
    while at < size {
        let read = file.read_at(&mut window, at).map_err(StoreError::io("read", path))?;
        let bytes = &window[..read];
        // a segment that was prepared is mostly zeros: comparing is far quicker than looking for frames
        let is_blank = *bytes == zeros[..read];
        only_zeros &= is_blank;
        if !is_blank && has_frame(bytes, base + at, seed, scan.end) {
            return Ok(Tail::Damaged { what });
        }
        if read < window.len() {
            break;
        }
        // a header may lie across two windows
        at += (read - FRAME_HEADER_BYTES) as u64;
    }
    Ok(if only_zeros { Tail::Clean } else { Tail::Torn { bytes: size - offset } })
}

/// Whether an intact frame header lies in `bytes`, which start at `position`, after the position `after`.
fn has_frame(bytes: &[u8], position: u64, seed: Seed, after: u64) -> bool {
    (0..bytes.len().saturating_sub(FRAME_HEADER_BYTES - 1)).any(|at| {
        let found = position + at as u64;
        found > after
            && u32_at(bytes, at) == FRAME_MAGIC
            && FrameHeader::parse(&bytes[at..at + FRAME_HEADER_BYTES], found, seed).is_some()
    })
}
