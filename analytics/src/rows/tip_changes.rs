//! Steps of tips.

use schemas::published::{Published, PublishedEvent};
use schemas::{Money, PaymentId, PersonId, TipId};
use uuid::Uuid;

use super::{RowError, decimal, decline_reason, show_fact};

show_fact! {
    /// Of the view `tip_changes`.
    TipChange of "fact_tip_changes" {
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

pub(super) fn row(published: &Published, show: Uuid) -> Result<Option<TipChange>, RowError> {
    let change =
        |kind, (tip, payment, person): (TipId, PaymentId, PersonId), money: Option<Money>, reason| {
            Ok(Some(TipChange {
                show_id: show,
                revision: published.revision,
                row: 0,
                position: published.position.0,
                occurred_at: published.occurred_at.millis(),
                kind,
                tip_id: tip.0,
                payment_id: payment.0,
                person: person.0,
                amount: money.map_or(Ok(0), decimal)?,
                currency: money.map_or("", |money| money.currency().code()),
                reason,
            }))
        };
    match &published.event {
        PublishedEvent::TipRequested(tip) => {
            change("REQUESTED", (tip.tip_id, tip.payment_id, tip.person), Some(tip.amount), "")
        }
        PublishedEvent::TipCaptured(tip) => {
            change("CAPTURED", (tip.tip_id, tip.payment_id, tip.person), Some(tip.amount), "")
        }
        PublishedEvent::TipDeclined(tip) => {
            change("DECLINED", (tip.tip_id, tip.payment_id, tip.person), None, decline_reason(tip.reason))
        }
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
        | PublishedEvent::PaymentRequested(_)
        | PublishedEvent::PaymentCaptured(_)
        | PublishedEvent::PaymentDeclined(_)
        | PublishedEvent::PaymentApplied(_) => Ok(None),
    }
}
