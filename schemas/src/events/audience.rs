//! Who is in a show.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::stored_events;
use crate::{DeviceId, PersonId, Sealed, SessionId, Timestamp};

stored_events! {
    /// Joins and leaves. Heartbeats are no events.
    AudienceEvent {
        /// A person began a session.
        Joined(ViewerJoined) = "ViewerJoined" v 1,
        /// A session is over.
        Left(ViewerLeft) = "ViewerLeft" v 1,
    }
}

/// A person began a session.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ViewerJoined {
    /// The session.
    pub session_id: SessionId,
    /// Who.
    pub person: PersonId,
    /// Who that is, sealed (field `identity`).
    pub identity: Sealed,
    /// On which device; none is a device too.
    pub device: Option<DeviceId>,
    /// What kind of device; `None`: unknown.
    pub device_type: Option<DeviceType>,
    /// Where.
    pub location: Location,
    /// The viewer's uid in the video channel.
    pub rtc_uid: u32,
    /// Why they may be here.
    pub basis: AccessBasis,
    /// The audience with this person in it.
    pub audience: AudienceCounts,
}

/// What kind of device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum DeviceType {
    /// A phone.
    Mobile,
    /// A computer.
    Desktop,
    /// A tablet.
    Tablet,
}

impl DeviceType {
    /// Its name, as in stored events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mobile => "MOBILE",
            Self::Desktop => "DESKTOP",
            Self::Tablet => "TABLET",
        }
    }
}

/// A coarse place. Never an address.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// By name.
    pub city: Option<String>,
}

/// Why a person may be in a show.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AccessBasis {
    /// Anyone may.
    Public,
    /// They subscribe to the creator, hold a ticket, or both: whatever the show asks for.
    Entitled,
    /// They moderate or run the platform.
    Staff,
}

impl AccessBasis {
    /// Its name, as in stored events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "PUBLIC",
            Self::Entitled => "ENTITLED",
            Self::Staff => "STAFF",
        }
    }
}

/// The audience at one revision.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AudienceCounts {
    /// Persons with a session open.
    pub viewer_count: u32,
    /// The most so far.
    pub peak_viewers: u32,
    /// Sessions begun.
    pub total_views: u64,
    /// Persons who began one.
    pub unique_viewers: u32,
}

/// A session is over.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ViewerLeft {
    /// The session.
    pub session_id: SessionId,
    /// Whose.
    pub person: PersonId,
    /// When they were really gone: between the join and this event.
    pub left_at: Timestamp,
    /// Why.
    pub reason: LeaveReason,
    /// The audience without this session.
    pub audience: AudienceCounts,
}

/// Why a session is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LeaveReason {
    /// They said so.
    Left,
    /// No sign of life for the grace period.
    Unseen,
}

impl LeaveReason {
    /// Its name, as in stored events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Left => "LEFT",
            Self::Unseen => "UNSEEN",
        }
    }
}
