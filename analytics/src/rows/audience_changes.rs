//! Joins and leaves.

use schemas::events::{AccessBasis, DeviceType, LeaveReason};
use schemas::published::{Published, PublishedEvent};
use uuid::Uuid;

use super::{UNKNOWN, or_unknown, show_fact};

show_fact! {
    /// Of the view `audience_changes`.
    AudienceChange of "fact_audience_changes" {
        /// JOINED or LEFT.
        kind: &'static str,
        /// The session.
        #[serde(with = "clickhouse::serde::uuid")]
        session_id: Uuid,
        /// Whose.
        #[serde(with = "clickhouse::serde::uuid")]
        person: Uuid,
        /// When they came or were really gone, in milliseconds since 1970.
        at: i64,
        /// Device, or unknown.
        device_type: &'static str,
        /// Country, or unknown.
        country: String,
        /// City, or unknown.
        city: String,
        /// Why they may be here; empty for leaves.
        basis: &'static str,
        /// Why they left; empty for joins.
        reason: &'static str,
    }
}

pub(super) fn row(published: &Published, show: Uuid) -> Option<AudienceChange> {
    let at = published.occurred_at.millis();
    match &published.event {
        PublishedEvent::ViewerJoined(joined) => Some(AudienceChange {
            show_id: show,
            revision: published.revision,
            row: 0,
            position: published.position.0,
            occurred_at: published.occurred_at.millis(),
            kind: "JOINED",
            session_id: joined.session_id.0,
            person: joined.person.0,
            at,
            device_type: joined.device_type.map_or(UNKNOWN, device_type),
            country: or_unknown(joined.location.country.as_ref()),
            city: or_unknown(joined.location.city.as_ref()),
            basis: basis(joined.basis),
            reason: "",
        }),
        PublishedEvent::ViewerLeft(left) => Some(AudienceChange {
            show_id: show,
            revision: published.revision,
            row: 0,
            position: published.position.0,
            occurred_at: published.occurred_at.millis(),
            kind: "LEFT",
            session_id: left.session_id.0,
            person: left.person.0,
            at: left.left_at.millis(),
            device_type: UNKNOWN,
            country: UNKNOWN.to_owned(),
            city: UNKNOWN.to_owned(),
            basis: "",
            reason: leave_reason(left.reason),
        }),
        PublishedEvent::ShowCreated(_)
        | PublishedEvent::ShowStarted(_)
        | PublishedEvent::ShowEnded(_)
        | PublishedEvent::ShowCancelled(_)
        | PublishedEvent::ShowRevised(_)
        | PublishedEvent::StreamSettingsChanged(_)
        | PublishedEvent::MessagePosted(_)
        | PublishedEvent::ReactionsCounted(_)
        | PublishedEvent::TipRequested(_)
        | PublishedEvent::TipCaptured(_)
        | PublishedEvent::TipDeclined(_)
        | PublishedEvent::PaymentRequested(_)
        | PublishedEvent::PaymentCaptured(_)
        | PublishedEvent::PaymentDeclined(_)
        | PublishedEvent::PaymentApplied(_) => None,
    }
}

fn device_type(device: DeviceType) -> &'static str {
    match device {
        DeviceType::Mobile => "MOBILE",
        DeviceType::Desktop => "DESKTOP",
        DeviceType::Tablet => "TABLET",
    }
}

fn basis(basis: AccessBasis) -> &'static str {
    match basis {
        AccessBasis::Public => "PUBLIC",
        AccessBasis::Entitled => "ENTITLED",
        AccessBasis::Staff => "STAFF",
    }
}

fn leave_reason(reason: LeaveReason) -> &'static str {
    match reason {
        LeaveReason::Left => "LEFT",
        LeaveReason::Unseen => "UNSEEN",
    }
}
