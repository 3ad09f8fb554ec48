//! Steps of payments.

use clickhouse::Row;
use schemas::events::{PaymentPurpose, PaymentRequested};
use schemas::published::{CapturedPayment, Published, PublishedEvent};
use serde::Serialize;
use uuid::Uuid;

use super::{Fact, NOBODY, RowError, decimal, decline_reason, misplaced};

/// Of the view `payment_changes`.
#[derive(Clone, PartialEq, Debug, Row, Serialize)]
pub struct PaymentChange {
    /// The payment.
    #[serde(with = "clickhouse::serde::uuid")]
    pub payment_id: Uuid,
    /// Number of the event within its stream.
    pub revision: u64,
    /// Always 0.
    pub row: u16,
    /// Place of the event in the log.
    pub position: u64,
    /// When it happened, in milliseconds since 1970.
    pub occurred_at: i64,
    /// REQUESTED, CAPTURED, DECLINED or APPLIED.
    pub kind: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// The show.
    #[serde(with = "clickhouse::serde::uuid")]
    pub show_id: Uuid,
    /// The tip.
    #[serde(with = "clickhouse::serde::uuid")]
    pub tip_id: Uuid,
    /// Who pays.
    #[serde(with = "clickhouse::serde::uuid")]
    pub payer: Uuid,
    /// Who is paid.
    #[serde(with = "clickhouse::serde::uuid")]
    pub payee: Uuid,
    /// How much, in units of the fourth fraction digit.
    pub amount: i128,
    /// Currency.
    pub currency: &'static str,
    /// Payment provider.
    pub provider: String,
    /// Why declined.
    pub reason: &'static str,
}

impl Fact for PaymentChange {
    const TABLE: &'static str = "fact_payment_changes";
}

pub(super) fn row(published: &Published, payment: Uuid) -> Result<PaymentChange, RowError> {
    let change = step(published, payment);
    Ok(match &published.event {
        PublishedEvent::PaymentRequested(requested) => change.requested(requested)?,
        PublishedEvent::PaymentCaptured(captured) => change.captured(captured)?,
        PublishedEvent::PaymentDeclined(declined) => {
            PaymentChange { kind: "DECLINED", reason: decline_reason(declined.reason), ..change }
        }
        PublishedEvent::PaymentApplied(_) => PaymentChange { kind: "APPLIED", ..change },
        PublishedEvent::ShowCreated(_)
        | PublishedEvent::ShowStarted(_)
        | PublishedEvent::ShowEnded(_)
        | PublishedEvent::ShowCancelled(_)
        | PublishedEvent::ShowRevised(_)
        | PublishedEvent::StreamSettingsChanged(_)
        | PublishedEvent::ViewerJoined(_)
        | PublishedEvent::ViewerLeft(_)
        | PublishedEvent::MessagePosted(_)
        | PublishedEvent::ReactionsCounted(_)
        | PublishedEvent::TipRequested(_)
        | PublishedEvent::TipCaptured(_)
        | PublishedEvent::TipDeclined(_) => return Err(misplaced(published)),
    })
}

fn step(published: &Published, payment: Uuid) -> PaymentChange {
    PaymentChange {
        payment_id: payment,
        revision: published.revision,
        row: 0,
        position: published.position.0,
        occurred_at: published.occurred_at.millis(),
        kind: "",
        purpose: "",
        show_id: NOBODY,
        tip_id: NOBODY,
        payer: NOBODY,
        payee: NOBODY,
        amount: 0,
        currency: "",
        provider: String::new(),
        reason: "",
    }
}

impl PaymentChange {
    fn requested(self, requested: &PaymentRequested) -> Result<Self, RowError> {
        let PaymentPurpose::Tip { show_id, tip_id } = &requested.purpose;
        Ok(Self {
            kind: "REQUESTED",
            purpose: "TIP",
            show_id: show_id.0,
            tip_id: tip_id.0,
            payer: requested.payer.0,
            payee: requested.payee.0,
            amount: decimal(requested.amount)?,
            currency: requested.amount.currency().code(),
            ..self
        })
    }

    fn captured(self, captured: &CapturedPayment) -> Result<Self, RowError> {
        Ok(Self {
            kind: "CAPTURED",
            provider: captured.provider.clone(),
            amount: decimal(captured.amount)?,
            currency: captured.amount.currency().code(),
            ..self
        })
    }
}
