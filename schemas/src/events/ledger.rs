//! Money, as the show sees it. What the payment provider says stands in the payment's own stream.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::payment::DeclineReason;
use crate::catalogue::stored_events;
use crate::{Money, PaymentId, PersonId, Sealed, TipId};

stored_events! {
    /// Tips.
    LedgerEvent {
        /// Somebody wants to tip, and may. Its payment is pending from here on.
        TipRequested(TipRequested) = "TipRequested" v 1,
        /// The tip was paid: it counts, and everybody sees it.
        TipCaptured(TipCaptured) = "TipCaptured" v 1,
        /// The tip was not paid.
        TipDeclined(TipDeclined) = "TipDeclined" v 1,
    }
}

/// Somebody wants to tip, and may.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TipRequested {
    /// The tip.
    pub tip_id: TipId,
    /// Its payment.
    pub payment_id: PaymentId,
    /// Who tips.
    pub person: PersonId,
    /// Who that is, sealed (field `identity`).
    pub identity: Sealed,
    /// How much; above zero.
    pub amount: Money,
    /// With which words, sealed (field `message`).
    pub message: Option<Sealed>,
}

/// The tip was paid.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TipCaptured {
    /// The tip.
    pub tip_id: TipId,
    /// Its payment.
    pub payment_id: PaymentId,
    /// Who tipped.
    pub person: PersonId,
    /// Who that is, sealed (field `identity`); `None` if they were erased meanwhile.
    pub identity: Option<Sealed>,
    /// How much.
    pub amount: Money,
    /// With which words, sealed (field `message`).
    pub message: Option<Sealed>,
}

/// The tip was not paid.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TipDeclined {
    /// The tip.
    pub tip_id: TipId,
    /// Its payment.
    pub payment_id: PaymentId,
    /// Who wanted to tip.
    pub person: PersonId,
    /// Why not.
    pub reason: DeclineReason,
}
