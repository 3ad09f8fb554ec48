//! An event of the log, as views see it: decoded, with the thing that its stream is about.

use std::sync::Arc;

use platform::event_log::{StoredEvent, codec};
use schemas::events::{PaymentEvent, ShowEvent};
use schemas::{Envelope, Event, PaymentId, Position, Revision, ShowId, Timestamp, streams};

use super::Failure;

/// An event as it was read: once for all views.
#[derive(Clone, PartialEq, Debug)]
pub struct Read {
    /// The stream that it stands in.
    pub stream: String,
    /// Its number there.
    pub revision: Revision,
    /// Its place in the whole log.
    pub position: Position,
    /// How many bytes it was in the log.
    pub bytes: usize,
    /// What happened.
    pub event: Recorded,
}

impl Read {
    /// Reads a stored event.
    ///
    /// # Errors
    /// [`Failure::Unreadable`] or [`Failure::Misplaced`]: stop and alarm.
    pub fn of(stored: &StoredEvent) -> Result<Self, Failure> {
        Ok(Self {
            stream: stored.stream.clone(),
            revision: stored.revision,
            position: stored.position,
            bytes: stored.data.len() + stored.metadata.len(),
            event: Recorded::read(stored)?,
        })
    }
}

/// An event with the thing that its stream is about.
#[derive(Clone, PartialEq, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all events are of shows: a box each would cost more")]
pub enum Recorded {
    /// Of a show.
    Show(ShowId, Envelope<ShowEvent>),
    /// Of a payment.
    Payment(PaymentId, Envelope<PaymentEvent>),
}

impl Recorded {
    pub(super) fn read(stored: &StoredEvent) -> Result<Self, Failure> {
        let Envelope { event_id, revision, position, meta, event } =
            codec::decode(stored).map_err(|source| Failure::Unreadable {
                stream: stored.stream.clone(),
                revision: stored.revision,
                position: stored.position,
                source,
            })?;
        let (name, _) = event.stored();
        let misplaced = || Failure::Misplaced { stream: stored.stream.clone(), name };
        match event {
            Event::Show(event) => {
                let show = streams::parse_show(&stored.stream).ok_or_else(misplaced)?;
                Ok(Self::Show(show, Envelope { event_id, revision, position, meta, event }))
            }
            Event::Payment(event) => {
                let payment = streams::parse_payment(&stored.stream).ok_or_else(misplaced)?;
                Ok(Self::Payment(payment, Envelope { event_id, revision, position, meta, event }))
            }
        }
    }

    /// When it happened.
    #[must_use]
    pub fn occurred_at(&self) -> Timestamp {
        match self {
            Self::Show(_, envelope) => envelope.meta.occurred_at,
            Self::Payment(_, envelope) => envelope.meta.occurred_at,
        }
    }
}

/// The events of shows among a batch: what most views want.
pub(crate) fn of_shows(batch: &[Arc<Read>]) -> impl Iterator<Item = (ShowId, &Envelope<ShowEvent>)> {
    batch.iter().filter_map(|read| match &read.event {
        Recorded::Show(show, envelope) => Some((*show, envelope)),
        Recorded::Payment(..) => None,
    })
}

/// The events of payments among a batch.
pub(crate) fn of_payments(batch: &[Arc<Read>]) -> impl Iterator<Item = (PaymentId, &Envelope<PaymentEvent>)> {
    batch.iter().filter_map(|read| match &read.event {
        Recorded::Payment(payment, envelope) => Some((*payment, envelope)),
        Recorded::Show(..) => None,
    })
}

/// Postgres counts in signed numbers. Revisions and positions never come near the difference.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
