//! Changes to what was announced.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lifecycle::{AccessPolicy, ShowDetails, StreamSettings};
use crate::catalogue::stored_events;
use crate::{Currency, Timestamp};

stored_events! {
    /// Changes to what was announced.
    SettingsEvent {
        /// Title, access or time changed, while SCHEDULED. Carries the whole of it, changed or not.
        Revised(ShowRevised) = "ShowRevised" v 1,
        /// Settings changed, while SCHEDULED or LIVE. Carries the whole of them.
        StreamSettings(StreamSettingsChanged) = "StreamSettingsChanged" v 1,
    }
}

/// What is announced of a show, anew.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShowRevised {
    /// Title and the rest.
    pub details: ShowDetails,
    /// Who may enter.
    pub access: AccessPolicy,
    /// The one currency of the show.
    pub currency: Currency,
    /// When it should start.
    pub scheduled_start: Option<Timestamp>,
}

/// How a show runs, from now on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamSettingsChanged {
    /// All settings, changed or not.
    pub settings: StreamSettings,
}
