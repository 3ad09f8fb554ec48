//! A show's birth, start and end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::stored_events;
use crate::{Currency, Money, PersonId, Sealed, ShowId, Timestamp};

stored_events! {
    /// Creation, start, end, cancellation.
    LifecycleEvent {
        /// A creator announced a show.
        Created(ShowCreated) = "ShowCreated" v 1,
        /// The host went live.
        Started(ShowStarted) = "ShowStarted" v 1,
        /// The show is over.
        Ended(ShowEnded) = "ShowEnded" v 1,
        /// The show was called off before it began.
        Cancelled(ShowCancelled) = "ShowCancelled" v 1,
    }
}

/// A creator announced a show.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShowCreated {
    /// The show.
    pub show_id: ShowId,
    /// Its creator and host.
    pub creator: PersonId,
    /// Who the creator is, sealed (field `identity`).
    pub creator_identity: Sealed,
    /// Title and the rest of what is announced.
    pub details: ShowDetails,
    /// Who may enter.
    pub access: AccessPolicy,
    /// How it runs.
    pub settings: StreamSettings,
    /// The one currency of the show.
    pub currency: Currency,
    /// When it should start, if that is known.
    pub scheduled_start: Option<Timestamp>,
    /// The video channel.
    pub channel: String,
    /// The host's uid in the video channel.
    pub host_uid: u32,
}

/// What is announced of a show.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShowDetails {
    /// 1–140 code points.
    pub title: String,
    /// At most 5,000 code points.
    pub description: String,
    /// Free text of the platform's choice, for example `music`.
    pub category: Option<String>,
    /// At most 10.
    pub tags: Vec<String>,
    /// BCP 47, for example `en`.
    pub language: Option<String>,
    /// An image.
    pub thumbnail_url: Option<String>,
}

/// Who may enter. Both set: both are needed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessPolicy {
    /// Subscribers of the creator only.
    pub subscriber_only: bool,
    /// Ticket holders only, at this price. Never zero: a price of 0 is no ticket.
    pub ticket_price: Option<Money>,
}

/// How a show runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamSettings {
    /// Video quality.
    pub quality: Quality,
    /// Whether it is recorded.
    pub recording_enabled: bool,
    /// Whether viewers may chat.
    pub chat_enabled: bool,
    /// Whether viewers may tip.
    pub tips_enabled: bool,
    /// The most persons at one time; `None`: no cap.
    pub max_viewers: Option<u32>,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            quality: Quality::Hd,
            recording_enabled: true,
            chat_enabled: true,
            tips_enabled: true,
            max_viewers: None,
        }
    }
}

/// Video quality.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub enum Quality {
    /// 480p.
    #[serde(rename = "SD")]
    Sd,
    /// 720p.
    #[serde(rename = "HD")]
    Hd,
    /// 1080p.
    #[serde(rename = "FHD")]
    Fhd,
    /// 2160p.
    #[serde(rename = "4K")]
    Uhd,
}

impl Quality {
    /// Its name, as in stored events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sd => "SD",
            Self::Hd => "HD",
            Self::Fhd => "FHD",
            Self::Uhd => "4K",
        }
    }
}

/// The host went live.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShowStarted {
    /// The show, so that no reader needs the event before.
    pub show_id: ShowId,
}

/// The show is over.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShowEnded {
    /// The show.
    pub show_id: ShowId,
    /// The totals at this revision: the answer to *end*.
    pub totals: ClosingTotals,
}

/// A show's totals at its end. Definitions: `docs/metrics.md`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClosingTotals {
    /// From start to end, in seconds, rounded down.
    pub duration_seconds: u64,
    /// Persons in the show just before its end.
    pub viewer_count: u32,
    /// The most at any event of the show.
    pub peak_viewers: u32,
    /// Sessions begun.
    pub total_views: u64,
    /// Persons who began one.
    pub unique_viewers: u32,
    /// Messages shown.
    pub messages_count: u64,
    /// Tips captured so far.
    pub total_tips: Money,
    /// Tips whose payment was still under way.
    pub pending_tips: u32,
}

/// The show was called off before it began.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShowCancelled {
    /// The show.
    pub show_id: ShowId,
}
