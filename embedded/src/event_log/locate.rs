//! Streams: from a revision to its record, and reading on from there.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::error::StoreError;
use super::frame::Record;
use super::head::{Head, described_stream};
use super::index::Index;
use super::log::Log;

/// The first read when following a run, because most runs are of a few events, and the longest: each doubles.
const RUN_READ_BYTES: usize = 4 * 1024;
const RUN_READ_BYTES_MAX: usize = 64 * 1024;
/// Events that one step of reading a stream gives at most.
const STEP_RECORDS_MAX: usize = 512;
/// Bytes after which a step stops: with the longest events this bounds what a reader holds in memory.
const STEP_BYTES_MAX: usize = 1024 * 1024;

/// Where a forward read of a stream goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamCursor {
    /// The next revision to read.
    pub revision: u64,
    /// The position of that revision's record, if the last step knew it.
    hint: Option<u64>,
}

impl StreamCursor {
    /// Starts at a revision.
    pub fn at(revision: u64) -> Self {
        Self { revision, hint: None }
    }
}

/// The record of a stream's revision.
pub(crate) fn record_at(
    index: &Index,
    log: &Log,
    key: u64,
    revision: u64,
) -> Result<Option<Record>, StoreError> {
    let Some((first, position)) = index.run_at(key, revision)? else {
        return Ok(None);
    };
    let stream = log.read_record(position)?.stream().to_vec();
    let mut found = None;
    follow_run(log, &stream, first, position, |record| {
        if record.revision() == revision {
            found = Some(record);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Visits the records of the run whose record of revision `first` is at `position`. Returns where the walk
/// was stopped by `visit`, and `None` if the run ended.
fn follow_run(
    log: &Log,
    stream: &[u8],
    first: u64,
    position: u64,
    mut visit: impl FnMut(Record) -> ControlFlow<()>,
) -> Result<Option<u64>, StoreError> {
    let mut next = position;
    let mut expected = first;
    let mut read_bytes = RUN_READ_BYTES;
    loop {
        let chunk = log.read_forwards(next, read_bytes)?;
        read_bytes = (read_bytes * 2).min(RUN_READ_BYTES_MAX);
        if chunk.records.is_empty() {
            return Ok(None);
        }
        for record in chunk.records {
            if record.stream() != stream || record.revision() != expected {
                return if expected == first { Err(mismatch(stream, first, position)) } else { Ok(None) };
            }
            expected += 1;
            let after = record.position() + record.len() as u64;
            if visit(record).is_break() {
                return Ok(Some(after));
            }
        }
        next = chunk.next;
    }
}

fn mismatch(stream: &[u8], revision: u64, position: u64) -> StoreError {
    let stream = String::from_utf8_lossy(stream);
    StoreError::IndexMismatch {
        what: format!("revision {revision} of stream {stream} is not at position {position}"),
    }
}

/// The head that reads of a stream go by. A metadata stream shows its last event only.
pub(crate) fn head_for_reading(index: &Index, stream: &str) -> Result<Head, StoreError> {
    let mut head = index.head(stream)?.unwrap_or_default();
    if let Some(described) = described_stream(stream) {
        head.max_count = Some(1);
        head.tombstoned |= index.head(described)?.is_some_and(|described| described.tombstoned);
    }
    Ok(head)
}

/// One step of reading a stream forwards: at least one record, unless the cursor is beyond `last`.
pub(crate) fn step_forwards(
    index: &Index,
    log: &Log,
    stream: &str,
    head: &Head,
    cursor: &mut StreamCursor,
) -> Result<Vec<Record>, StoreError> {
    let (Some(key), Some(last)) = (head.key, head.last) else {
        return Ok(Vec::new());
    };
    let mut records = Vec::new();
    let mut bytes = 0;
    while cursor.revision <= last && records.len() < STEP_RECORDS_MAX && bytes < STEP_BYTES_MAX {
        let from = cursor.revision;
        let (first, position) = match cursor.hint.take().filter(|at| is_record(log, *at, stream, from)) {
            Some(position) => (from, position),
            None => index.run_at(key, from)?.ok_or_else(|| mismatch(stream.as_bytes(), from, 0))?,
        };
        cursor.hint = follow_run(log, stream.as_bytes(), first, position, |record| {
            if record.revision() >= from {
                bytes += record.len();
                cursor.revision = record.revision() + 1;
                records.push(record);
            }
            if records.len() < STEP_RECORDS_MAX && bytes < STEP_BYTES_MAX && cursor.revision <= last {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        if cursor.revision == from {
            return Err(mismatch(stream.as_bytes(), from, position));
        }
    }
    Ok(records)
}

/// Whether the run goes on at `position`; if not, only the index knows where the revision is.
fn is_record(log: &Log, position: u64, stream: &str, revision: u64) -> bool {
    log.read_record(position)
        .is_ok_and(|record| record.stream() == stream.as_bytes() && record.revision() == revision)
}

/// One step of reading a stream backwards from `revision`: at least one record, last first.
pub(crate) fn step_backwards(
    index: &Index,
    log: &Log,
    stream: &str,
    head: &Head,
    revision: u64,
) -> Result<Vec<Record>, StoreError> {
    let (Some(key), true) = (head.key, head.last.is_some_and(|last| revision <= last)) else {
        return Ok(Vec::new());
    };
    let (first, position) =
        index.run_at(key, revision)?.ok_or_else(|| mismatch(stream.as_bytes(), revision, 0))?;
    let mut window = VecDeque::new();
    let mut bytes = 0;
    follow_run(log, stream.as_bytes(), first, position, |record| {
        let reached = record.revision() == revision;
        bytes += record.len();
        window.push_back(record);
        while window.len() > STEP_RECORDS_MAX || (bytes > STEP_BYTES_MAX && window.len() > 1) {
            bytes -= window.pop_front().map_or(0, |oldest| oldest.len());
        }
        if reached { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if window.back().is_none_or(|record| record.revision() != revision) {
        return Err(mismatch(stream.as_bytes(), revision, position));
    }
    Ok(window.into_iter().rev().collect())
}
