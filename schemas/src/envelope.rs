//! What surrounds an event: where it stands in the log, when, by whom and why it came to be.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{borrow::Cow, fmt};
use uuid::Uuid;

use crate::{CommandId, EventId, PersonId, Timestamp};

/// An event's number within its stream: 0 for the first, without gaps. A show's `sequence`.
pub type Revision = u64;

/// A place in the whole log (the commit position). Grows, is sparse, and means nothing else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who caused an event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Actor {
    /// A person with a token, as a pseudonym.
    Person(PersonId),
    /// Tally itself: a sweeper, a saga.
    System,
}

/// The first 16 bytes of the SHA-256 of a command's body: tells another request under a used key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct BodyHash(pub [u8; 16]);

impl Serialize for BodyHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Uuid::from_bytes(self.0).simple())
    }
}

impl<'de> Deserialize<'de> for BodyHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Uuid::parse_str(&text).map(|id| Self(*id.as_bytes())).map_err(de::Error::custom)
    }
}

/// What is stored beside an event's data.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// When it happened. Never earlier than the event before it in its stream.
    pub occurred_at: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// The command that caused it.
    pub causation: CommandId,
    /// The hash of that command's body.
    pub body_hash: BodyHash,
    /// The request (`x-request-id`) that the command came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<String>,
    /// The trace (`traceparent`) that the command came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The version of the event's shape.
    pub schema_version: u16,
}

/// An event with its place in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope<E> {
    /// The event's own id.
    pub event_id: EventId,
    /// Its number within its stream.
    pub revision: Revision,
    /// Its place in the whole log; `None` until the log has acknowledged it.
    pub position: Option<Position>,
    /// When, by whom, why.
    pub meta: Metadata,
    /// What happened.
    pub event: E,
}

impl<E> Envelope<E> {
    /// The same envelope around something made of the event.
    pub fn map<F>(self, make: impl FnOnce(E) -> F) -> Envelope<F> {
        Envelope {
            event_id: self.event_id,
            revision: self.revision,
            position: self.position,
            meta: self.meta,
            event: make(self.event),
        }
    }
}
