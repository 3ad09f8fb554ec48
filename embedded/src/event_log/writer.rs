//! The one thread that writes the log.
//!
//! It takes whatever waits in the queue, decides each command on top of the ones before it, and puts all the
//! resulting events into one frame: one write and one flush for all of them (group commit). While the disk is
//! busy the next batch gathers, so throughput grows with load while latency stays near that of one flush.
//! After the flush come the index, then the readers, then the callers: nothing is acknowledged or shown
//! before it is durable. If a write or a flush fails, the log takes no more writes until it is opened again,
//! because what a failed flush left on the disk is unknown.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tracing::{error, info};

use super::appender::{Appender, Landed};
use super::decide::{Decision, decide_append, decide_delete, decide_tombstone};
use super::directory::DurableMark;
use super::error::{AppendError, StoreError, describe};
use super::frame::{FrameBuilder, TOMBSTONE_REVISION};
use super::head::{DELETED_BEFORE, METADATA_TYPE, TOMBSTONE_TYPE, described_stream};
use super::locate::record_at;
use super::meters::figure;
use super::repeats::Repeats;
use super::space::Space;
use super::stage::{Entry, Stage};
use super::store::Shared;
use super::tail::Committed;
use super::types::{Command, Expected, NewEvent, WriteResult, Written};

/// Commands in one frame. Enough for thousands of writers; more would only lengthen the wait of the first.
const BATCH_COMMANDS_MAX: usize = 4_096;
/// Bytes in one frame before no further command is added: some milliseconds of disk time.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Room for the header and the names of a command's records; only a guess, to allocate once.
const COMMAND_OVERHEAD_BYTES: usize = 256;

/// A command on its way to the writer.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) command: Command,
    pub(crate) reply: oneshot::Sender<WriteResult>,
    pub(crate) queued_at: Instant,
    /// The queue's bytes that this command holds; given back when it is answered.
    pub(crate) _permit: OwnedSemaphorePermit,
}

/// What only the writer touches.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) appender: Appender,
    pub(crate) durable: DurableMark,
    pub(crate) space: Space,
}

/// Runs until all senders are gone. Returns the appender for the clean shutdown, if it is still sound.
pub(crate) fn run(
    shared: &Arc<Shared>,
    mut ends: Ends,
    repeats: Repeats,
    mut queue: mpsc::Receiver<Request>,
) -> Option<Appender> {
    let mut stage = Stage::new(&shared.index, repeats);
    let mut failed: Option<String> = None;
    let mut batch = Vec::new();
    while let Some(first) = queue.blocking_recv() {
        gather(&mut batch, first, &mut queue);
        shared.meters.queue_commands.set(figure(queue.len() as u64));
        let full = ends.space.refusal(shared, ends.appender.end);
        if let Some(reason) = failed.as_deref().or(full) {
            refuse(&mut batch, reason);
            continue;
        }
        let written = write_batch(shared, &mut ends, &mut stage, &mut batch);
        if let Err(cause) = shared.checked(written) {
            let reason = describe(&cause);
            error!(%reason, "the log takes no more writes: {reason}");
            shared.fail(reason.clone());
            refuse(&mut batch, &reason);
            failed = Some(reason);
        }
    }
    info!("the log's writer ends");
    failed.is_none().then_some(ends.appender)
}

fn gather(batch: &mut Vec<Request>, first: Request, queue: &mut mpsc::Receiver<Request>) {
    let mut bytes = command_bytes(&first.command);
    batch.push(first);
    while batch.len() < BATCH_COMMANDS_MAX && bytes < BATCH_BYTES_MAX {
        let Ok(next) = queue.try_recv() else { return };
        bytes += command_bytes(&next.command);
        batch.push(next);
    }
}

pub(crate) fn command_bytes(command: &Command) -> usize {
    match command {
        Command::Append { events, .. } => events.iter().map(NewEvent::size_bytes).sum(),
        Command::Delete { .. } | Command::Tombstone { .. } => 0,
    }
}

