//! A record of the topic, read and written.

use serde_json::value::RawValue;
use thiserror::Error;

use super::events::PublishedEvent;
use super::wire::{self, CloudEvent};
use crate::catalogue::Source;
use crate::{Envelope, Event, EventError, EventId, Position, Revision, Timestamp};

/// A record of the topic.
///
/// The records of a partition are a chain: each names the position of the one before. A reader drops what is not beyond its
/// watermark, so a repeat is harmless, and stops where `previous` is beyond it, so a hole is seen.
#[derive(Clone, PartialEq, Debug)]
pub enum Record {
    /// An event.
    Event(Published),
    /// Nothing new up to here.
    Watermark(Watermark),
}

/// An event as it leaves the log.
#[derive(Clone, PartialEq, Debug)]
pub struct Published {
    /// The event's own id.
    pub event_id: EventId,
    /// Its stream.
    pub stream: String,
    /// Its number within its stream.
    pub revision: Revision,
    /// Its place in the log.
    pub position: Position,
    /// The position of the record before it in its partition.
    pub previous: Option<Position>,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// What happened, as far as it leaves the log.
    pub event: PublishedEvent,
}

impl Published {
    /// What leaves the log of an event at its place, before anybody knows what stands before it in a partition: that is for who writes the topic.
    #[must_use]
    pub fn of(stream: &str, position: Position, envelope: &Envelope<Event>) -> Self {
        Self {
            event_id: envelope.event_id,
            stream: stream.to_owned(),
            revision: envelope.revision,
            position,
            previous: None,
            occurred_at: envelope.meta.occurred_at,
            event: PublishedEvent::of(&envelope.event),
        }
    }
}

/// Says that a partition holds everything of the log up to a position, so that quiet partitions arrive too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watermark {
    /// The partition.
    pub partition: i32,
    /// Up to where in the log.
    pub position: Position,
    /// The position of the record before it in its partition.
    pub previous: Option<Position>,
    /// Up to when: not before any event up to there.
    pub time: Timestamp,
}

/// Why bytes are no record to this version of the code. None of these is cured by trying again.
#[derive(Debug, Error)]
pub enum RecordError {
    /// No JSON, or not of this shape.
    #[error("no record of this topic")]
    Json(#[source] serde_json::Error),
    /// A field does not say what it must.
    #[error("the field `{0}` of a record does not say what it must")]
    Field(&'static str),
    /// The event is unknown or malformed.
    #[error(transparent)]
    Event(EventError),
}

impl Record {
    /// Reads a record.
    ///
    /// # Errors
    /// [`RecordError`]: no version of the same code will ever read it.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let cloud: CloudEvent = serde_json::from_slice(bytes).map_err(RecordError::Json)?;
        if cloud.specversion != wire::SPEC_VERSION {
            return Err(RecordError::Field("specversion"));
        }
        if cloud.source != wire::SOURCE {
            return Err(RecordError::Field("source"));
        }
        if cloud.kind == wire::WATERMARK {
            return watermark(&cloud).map(Self::Watermark);
        }
        event(cloud).map(Self::Event)
    }

    /// Where bytes that [`Record::decode`] refuses stand in the log, with the position of the record before them, if they came from the
    /// log and say as much. So a reader that sets a damaged record aside still knows whether the chain holds.
    #[must_use]
    pub fn place(bytes: &[u8]) -> Option<(Position, Option<Position>)> {
        let place: wire::Place = serde_json::from_slice(bytes).ok()?;
        (place.source == wire::SOURCE).then_some((place.position, place.previous))
    }

    /// Writes a record.
    ///
    /// # Errors
    /// None in practice: every record is plain data with text keys.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let cloud = match self {
            Self::Event(event) => event.to_cloud()?,
            Self::Watermark(watermark) => watermark.to_cloud(),
        };
        serde_json::to_vec(&cloud)
    }

    /// Its place in the log.
    #[must_use]
    pub fn position(&self) -> Position {
        match self {
            Self::Event(event) => event.position,
            Self::Watermark(watermark) => watermark.position,
        }
    }

    /// The position of the record before it in its partition.
    #[must_use]
    pub fn previous(&self) -> Option<Position> {
        match self {
            Self::Event(event) => event.previous,
            Self::Watermark(watermark) => watermark.previous,
        }
    }
}

fn event(cloud: CloudEvent) -> Result<Published, RecordError> {
    let (name, version) = wire::parse_kind(&cloud.kind).ok_or(RecordError::Field("type"))?;
    let current = PublishedEvent::version_of(name)
        .ok_or_else(|| RecordError::Event(EventError::UnknownType(name.to_owned())))?;
    if version != current {
        return Err(RecordError::Event(EventError::UnknownVersion { name: name.to_owned(), version }));
    }
    let data = cloud.data.as_deref().ok_or(RecordError::Field("data"))?;
    let event = PublishedEvent::read(name, Source::Bytes(data.get().as_bytes()))
        .map_err(|source| RecordError::Event(EventError::Malformed { name: name.to_owned(), source }))?;
    Ok(Published {
        event_id: wire::parse_id(&cloud.id).ok_or(RecordError::Field("id"))?,
        stream: cloud.subject.ok_or(RecordError::Field("subject"))?,
        revision: cloud.revision.ok_or(RecordError::Field("revision"))?,
        position: cloud.position,
        previous: cloud.previous,
        occurred_at: cloud.time,
        event,
    })
}

fn watermark(cloud: &CloudEvent) -> Result<Watermark, RecordError> {
    let partition = cloud.id.split_once('@').and_then(|(partition, _)| partition.parse().ok());
    Ok(Watermark {
        partition: partition.ok_or(RecordError::Field("id"))?,
        position: cloud.position,
        previous: cloud.previous,
        time: cloud.time,
    })
}

impl Published {
    fn to_cloud(&self) -> Result<CloudEvent, serde_json::Error> {
        let (name, version) = self.event.stored();
        Ok(CloudEvent {
            specversion: wire::SPEC_VERSION.to_owned(),
            id: self.event_id.to_string(),
            source: wire::SOURCE.to_owned(),
            kind: wire::kind(name, version),
            subject: Some(self.stream.clone()),
            time: self.occurred_at,
            revision: Some(self.revision),
            position: self.position,
            previous: self.previous,
            datacontenttype: Some(wire::CONTENT_TYPE.to_owned()),
            data: Some(self.event.to_json()?),
        })
    }
}

impl Watermark {
    fn to_cloud(&self) -> CloudEvent {
        CloudEvent {
            specversion: wire::SPEC_VERSION.to_owned(),
            id: format!("{}@{}", self.partition, self.position),
            source: wire::SOURCE.to_owned(),
            kind: wire::WATERMARK.to_owned(),
            subject: None,
            time: self.time,
            revision: None,
            position: self.position,
            previous: self.previous,
            datacontenttype: None,
            data: None,
        }
    }
}

impl PublishedEvent {
    /// Every published name with its current version, and the JSON Schema of its data.
    #[must_use]
    pub fn catalogue() -> Vec<(&'static str, u16, schemars::Schema)> {
        Self::all()
    }

    /// The published fields as JSON.
    ///
    /// # Errors
    /// None in practice: every event is plain data with text keys.
    pub fn to_json(&self) -> Result<Box<RawValue>, serde_json::Error> {
        serde_json::from_slice(&self.encode()?)
    }
}
