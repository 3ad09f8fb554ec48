//! Reactions by type.

use schemas::published::{Published, PublishedEvent};
use uuid::Uuid;

use super::show_fact;

show_fact! {
    /// Of the view `reactions`.
    ReactionRow of "fact_reactions" {
        /// Type of the reaction.
        reaction_type: String,
        /// How many.
        count: u32,
    }
}

pub(super) fn rows(published: &Published, show: Uuid) -> Vec<ReactionRow> {
    match &published.event {
        // in the order of the types, so that a repeat numbers its rows alike
        PublishedEvent::ReactionsCounted(counted) => (0..)
            .zip(&counted.counts)
            .map(|(row, (reaction_type, count))| ReactionRow {
                show_id: show,
                revision: published.revision,
                row,
                position: published.position.0,
                occurred_at: published.occurred_at.millis(),
                reaction_type: reaction_type.clone(),
                count: *count,
            })
            .collect(),
        PublishedEvent::ShowCreated(_)
        | PublishedEvent::ShowStarted(_)
        | PublishedEvent::ShowEnded(_)
        | PublishedEvent::ShowCancelled(_)
        | PublishedEvent::ShowRevised(_)
        | PublishedEvent::StreamSettingsChanged(_)
        | PublishedEvent::ViewerJoined(_)
        | PublishedEvent::ViewerLeft(_)
        | PublishedEvent::MessagePosted(_)
        | PublishedEvent::TipRequested(_)
        | PublishedEvent::TipCaptured(_)
        | PublishedEvent::TipDeclined(_)
        | PublishedEvent::PaymentRequested(_)
        | PublishedEvent::PaymentCaptured(_)
        | PublishedEvent::PaymentDeclined(_)
        | PublishedEvent::PaymentApplied(_) => Vec::new(),
    }
}
