//! Joins and leaves.

use schemas::events::{DeviceType, ViewerLeft};
use schemas::published::JoinedViewer;
use uuid::Uuid;

use super::{Place, UNKNOWN, fact, or_unknown};

fact! {
    /// Of the view `audience_changes`.
    AudienceChange(show_id) in "fact_audience_changes" {
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

impl AudienceChange {
    pub(super) fn joined(place: Place, joined: &JoinedViewer) -> Self {
        Self {
            kind: "JOINED",
            session_id: joined.session_id.0,
            person: joined.person.0,
            at: place.occurred_at,
            device_type: joined.device_type.map_or(UNKNOWN, DeviceType::name),
            country: or_unknown(joined.location.country.as_ref()),
            city: or_unknown(joined.location.city.as_ref()),
            basis: joined.basis.name(),
            ..Self::at(place, 0)
        }
    }

    pub(super) fn left(place: Place, left: &ViewerLeft) -> Self {
        Self {
            kind: "LEFT",
            session_id: left.session_id.0,
            person: left.person.0,
            at: left.left_at.millis(),
            device_type: UNKNOWN,
            country: UNKNOWN.to_owned(),
            city: UNKNOWN.to_owned(),
            reason: left.reason.name(),
            ..Self::at(place, 0)
        }
    }
}
