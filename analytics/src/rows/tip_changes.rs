//! Steps of tips.

use schemas::events::TipDeclined;
use schemas::published::{CapturedTip, RequestedTip};
use schemas::{Money, PaymentId, PersonId, TipId};
use uuid::Uuid;

use super::{Place, RowError, decimal, fact};

fact! {
    /// Of the view `tip_changes`.
    TipChange(show_id) in "fact_tip_changes" {
        /// REQUESTED, CAPTURED or DECLINED.
        kind: &'static str,
        /// The tip.
        #[serde(with = "clickhouse::serde::uuid")]
        tip_id: Uuid,
        /// Its payment.
        #[serde(with = "clickhouse::serde::uuid")]
        payment_id: Uuid,
        /// Who tips.
        #[serde(with = "clickhouse::serde::uuid")]
        person: Uuid,
        /// How much, in units of the fourth fraction digit; 0 where declined.
        amount: i128,
        /// Currency; empty where declined.
        currency: &'static str,
        /// Why declined; empty otherwise.
        reason: &'static str,
    }
}

impl TipChange {
    pub(super) fn requested(place: Place, tip: &RequestedTip) -> Result<Self, RowError> {
        let step = Self::step(place, "REQUESTED", (tip.tip_id, tip.payment_id, tip.person));
        step.of(tip.amount)
    }

    pub(super) fn captured(place: Place, tip: &CapturedTip) -> Result<Self, RowError> {
        let step = Self::step(place, "CAPTURED", (tip.tip_id, tip.payment_id, tip.person));
        step.of(tip.amount)
    }

    pub(super) fn declined(place: Place, tip: &TipDeclined) -> Self {
        let step = Self::step(place, "DECLINED", (tip.tip_id, tip.payment_id, tip.person));
        Self { reason: tip.reason.name(), ..step }
    }

    fn step(place: Place, kind: &'static str, ids: (TipId, PaymentId, PersonId)) -> Self {
        let (tip, payment, person) = ids;
        Self { kind, tip_id: tip.0, payment_id: payment.0, person: person.0, ..Self::at(place, 0) }
    }

    fn of(self, amount: Money) -> Result<Self, RowError> {
        Ok(Self { amount: decimal(amount)?, currency: amount.currency().code(), ..self })
    }
}
