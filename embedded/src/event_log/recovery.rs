//! Opening a log directory: which bytes are the log, and is the index with them.
//!
//! Writes are strictly sequential and each is flushed before the next begins. So an intact frame proves that
//! everything before it was flushed, and at most the last frame can be torn. Bytes that are no frame are
//! therefore a torn tail, which is cut off, only if nothing says that they were durable once: no intact frame
//! after them, no segment after theirs, no index entry for them, no note that they were flushed, no clean
//! shutdown behind them. Otherwise they
//! are damage, and the log is not opened: cutting there would silently lose acknowledged events.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tracing::{info, warn};

use super::appender::Appender;
use super::directory::CleanMark;
use super::disk::DiskFile;
use super::error::StoreError;
use super::frame::{Record, TOMBSTONE_REVISION};
use super::index::Index;
use super::log::Log;
use super::repeats::{RECALLED_LOG_BYTES, Repeats};
use super::scan::{Scan, Tail, scan_segment};
use super::segment::{
    Footer, SEGMENT_HEADER_BYTES, SEGMENT_SUFFIX, Segment, check_segment_header, encode_segment_header,
    segment_path,
};
use super::spare::Spare;
use super::stage::{Entry, Stage};

/// Bytes of the log per step of a replay.
const REPLAY_READ_BYTES: usize = 1024 * 1024;
/// A long replay says how far it is this often.
const REPLAY_LOG_BYTES: u64 = 256 * 1024 * 1024;

/// The positions at which the directory's segments start, ascending.
pub(crate) fn list_segments(directory: &Path) -> Result<Vec<u64>, StoreError> {
    let mut bases = Vec::new();
    for entry in fs::read_dir(directory).map_err(StoreError::io("list", directory))? {
        let name = entry.map_err(StoreError::io("list", directory))?.file_name();
        if let Some(stem) = name.to_string_lossy().strip_suffix(SEGMENT_SUFFIX) {
            bases.push(stem.parse().map_err(|_| StoreError::Format {
                path: directory.join(&name),
                what: "the file's name is not a position".to_owned(),
            })?);
        }
    }
    bases.sort_unstable();
    Ok(bases)
}

/// Checks all segments but the last one by their footers, and adds them to the log.
pub(crate) fn open_sealed(log: &Log, bases: &[u64]) -> Result<(), StoreError> {
    if let Some(first) = bases.first().filter(|first| **first != 0) {
        let path = segment_path(log.directory(), *first);
        return Err(StoreError::corrupt(&path, 0, "the segments before this one are missing"));
    }
    for pair in bases.windows(2) {
        let (base, next) = (pair[0], pair[1]);
        let path = segment_path(log.directory(), base);
        let file = log.disk().open(&path).map_err(StoreError::io("open", &path))?;
        check_segment_header(&*file, &path, base, log.log_id())?;
        let size = file.size().map_err(StoreError::io("read the size of", &path))?;
        if base + size != next {
            let what =
                format!("the segment is {size} bytes long, but the next one starts at position {next}");
            return Err(StoreError::corrupt(&path, size, what));
        }
        let footer = Footer::at_end_of(&*file, &path, base, log.seed())?
            .ok_or_else(|| StoreError::corrupt(&path, size, "the footer at the end is not as written"))?;
        log.add_segment(Arc::new(Segment::sealed(log.directory(), base, footer.position)));
    }
    Ok(())
}

/// What opening the last segment must know.
#[derive(Debug)]
pub(crate) struct Evidence {
    /// Everything before this position is in the index, or was noted after its flush: it was durable.
    pub(crate) durable: Option<u64>,
    /// The log's end at a clean shutdown.
    pub(crate) clean: Option<CleanMark>,
}

/// Opens the last segment for appending: cuts a torn tail, refuses a damaged one.
pub(crate) fn open_tail(
    log: &Log,
    base: u64,
    evidence: &Evidence,
    segment_bytes: u64,
) -> Result<Appender, StoreError> {
    let path = segment_path(log.directory(), base);
    let file = log.disk().open(&path).map_err(StoreError::io("open", &path))?;
    repair_header(log, &*file, &path, base, evidence)?;
    let scan = scan_segment(&*file, &path, base, log.seed())?;
    check_tail(&path, base, &scan, evidence)?;
    // a process that died left what it wrote, but perhaps not flushed: nothing may be built on it before it is
    file.sync().map_err(StoreError::io("flush", &path))?;
    log.disk().sync_directory(log.directory()).map_err(StoreError::io("flush", log.directory()))?;
    if let Tail::Torn { bytes } = scan.tail {
        let offset = scan.end - base;
        warn!(file = %path.display(), offset, bytes, "cutting {bytes} bytes of an unfinished write from the log");
        metrics::counter!("event_log_torn_bytes_total").increment(bytes);
        file.truncate(offset).map_err(StoreError::io("truncate", &path))?;
        file.sync().map_err(StoreError::io("flush", &path))?;
    }
    if scan.tail == Tail::Sealed {
        log.add_segment(Arc::new(Segment::sealed(log.directory(), base, scan.end)));
        let size = file.size().map_err(StoreError::io("read the size of", &path))?;
        return Appender::create(log, base + size, segment_bytes);
    }
    let segment = Arc::new(Segment::active(log.directory(), base, scan.marks));
    log.add_segment(Arc::clone(&segment));
    let Scan { end, frames, records, frames_crc, .. } = scan;
    // zeros after the last frame are space that was prepared and not used yet
    let spare = Spare::begin(log.directory(), log.disk(), segment_bytes);
    Ok(Appender { segment, file, end, frames, records, frames_crc, segment_bytes, spare })
}

