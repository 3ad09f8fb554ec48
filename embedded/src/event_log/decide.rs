//! Whether a write is done, was done before, or is refused. Reads the stage, changes nothing.

use uuid::Uuid;

use super::error::{AppendError, StoreError};
use super::head::{Head, described_stream};
use super::locate::record_at;
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
/// that the append would have taken; without a revision by the ids alone. If only a part matches, the caller
/// is told that its view of the stream is wrong.
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
        Expected::Any | Expected::Exists => repeat_by_id(stage, log, &head, events, write, wrong),
        Expected::NoStream if head.last.is_none() || head.is_soft_deleted() => Ok(write),
        Expected::Exact(revision) if head.last == Some(revision) => Ok(write),
        Expected::NoStream => repeat_at(stage, log, &head, 0, events, wrong),
        Expected::Exact(revision) if head.last.is_some_and(|last| revision < last) => {
            repeat_at(stage, log, &head, revision + 1, events, wrong)
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
    head: &Head,
    events: &[NewEvent],
    write: Decision,
    wrong: Decision,
) -> Result<Decision, StoreError> {
    let Some(key) = head.key else {
        return Ok(write);
    };
    let mut last = None;
    for (at, event) in events.iter().enumerate() {
        match stage.revision_of(key, event.id)? {
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

fn repeat_at(
    stage: &Stage<'_>,
    log: &Log,
    head: &Head,
    first: u64,
    events: &[NewEvent],
    wrong: Decision,
) -> Result<Decision, StoreError> {
    let (Some(key), Some(last)) = (head.key, head.last) else {
        return Ok(wrong);
    };
    let mut revision = first;
    for event in events {
        if revision > last || !is_event_at(stage, log, key, revision, event.id)? {
            return Ok(wrong);
        }
        revision += 1;
    }
    written_at(stage, log, key, revision - 1)
}

fn is_event_at(stage: &Stage<'_>, log: &Log, key: u64, revision: u64, id: Uuid) -> Result<bool, StoreError> {
    match stage.revision_of(key, id)? {
        None => Ok(false),
        Some(found) if found == revision => Ok(true),
        // the id was used again later: the record itself decides
        Some(_) => Ok(staged_or_stored(stage, log, key, revision)?.is_some_and(|(stored, _)| stored == id)),
    }
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
