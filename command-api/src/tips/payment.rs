//! A payment's own stream: at most three events, written by whoever comes first.

use std::sync::Arc;
use std::time::Duration;

use platform::event_log::{AppendError, EventLog, Expected, codec};
use platform::http::problem::Chain;
use schemas::events::{
    DeclineReason, PaymentApplied, PaymentCaptured, PaymentDeclined, PaymentEvent, PaymentRequested,
};
use schemas::{
    Actor, BodyHash, CommandId, Envelope, Event, Metadata, PaymentId, Position, Timestamp, streams,
};
use tokio::time::timeout;

use super::TipError;
use super::promise::Promise;

/// How long one call of the log may take. A healthy one takes milliseconds.
const LOG_CALL_MAX: Duration = Duration::from_secs(5);

/// Events of a payment that are read: more than it ever has.
const EVENTS_MAX: usize = 8;

/// A payment as its stream tells it.
#[derive(Clone, Debug)]
pub(super) struct Payment {
    pub(super) requested: PaymentRequested,
    pub(super) requested_at: Timestamp,
    /// The command that asked for it, and its body: the first event keeps them for good.
    pub(super) root: CommandId,
    pub(super) body_hash: BodyHash,
    pub(super) ending: Ending,
    pub(super) is_applied: bool,
    pub(super) position: Position,
}

/// How a payment ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    Open,
    Captured,
    Declined(DeclineReason),
}

/// The payments' streams.
#[derive(Clone)]
pub(super) struct PaymentLog {
    pub(super) log: Arc<dyn EventLog>,
}

impl PaymentLog {
    pub(super) fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log }
    }

    /// The payment, if it was ever requested.
    pub(super) async fn read(&self, id: PaymentId) -> Result<Option<Payment>, TipError> {
        let stream = streams::payment(id);
        let read = self.log.read_stream(&stream, 0, EVENTS_MAX);
        let Ok(Ok(stored)) = timeout(LOG_CALL_MAX, read).await else { return Err(TipError::Interrupted) };
        let mut payment = None;
        for stored in &stored {
            let envelope = codec::decode(stored).map_err(|error| {
                tracing::error!(payment.id = %id, error.chain = %Chain(&error), "payment cannot be read");
                TipError::Interrupted
            })?;
            evolve(&mut payment, envelope);
        }
        Ok(payment)
    }

    /// Makes the payment's first event.
    pub(super) async fn request(&self, promise: &Promise, at: Timestamp) -> Result<(), TipError> {
        let event = PaymentEvent::Requested(promise.payment_requested());
        self.append(promise, Expected::NoStream, event, "payment/requested", at).await
    }

    /// Says that the money is here.
    pub(super) async fn capture(
        &self,
        promise: &Promise,
        provider: &str,
        provider_ref: String,
        at: Timestamp,
    ) -> Result<(), TipError> {
        let event = PaymentEvent::Captured(PaymentCaptured {
            payment_id: promise.payment_id,
            provider: provider.to_owned(),
            provider_ref,
            amount: promise.amount,
        });
        self.append(promise, Expected::Revision(0), event, "payment/captured", at).await
    }

    /// Says that there will be no money.
    pub(super) async fn decline(
        &self,
        promise: &Promise,
        reason: DeclineReason,
        at: Timestamp,
    ) -> Result<(), TipError> {
        let event = PaymentEvent::Declined(PaymentDeclined { payment_id: promise.payment_id, reason });
        self.append(promise, Expected::Revision(0), event, "payment/declined", at).await
    }

    /// Says that the show knows.
    pub(super) async fn applied(&self, promise: &Promise, at: Timestamp) -> Result<(), TipError> {
        let event = PaymentEvent::Applied(PaymentApplied { payment_id: promise.payment_id });
        self.append(promise, Expected::Revision(1), event, "payment/applied", at).await
    }

    /// Appends, and leaves it to the next read to tell what became of it: another driver may have been
    /// faster, and an append of unknown outcome is known as soon as it is looked for.
    async fn append(
        &self,
        promise: &Promise,
        expected: Expected,
        event: PaymentEvent,
        step: &str,
        at: Timestamp,
    ) -> Result<(), TipError> {
        let meta = Metadata {
            occurred_at: at,
            actor: Actor::System,
            causation: promise.root,
            body_hash: promise.body_hash,
            correlation: None,
            traceparent: None,
            schema_version: 0,
        };
        let id = promise.root.derived(step).event(0);
        let stream = streams::payment(promise.payment_id);
        let event = codec::encode(&Event::Payment(event), &meta, id).map_err(|error| {
            tracing::error!(payment.id = %promise.payment_id, error.chain = %Chain(&error), "payment event cannot be encoded");
            TipError::Interrupted
        })?;
        match timeout(LOG_CALL_MAX, self.log.append(&stream, expected, vec![event])).await {
            Ok(Ok(_) | Err(AppendError::WrongExpected { .. } | AppendError::OutcomeUnknown(_))) | Err(_) => {
                Ok(())
            }
            Ok(Err(AppendError::Refused(cause))) => {
                tracing::error!(payment.id = %promise.payment_id, error.chain = %Chain(cause.as_ref()), "log refused a payment event");
                Err(TipError::Interrupted)
            }
        }
    }
}

fn evolve(payment: &mut Option<Payment>, envelope: Envelope<Event>) {
    let Envelope { meta, position, event, .. } = envelope;
    let position = position.unwrap_or_default();
    let event = match event {
        Event::Payment(event) => event,
        // no show event is ever written to a payment's stream
        Event::Show(_) => return,
    };
    match (event, payment.as_mut()) {
        (PaymentEvent::Requested(requested), _) => {
            *payment = Some(Payment {
                requested,
                requested_at: meta.occurred_at,
                root: meta.causation,
                body_hash: meta.body_hash,
                ending: Ending::Open,
                is_applied: false,
                position,
            });
        }
        (PaymentEvent::Captured(_), Some(payment)) => {
            (payment.ending, payment.position) = (Ending::Captured, position);
        }
        (PaymentEvent::Declined(declined), Some(payment)) => {
            (payment.ending, payment.position) = (Ending::Declined(declined.reason), position);
        }
        (PaymentEvent::Applied(_), Some(payment)) => {
            (payment.is_applied, payment.position) = (true, position);
        }
        (PaymentEvent::Captured(_) | PaymentEvent::Declined(_) | PaymentEvent::Applied(_), None) => {}
    }
}
