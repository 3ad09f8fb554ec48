//! Whether a write is done, was done before, or is refused. Reads the stage, changes nothing.

use uuid::Uuid;

use super::error::{AppendError, StoreError};
use super::head::{Head, described_stream};
use super::locate::{StreamCursor, record_at, step_forwards};
use super::log::Log;
use super::stage::Stage;
use super::types::{Expected, NewEvent, Written};

/// What to do with a write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Write the events from this revision on.
    Write { first_revision: u64 },
    /// The same events are there already.
    Repeat(Written),
    /// Say why not.
    Refuse(AppendError),
}

/// Decides an append.
///
/// A repeat is recognised as the real server does it: below the head by comparing the ids at the revisions
/// that the append would have taken; without a revision by the ids alone, among those that were written
/// lately. If only a part matches, the caller is told that its view of the stream is wrong.
pub(crate) fn decide_append(
    stage: &mut Stage<'_>,
    log: &Log,
    stream: &str,
    expected: Expected,
    events: &[NewEvent],
) -> Result<Decision, StoreError> {
    let head = stage.head(stream)?;
    if is_closed(stage, stream, &head)? {
        return Ok(Decision::Refuse(AppendError::StreamDeleted));
    }
    let wrong = Decision::Refuse(AppendError::WrongExpectedVersion { expected, current: head.last });
    let write = Decision::Write { first_revision: head.next_revision() };
    if events.is_empty() {
        return empty_append(stage, log, &head, expected, wrong);
    }
    match expected {
        Expected::Exists if head.is_soft_deleted() => Ok(wrong),
        Expected::Exists if head.last.is_none() && !has_metadata(stage, stream)? => Ok(wrong),
        Expected::Any | Expected::Exists => repeat_by_id(stage, log, (stream, &head), events, write, wrong),
        Expected::NoStream if head.last.is_none() || head.is_soft_deleted() => Ok(write),
        Expected::Exact(revision) if head.last == Some(revision) => Ok(write),
        Expected::NoStream => Ok(repeat_at(stage, log, (stream, &head), 0, events)?.unwrap_or(wrong)),
        Expected::Exact(revision) if head.last.is_some_and(|last| revision < last) => {
            Ok(repeat_at(stage, log, (stream, &head), revision + 1, events)?.unwrap_or(wrong))
        }
        Expected::Exact(_) => Ok(wrong),
    }
}

/// Decides a delete; `Write` carries the revision after the stream's last event. A stream that never had an
/// event cannot be deleted, whatever was expected.
pub(crate) fn decide_delete(
    stage: &mut Stage<'_>,
    stream: &str,
    expected: Expected,
) -> Result<Decision, StoreError> {
    match stage.head(stream)? {
        head if head.last.is_none() && !is_closed(stage, stream, &head)? => {
            Ok(Decision::Refuse(AppendError::WrongExpectedVersion { expected, current: None }))
        }
        _ => decide_tombstone(stage, stream, expected),
    }
}

/// Decides a tombstone, which unlike a delete also closes a stream that never had an event.
pub(crate) fn decide_tombstone(
    stage: &mut Stage<'_>,
    stream: &str,
    expected: Expected,
) -> Result<Decision, StoreError> {
    let head = stage.head(stream)?;
    if is_closed(stage, stream, &head)? || (head.is_soft_deleted() && expected == Expected::Exists) {
        return Ok(Decision::Refuse(AppendError::StreamDeleted));
    }
    let fits = match expected {
        Expected::Any => true,
        Expected::Exists => head.last.is_some(),
        Expected::NoStream => head.last.is_none() || head.is_soft_deleted(),
        Expected::Exact(revision) => head.last == Some(revision),
    };
    Ok(if fits {
        Decision::Write { first_revision: head.next_revision() }
    } else {
        Decision::Refuse(AppendError::WrongExpectedVersion { expected, current: head.last })
    })
}

/// A tombstone closes the stream and its metadata.
fn is_closed(stage: &mut Stage<'_>, stream: &str, head: &Head) -> Result<bool, StoreError> {
    let described_closed = match described_stream(stream) {
        Some(described) => stage.head(described)?.tombstoned,
        None => false,
    };
    Ok(head.tombstoned || described_closed)
}

