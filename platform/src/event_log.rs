//! The event-log port: the little that Tally needs of a log, and no business words.
//!
//! Two adapters: [`eventstore`] speaks to EventStoreDB, KurrentDB or the embedded node; [`memory`] is
//! deterministic, in process, and can be told to fail. Only the command handler appends domain events.

pub mod codec;
pub mod eventstore;
pub mod memory;
pub mod subscription;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use schemas::{EventId, Position, Revision};
use std::time::Duration;
use thiserror::Error;

/// An event as it goes to the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewEvent {
    /// The log stores an id at most once in a stream: an append that is repeated is no second event.
    pub id: EventId,
    /// The stored name.
    pub kind: String,
    /// JSON.
    pub data: Bytes,
    /// JSON.
    pub metadata: Bytes,
}

/// An event as it comes from the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredEvent {
    /// The event's own id.
    pub id: EventId,
    /// The stream that it stands in.
    pub stream: String,
    /// Its number there.
    pub revision: Revision,
    /// Its place in the whole log.
    pub position: Position,
    /// The stored name.
    pub kind: String,
    /// JSON.
    pub data: Bytes,
    /// JSON.
    pub metadata: Bytes,
}

/// What a stream must look like for an append to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expected {
    /// Whatever it looks like. Only for streams that hold no domain events (snapshots).
    Any,
    /// It has no events.
    NoStream,
    /// Its last event has this revision.
    Revision(Revision),
}

impl Expected {
    /// The expectation that follows from the last revision seen; `None`: no event yet.
    #[must_use]
    pub fn after(last: Option<Revision>) -> Self {
        last.map_or(Self::NoStream, Self::Revision)
    }
}

/// A durable append.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// The revision of its last event.
    pub revision: Revision,
    /// The position of its last event.
    pub position: Position,
}

/// Why an append was not acknowledged.
#[derive(Debug, Error)]
pub enum AppendError {
    /// The stream is not as expected; nothing was written.
    #[error("stream is at another revision than expected")]
    WrongExpected {
        /// Its last revision, `None` where it has no events.
        actual: Option<Revision>,
    },
    /// The append may or may not have been written: read to find out.
    #[error("the outcome of the append is unknown")]
    OutcomeUnknown(#[source] Cause),
    /// Nothing was written, and a repeat of the same will fail too.
    #[error("the log refused the append")]
    Refused(#[source] Cause),
}

/// An append without events, which no log takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("an append without events")]
pub struct NoEvents;

/// Why a read failed. Always worth a repeat later.
#[derive(Debug, Error)]
#[error("the log cannot be read")]
pub struct ReadError(#[source] pub Cause);

/// Which events of the whole log are wanted: those of streams with one of these prefixes.
pub type Prefixes = &'static [&'static str];

/// What a subscription to the whole log yields, in log order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LogItem {
    /// An event.
    Event(StoredEvent),
    /// No wanted event stands at or before this position beyond those already yielded.
    Checkpoint(Position),
    /// From here on events are live.
    CaughtUp,
}

/// Items of the whole log. Ends only by an error; open it again after the last position seen.
pub type LogItems = BoxStream<'static, Result<LogItem, ReadError>>;

/// The log.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Appends events to one stream, all or none, durable when it answers `Ok`. The same events (ids) at the
    /// same expectation again answer `Ok` without a second write.
    async fn append(
        &self,
        stream: &str,
        expected: Expected,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError>;

    /// At most `limit` events of a stream, from `from` on, in order. Empty where there are none (or no stream).
    async fn read_stream(
        &self,
        stream: &str,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError>;

    /// At most `limit` events of a stream, backwards from `from` (`None`: from the last).
    async fn read_stream_back(
        &self,
        stream: &str,
        from: Option<Revision>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError>;

    /// The position of the last event of the whole log; `None` where it is empty.
    async fn head(&self) -> Result<Option<Position>, ReadError>;

    /// All events after `after` (`None`: all) of the wanted streams, then live ones, without end.
    /// The position of a [`LogItem::Checkpoint`] advances on unwanted events too, within
    /// [`CHECKPOINT_INTERVAL`] when live.
    async fn subscribe(&self, after: Option<Position>, wanted: Prefixes) -> Result<LogItems, ReadError>;
}

/// How long a live subscription may go without a checkpoint while unwanted events are appended.
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// The cause of a failure at the log, whatever the client library calls it.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;
