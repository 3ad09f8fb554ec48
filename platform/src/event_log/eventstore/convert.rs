//! Between the port's types and the client's.

use eventstore::{BatchWriteResult, EventData, ResolvedEvent, StreamState, WriteResult};
use schemas::{EventId, Position};
use serde_json::value::RawValue;

use crate::event_log::{AppendError, Appended, Expected, NewEvent, StoredEvent};

/// The events as the client sends them. It marks only what it serialised itself as JSON, so it is given the
/// bytes as JSON.
pub(super) fn proposed(events: Vec<NewEvent>) -> Result<Vec<EventData>, AppendError> {
    let proposed = events.into_iter().map(|event| {
        let data: &RawValue = serde_json::from_slice(&event.data)?;
        Ok(EventData::json(event.kind, &data)?.id(event.id.0).metadata(event.metadata))
    });
    proposed.collect::<Result<_, serde_json::Error>>().map_err(|error| AppendError::Refused(error.into()))
}

pub(super) fn stream_state(expected: Expected) -> StreamState {
    match expected {
        Expected::Any => StreamState::Any,
        Expected::NoStream => StreamState::NoStream,
        Expected::Revision(revision) => StreamState::StreamRevision(revision),
    }
}

pub(super) fn appended(written: &WriteResult) -> Appended {
    Appended { revision: written.next_expected_version, position: Position(written.position.commit) }
}

/// The place of an append over a session; a server that wrote it tells both.
pub(super) fn appended_in_session(written: &BatchWriteResult) -> Option<Appended> {
    let (revision, position) = (written.current_revision()?, written.current_position()?);
    Some(Appended { revision, position: Position(position.commit) })
}

/// The event; none only for a link whose target is gone, and links are not resolved.
pub(super) fn stored(event: ResolvedEvent) -> Option<StoredEvent> {
    let event = event.event.or(event.link)?;
    Some(StoredEvent {
        id: EventId(event.id),
        stream: event.stream_id().to_owned(),
        revision: event.revision,
        position: Position(event.position.commit),
        kind: event.event_type,
        data: event.data,
        metadata: event.custom_metadata,
    })
}

/// A position as the client wants it. Events of Tally are written without explicit transactions, and then
/// both parts are the same.
pub(super) fn position(position: Position) -> eventstore::Position {
    eventstore::Position { commit: position.0, prepare: position.0 }
}