fn refuse(batch: &mut Vec<Request>, reason: &str) {
    for request in batch.drain(..) {
        let answer = Err(AppendError::Unavailable { reason: reason.to_owned() });
        // a caller that went away needs no answer
        drop(request.reply.send(answer));
    }
}

/// Decides, writes, flushes, indexes, shows and answers one batch; answers nobody if it fails.
fn write_batch(
    shared: &Shared,
    ends: &mut Ends,
    stage: &mut Stage<'_>,
    batch: &mut Vec<Request>,
) -> Result<(), StoreError> {
    let bytes: usize = batch.iter().map(|request| command_bytes(&request.command)).sum();
    let position = ends.appender.start_frame(&shared.log)?;
    let mut frame = Frame {
        shared,
        stage,
        builder: FrameBuilder::new(position, shared.log.seed(), bytes + batch.len() * COMMAND_OVERHEAD_BYTES),
        now: now_ticks(),
    };
    let mut answers = Vec::with_capacity(batch.len());
    for request in batch.iter() {
        answers.push(frame.take(&request.command)?);
    }
    let builder = frame.builder;
    if !builder.is_empty() {
        commit(shared, ends, stage, builder)?;
    }
    shared.meters.batch_commands.record(figure(batch.len() as u64));
    let now = Instant::now();
    // newest first: a session that waits for its oldest answer is woken when all the others are there, too
    for (request, answer) in batch.drain(..).zip(answers).rev() {
        let waited = now.saturating_duration_since(request.queued_at);
        shared.meters.append_seconds.record(waited.as_secs_f64());
        drop(request.reply.send(answer));
    }
    Ok(())
}

fn commit(
    shared: &Shared,
    ends: &mut Ends,
    stage: &mut Stage<'_>,
    builder: FrameBuilder,
) -> Result<(), StoreError> {
    let count = builder.count();
    let bytes = builder.finish();
    let Landed { position, end } = ends.appender.write(&bytes, &shared.meters.flush_seconds)?;
    ends.durable.write(end);
    let (start, length) = (shared.log.committed().min(position), bytes.len());
    shared.tail.push(Committed { start, end, frame: bytes });
    // before the index: what that names must be readable
    shared.log.commit(end);
    shared.index.apply(stage.take(), end)?;
    shared.tail.announce(end);
    measure(shared, count, length, end);
    Ok(())
}

fn measure(shared: &Shared, count: u32, bytes: usize, end: u64) {
    let meters = &shared.meters;
    meters.events.increment(u64::from(count));
    meters.bytes.increment(bytes as u64);
    meters.end.set(figure(end));
    meters.index_memory_bytes.set(figure(shared.index.memory_bytes() as u64));
    meters.index_lag_bytes.set(figure(end - shared.index.watermark().unwrap_or(0).min(end)));
}

/// The frame that a batch fills.
struct Frame<'a, 'b> {
    shared: &'a Shared,
    stage: &'a mut Stage<'b>,
    builder: FrameBuilder,
    now: u64,
}

impl Frame<'_, '_> {
    fn take(&mut self, command: &Command) -> Result<WriteResult, StoreError> {
        match command {
            Command::Append { stream, expected, events } => self.append(stream, *expected, events),
            Command::Delete { stream, expected } => self.delete(stream, *expected),
            Command::Tombstone { stream, expected } => self.tombstone(stream, *expected),
        }
    }

    fn append(
        &mut self,
        stream: &str,
        expected: Expected,
        events: &[NewEvent],
    ) -> Result<WriteResult, StoreError> {
        let first = match decide_append(self.stage, &self.shared.log, stream, expected, events)? {
            Decision::Write { first_revision } => first_revision,
            Decision::Repeat(written) => {
                self.shared.meters.repeats.increment(1);
                return Ok(Ok(written));
            }
            Decision::Refuse(refusal) => return Ok(Err(refusal)),
        };
        let was_deleted = self.stage.head(stream)?.is_soft_deleted();
        let described = described_stream(stream);
        let described_was_deleted = match described {
            Some(described) => self.stage.head(described)?.is_soft_deleted(),
            None => false,
        };
        let mut written = Written { revision: None, position: None };
        for (revision, event) in (first..).zip(events) {
            written = self.push(stream, revision, event)?;
        }
        if was_deleted {
            self.truncate(stream, first)?;
        }
        if let (Some(described), true) = (described, described_was_deleted) {
            self.revive_by_metadata(described)?;
        }
        Ok(Ok(written))
    }

