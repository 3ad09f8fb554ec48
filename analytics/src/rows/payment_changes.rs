//! Steps of payments.

use schemas::Money;
use schemas::events::{PaymentDeclined, PaymentPurpose, PaymentRequested};
use schemas::published::CapturedPayment;
use uuid::Uuid;

use super::{Place, RowError, decimal, fact};

fact! {
    /// Of the view `payment_changes`.
    PaymentChange(payment_id) in "fact_payment_changes" {
        /// REQUESTED, CAPTURED, DECLINED or APPLIED.
        kind: &'static str,
        /// What it is for.
        purpose: &'static str,
        /// The show.
        #[serde(with = "clickhouse::serde::uuid")]
        show_id: Uuid,
        /// The tip.
        #[serde(with = "clickhouse::serde::uuid")]
        tip_id: Uuid,
        /// Who pays.
        #[serde(with = "clickhouse::serde::uuid")]
        payer: Uuid,
        /// Who is paid.
        #[serde(with = "clickhouse::serde::uuid")]
        payee: Uuid,
        /// How much, in units of the fourth fraction digit.
        amount: i128,
        /// Currency.
        currency: &'static str,
        /// Payment provider.
        provider: String,
        /// Why declined.
        reason: &'static str,
    }
}

impl PaymentChange {
    pub(super) fn requested(place: Place, requested: &PaymentRequested) -> Result<Self, RowError> {
        let PaymentPurpose::Tip { show_id, tip_id } = &requested.purpose;
        let change = Self {
            kind: "REQUESTED",
            purpose: "TIP",
            show_id: show_id.0,
            tip_id: tip_id.0,
            payer: requested.payer.0,
            payee: requested.payee.0,
            ..Self::at(place, 0)
        };
        change.of(requested.amount)
    }

    pub(super) fn captured(place: Place, captured: &CapturedPayment) -> Result<Self, RowError> {
        let provider = captured.provider.clone();
        Self { kind: "CAPTURED", provider, ..Self::at(place, 0) }.of(captured.amount)
    }

    pub(super) fn declined(place: Place, declined: &PaymentDeclined) -> Self {
        Self { kind: "DECLINED", reason: declined.reason.name(), ..Self::at(place, 0) }
    }

    pub(super) fn applied(place: Place) -> Self {
        Self { kind: "APPLIED", ..Self::at(place, 0) }
    }

    fn of(self, amount: Money) -> Result<Self, RowError> {
        Ok(Self { amount: decimal(amount)?, currency: amount.currency().code(), ..self })
    }
}