/// A crash while a segment was created may leave its header unfinished; then nothing else is in it.
fn repair_header(
    log: &Log,
    file: &dyn DiskFile,
    path: &Path,
    base: u64,
    evidence: &Evidence,
) -> Result<(), StoreError> {
    let size = file.size().map_err(StoreError::io("read the size of", path))?;
    let checked = check_segment_header(file, path, base, log.log_id());
    let was_durable = evidence.clean.is_some()
        || evidence.durable.is_some_and(|durable| durable > base + SEGMENT_HEADER_BYTES);
    if checked.is_ok() || was_durable || size > SEGMENT_HEADER_BYTES {
        return checked;
    }
    warn!(file = %path.display(), "finishing a segment whose creation was cut off");
    file.write_at(&encode_segment_header(base, log.log_id()), 0).map_err(StoreError::io("write", path))?;
    file.sync().map_err(StoreError::io("flush", path))
}

fn check_tail(path: &Path, base: u64, scan: &Scan, evidence: &Evidence) -> Result<(), StoreError> {
    let offset = scan.end - base;
    if let Tail::Damaged { what } = scan.tail {
        return Err(StoreError::corrupt(path, offset, format!("{what}, and intact events follow")));
    }
    if let Some(mark) = evidence.clean
        && (mark.end != scan.end || matches!(scan.tail, Tail::Torn { .. }))
    {
        let what = format!("the log was closed cleanly at position {}, but does not end there", mark.end);
        return Err(StoreError::corrupt(path, offset, what));
    }
    if let Some(durable) = evidence.durable.filter(|durable| *durable > scan.end) {
        let what = format!("the events up to position {durable} were durable, but the log ends here");
        return Err(StoreError::corrupt(path, offset, what));
    }
    Ok(())
}

/// Remembers the newest events before `end`, so that repeats of them are recognised.
pub(crate) fn recall(log: &Log, end: u64) -> Result<Repeats, StoreError> {
    let mut repeats = Repeats::default();
    let mut position = log.align(log.committed().saturating_sub(RECALLED_LOG_BYTES))?;
    while position < end {
        let chunk = log.read_forwards(position, REPLAY_READ_BYTES)?;
        let events = chunk.records.iter().filter(|record| record.revision() != TOMBSTONE_REVISION);
        let events: Vec<_> = events
            .map(|record| Ok(((repeats.name(entry_of(record)?.stream), record.id()), record.revision())))
            .collect::<Result<_, StoreError>>()?;
        repeats.take_in(events.into_iter());
        position = chunk.next.max(position + 1);
    }
    Ok(repeats)
}

/// Brings the index up to the end of the log; the newest events are remembered then.
pub(crate) fn replay(
    log: &Log,
    index: &Index,
    repeats: Repeats,
    from: u64,
    end: u64,
) -> Result<Repeats, StoreError> {
    let mut stage = Stage::new(index, repeats);
    let mut position = from;
    let mut logged = from;
    let mut events: u64 = 0;
    let started = Instant::now();
    while position < end {
        let chunk = log.read_forwards(position, REPLAY_READ_BYTES)?;
        for record in &chunk.records {
            stage.add(entry_of(record)?)?;
        }
        events += chunk.records.len() as u64;
        position = chunk.next.max(position + 1);
        index.apply(stage.take(), position.min(end))?;
        if position - logged >= REPLAY_LOG_BYTES {
            logged = position;
            info!(position, end, "indexing the log: {position} of {end} bytes");
        }
    }
    if from < end {
        let millis = started.elapsed().as_millis();
        info!(events, from, end, "indexed {events} events that the index did not have, in {millis} ms");
    }
    Ok(stage.into_repeats())
}

fn entry_of(record: &Record) -> Result<Entry<'_>, StoreError> {
    let stream = std::str::from_utf8(record.stream()).map_err(|_| StoreError::IndexMismatch {
        what: format!("the stream's name at position {} is not text", record.position()),
    })?;
    Ok(Entry {
        stream,
        revision: record.revision(),
        position: record.position(),
        id: record.id(),
        event_type: record.event_type(),
        data: record.data(),
    })
}