    /// Metadata written to a deleted stream revives it, without showing what was deleted.
    fn revive_by_metadata(&mut self, described: &str) -> Result<(), StoreError> {
        let head = self.stage.head(described)?;
        if head.truncate_before.is_none() {
            self.truncate(described, head.next_revision())?;
        }
        Ok(())
    }

    fn delete(&mut self, stream: &str, expected: Expected) -> Result<WriteResult, StoreError> {
        match decide_delete(self.stage, stream, expected)? {
            Decision::Write { .. } => Ok(Ok(self.truncate(stream, DELETED_BEFORE)?)),
            Decision::Repeat(written) => Ok(Ok(written)),
            Decision::Refuse(refusal) => Ok(Err(refusal)),
        }
    }

    fn tombstone(&mut self, stream: &str, expected: Expected) -> Result<WriteResult, StoreError> {
        match decide_tombstone(self.stage, stream, expected)? {
            Decision::Write { .. } => {
                let event = system_event(TOMBSTONE_TYPE, Vec::new());
                self.push(stream, TOMBSTONE_REVISION, &event).map(Ok)
            }
            Decision::Repeat(written) => Ok(Ok(written)),
            Decision::Refuse(refusal) => Ok(Err(refusal)),
        }
    }

    /// Sets `$tb` and keeps the other keys of the stream's metadata.
    fn truncate(&mut self, stream: &str, before: u64) -> Result<Written, StoreError> {
        let metastream = format!("$${stream}");
        let head = self.stage.head(&metastream)?;
        let mut metadata = self.metadata_of(&metastream)?;
        metadata.insert("$tb".to_owned(), before.into());
        let json = serde_json::Value::Object(metadata).to_string();
        self.push(&metastream, head.next_revision(), &system_event(METADATA_TYPE, json.into_bytes()))
    }

    fn metadata_of(
        &mut self,
        metastream: &str,
    ) -> Result<serde_json::Map<String, serde_json::Value>, StoreError> {
        let head = self.stage.head(metastream)?;
        let (Some(key), Some(last)) = (head.key, head.last) else {
            return Ok(serde_json::Map::new());
        };
        let json = match self.stage.staged.metadata.get(metastream) {
            Some(staged) => staged.clone(),
            None => record_at(&self.shared.index, &self.shared.log, key, last)?
                .map(|record| record.data().to_vec())
                .unwrap_or_default(),
        };
        match serde_json::from_slice(&json) {
            Ok(serde_json::Value::Object(metadata)) => Ok(metadata),
            _ => Ok(serde_json::Map::new()),
        }
    }

    fn push(&mut self, stream: &str, revision: u64, event: &NewEvent) -> Result<Written, StoreError> {
        let position = self.builder.push(stream, revision, self.now, event);
        let (event_type, data) = (event.event_type.as_bytes(), &event.data[..]);
        self.stage.add(Entry { stream, revision, position, id: event.id, event_type, data })?;
        Ok(Written { revision: Some(revision), position: Some(position) })
    }
}

fn system_event(event_type: &str, data: Vec<u8>) -> NewEvent {
    NewEvent {
        id: uuid::Uuid::new_v4(),
        event_type: event_type.to_owned(),
        content_type: "application/json".to_owned(),
        metadata: bytes::Bytes::new(),
        data: data.into(),
    }
}

/// Now, in 100 ns ticks since 1970.
pub(crate) fn now_ticks() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_nanos() / 100).unwrap_or(u64::MAX)
}
