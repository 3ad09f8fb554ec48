//! Every event, one file per part. A variant's stored name and version never change; Rust names may.

mod audience;
mod chat;
mod interaction;
mod ledger;
mod lifecycle;
mod payment;
mod settings;

pub use audience::{
    AccessBasis, AudienceCounts, AudienceEvent, DeviceType, LeaveReason, Location, ViewerJoined, ViewerLeft,
};
pub use chat::{AuthorRole, ChatEvent, MessageFeatures, MessagePosted};
pub use interaction::{CountedReaction, InteractionEvent, ReactionsCounted};
pub use ledger::{LedgerEvent, TipCaptured, TipDeclined, TipRequested};
pub use lifecycle::{
    AccessPolicy, ClosingTotals, LifecycleEvent, Quality, ShowCancelled, ShowCreated, ShowDetails, ShowEnded,
    ShowStarted, StreamSettings,
};
pub use payment::{
    DeclineReason, PaymentApplied, PaymentCaptured, PaymentDeclined, PaymentEvent, PaymentPurpose,
    PaymentRequested,
};
pub use settings::{SettingsEvent, ShowRevised, StreamSettingsChanged};

use crate::catalogue::part_of;

part_of! {
    /// What happens in a show: the events of a `show-` stream, by part.
    ShowEvent {
        /// Creation, start, end, cancellation.
        Lifecycle(LifecycleEvent),
        /// Changes to what was announced.
        Settings(SettingsEvent),
        /// Joins and leaves.
        Audience(AudienceEvent),
        /// Messages.
        Chat(ChatEvent),
        /// Reactions.
        Interaction(InteractionEvent),
        /// Tips.
        Ledger(LedgerEvent),
    }
}
