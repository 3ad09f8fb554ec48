//! A payment's own stream: requested, then captured or declined, then applied to what it is for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::stored_events;
use crate::{Money, PaymentId, PersonId, ShowId, TipId};

stored_events! {
    /// The events of a `payment-` stream.
    PaymentEvent {
        /// The payment was decided; the provider may be asked from here on.
        Requested(PaymentRequested) = "PaymentRequested" v 1,
        /// The provider has the money.
        Captured(PaymentCaptured) = "PaymentCaptured" v 1,
        /// There will be no money.
        Declined(PaymentDeclined) = "PaymentDeclined" v 1,
        /// What it was for knows: nothing is left to do.
        Applied(PaymentApplied) = "PaymentApplied" v 1,
    }
}

/// The payment was decided.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequested {
    /// The payment.
    pub payment_id: PaymentId,
    /// What it is for.
    pub purpose: PaymentPurpose,
    /// Who pays.
    pub payer: PersonId,
    /// Who is paid.
    pub payee: PersonId,
    /// How much.
    pub amount: Money,
}

/// What a payment is for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum PaymentPurpose {
    /// A tip in a show.
    #[serde(rename_all = "camelCase")]
    Tip {
        /// The show.
        show_id: ShowId,
        /// The tip.
        tip_id: TipId,
    },
}

/// The provider has the money.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentCaptured {
    /// The payment.
    pub payment_id: PaymentId,
    /// Which provider.
    pub provider: String,
    /// What the provider calls it.
    pub provider_ref: String,
    /// How much was captured.
    pub amount: Money,
}

/// There will be no money.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentDeclined {
    /// The payment.
    pub payment_id: PaymentId,
    /// Why.
    pub reason: DeclineReason,
}

/// Why a payment came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeclineReason {
    /// The payer's bank or the provider refused.
    Declined,
    /// The payer did not do in time what was asked of them.
    Expired,
    /// The payment was given up before the provider captured anything.
    Cancelled,
}

impl DeclineReason {
    /// Its name, as in stored events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Declined => "DECLINED",
            Self::Expired => "EXPIRED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// What the payment was for knows how it ended.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentApplied {
    /// The payment.
    pub payment_id: PaymentId,
}
