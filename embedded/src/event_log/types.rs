//! What goes into the store and what comes out of it.

use bytes::Bytes;
use uuid::Uuid;

use super::error::AppendError;

/// The revision that the caller of a write believes the stream to be at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// No belief.
    Any,
    /// The stream has no events.
    NoStream,
    /// The stream has at least one event.
    Exists,
    /// The stream's last event has this revision.
    Exact(u64),
}

/// An event to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Identifies the event within its stream. A repeat with the same id is recognised: always if it names the
    /// revision, otherwise for a while, as on the real server (see `repeats`).
    pub id: Uuid,
    /// The event's type.
    pub event_type: String,
    /// The MIME type of `data`.
    pub content_type: String,
    /// The caller's metadata, opaque to the store.
    pub metadata: Bytes,
    /// The payload, opaque to the store.
    pub data: Bytes,
}

impl NewEvent {
    /// The bytes that count against the limits of an append.
    pub(crate) fn size_bytes(&self) -> usize {
        self.event_type.len() + self.content_type.len() + self.metadata.len() + self.data.len()
    }
}

/// A write.
#[derive(Debug, Clone)]
pub enum Command {
    /// Append events to a stream, all or none.
    Append {
        /// The stream.
        stream: String,
        /// Where the stream must be.
        expected: Expected,
        /// The events, in order.
        events: Vec<NewEvent>,
    },
    /// Hide the stream's events; a later append revives it with the next revision.
    Delete {
        /// The stream.
        stream: String,
        /// Where the stream must be.
        expected: Expected,
    },
    /// Close the stream for ever.
    Tombstone {
        /// The stream.
        stream: String,
        /// Where the stream must be.
        expected: Expected,
    },
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The revision of the last event; `None` after an empty append to a stream without events.
    pub revision: Option<u64>,
    /// The position of the last event in the log.
    pub position: Option<u64>,
}

/// The answer to a [`Command`].
pub type WriteResult = Result<Written, AppendError>;
