//! A tip's payment, as the saga writes it: requested, captured or declined, applied.

use schemas::events::{
    DeclineReason, PaymentApplied, PaymentCaptured, PaymentDeclined, PaymentEvent, PaymentPurpose,
    PaymentRequested, TipRequested,
};
use schemas::{
    Actor, BodyHash, CommandId, Envelope, Metadata, Money, PaymentId, PersonId, Revision, ShowId, Timestamp,
    TipId,
};

/// The provider that a generated history names.
const PROVIDER: &str = "sandbox";

/// A step comes so long after what caused it.
const STEP_MS: i64 = 12;

/// A tip whose payment is under way.
#[derive(Clone, Debug)]
pub(crate) struct Payment {
    pub(crate) id: PaymentId,
    pub(crate) tip_id: TipId,
    /// The command that asked for the tip: all ids derive from it.
    pub(crate) root: CommandId,
    body_hash: BodyHash,
    show: ShowId,
    payer: PersonId,
    payee: PersonId,
    amount: Money,
    requested_at: Timestamp,
}

impl Payment {
    pub(crate) fn of(show: ShowId, payee: PersonId, requested: &Envelope<TipRequested>) -> Self {
        let tip = &requested.event;
        Self {
            id: tip.payment_id,
            tip_id: tip.tip_id,
            root: requested.meta.causation,
            body_hash: requested.meta.body_hash,
            show,
            payer: tip.person,
            payee,
            amount: tip.amount,
            requested_at: requested.meta.occurred_at,
        }
    }

    /// The command that settles the tip in the show.
    pub(crate) fn settle_id(&self) -> CommandId {
        self.root.derived("settle")
    }

    /// What the payment's stream holds when the show is told.
    pub(crate) fn begin(
        &self,
        declined: Option<DeclineReason>,
        settles_at: Timestamp,
    ) -> Vec<Envelope<PaymentEvent>> {
        let (payment_id, amount) = (self.id, self.amount);
        let requested = PaymentEvent::Requested(PaymentRequested {
            payment_id,
            purpose: PaymentPurpose::Tip { show_id: self.show, tip_id: self.tip_id },
            payer: self.payer,
            payee: self.payee,
            amount,
        });
        let (ended, step) = match declined {
            None => {
                let provider_ref = format!("pi_{}", payment_id.0.simple());
                let provider = PROVIDER.to_owned();
                let captured = PaymentCaptured { payment_id, provider, provider_ref, amount };
                (PaymentEvent::Captured(captured), "payment/captured")
            }
            Some(reason) => {
                (PaymentEvent::Declined(PaymentDeclined { payment_id, reason }), "payment/declined")
            }
        };
        let requested_at = self.requested_at.plus_millis(STEP_MS);
        let ended_at = settles_at.plus_millis(-STEP_MS).max(requested_at);
        vec![
            self.envelope(0, requested, "payment/requested", requested_at),
            self.envelope(1, ended, step, ended_at),
        ]
    }

    /// What it holds when the show knows.
    pub(crate) fn applied(&self, settled_at: Timestamp) -> Envelope<PaymentEvent> {
        let applied = PaymentEvent::Applied(PaymentApplied { payment_id: self.id });
        self.envelope(2, applied, "payment/applied", settled_at.plus_millis(STEP_MS))
    }

    fn envelope(
        &self,
        revision: Revision,
        event: PaymentEvent,
        step: &str,
        occurred_at: Timestamp,
    ) -> Envelope<PaymentEvent> {
        let meta = Metadata {
            occurred_at,
            actor: Actor::System,
            causation: self.root,
            body_hash: self.body_hash,
            correlation: None,
            traceparent: None,
            schema_version: event.stored().1,
        };
        Envelope { event_id: self.root.derived(step).event(0), revision, position: None, meta, event }
    }
}
