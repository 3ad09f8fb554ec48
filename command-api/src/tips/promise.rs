//! What was promised: all that the saga needs to go on, whoever goes on with it.

use schemas::events::{LedgerEvent, PaymentPurpose, PaymentRequested, ShowEvent, TipRequested};
use schemas::{BodyHash, CommandId, Envelope, Money, PaymentId, PersonId, ShowId, TipId};

use super::payment::Payment;

/// A tip that was promised.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    pub(super) show: ShowId,
    pub(super) tip_id: TipId,
    pub(super) payment_id: PaymentId,
    pub(super) payer: PersonId,
    pub(super) payee: PersonId,
    pub(super) amount: Money,
    /// The command that asked for the tip: all ids derive from it.
    pub(super) root: CommandId,
    pub(super) body_hash: BodyHash,
    /// The show's event with the sealed name and words; looked up where it is not at hand.
    pub(super) requested: Option<Envelope<TipRequested>>,
}

impl Promise {
    /// From the show's event.
    pub(super) fn of_request(
        show: ShowId,
        payee: PersonId,
        root: CommandId,
        body_hash: BodyHash,
        requested: Envelope<TipRequested>,
    ) -> Self {
        let tip = &requested.event;
        Self {
            show,
            tip_id: tip.tip_id,
            payment_id: tip.payment_id,
            payer: tip.person,
            payee,
            amount: tip.amount,
            root,
            body_hash,
            requested: Some(requested),
        }
    }

    /// From the payment's own stream.
    pub(super) fn of_payment(payment: &Payment, requested: Option<Envelope<TipRequested>>) -> Self {
        let PaymentPurpose::Tip { show_id, tip_id } = payment.requested.purpose;
        Self {
            show: show_id,
            tip_id,
            payment_id: payment.requested.payment_id,
            payer: payment.requested.payer,
            payee: payment.requested.payee,
            amount: payment.requested.amount,
            root: payment.root,
            body_hash: payment.body_hash,
            requested,
        }
    }

    /// As the payment's first event.
    pub(super) fn payment_requested(&self) -> PaymentRequested {
        PaymentRequested {
            payment_id: self.payment_id,
            purpose: PaymentPurpose::Tip { show_id: self.show, tip_id: self.tip_id },
            payer: self.payer,
            payee: self.payee,
            amount: self.amount,
        }
    }

    /// The command that settles the tip in the show.
    pub(super) fn settle_id(&self) -> CommandId {
        self.root.derived("settle")
    }
}

/// The event as a tip's request, if it is one.
pub(super) fn tip_requested(envelope: Envelope<ShowEvent>) -> Option<Envelope<TipRequested>> {
    let Envelope { event_id, revision, position, meta, event } = envelope;
    match event {
        ShowEvent::Ledger(LedgerEvent::TipRequested(event)) => {
            Some(Envelope { event_id, revision, position, meta, event })
        }
        ShowEvent::Ledger(LedgerEvent::TipCaptured(_) | LedgerEvent::TipDeclined(_))
        | ShowEvent::Lifecycle(_)
        | ShowEvent::Settings(_)
        | ShowEvent::Audience(_)
        | ShowEvent::Chat(_)
        | ShowEvent::Interaction(_) => None,
    }
}
