//! Between the log's bytes and the contract's types.

use bytes::Bytes;
use schemas::{Envelope, Event, EventError, EventId, Metadata};
use thiserror::Error;

use super::{NewEvent, StoredEvent};

/// Why an event cannot be written as bytes: a defect of its type, not of its data.
#[derive(Debug, Error)]
#[error("event {name} cannot be written as JSON")]
pub struct EncodeError {
    /// The stored name.
    pub name: &'static str,
    /// What is wrong with it.
    pub source: serde_json::Error,
}

/// The event as it goes to the log. Its stored name and version come from the catalogue, whatever
/// `meta.schema_version` says.
///
/// # Errors
/// None in practice: every event is plain data with text keys.
pub fn encode(event: &Event, meta: &Metadata, id: EventId) -> Result<NewEvent, EncodeError> {
    let (name, version) = event.stored();
    let failed = |source| EncodeError { name, source };
    let meta = Metadata { schema_version: version, ..meta.clone() };
    Ok(NewEvent {
        id,
        kind: name.to_owned(),
        data: Bytes::from(event.encode().map_err(failed)?),
        metadata: Bytes::from(serde_json::to_vec(&meta).map_err(failed)?),
    })
}

/// The event that stored bytes are, in today's shape.
///
/// # Errors
/// [`EventError`]: stop and alarm. Skipping it would make every figure after it wrong.
pub fn decode(stored: &StoredEvent) -> Result<Envelope<Event>, EventError> {
    let meta: Metadata = serde_json::from_slice(&stored.metadata)
        .map_err(|source| EventError::Malformed { name: stored.kind.clone(), source })?;
    let event = Event::decode(&stored.kind, meta.schema_version, &stored.data)?;
    Ok(Envelope {
        event_id: stored.id,
        revision: stored.revision,
        position: Some(stored.position),
        meta,
        event,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::events::{PaymentApplied, PaymentEvent};
    use schemas::{Actor, BodyHash, CommandId, PaymentId, Position, Timestamp};
    use uuid::Uuid;

    fn metadata() -> Metadata {
        Metadata {
            occurred_at: Timestamp::from_millis(1_750_000_000_123),
            actor: Actor::System,
            causation: CommandId(Uuid::from_u128(1)),
            body_hash: BodyHash([7; 16]),
            correlation: None,
            traceparent: None,
            schema_version: 999,
        }
    }

    fn stored(new: NewEvent) -> StoredEvent {
        StoredEvent {
            id: new.id,
            stream: "payment-x".to_owned(),
            revision: 3,
            position: Position(77),
            kind: new.kind,
            data: new.data,
            metadata: new.metadata,
        }
    }

    fn applied() -> Event {
        let payment_id = PaymentId(Uuid::from_u128(9));
        PaymentEvent::Applied(PaymentApplied { payment_id }).into()
    }

    #[test]
    fn what_is_written_is_read_back_with_the_version_of_the_catalogue() {
        let id = EventId(Uuid::from_u128(5));
        let read = decode(&stored(encode(&applied(), &metadata(), id).unwrap())).unwrap();
        assert_eq!(read.event, applied());
        assert_eq!((read.event_id, read.revision, read.position), (id, 3, Some(Position(77))));
        assert_eq!(read.meta, Metadata { schema_version: 1, ..metadata() });
    }

    #[test]
    fn a_name_a_version_or_metadata_from_elsewhere_stop_the_reader() {
        let new = encode(&applied(), &metadata(), EventId(Uuid::nil())).unwrap();
        let unknown = NewEvent { kind: "FromTheFuture".to_owned(), ..new.clone() };
        assert!(matches!(decode(&stored(unknown)), Err(EventError::UnknownType(_))));

        let later = serde_json::to_vec(&metadata()).unwrap().into();
        let newer = NewEvent { metadata: later, ..new.clone() };
        assert!(matches!(decode(&stored(newer)), Err(EventError::UnknownVersion { version: 999, .. })));

        let bare = NewEvent { metadata: Bytes::new(), ..new };
        assert!(matches!(decode(&stored(bare)), Err(EventError::Malformed { .. })));
    }
}