fn has_metadata(stage: &mut Stage<'_>, stream: &str) -> Result<bool, StoreError> {
    Ok(stage.head(&format!("$${stream}"))?.last.is_some())
}

fn empty_append(
    stage: &Stage<'_>,
    log: &Log,
    head: &Head,
    expected: Expected,
    wrong: Decision,
) -> Result<Decision, StoreError> {
    let fits = match expected {
        Expected::Any => true,
        Expected::NoStream => head.last.is_none() || head.is_soft_deleted(),
        Expected::Exists => head.last.is_some() && !head.is_soft_deleted(),
        Expected::Exact(revision) => head.last == Some(revision),
    };
    if !fits {
        return Ok(wrong);
    }
    let position = match (head.key, head.last) {
        (Some(key), Some(last)) => staged_or_stored(stage, log, key, last)?.map(|(_, position)| position),
        _ => None,
    };
    Ok(Decision::Repeat(Written { revision: head.last, position }))
}

/// Without a revision: all ids known is a repeat, the first one unknown is new, anything else is wrong.
fn repeat_by_id(
    stage: &Stage<'_>,
    log: &Log,
    (stream, head): (&str, &Head),
    events: &[NewEvent],
    write: Decision,
    wrong: Decision,
) -> Result<Decision, StoreError> {
    let Some(key) = head.key else {
        return Ok(write);
    };
    let name = stage.name(stream);
    let mut last = None;
    for (at, event) in events.iter().enumerate() {
        match stage.revision_of(name, event.id) {
            Some(revision) => last = last.max(Some(revision)),
            None if at == 0 => return Ok(write),
            None => return Ok(wrong),
        }
    }
    // events that a delete hid are gone for the caller: the same ids may be written again
    match last {
        Some(revision) if revision >= head.first_visible() => written_at(stage, log, key, revision),
        _ => Ok(write),
    }
}

/// The events at these revisions, if they are the same ones: first those in the log, then those of the frame.
fn repeat_at(
    stage: &Stage<'_>,
    log: &Log,
    (stream, head): (&str, &Head),
    first: u64,
    events: &[NewEvent],
) -> Result<Option<Decision>, StoreError> {
    let Some(key) = head.key else {
        return Ok(None);
    };
    let mut stored = stage.index.head(stream)?.unwrap_or_default();
    // what follows the last revision in question need not be read
    let end = first + events.len() as u64;
    stored.last = stored.last.map(|last| last.min(end - 1));
    let mut rest = events.iter();
    let mut cursor = StreamCursor::at(first);
    while stored.last.is_some_and(|last| cursor.revision <= last) {
        for record in step_forwards(stage.index, log, stream, &stored, &mut cursor)? {
            if rest.next().is_none_or(|event| event.id != record.id()) {
                return Ok(None);
            }
        }
    }
    let name = stage.name(stream);
    for (revision, event) in (cursor.revision..).zip(rest) {
        // the id may have been used again later: then the event itself decides
        let is_newest = stage.revision_of(name, event.id) == Some(revision);
        if !is_newest && stage.staged.event_at(key, revision).is_none_or(|(id, _)| id != event.id) {
            return Ok(None);
        }
    }
    written_at(stage, log, key, end - 1).map(Some)
}

fn written_at(stage: &Stage<'_>, log: &Log, key: u64, revision: u64) -> Result<Decision, StoreError> {
    let position = staged_or_stored(stage, log, key, revision)?.map(|(_, position)| position);
    Ok(Decision::Repeat(Written { revision: Some(revision), position }))
}

fn staged_or_stored(
    stage: &Stage<'_>,
    log: &Log,
    key: u64,
    revision: u64,
) -> Result<Option<(Uuid, u64)>, StoreError> {
    if let Some(found) = stage.staged.event_at(key, revision) {
        return Ok(Some(found));
    }
    let record = record_at(stage.index, log, key, revision)?;
    Ok(record.map(|record| (record.id(), record.position())))
}
